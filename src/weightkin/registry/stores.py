"""Where vectors and sketches lie: beside the registry's file, or in Lance tables elsewhere.

A store keeps what belongs to a slot of ``contents``. It is written under the write lock of the
database and before the transaction that makes a slot known; whatever nobody knows is ignored.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from weightkin.errors import UnusableRegistry, UsageError
from weightkin.formats.write_guard import refuse_inside
from weightkin.registry.file_backend import FileStore
from weightkin.registry.schema import place_of
from weightkin.registry.sealed import SealedStore, Store
from weightkin.registry.store import check_folder, folder_of

LANCE = "lance:"
ELSEWHERE = re.compile(r"(s3|gs|az)://[^/\s@?#]+(/[^\s@?#]+)*/?")  # no password in an address


def store_of(path: Path, connection: sqlite3.Connection, *, to_write: bool = False) -> SealedStore:
    """The store of an open registry, of which only what was written is used.

    Parameters
    ----------
    path, connection : Path, sqlite3.Connection
        An open registry.
    to_write : bool
        Whether vectors and sketches will be written.

    Returns
    -------
    SealedStore
        Raises as `bare_store` does.
    """
    return SealedStore(bare_store(path, connection, to_write=to_write), connection)


def bare_store(path: Path, connection: sqlite3.Connection, *, to_write: bool = False) -> Store:
    """The store of an open registry as it is; one for each connection.

    Parameters
    ----------
    path, connection : Path, sqlite3.Connection
        An open registry.
    to_write : bool
        Whether vectors and sketches will be written.

    Returns
    -------
    Store
        Beside the file, or in Lance tables.

    Raises
    ------
    UsageError
        The extra that it needs is missing.
    UnusableRegistry
        The file names a place that cannot be one.
    """
    place = place_of(connection)
    if not place:
        return FileStore(folder_of(path), to_write=to_write)
    try:
        where = address(place)
    except UsageError as error:
        raise UnusableRegistry(f"{path}: {error}") from None
    from weightkin.registry.lance import LanceStore

    return LanceStore(where, folder_of(path), connection, to_write=to_write)


def new_place(path: Path, store: str | None, sources: Sequence[str | Path] = ()) -> str | None:
    """What a registry's file records of ``store``; None where nothing was asked for.

    A place for a new registry must be empty, and no folder of a model.

    Parameters
    ----------
    path : Path
        The registry's file, there or not.
    store : str, optional
        ``lance:`` and a path or an address.
    sources : sequence of str or Path
        Models about to be added; the place may be in no folder of one.

    Returns
    -------
    str or None
        The same with an absolute path.

    Raises
    ------
    UsageError
        No such kind of place, one that holds a registry already, or the missing extra.
    """
    if store is None:
        return None
    where = address(store)
    if "://" not in where:
        refuse_inside(Path(where), sources)
    check_folder(path)  # before anything of the place is made
    if not path.exists():
        from weightkin.registry.lance import check_empty

        check_empty(where)
    return LANCE + where


def address(place: str) -> str:
    """``lance:WHERE`` as lancedb understands it: an absolute path, or an address."""
    where = place.removeprefix(LANCE)
    is_local = "://" not in where and where.isprintable()
    if not place.startswith(LANCE) or not where or not (is_local or ELSEWHERE.fullmatch(where)):
        wanted = "lance:PATH or lance:s3://, gs:// or az://BUCKET/PATH"
        raise UsageError(f"{ascii(place)[:200]} is not a store; write {wanted}")
    return str(Path(where).absolute()) if is_local else where.rstrip("/")
