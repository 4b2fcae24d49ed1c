"""``--where`` and ``--sort`` of `list`: which models, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from weightkin.errors import UsageError
from weightkin.records.listing import Described, Listing
from weightkin.records.registry import Registered

CONDITION = re.compile(r"\s*(\w+)\s*(=|<=|>=|<|>)\s*(.+?)\s*")
NUMBER = re.compile(r"([0-9.]+)([kmbt]?)", re.IGNORECASE)
UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
Row = tuple[Registered, Described]
COLUMNS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row[0].name.lower(),
    "architecture": lambda row: row[1].architecture.lower(),
    "parameters": lambda row: row[1].n_parameters,
    "dtype": lambda row: row[1].dtype.lower(),
    "family": lambda row: row[1].family.lower(),
    "licence": lambda row: row[0].licence.lower(),
    "added": lambda row: row[0].added,
}


def selected(record: Listing, where: Sequence[str], sort: str | None) -> Listing:
    """Models for which every condition holds, in order of a column.

    Parameters
    ----------
    record : Listing
        All models, each with its description.
    where : sequence of str
        Conditions: ``architecture=Llama*``, ``parameters>=1B``.
    sort : str, optional
        A column; with ``-`` before it the largest first.

    Returns
    -------
    Listing

    Raises
    ------
    UsageError
        No such column, or a condition that is none.
    """
    rows = list(zip(record.models, record.described, strict=True))
    for condition in where:
        holds = _condition(condition)
        rows = [row for row in rows if holds(row)]
    if sort is not None:
        rows.sort(key=_column(sort.removeprefix("-")), reverse=sort.startswith("-"))
    return Listing(models=tuple(m for m, _ in rows), described=tuple(x for _, x in rows))


def _condition(text: str) -> Callable[[Row], bool]:
    found = CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(f"--where {text}: not a condition, such as dtype=BF16 or parameters>=1B")
    name, sign, value = found.groups()
    column = _column(name)
    if name == "parameters":
        n = _number(value)
        return {
            "=": lambda row: column(row) == n,
            "<": lambda row: column(row) < n,
            ">": lambda row: column(row) > n,
            "<=": lambda row: column(row) <= n,
            ">=": lambda row: column(row) >= n,
        }[sign]
    if sign != "=":
        raise UsageError(f"--where {text}: only parameters can be compared with {sign}")
    return lambda row: fnmatchcase(column(row), value.lower())


def _column(name: str) -> Callable[[Row], Any]:
    if name not in COLUMNS:
        raise UsageError(f"{name!r} is not a column of the list; it has {', '.join(COLUMNS)}")
    return COLUMNS[name]


def _number(text: str) -> float:
    """``7B``, ``350M`` or a plain number."""
    found = NUMBER.fullmatch(text)
    try:
        if found is not None:
            return float(found[1]) * UNITS[found[2].lower()]
    except ValueError:
        pass
    raise UsageError(f"{text!r} is not a number of parameters, such as 350M or 7B")
