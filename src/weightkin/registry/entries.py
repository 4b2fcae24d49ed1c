"""Entries of the registry: a model is written with its contents, sealed and counted, or removed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from weightkin.records.registry import Registered
from weightkin.registry.blocks import ALIGNED, INVARIANT
from weightkin.registry.claims import check_claim, check_texts
from weightkin.registry.noted import with_notes
from weightkin.registry.prepared import Prepared
from weightkin.registry.row_index import forget_index, write_index
from weightkin.registry.sealed import SealedStore, file_of, with_mark
from weightkin.registry.sealing import Altered, seal
from weightkin.registry.store import COLUMNS, writing
from weightkin.sketch import invariant, vectors


def keep(
    store: SealedStore,
    connection: sqlite3.Connection,
    what: Prepared,
    places: Sequence[tuple[int, int]] = (),
    *,
    added: str,
    imported: str = "",
) -> tuple[Registered, bool]:
    """Register one model and settle its item.

    Parameters
    ----------
    store, connection : SealedStore, sqlite3.Connection
        An open registry.
    what : Prepared
        The model.
    places : sequence of (int, int)
        Jobs that wait for it, with its position in each.
    added : str
        Time in UTC; one for all that one call adds: none of them is first.
    imported : str
        Where it was imported from; empty: it was not.

    Returns
    -------
    Registered
        The model; the older entry where source, digest and contents are the same.
    bool
        Whether it is new.

    Raises
    ------
    UnreadableModel
        A text that cannot be kept, or a digest that its sketch claims and another model has.
    """
    sketch = what.sketch
    said = what.declared
    check_texts(sketch.name, sketch.source, sketch.revision or "", said.licence, *said.parents)
    if what.claimed:
        check_claim(store, connection, sketch)
    file = file_of(what.contents, sketch.scheme.name)
    with writing(connection):
        slot, replaced = _slot(connection, store, what, file)
        values = (sketch.name, sketch.source, sketch.revision or "", sketch.digest)
        old = connection.execute(
            f"SELECT {COLUMNS} FROM models WHERE source = ? AND digest = ? AND slot = ?",  # noqa: S608
            (sketch.source, sketch.digest, slot),
        ).fetchone()
        if old is None:
            connection.execute(
                "INSERT INTO models(name, source, revision, digest, full_digest, added, parents,"
                " licence, imported, claimed, slot, seal)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
                (
                    *values,
                    sketch.full_digest or "",
                    added,
                    json.dumps(what.declared.parents),
                    what.declared.licence,
                    imported,
                    int(what.claimed),
                    slot,
                ),
            )
            _seal_last(connection)
        settle(connection, places, "done", "")
        last = f"SELECT {COLUMNS} FROM models WHERE id = last_insert_rowid()"  # noqa: S608
        row: tuple[object, ...] = old or connection.execute(last).fetchone()
        kept = with_notes(connection, row), old is None
    if replaced:
        store.forget(slot, replaced)
    return kept


def forget(
    store: SealedStore, connection: sqlite3.Connection, ids: Sequence[int]
) -> list[tuple[int, str]]:
    """Remove models and their comparisons from the database.

    Parameters
    ----------
    store, connection : SealedStore, sqlite3.Connection
        An open registry, in a transaction.
    ids : sequence of int
        Numbers of the models.

    Returns
    -------
    list of (int, str)
        Slots and sketch files that no model is left in; files are not deleted.

    Raises
    ------
    Altered
        The name of a sketch file is not the one that was written.
    """
    for number in ids:
        connection.execute("DELETE FROM models WHERE id = ?", (number,))
        connection.execute("DELETE FROM edges WHERE ? IN (a, b)", (number,))
    found = connection.execute(
        "SELECT slot, sketch, contents, scheme FROM contents"
        " WHERE slot NOT IN (SELECT slot FROM models) ORDER BY slot"
    ).fetchall()
    if any(file != file_of(contents, scheme) for _, file, contents, scheme in found):
        raise Altered("the name of a sketch was changed by something other than weightkin")
    unused = [(slot, file) for slot, file, *_ in found]
    mark = store.mark_without([slot for slot, _ in unused])
    for slot, _ in unused:
        forget_index(connection, slot)
    connection.executemany("DELETE FROM contents WHERE slot = ?", [(slot,) for slot, _ in unused])
    connection.execute(
        "UPDATE totals SET n_models = n_models - ?, n_contents = n_contents - ?, mark = ?",
        (len(ids), len(unused), mark),
    )
    return unused


def first_of(models: Sequence[Registered]) -> str:
    """Name of the model registered first; "" where one call added it together with another."""
    if not models:
        return ""
    first, *others = sorted(models, key=lambda m: (m.added, m.id))
    return "" if any(m.added == first.added for m in others) else first.name


def settle(
    connection: sqlite3.Connection, places: Sequence[tuple[int, int]], state: str, why: str
) -> None:
    """Write down what became of an item, by its jobs and positions there.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry, in a transaction.
    places : sequence of (int, int)
        Jobs that wait for the item, with its position in each.
    state : str
        ``done``, ``failed`` or ``waiting``.
    why : str
        The error; empty where there is none.
    """
    connection.executemany(  # what another process has settled meanwhile stays as it is
        "UPDATE items SET state = ?, why = ?, seal = sealed(job, position, source, ?, ?)"
        " WHERE job = ? AND position = ? AND state = 'waiting'",
        [(state, why, state, why, *place) for place in places],
    )


def _slot(
    connection: sqlite3.Connection, store: SealedStore, what: Prepared, file: str
) -> tuple[int, str]:
    """Where these contents are, written if they are new; and a file that is of no use any more.

    A sketch that was kept without token views is replaced by one that has them.
    """
    slot: int
    old = connection.execute(
        "SELECT slot, sketch, scheme FROM contents WHERE contents = ?", (what.contents,)
    ).fetchone()
    if old is not None:
        slot, replaced, scheme = old
        without = replace(what.sketch.scheme, has_views=False).name
        if what.sketch.views is None or what.claimed or scheme != without:
            return slot, ""
        kept = (store.rows(ALIGNED, [slot])[0], store.rows(INVARIANT, [slot])[0])
        seals = store.write(slot, what.contents, file, what.sketch, kept)
        connection.execute(
            "UPDATE contents SET sketch = ?, scheme = ?, sketch_seal = ? WHERE slot = ?",
            (file, what.sketch.scheme.name, seals.sketch, slot),
        )
        return slot, replaced
    slot, mark = connection.execute("SELECT next_slot, mark FROM totals").fetchone()
    vectors_of = (what.aligned, what.invariant)
    seals = store.write(slot, what.contents, file, what.sketch, vectors_of)
    names = (what.sketch.scheme.name, vectors.ALIGNED_VERSION, invariant.INVARIANT_VERSION)
    row = (slot, what.contents, file, *names, seals.sketch, seals.aligned, seals.invariant)
    connection.execute("INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    write_index(connection, slot, what.sketch)
    connection.execute(
        "UPDATE totals SET n_contents = n_contents + 1, next_slot = next_slot + 1, mark = ?",
        (with_mark(mark, seals.mark),),
    )
    return slot, ""


def _seal_last(connection: sqlite3.Connection) -> None:
    """Seal the model inserted last, now that it has its number, and count it."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE id = last_insert_rowid()"  # noqa: S608
    ).fetchone()
    connection.execute("UPDATE models SET seal = ? WHERE id = ?", (seal(*row[:-1]), row[0]))
    connection.execute("UPDATE totals SET n_models = n_models + 1")
