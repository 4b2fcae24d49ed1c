"""Records as tables of pandas and graphs of networkx, which are imported on use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from weightkin.errors import UsageError


def needed(package: str, method: str) -> Any:
    """A package that only one method uses.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UsageError(f"{method} needs {package}: pip install {package}") from None


def frame_of(rows: Sequence[Any]) -> Any:
    """Values of one dataclass as a table; fields of the values they hold are named with a dot."""
    pandas = needed("pandas", "to_pandas")
    return pandas.json_normalize([asdict(row) for row in rows], max_level=1)
