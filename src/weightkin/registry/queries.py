"""What a query names: a model here or on a hub, or a registered one by name, number or source."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from weightkin._version import __version__
from weightkin.errors import AmbiguousName, UnreadableModel
from weightkin.evidence.reach import LEAST_TESTED, reachable_share
from weightkin.formats import Model
from weightkin.formats.declared import Declared
from weightkin.formats.source import full_name, full_name_of, may_be_elsewhere
from weightkin.records import Skipped, left_out
from weightkin.records.registry import Registered, Search
from weightkin.registry import proposing
from weightkin.registry.claims import is_path, is_text
from weightkin.registry.noted import with_notes
from weightkin.registry.placement import Placement
from weightkin.registry.prepared import Prepared, of_sketch, prepare, source_of
from weightkin.registry.proposing import Compared
from weightkin.registry.store import COLUMNS, model_of_row, opened
from weightkin.registry.stores import store_of
from weightkin.sketch import Sketch
from weightkin.sketch.source import open_model
from weightkin.text import counted, shown, unreadable

MOST_LISTED = 8  # models of one name in a message
MOST_DIGITS = 18  # of a number that a registry can have given


def nowhere(name: str, path: Path) -> UnreadableModel:
    """Make the error for a name that means nothing here and cannot be a hub's."""
    what = f"no such path, and no model of this name or number in {path}"
    return unreadable(shown(name), f"{what} (`weightkin list` shows them)")


def unregistered(name: str, path: Path) -> UnreadableModel:
    """Make the error for a name that no registered model has."""
    what = f"no model of this name, number or source in {path}"
    return unreadable(shown(name), f"{what} (`weightkin list` shows them)")


def ambiguous(name: str, found: tuple[Registered, ...]) -> AmbiguousName:
    """Make the error for a name of several registered models, the last of which are listed."""
    listed = ", ".join(f"#{x.id} ({shown(x.source)}, {x.added[:10]})" for x in found[-MOST_LISTED:])
    n_left = len(found) - MOST_LISTED
    more = f" and {n_left} more (`weightkin list -v` shows them)" if n_left > 0 else ""
    said = f"{shown(name)}: the name of {counted(len(found), 'registered model')}; name one by its"
    return AmbiguousName(f"{said} number: {listed}{more}", tuple(x.id for x in found))


def prepared(path: Path, source: str | Path | Model) -> tuple[Prepared, Registered | None]:
    """A model to search for in the registry at a path; and which registered one it is, if any."""
    with opened(path, to_write=False) as connection:
        if isinstance(source, Model) or is_path(str(source)):
            return _of_model(connection, source)
        found = named(connection, str(source))
        if not found:
            if not may_be_elsewhere(str(source)):
                raise nowhere(str(source), path)
            return prepare(source), None
        if len(found) > 1:
            raise ambiguous(str(source), found)
        (own,) = found
        file, slot = connection.execute(
            "SELECT contents.sketch, contents.slot FROM contents JOIN models"
            " ON models.slot = contents.slot WHERE models.id = ?",
            (own.id,),
        ).fetchone()
        store = store_of(path, connection)
        vector = proposing.invariant_at(store, slot)
        sketch = store.sketch(slot, file)
    sketch = replace(sketch, name=own.name, source=own.source, digest=own.digest)
    query = of_sketch(sketch, Declared(own.declared_parents, own.licence), vector)
    return replace(query, weights_at=source_of([own])), own


def named_at(path: Path, name: str) -> tuple[Registered, ...]:
    """Models of a name, number or source in the registry at a path; none where there is none."""
    if not path.exists():
        return ()
    with opened(path, to_write=False) as connection:
        return named(connection, name, is_checked=False)


def named(
    connection: sqlite3.Connection, name: str, *, is_checked: bool = True
) -> tuple[Registered, ...]:
    """Registered models of a name, a number (``#3``, or ``3`` where it is one) or a source.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    name : str
        The name, number or source.
    is_checked : bool
        Refuse damaged entries; without it they are given as they stand, to be removed.

    Returns
    -------
    tuple of Registered
        In the order of their numbers.
    """
    if not is_text(name) or "\0" in name:
        return ()
    digits = name.removeprefix("#")
    number = int(digits) if digits.isdecimal() and len(digits) <= MOST_DIGITS else -1
    rows = _where(connection, "id = ?", number)
    if not rows:
        rows = _where(connection, "name = ? OR source = ?", name, full_name(name))
    if not is_checked:
        return tuple(model_of_row(row, is_checked=False) for row in rows)
    return tuple(with_notes(connection, row) for row in rows)


def _of_model(
    connection: sqlite3.Connection, source: str | Path | Model
) -> tuple[Prepared, Registered | None]:
    model = source if isinstance(source, Model) else open_model(source)
    query = prepare(model)
    slot = proposing.slot_of(connection, query)
    if slot is None or not is_text(query.sketch.source):
        return query, None
    # a digest is a sample: the contents must be the same
    rows = _where(connection, "source = ? AND slot = ?", full_name_of(model), slot)
    return query, with_notes(connection, rows[-1]) if rows else None


def _where(
    connection: sqlite3.Connection, condition: str, *values: str | int
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE {condition} ORDER BY id",  # noqa: S608
        values,
    ).fetchall()
    return rows


def search_record(
    query: Prepared, found: Compared, where: Placement, first: str, seconds: float
) -> Search:
    """The record of a search.

    Parameters
    ----------
    query, found, where : Prepared, Compared, Placement
        The model, its relatives, and its place among them.
    first : str
        The related model that was registered first.
    seconds : float
        What it took.

    Returns
    -------
    Search
    """
    return Search(
        name=query.sketch.name,
        source=query.sketch.source,
        digest=query.sketch.digest,
        n_scanned=found.n_scanned,
        n_compared=len(found.candidates),
        alpha=found.request.alpha,
        paid_alpha=found.paid_alpha,
        relatives=tuple(found.relatives),
        others=tuple(found.others),
        parents=where.parents,
        children=where.children,
        path=where.path,
        placed_among=where.among,
        first_registered=first,
        registered=found.request.own,
        skipped=(*found.skipped, *where.skipped),
        bytes_read=found.bytes_read + (0 if found.request.own else query.sketch.bytes_read),
        seconds=seconds,
        seed=found.request.seed,
        version=__version__,
        incomplete=query.sketch.is_partial or found.is_incomplete,
        not_testable=_why_not_testable(query.sketch),
    )


def _why_not_testable(sketch: Sketch) -> Skipped | None:
    """Why no test of a model with any other would say enough, None where one may."""
    if not sketch.anatomy.axes:
        return left_out("", "no-axis")
    share = reachable_share(sketch)
    return left_out("", "share-too-small", share=share) if share < LEAST_TESTED else None
