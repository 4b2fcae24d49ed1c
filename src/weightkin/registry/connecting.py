"""How a registry's file is opened, and by whom it can be: a reader sees all of it, or is refused.

SQLite keeps the newest changes in a log beside the file. Who may write takes the log up; who may
not reads it where a process that has the file open keeps its index (``-shm``), and is refused
where there is a log without one. Without any log nothing is locked, and a change that another
process makes meanwhile is noticed at the end.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weightkin.errors import UnusableRegistry
from weightkin.registry.sealing import seal

BUSY_SECONDS = 120.0  # how long to wait for another process that writes
LONGEST_VALUE = 1 << 26  # bytes of one value in the file
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside the file


def connected(path: Path, *, is_alone: bool | None) -> sqlite3.Connection:
    """A connection: None for who may write, else whether nobody has the file open."""
    if is_alone is None:
        found = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    else:
        where = f"{path.resolve().as_uri()}?{'immutable=1' if is_alone else 'mode=ro'}"
        found = sqlite3.connect(where, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    found.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    found.text_factory = _text
    found.create_function("sealed", -1, seal, deterministic=True)
    found.execute("PRAGMA foreign_keys = ON")
    return found


def _text(raw: bytes) -> str:
    """A text as it is stored; what is no UTF-8 becomes another, which no seal fits."""
    return raw.decode("utf-8", "backslashreplace")


@contextmanager
def read_only(path: Path, *, to_write: bool) -> Iterator[bool | None]:
    """Whether nobody has a file open that may only be read here; None where it may be written.

    Parameters
    ----------
    path : Path
        The registry's file.
    to_write : bool
        Whether this is a writer.

    Yields
    ------
    bool or None
        For `connected`.

    Raises
    ------
    UnusableRegistry
        Not all of it could be seen, or it was changed while it was read.
    """
    real = path.resolve()
    beside = {suffix: _size(Path(f"{real}{suffix}")) for suffix in BESIDE}
    if to_write or os.access(real.parent, os.W_OK) and os.access(real, os.W_OK):
        yield None
        return
    if beside["-journal"] or (beside["-wal"] and not beside["-shm"]):
        raise _unseen(f"{real}{'-journal' if beside['-journal'] else '-wal'}")
    if beside["-wal"]:
        try:
            yield False
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL):
                raise _unseen(f"{real}-wal") from None
            raise
        return
    before = _state(real)
    yield True
    if _state(real) != before:
        raise UnusableRegistry(f"{path}: was changed by another process meanwhile; try again")


def _unseen(log: str) -> UnusableRegistry:
    why = "has changes that are not in the registry yet, and the folder is read-only"
    return UnusableRegistry(f"{log}: {why}; copy both to where they can be written")


def _size(path: Path) -> int:
    """Bytes of a file, 0 where there is none; refuses what is no file, which SQLite would await."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(found.st_mode):
        raise UnusableRegistry(f"{path}: not a file of a registry (not a regular file)")
    return found.st_size


def _state(path: Path) -> tuple[int, int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino, _size(Path(f"{path}-wal"))
