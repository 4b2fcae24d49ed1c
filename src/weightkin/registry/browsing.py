"""Looking around in a registry: a page of models, one model, what is remembered about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from weightkin.records.comparison import Summary
from weightkin.records.registry import Registered
from weightkin.registry.edges import EDGE_COLUMNS, edge_evidence
from weightkin.registry.noted import with_notes
from weightkin.registry.store import COLUMNS, opened
from weightkin.registry.stores import store_of
from weightkin.sketch import Sketch

LONGEST_QUERY = 1000  # characters of a text to look for


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the models that were asked for, and how many there are in all."""

    n_found: int
    models: tuple[Registered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A comparison that an earlier search left behind."""

    model: Registered
    found: str  # when, UTC
    summary: Summary


def browse(
    path: Path, text: str = "", *, start: int = 0, most: int = 50, hidden: bool = False
) -> Page:
    """Models whose name or source holds a text, or of that number (``3`` or ``#3``), in order.

    Cost: one pass over the names; notes are looked up for the models returned alone.

    Parameters
    ----------
    path : Path
        The registry's file.
    text : str
        Looked for; empty: all models.
    start : int
        How many of those found come before the first one returned.
    most : int
        How many are returned at most.
    hidden : bool
        Nothing is looked for in sources that are paths on this machine.

    Returns
    -------
    Page
        These models, and how many were found in all.
    """
    where, values = _condition(text[:LONGEST_QUERY], hidden=hidden)
    with opened(path, to_write=False) as connection:
        n = connection.execute(f"SELECT count(*) FROM models {where}", values).fetchone()[0]  # noqa: S608
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM models {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608
            (*values, most, start),
        ).fetchall()
        return Page(n_found=n, models=tuple(with_notes(connection, row) for row in rows))


def numbers(path: Path, text: str, *, hidden: bool = False) -> set[int]:
    """Numbers of all models that `browse` finds for a text."""
    where, values = _condition(text[:LONGEST_QUERY], hidden=hidden)
    with opened(path, to_write=False) as connection:
        return {x for (x,) in connection.execute(f"SELECT id FROM models {where}", values)}  # noqa: S608


def several(path: Path, wanted: Iterable[int]) -> tuple[Registered, ...]:
    """The models of some numbers, in this order, with notes; those that are gone are left out."""
    with opened(path, to_write=False) as connection:
        rows = [_row(connection, number) for number in wanted]
        return tuple(with_notes(connection, row) for row in rows if row is not None)


def named(path: Path, text: str, most: int = 20) -> tuple[Registered, ...]:
    """Models of exactly this name, source or number (``#3``).

    Parameters
    ----------
    path : Path
        The registry's file.
    text : str
        Name, source or number.
    most : int
        How many are returned at most.

    Returns
    -------
    tuple of Registered
        In the order of their numbers.
    """
    number = _number(text) if text.startswith("#") else None
    with opened(path, to_write=False) as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM models WHERE name = ? OR source = ? OR id = ?"  # noqa: S608
            " ORDER BY id LIMIT ?",
            (text, text, number, most),
        ).fetchall()
        return tuple(with_notes(connection, row) for row in rows)


def one(path: Path, number: int) -> Registered | None:
    """The model of a number, if there is one."""
    with opened(path, to_write=False) as connection:
        row = _row(connection, number)
        return None if row is None else with_notes(connection, row)


def sketch_of(path: Path, model: Registered) -> Sketch | None:
    """What the registry holds of a model, under the model's name; none if it was removed."""
    with opened(path, to_write=False) as connection:
        row = connection.execute(
            "SELECT contents.slot, contents.sketch FROM contents JOIN models"
            " ON models.slot = contents.slot WHERE models.id = ?",
            (model.id,),
        ).fetchone()
        return None if row is None else store_of(path, connection).sketch(*row)


def remembered(path: Path, model: Registered) -> tuple[Remembered, ...]:
    """What earlier searches found between a model and others, most certain first."""
    with opened(path, to_write=False) as connection:
        rows = connection.execute(
            f"SELECT {EDGE_COLUMNS}, seal FROM edges WHERE a = ? AND digest_a = ?",  # noqa: S608
            (model.id, model.digest),
        ).fetchall()
        found = []
        for edge in rows:
            row = _row(connection, edge[1])
            if row is not None:
                known, summary = with_notes(connection, row), edge_evidence(edge)
                found.append(Remembered(model=known, found=edge[5], summary=summary))
    return tuple(sorted(found, key=lambda x: (x.summary.log10_pvalue, x.model.id)))


def stamp(path: Path) -> str:
    """Changes whenever a model is added or removed."""
    with opened(path, to_write=False) as connection:
        n, last = connection.execute("SELECT count(*), coalesce(max(id), 0) FROM models").fetchone()
        ever = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'models'"
        ).fetchone()
        return f"{n}.{last}.{ever[0] if ever else 0}"


def _row(connection: sqlite3.Connection, number: int) -> tuple[object, ...] | None:
    if not 0 < number < 1 << 62:
        return None
    row: tuple[object, ...] | None = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE id = ?",  # noqa: S608
        (number,),
    ).fetchone()
    return row


def _condition(text: str, *, hidden: bool) -> tuple[str, tuple[object, ...]]:
    if not text:
        return "", ()
    inside = "".join(f"\\{c}" if c in "%_\\" else c for c in text)
    like = f"%{inside}%"
    source = "source LIKE ? ESCAPE '\\'"
    source = f"({source} AND instr(source, '/') > 1)" if hidden else source
    return f"WHERE name LIKE ? ESCAPE '\\' OR {source} OR id = ?", (like, like, _number(text))


def _number(text: str) -> int | None:
    digits = text.removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 18 else None
