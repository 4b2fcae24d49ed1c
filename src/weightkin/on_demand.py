"""Public names of a package, loaded on first use: what needs one of them loads no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names_of(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to str
        Each public name, and the module inside the package that defines it. No name may be that of
        a module of the package, which would hide it.

    Returns
    -------
    callable
        Takes a name and gives what it stands for.

    Examples
    --------
    >>> names_of("collections", {"Mapping": "abc"})("Mapping").__name__
    'Mapping'
    """

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return found
