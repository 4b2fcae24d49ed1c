"""The tables of a registry's file, and whether a file holds them as weightkin wrote them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from weightkin.errors import UnusableRegistry
from weightkin.registry.sealing import Altered, check, seal

REGISTRY_SCHEMA = 5
BEFORE = 4  # `export` reads it
OLDEST = 3  # of weightkin 0.1.0
APPLICATION = 0x574B494E  # "WKIN"
MOST_CHECKED = 1 << 26  # bytes of a file of which every page is checked when it is opened
INDEXED = ("contents", "models", "edges")  # row keys cost ten times as much as these
PAGES_CHECKED = ("quick_check(1)", *(f"integrity_check({table})" for table in INDEXED))
ONE_ROW = ("totals", "place")
MARK = re.compile("[0-9a-f]{16}", re.ASCII)
SEQUENCE = "CREATE TABLE sqlite_sequence(name,seq)"  # of SQLite itself
CREATE_TABLES = """
CREATE TABLE contents (
  slot INTEGER PRIMARY KEY, contents TEXT NOT NULL UNIQUE, sketch TEXT NOT NULL,
  scheme TEXT NOT NULL, aligned TEXT NOT NULL, invariant TEXT NOT NULL,
  sketch_seal TEXT NOT NULL, aligned_seal TEXT NOT NULL, invariant_seal TEXT NOT NULL);
CREATE TABLE row_keys (
  key INTEGER NOT NULL, slot INTEGER NOT NULL REFERENCES contents(slot),
  PRIMARY KEY (key, slot)) WITHOUT ROWID;
CREATE INDEX row_keys_by_slot ON row_keys(slot);
CREATE TABLE untestable (
  slot INTEGER PRIMARY KEY REFERENCES contents(slot), share REAL NOT NULL);
CREATE TABLE models (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, source TEXT NOT NULL,
  revision TEXT NOT NULL, digest TEXT NOT NULL, full_digest TEXT NOT NULL,
  slot INTEGER NOT NULL REFERENCES contents(slot), added TEXT NOT NULL,
  parents TEXT NOT NULL, licence TEXT NOT NULL,
  imported TEXT NOT NULL, claimed INTEGER NOT NULL, seal TEXT NOT NULL,
  UNIQUE (source, digest, slot));
CREATE INDEX models_by_name ON models(name);
CREATE INDEX models_by_slot ON models(slot);
CREATE TABLE edges (
  a INTEGER NOT NULL, b INTEGER NOT NULL, digest_a TEXT NOT NULL, digest_b TEXT NOT NULL,
  version TEXT NOT NULL, found TEXT NOT NULL, evidence TEXT NOT NULL, seal TEXT NOT NULL,
  PRIMARY KEY (a, b));
CREATE TABLE place (uri TEXT NOT NULL, seal TEXT NOT NULL);
CREATE TABLE family (
  alpha REAL NOT NULL, seed INTEGER NOT NULL, version TEXT NOT NULL, found TEXT NOT NULL,
  record TEXT NOT NULL, seal TEXT NOT NULL);
CREATE TABLE families (
  number INTEGER PRIMARY KEY AUTOINCREMENT, nodes TEXT NOT NULL, record TEXT NOT NULL,
  seal TEXT NOT NULL);
CREATE TABLE totals (
  n_models INTEGER NOT NULL, n_contents INTEGER NOT NULL, next_slot INTEGER NOT NULL,
  mark TEXT NOT NULL);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, begun TEXT NOT NULL, ended TEXT, seal TEXT NOT NULL);
CREATE TABLE items (
  job INTEGER NOT NULL REFERENCES jobs(id), position INTEGER NOT NULL, source TEXT NOT NULL,
  state TEXT NOT NULL, why TEXT NOT NULL, seal TEXT NOT NULL,
  PRIMARY KEY (job, position)) WITHOUT ROWID;
CREATE INDEX items_by_state ON items(state, job);
"""


def make(connection: sqlite3.Connection, place: str) -> None:
    """Make the tables in an empty database; within a transaction."""
    for statement in CREATE_TABLES.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO place VALUES (?, ?)", (place, seal(place)))
    connection.execute("INSERT INTO totals VALUES (0, 0, 0, ?)", (f"{0:016x}",))
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {REGISTRY_SCHEMA}")


def version_of(path: Path, connection: sqlite3.Connection) -> int:
    """Version of a registry; 0 of a database that has nothing in it.

    Raises
    ------
    UnusableRegistry
        It is no registry, or one of another release.
    """
    version, application = (
        connection.execute(f"PRAGMA {x}").fetchone()[0] for x in ("user_version", "application_id")
    )
    if application == APPLICATION and version in (REGISTRY_SCHEMA, BEFORE):
        return int(version)
    if application == APPLICATION and version == OLDEST:
        how = "`export` it with weightkin 0.1.0, then `import` that file"
        raise UnusableRegistry(f"{path}: a registry of version {OLDEST}, without seals; {how}")
    if application == APPLICATION:
        what = f"a registry of version {version}, not {REGISTRY_SCHEMA}"
        raise UnusableRegistry(f"{path}: {what}; another release of weightkin reads it")
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if n_tables and (version, application) != (0, 0):
        raise UnusableRegistry(f"{path}: not a registry")
    return 0


def check_whole(path: Path, connection: sqlite3.Connection, folder: Path, n_rows: int) -> None:
    """Refuse a file that is damaged, or not all of what was written.

    Parameters
    ----------
    path, connection : Path, sqlite3.Connection
        An open registry.
    folder : Path
        Where its vectors are.
    n_rows : int
        Vectors there: one more than the file knows where an `add` was stopped.

    Raises
    ------
    Altered
        Something is not as it was written.
    """
    is_checked = path.stat().st_size <= MOST_CHECKED
    if is_checked:
        for look in PAGES_CHECKED:
            (found,) = connection.execute(f"PRAGMA {look}").fetchone()
            if found != "ok":
                raise Altered(" ".join(str(found).replace("*", "").split()))
    check_tables(connection)
    check_types(connection, (*ONE_ROW, *(("contents", "items", "models") if is_checked else ())))
    check_totals(connection, folder, n_rows)


def check_tables(connection: sqlite3.Connection) -> None:
    """Refuse other tables than those of this version; of the one before any are taken."""
    made = {x for (x,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")}
    ours = {x.strip() for x in (*CREATE_TABLES.split(";"), SEQUENCE) if x.strip()}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if made != ours and version == REGISTRY_SCHEMA:
        raise Altered("its tables were changed by something other than weightkin")


def check_totals(connection: sqlite3.Connection, folder: Path, n_rows: int) -> None:
    """Refuse a file that does not hold as many entries as were written, or vectors of more.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    folder : Path
        Where its vectors are.
    n_rows : int
        Vectors there.

    Raises
    ------
    Altered
        Entries are missing, or there are too many.
    """
    n_models, n_contents, next_slot = connection.execute(
        "SELECT n_models, n_contents, next_slot FROM totals"
    ).fetchone()
    for table, n in (("models", n_models), ("contents", n_contents)):
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        if found != n:
            raise Altered(f"{table} has {found} entries, but {n} were written")
    (last,) = connection.execute("SELECT coalesce(max(slot), -1) FROM contents").fetchone()
    if last >= next_slot:
        raise Altered("totals was changed by something other than weightkin")
    if n_rows > next_slot + 1:
        raise Altered(f"knows {next_slot} of {n_rows} vectors in {folder}, the last are missing")


def place_of(connection: sqlite3.Connection) -> str:
    """Where vectors and sketches lie; empty: beside the file."""
    row: tuple[str, ...] = connection.execute("SELECT * FROM place").fetchone() or ("",)
    if len(row) > 1:  # a registry of the version before has no seal here
        check("the place of vectors and sketches", row[1], row[0])
    return row[0]


def check_types(connection: sqlite3.Connection, tables: Sequence[str]) -> None:
    """Refuse values of other types than their columns: SQLite itself takes any."""
    for table in tables:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        wrong = " OR ".join(f"typeof({x[1]}) != '{x[2].lower()}'" for x in columns)
        n = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        found = connection.execute(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1")  # noqa: S608
        if found.fetchone() or (table in ONE_ROW and n != 1):
            raise Altered(f"{table} was changed by something other than weightkin")
    (mark,) = connection.execute("SELECT mark FROM totals").fetchone()
    if not MARK.fullmatch(mark):
        raise Altered("totals was changed by something other than weightkin")
