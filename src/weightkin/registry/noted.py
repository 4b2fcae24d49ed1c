"""A registered model with what the registry knows beside its row."""

from __future__ import annotations

import sqlite3

from weightkin.records import note
from weightkin.records.registry import Registered
from weightkin.registry.store import COLUMNS, model_of_row

SLOT = COLUMNS.split(", ").index("slot")


def with_notes(connection: sqlite3.Connection, row: tuple[object, ...]) -> Registered:
    """A model with what else is known about its contents and its source."""
    model = model_of_row(row)
    same = connection.execute(
        "SELECT name, id FROM models WHERE id != ? AND slot ="
        " (SELECT slot FROM models WHERE id = ?) ORDER BY id",
        (model.id, model.id),
    ).fetchall()
    other = connection.execute(
        "SELECT id, digest, added FROM models WHERE source = ? AND id != ? AND slot !="
        " (SELECT slot FROM models WHERE id = ?) ORDER BY id",
        (model.source, model.id, model.id),
    ).fetchall()
    notes = [note("digest-claimed")] if model.claimed else []
    share = share_in_reach(connection, int(str(row[SLOT])))
    notes += [] if share is None else [note("not-testable", share=share)]
    notes += [note("same-contents", name=name, id=k) for name, k in same]
    notes += [note("other-contents", id=k, digest=d, added=t) for k, d, t in other]
    return model_of_row(row, tuple(notes))


def share_in_reach(connection: sqlite3.Connection, slot: int) -> float | None:
    """Share of the parameters of registered contents that tests reach, where it is too small."""
    row = connection.execute("SELECT share FROM untestable WHERE slot = ?", (slot,)).fetchone()
    return None if row is None else float(row[0])
