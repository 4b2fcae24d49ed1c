"""Is everything in a registry as it was written? Every row, vector, sketch and count is looked at.

What is damaged is named, with what to do: entries are removed and added again, comparisons and
families are found again, anything else needs a copy from before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from weightkin.errors import UnreadableModel, UnusableRegistry, WeightkinError
from weightkin.records import Skipped, left_out
from weightkin.registry.blocks import ALIGNED, n_written
from weightkin.registry.connecting import connected, read_only
from weightkin.registry.edges import EDGE_COLUMNS
from weightkin.registry.proposing import check_vector
from weightkin.registry.row_index import check_index
from weightkin.registry.schema import (
    CREATE_TABLES,
    REGISTRY_SCHEMA,
    check_tables,
    check_totals,
    check_types,
    version_of,
)
from weightkin.registry.sealed import SealedStore, file_of
from weightkin.registry.sealing import Altered, seal
from weightkin.registry.store import COLUMNS, check_file, file_errors, folder_of, nothing_in
from weightkin.registry.stores import bare_store
from weightkin.sketch import invariant, vectors

VECTORS = "its row in aligned.bits, aligned.vectors, invariant.bits or invariant.vectors"
MOST_MESSAGES = 20  # of what SQLite says about its pages
SEALED = {  # columns of each table whose rows are sealed, and how a row is called
    "models": (COLUMNS, "model #{}"),
    "edges": (f"{EDGE_COLUMNS}, seal", "comparison of #{} with #{}"),
    "family": ("alpha, seed, version, found, record, seal", "head of the family graph"),
    "families": ("number, nodes, record, seal", "family {}"),
    "jobs": ("id, begun, ended, seal", "job {}"),
    "items": ("job, position, source, state, why, seal", "source of job {} at {}"),
    "place": ("uri, seal", "place of vectors and sketches"),
}
ADVICE = {"models": "damaged-entry", "edges": "damaged-found", "families": "damaged-found",
          "family": "damaged-found", "jobs": "damaged-job", "items": "damaged-job"}  # fmt: skip


def damages(path: Path) -> list[Skipped]:
    """All that is not as it was written in a registry.

    Parameters
    ----------
    path : Path
        The registry's file.

    Returns
    -------
    list of Skipped
        Empty where everything is as it was.

    Raises
    ------
    UnusableRegistry
        There is no registry there, one of another version, or not all of it can be seen.
    """
    with file_errors(path):
        check_file(path)
        n_rows = n_written(folder_of(path), ALIGNED)
        with read_only(path, to_write=False) as is_alone:
            try:
                with closing(connected(path, is_alone=is_alone)) as connection:
                    version = version_of(path, connection)
                    if not version:
                        raise nothing_in(path)
                    if version != REGISTRY_SCHEMA:
                        raise UnusableRegistry(f"{path}: not a registry of this version")
                    connection.execute("BEGIN")
                    return list(_found(path, connection, n_rows))
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                return [_database(path, error)]


def _found(path: Path, connection: sqlite3.Connection, n_rows: int) -> Iterator[Skipped]:
    rows = connection.execute(f"PRAGMA integrity_check({MOST_MESSAGES})").fetchall()
    said = [" ".join(str(x).replace("*", "").split()) for (x,) in rows]
    if said != ["ok"]:
        yield from (_database(path, x) for x in said)
        return
    tables = [x.split()[2] for x in CREATE_TABLES.split(";") if "CREATE TABLE" in x]
    try:
        check_tables(connection)
        check_types(connection, [x for x in tables if x != "jobs"])
        check_totals(connection, folder_of(path), n_rows)
    except Altered as error:
        yield _database(path, error)
    for table, (columns, name) in SEALED.items():
        for row in connection.execute(f"SELECT {columns} FROM {table}").fetchall():  # noqa: S608
            if row[-1] != seal(*row[:-1]):
                code = ADVICE.get(table, "damaged-database")
                yield left_out(name.format(*row), code, error=f"table {table}")
    yield from _references(connection)
    try:
        yield from _slots(path, connection)
    except (WeightkinError, Altered) as error:
        yield left_out("vectors", "damaged-database", error=str(error))


def _references(connection: sqlite3.Connection) -> Iterator[Skipped]:
    """Rows that name a row which is not there."""
    for table, *_ in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield left_out(table, "damaged-database", error="names rows that are not there")
    for a, b in connection.execute(
        "SELECT a, b FROM edges WHERE a NOT IN (SELECT id FROM models)"
        " OR b NOT IN (SELECT id FROM models)"
    ).fetchall():
        yield left_out(f"comparison of #{a} with #{b}", "damaged-found", error="edges")
    for (slot,) in connection.execute(
        "SELECT slot FROM contents WHERE slot NOT IN (SELECT slot FROM models)"
    ).fetchall():
        yield left_out(f"slot {slot}", "damaged-entry", error="no model holds it")


def _slots(path: Path, connection: sqlite3.Connection) -> Iterator[Skipped]:
    """What is damaged of vectors and sketches."""
    rows = connection.execute(
        "SELECT slot, contents, sketch, scheme, aligned, invariant FROM contents ORDER BY slot"
    ).fetchall()
    store = SealedStore(bare_store(path, connection), connection)
    versions = vectors.ALIGNED_VERSION, invariant.INVARIANT_VERSION
    try:
        sound = set(store.sound([row[0] for row in rows]))
    except Altered as error:
        yield left_out("vectors", "damaged-database", error=str(error))
        sound = {row[0] for row in rows} - store.damaged
    for slot, contents, file, scheme, *made in rows:
        what = _label(connection, slot)
        if slot not in sound:
            yield left_out(what, "damaged-entry", error=VECTORS)
        if file != file_of(contents, scheme) or tuple(made) != versions:
            yield left_out(what, "damaged-entry", error="contents")
            continue
        try:
            sketch = store.sketch(slot, file)
            if slot in sound:
                check_vector(store, slot, sketch)
            check_index(connection, slot, sketch)
        except (UnreadableModel, Altered) as error:
            yield left_out(what, "damaged-entry", error=f"{file}: {error}")


def _label(connection: sqlite3.Connection, slot: int) -> str:
    numbers = connection.execute(
        "SELECT id FROM models WHERE slot = ? ORDER BY id LIMIT 9", (slot,)
    ).fetchall()
    return f"slot {slot} ({', '.join(f'#{x}' for (x,) in numbers)})"


def _database(path: Path, error: object) -> Skipped:
    return left_out(str(path), "damaged-database", error=str(error)[:300])
