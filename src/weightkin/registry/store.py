"""The registry's file: one SQLite database in WAL mode, its schema, and the folder beside it.

``models`` says what was added, under which name, from where and when; ``contents`` what they hold,
once for equal samples: the position of the vectors and the file of the sketch. ``edges`` keeps
comparisons with the digests and version they rest on, ``family`` the graph of all models; what
each row and slot holds is sealed (`sealing`), and ``totals`` says how many there are;
``jobs`` and ``items`` what is still to do. ``place`` says where vectors and sketches lie:
empty where that is the folder beside it.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from weightkin.errors import DiskFull, UnusableRegistry, UsageError, unwritable
from weightkin.formats.write_guard import refuse_inside
from weightkin.records import Note
from weightkin.records.registry import Registered
from weightkin.registry.blocks import ALIGNED, n_written
from weightkin.registry.sealing import Altered, check

REGISTRY_SCHEMA = 4
OLD = 3  # of weightkin 0.1.0
APPLICATION = 0x574B494E  # "WKIN"
MAX_MESSAGE = 300  # characters of what SQLite says
MOST_CHECKED = 1 << 26  # bytes of a file of which every page is checked when it is opened
ONE_ROW = ("totals", "place")
MARK = re.compile("[0-9a-f]{16}", re.ASCII)
SEQUENCE = "CREATE TABLE sqlite_sequence(name,seq)"  # of SQLite itself
BUSY_SECONDS = 120.0  # how long to wait for another process that writes
MOST_PATIENCE = 1000  # milliseconds, where waiting is not worth it
DISK_FULL_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
CREATE_TABLES = """
CREATE TABLE contents (
  slot INTEGER PRIMARY KEY, contents TEXT NOT NULL UNIQUE, sketch TEXT NOT NULL,
  scheme TEXT NOT NULL, aligned TEXT NOT NULL, invariant TEXT NOT NULL,
  sketch_seal TEXT NOT NULL, aligned_seal TEXT NOT NULL, invariant_seal TEXT NOT NULL);
CREATE TABLE models (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, source TEXT NOT NULL,
  revision TEXT NOT NULL, digest TEXT NOT NULL, full_digest TEXT NOT NULL,
  slot INTEGER NOT NULL REFERENCES contents(slot), added TEXT NOT NULL,
  parents TEXT NOT NULL, licence TEXT NOT NULL, version TEXT NOT NULL,
  imported TEXT NOT NULL, claimed INTEGER NOT NULL, seal TEXT NOT NULL,
  UNIQUE (source, digest, slot));
CREATE INDEX models_by_name ON models(name);
CREATE INDEX models_by_slot ON models(slot);
CREATE TABLE edges (
  a INTEGER NOT NULL, b INTEGER NOT NULL, digest_a TEXT NOT NULL, digest_b TEXT NOT NULL,
  version TEXT NOT NULL, found TEXT NOT NULL, evidence TEXT NOT NULL, seal TEXT NOT NULL,
  PRIMARY KEY (a, b));
CREATE TABLE place (uri TEXT NOT NULL);
CREATE TABLE family (
  alpha REAL NOT NULL, seed INTEGER NOT NULL, version TEXT NOT NULL, found TEXT NOT NULL,
  record TEXT NOT NULL, seal TEXT NOT NULL);
CREATE TABLE totals (
  n_models INTEGER NOT NULL, n_contents INTEGER NOT NULL, next_slot INTEGER NOT NULL,
  mark TEXT NOT NULL);
CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, begun TEXT NOT NULL, ended TEXT);
CREATE TABLE items (
  job INTEGER NOT NULL REFERENCES jobs(id), position INTEGER NOT NULL, source TEXT NOT NULL,
  state TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (job, position)) WITHOUT ROWID;
CREATE INDEX items_by_state ON items(state, job);
"""
COLUMNS = (
    "id, name, source, revision, digest, full_digest, added, parents, licence, imported, claimed,"
    " slot, seal"
)


def default_file() -> Path:
    """``$XDG_DATA_HOME/weightkin/registry.sqlite``, or that under ``~/.local/share``."""
    base = os.environ.get("XDG_DATA_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "weightkin" / "registry.sqlite"


def folder_of(path: Path) -> Path:
    """Where vectors and sketches lie, or copies of vectors, and what is served beside them."""
    real = path.resolve()  # a link is the file that it leads to, as it is for SQLite
    return real.with_name(f"{real.name}.files")


def no_registry(path: Path) -> UnusableRegistry:
    """Make the error for a registry that is not there."""
    return UnusableRegistry(f"{path}: no such registry; `weightkin add` makes one")


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into one line."""
    try:
        yield
    except sqlite3.Error as error:
        said = " ".join(str(error).split())[:MAX_MESSAGE]
        if getattr(error, "sqlite_errorcode", 0) in DISK_FULL_ERRORS:
            raise DiskFull(f"{path}: cannot be written ({said})") from None
        raise UnusableRegistry(f"{path}: the registry cannot be used ({said})") from None
    except OSError as error:
        where = error.filename or path
        if isinstance(file_errors := unwritable(where, error), DiskFull):
            raise file_errors from None
        raise UnusableRegistry(f"{where}: cannot be used ({error.strerror})") from None


@contextmanager
def opened(path: Path, *, to_write: bool, place: str | None = None) -> Iterator[sqlite3.Connection]:
    """A connection for one piece of work, closed afterwards.

    A reader sees one state throughout; a missing file is made by a writer and refused to a reader.

    Parameters
    ----------
    path : Path
        The registry's file.
    to_write : bool
        Whether this is a writer.
    place : str, optional
        Recorded in a file that is made, and must be that of any other.

    Yields
    ------
    sqlite3.Connection
        Checked: damaged or altered files are refused.

    Raises
    ------
    UnusableRegistry
        There is no registry, or it cannot be used.
    UsageError
        The registry has another place, or would lie in the folder of a model.
    DiskFull
        There is no space left to write.
    """
    if to_write:
        refuse_inside(path)
    with file_errors(path):
        if path.exists() and not path.is_file():
            raise UnusableRegistry(f"{path}: not a registry (not a regular file)")
        if to_write:
            folder_of(path).mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise no_registry(path)
        n_rows = n_written(folder_of(path), ALIGNED)  # before the state of the database is fixed
        with closing(_connected(path, to_write=to_write)) as connection:
            _check_or_make(path, connection, place or "", to_write=to_write)
            _check_whole(path, connection, n_rows)
            if place is not None:
                _check_place(path, connection, place)
            if not to_write:
                connection.execute("BEGIN")
            yield connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that holds the write lock from its first line on."""
    with connection:  # commits, or rolls back whatever went wrong
        connection.execute("BEGIN IMMEDIATE")
        yield


def write_if_free(path: Path, *writes: Callable[[sqlite3.Connection], None]) -> None:
    """Write down what can be found again: not where nobody may, or while another process writes."""
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return
    with opened(path, to_write=True) as connection:
        connection.execute(f"PRAGMA busy_timeout = {MOST_PATIENCE}")
        try:
            for write in writes:
                write(connection)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise


def registered(row: tuple[object, ...], notes: tuple[Note, ...] = ()) -> Registered:
    """A row of ``models``, in the order of `COLUMNS`."""
    check(f"the entry of model #{row[0]}", row[-1], *row[:-1])
    known = dict(zip(COLUMNS.split(", "), row[:-2], strict=False))
    known["claimed"] = bool(known["claimed"])
    parents = json.loads(str(known.pop("parents")))
    return Registered(**known, declared_parents=tuple(parents), notes=notes)  # type: ignore[arg-type]


def _connected(path: Path, *, to_write: bool) -> sqlite3.Connection:
    may_write = to_write or os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    if may_write:
        found = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    else:  # nobody can write there, so nobody needs a lock
        for log in (f"{path.resolve()}-wal", f"{path.resolve()}-journal"):
            if os.path.exists(log) and os.path.getsize(log):  # noqa: PTH110, PTH202 (a name)
                why = "has changes that are not in the registry yet, and the folder is read-only"
                raise UnusableRegistry(f"{log}: {why}; copy both to where they can be written")
        where = f"{path.resolve().as_uri()}?immutable=1"
        found = sqlite3.connect(where, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    found.execute("PRAGMA foreign_keys = ON")
    return found


def _check_whole(path: Path, connection: sqlite3.Connection, n_rows: int) -> None:
    """Refuse a file that is damaged, or not all of what was written.

    ``n_rows`` vectors lie beside it: one more than it knows where an `add` was stopped.
    """
    if path.stat().st_size <= MOST_CHECKED:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise Altered(" ".join(str(found).replace("*", "").split()))
    made = {x for (x,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")}
    if made != {x.strip() for x in (*CREATE_TABLES.split(";"), SEQUENCE) if x.strip()}:
        raise Altered("its tables were changed by something other than weightkin")
    is_checked = path.stat().st_size <= MOST_CHECKED
    _check_types(connection, (*ONE_ROW, *(("contents", "items", "models") if is_checked else ())))
    n_models, n_contents, next_slot = connection.execute(
        "SELECT n_models, n_contents, next_slot FROM totals"
    ).fetchone()
    for table, n in (("models", n_models), ("contents", n_contents)):
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        if found != n:
            raise Altered(f"{table} has {found} entries, but {n} were written")
    if n_rows > next_slot + 1:
        where = folder_of(path)
        raise Altered(f"knows {next_slot} of {n_rows} vectors in {where}, the last are missing")


def _check_types(connection: sqlite3.Connection, tables: Sequence[str]) -> None:
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


def _check_place(path: Path, connection: sqlite3.Connection, place: str) -> None:
    (found,) = connection.execute("SELECT uri FROM place").fetchone() or ("",)
    if found != place:
        where = f"in {found}" if found else "beside it"
        raise UsageError(f"{path}: its vectors and sketches are {where}, not in {place}")


def _check_or_make(
    path: Path, connection: sqlite3.Connection, place: str, *, to_write: bool
) -> None:
    version, application = (
        connection.execute(f"PRAGMA {x}").fetchone()[0] for x in ("user_version", "application_id")
    )
    if version == REGISTRY_SCHEMA and application == APPLICATION:
        return
    if application == APPLICATION and version == OLD:
        how = "`export` it with weightkin 0.1.0, then `import` that file"
        raise UnusableRegistry(f"{path}: a registry of version {OLD}, without seals; {how}")
    if application == APPLICATION:
        what = f"a registry of version {version}, not {REGISTRY_SCHEMA}"
        raise UnusableRegistry(f"{path}: {what}; another release of weightkin reads it")
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not to_write or n_tables and (version, application) != (0, 0):
        raise UnusableRegistry(f"{path}: not a registry")
    connection.execute("PRAGMA journal_mode = WAL")
    with writing(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] == REGISTRY_SCHEMA:
            return  # another process was faster
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise UnusableRegistry(f"{path}: another database, not a registry")
        for statement in CREATE_TABLES.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO place VALUES (?)", (place,))
        connection.execute("INSERT INTO totals VALUES (0, 0, 0, ?)", (f"{0:016x}",))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {REGISTRY_SCHEMA}")
