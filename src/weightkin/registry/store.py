"""The registry's file: one SQLite database in WAL mode, opened for one piece of work.

``models`` says what was added, under which name, from where and when; ``contents`` what they hold,
once for equal samples: the position of the vectors and the file of the sketch. ``edges`` keeps
comparisons with the digests and version they rest on, ``family`` and ``families`` the graph of all
models; what each row and slot holds is sealed (`sealing`), and ``totals`` says how many there are;
``jobs`` and ``items`` what is still to do. ``place`` says where vectors and sketches lie:
empty where that is the folder beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from weightkin.errors import DiskFull, NoRegistry, UnusableRegistry, UsageError, unwritable
from weightkin.records import Note
from weightkin.records.registry import Registered
from weightkin.registry.blocks import ALIGNED, n_written
from weightkin.registry.connecting import connected, read_only
from weightkin.registry.schema import BEFORE, check_whole, make, place_of, version_of
from weightkin.registry.sealing import Altered, check

MAX_MESSAGE = 300  # characters of what SQLite says
LONGEST_ENTRY = 1 << 21  # characters of what is kept of one model
MOST_PATIENCE = 1000  # milliseconds, where waiting is not worth it
DISK_FULL_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
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


def check_file(path: Path, *, is_made: bool = False) -> None:
    """Refuse what can be no registry: no regular file, or nothing unless it is to be made."""
    if path.is_dir():
        raise NoRegistry(f"{path}: not a registry (a folder, not a regular file)")
    if path.exists() and not path.is_file():
        raise NoRegistry(f"{path}: not a registry (not a regular file)")
    if path.exists() or is_made:
        return
    if not (_is_default(path) or path.resolve().parent.is_dir()):
        raise NoRegistry(f"{path}: no such registry, and its folder does not exist")
    raise NoRegistry(f"{path}: no such registry; `weightkin add` makes one")


def _is_default(path: Path) -> bool:
    """Whether it is the file of the user, the only one whose folder is made."""
    return path == default_file()


def nothing_in(path: Path) -> NoRegistry:
    """Make the error for a file in which there is no registry."""
    is_empty = not path.stat().st_size
    return NoRegistry(
        f"{path}: not a registry ({'an empty file' if is_empty else 'another database'})"
    )


def check_folder(path: Path) -> None:
    """Refuse to make a registry where there is no folder for it, or none that can be written."""
    folder = path.resolve().parent
    if path.exists() or (_is_default(path) and not folder.exists()):
        return
    if not folder.is_dir():
        raise UnusableRegistry(f"{path}: cannot be made, since its folder does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UnusableRegistry(f"{path}: cannot be made, since its folder cannot be written")


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into one line."""
    try:
        yield
    except sqlite3.Error as error:
        said = " ".join(str(error).split())[:MAX_MESSAGE]
        code = getattr(error, "sqlite_errorcode", 0)
        if code in DISK_FULL_ERRORS:
            raise DiskFull(f"{path}: cannot be written ({said})") from None
        if code == sqlite3.SQLITE_NOTADB:
            raise NoRegistry(f"{path}: not a registry ({said})") from None
        if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
            raise NoRegistry(f"{path}: cannot be opened; its permissions do not allow it") from None
        how = f"; see `weightkin verify --registry {path}`" if isinstance(error, Altered) else ""
        raise UnusableRegistry(f"{path}: the registry cannot be used ({said}){how}") from None
    except OSError as error:
        where = error.filename or path
        if isinstance(file_errors := unwritable(where, error), DiskFull):
            raise file_errors from None
        kind = NoRegistry if isinstance(error, PermissionError) else UnusableRegistry
        raise kind(f"{where}: cannot be used ({error.strerror})") from None


@contextmanager
def opened(
    path: Path,
    *,
    to_write: bool,
    place: str | None = None,
    least: int = 0,
    is_made: bool | None = None,
) -> Iterator[sqlite3.Connection]:
    """A connection for one piece of work, closed afterwards.

    A reader sees one state throughout.

    Parameters
    ----------
    path : Path
        The registry's file.
    to_write : bool
        Whether this is a writer.
    place : str, optional
        Recorded in a file that is made, and must be that of any other.
    least : int
        Version of a registry from which on it is opened; the one of now without it.
    is_made : bool, optional
        Whether a registry is made where there is none; by a writer without it.

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
        from weightkin.formats.write_guard import refuse_inside  # much to load

        refuse_inside(path)
    is_made = to_write if is_made is None else is_made
    with file_errors(path):
        check_file(path, is_made=is_made)
        if is_made:
            check_folder(path)
            folder_of(path).mkdir(parents=True, exist_ok=True)
        n_rows = n_written(folder_of(path), ALIGNED)  # before the state of the database is fixed
        with (
            read_only(path, to_write=to_write) as is_alone,
            closing(connected(path, is_alone=is_alone)) as connection,
        ):
            _check_or_make(path, connection, place or "", is_made=is_made, least=least)
            check_whole(path, connection, folder_of(path), n_rows)
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


def model_of_row(
    row: tuple[object, ...], notes: tuple[Note, ...] = (), *, is_checked: bool = True
) -> Registered:
    """A row of ``models``, in the order of `COLUMNS`; as it stands unless it is checked.

    Parameters
    ----------
    row : tuple
        Values of the columns.
    notes : tuple of Note
        What else is known of the model.
    is_checked : bool
        Whether a row is refused that is not as it was written.

    Returns
    -------
    Registered

    Raises
    ------
    Altered
        The row is not as it was written.
    """
    what = f"the entry of model #{row[0]}"
    if sum(len(x) for x in row if isinstance(x, str)) > LONGEST_ENTRY:
        raise Altered(f"{what} is too long (at most {LONGEST_ENTRY:,} characters)")
    if is_checked:
        check(what, row[-1], *row[:-1])
    known = dict(zip(COLUMNS.split(", "), row[:-2], strict=False))
    known["claimed"] = bool(known["claimed"])
    try:
        parents = tuple(json.loads(str(known.pop("parents"))))
        return Registered(**known, declared_parents=parents, notes=notes)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError) as error:
        raise Altered(f"{what}: {error}") from None


def _check_place(path: Path, connection: sqlite3.Connection, place: str) -> None:
    found = place_of(connection)
    if found != place:
        where = f"in {found}" if found else "beside it"
        raise UsageError(f"{path}: its vectors and sketches are {where}, not in {place}")


def _check_or_make(
    path: Path, connection: sqlite3.Connection, place: str, *, is_made: bool, least: int
) -> None:
    version = version_of(path, connection)
    if version == BEFORE and not least:
        how = f"`weightkin export FILE --registry {path}`, then `import` that file into a new one"
        raise UnusableRegistry(f"{path}: a registry of version {BEFORE}; {how}")
    if version:
        return
    if not is_made:
        raise nothing_in(path)
    connection.execute("PRAGMA journal_mode = WAL")
    with writing(connection):
        if version_of(path, connection):
            return  # another process was faster
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise NoRegistry(f"{path}: another database, not a registry")
        make(connection, place)


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
