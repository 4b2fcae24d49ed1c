"""Records as tables of pandas and graphs of networkx, which are imported on use."""

from __future__ import annotations

from collections.abc import Sequence
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


def frame_of(rows: Sequence[Any], columns: Sequence[str]) -> Any:
    """Values as a table with these columns, which are there without a row too.

    Parameters
    ----------
    rows : sequence of object
        One value for each row.
    columns : sequence of str
        Where the value of a column is found, ``summary.effect.observed``, after its name and ``=``
        where that is not the last word. Behind a value that is None there is None.

    Returns
    -------
    pandas.DataFrame
        Several texts in one cell are joined with commas.
    """
    pandas = needed("pandas", "to_pandas")
    named = [x.rpartition("=") for x in columns]
    names = [name or path.rpartition(".")[2] for name, _, path in named]
    cells = [[_cell(row, path.split(".")) for _, _, path in named] for row in rows]
    return pandas.DataFrame(cells, columns=names)


def _cell(value: Any, path: Sequence[str]) -> Any:
    for word in path:
        value = None if value is None else getattr(value, word)
    return ", ".join(value) if isinstance(value, tuple) else value
