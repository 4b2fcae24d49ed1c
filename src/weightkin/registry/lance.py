"""Vectors and sketches in Lance tables, on a shared disk or an object storage.

One table for every `SLOTS` slots: each model is one append, and a table is compacted every `TIDY`
of them, so that neither fragments nor versions pile up and no more than one table is ever written
anew. A row counts only where slot and name of its contents are those in the database: what a
stopped or undone transaction left is not seen.

A search scans blocks on a local disk, as it does without Lance: vectors are copied there once,
beside the registry's file (`copies`). Sketches are fetched when they are asked for.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weightkin.arrays import Floats
from weightkin.errors import DiskFull, UnreadableModel, UnusableRegistry, UsageError
from weightkin.registry import copies
from weightkin.registry.blocks import ALIGNED, INVARIANT, Check, Halves, VectorBlock, read_rows
from weightkin.registry.prepared import sketch_in
from weightkin.scan import Bits
from weightkin.sketch import Sketch
from weightkin.sketch.file import sketch_bytes

if TYPE_CHECKING:
    from lancedb.db import DBConnection
    from lancedb.table import Table

SLOTS = 64  # of one table: with sketches of 3 MB it is compacted within a gigabyte of memory
TIDY = 32  # appends after which a table is compacted
CACHES = (1 << 20, 16 << 20)  # bytes: what was read and written is hardly asked for again
READ_TRIES = 3  # a compaction may take away what is being read; the next version has it
DISK_FULL_MESSAGES = ("No space left", "File too large", "Disk quota exceeded")
WHERE_IN_RUST = re.compile(r",? /\S+\.rs:\d+:\d+")
WHY_ELSEWHERE = re.compile(r'<Message>([^<]+)|message: "([^"]+)"')


class LanceStore:
    """Tables at an address, and copies of their vectors in a local folder.

    Connects when it is first needed, or at once ``to_write``. Nothing here survives a fork:
    work in other processes starts them afresh.
    """

    def __init__(
        self, uri: str, folder: Path, connection: sqlite3.Connection, *, to_write: bool = False
    ) -> None:
        self._uri = uri
        self._folder = folder
        self._connection = connection
        self._own: tempfile.TemporaryDirectory[str] | None = None  # where none can be kept
        self._n_copied = 0
        self._db: DBConnection | None = None
        if to_write:
            self._database()

    def write(
        self, slot: int, file: str, sketch: Sketch, aligned: Floats, invariant: Floats
    ) -> None:
        """Append one row, and compact the table now and then."""
        import pyarrow

        schema = _schema()
        halves = [x.astype(np.float16)[None] for x in (aligned, invariant)]
        arrays = [
            pyarrow.array([slot], pyarrow.int64()),
            pyarrow.array([file]),
            *(pyarrow.FixedSizeListArray.from_arrays(x.ravel(), x.shape[1]) for x in halves),
            pyarrow.array([sketch_bytes(sketch)], pyarrow.large_binary()),
        ]
        row = pyarrow.Table.from_arrays(arrays, schema=schema)
        with lance_errors(self._uri):
            table = self._table(slot, schema)
            table.add(row)
            if (slot + 1) % TIDY == 0:
                _tidy(table)

    def vectors(self, block: VectorBlock, n: int) -> tuple[Bits, Halves]:
        """The first ``n`` rows of the local copies, after what is missing there was copied."""
        if n > self._n_copied:
            self._copy(n)
            self._n_copied = n
        return read_rows(self._folder, block, n)

    def sketch(self, slot: int, file: str, check: Check | None = None) -> Sketch:
        """Fetch and check one sketch."""
        data = self.sketch_bytes(slot, file)
        if check is not None:
            check(data)
        return sketch_in(data, f"{self._uri}/{file}")

    def sketch_bytes(self, slot: int, file: str) -> bytes:
        """Fetch one sketch; the last, if an undone transaction left another of the same name."""
        found = self._rows(slot, ["sketch"], _is(slot, file))
        if not found.num_rows:
            raise UnreadableModel(f"{self._uri}/{file}: no such sketch")
        data: bytes = found["sketch"][-1].as_py() or b""
        return data

    def forget(self, slot: int, file: str) -> None:
        """Remove one row. Its bytes leave the storage when a tenth of its table is removed."""
        with lance_errors(self._uri):
            table = self._database().open_table(_name(slot))
            table.delete(_is(slot, file))
            _tidy(table)

    def _database(self) -> DBConnection:
        if self._db is None:
            if "://" not in self._uri and not Path(self._uri).is_dir():
                raise UnusableRegistry(f"{self._uri}: no such folder")
            self._db = _connected(self._uri)
        return self._db

    def _table(self, slot: int, schema: Any) -> Table:
        """The table of a new slot. The one before must be there: a disk may not be."""
        db = self._database()
        if slot % SLOTS:
            return db.open_table(_name(slot))
        if slot:
            db.open_table(_name(slot - 1))
        return db.create_table(_name(slot), schema=schema, exist_ok=True)

    def _rows(self, slot: int, columns: Sequence[str], where: str | None = None) -> Any:
        """Columns of the table of a slot, as an arrow table."""
        for last in (*[False] * (READ_TRIES - 1), True):
            try:
                with lance_errors(self._uri):
                    table = self._database().open_table(_name(slot))
                    if table.schema != _schema():
                        what = f"{_name(slot)} is not a table of vectors"
                        raise UnusableRegistry(f"{self._uri}: {what}")
                    query = table.search().select(list(columns))
                    return (query.where(where) if where else query).to_arrow()
            except UnusableRegistry:
                if last:
                    raise
        return None

    def _copy(self, n: int) -> None:
        """Bring the local copies to what the database knows, below slot ``n``."""
        known = self._connection.execute(
            "SELECT slot, sketch FROM contents WHERE slot BETWEEN 0 AND ? ORDER BY slot", (n - 1,)
        )
        names = {slot: str(file) for slot, file in known}
        if not copies.missing(self._folder, names):
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK):
            self._own = tempfile.TemporaryDirectory()
            self._folder = Path(self._own.name)
        with copies.locked(self._folder) as handle:
            for _, some in groupby(copies.missing(self._folder, names), lambda x: x // SLOTS):
                self._copy_some(handle, list(some), names)

    def _copy_some(self, handle: int, slots: Sequence[int], names: Mapping[int, str]) -> None:
        """Copy slots of one table."""
        found = self._rows(slots[0], ["slot", "file", ALIGNED.name, INVARIANT.name])
        keys = zip(found["slot"].to_pylist(), found["file"].to_pylist(), strict=True)
        at = {key: k for k, key in enumerate(keys)}
        lost = [slot for slot in slots if (slot, names[slot]) not in at]
        if lost:
            what = f"the vectors of slot {lost[0]} are missing in {_name(lost[0])}"
            raise UnusableRegistry(f"{self._uri}: {what}")
        order = [at[slot, names[slot]] for slot in slots]
        rows = {b: _vectors(found[b.name], b, self._uri)[order] for b in (ALIGNED, INVARIANT)}
        copies.keep(self._folder, handle, slots, names, rows)


def check_empty(uri: str) -> None:
    """Refuse a place that holds tables already; made, if it is a folder that is not there."""
    db = _connected(uri)
    with lance_errors(uri):
        names = db.list_tables().tables
    if names:
        raise UsageError(f"{uri}: has the tables of a registry already; name an empty place")


def _connected(uri: str) -> DBConnection:
    try:
        import lancedb
    except ImportError:
        raise UsageError(
            f"{uri}: a store of Lance tables needs lancedb: pip install 'weightkin[lance]'"
        ) from None
    with lance_errors(uri):
        return lancedb.connect(uri, session=lancedb.Session(*CACHES))


def _schema() -> Any:
    import pyarrow

    return pyarrow.schema(
        [
            ("slot", pyarrow.int64()),
            ("file", pyarrow.string()),
            *((b.name, pyarrow.list_(pyarrow.float16(), b.n_dims)) for b in (ALIGNED, INVARIANT)),
            ("sketch", pyarrow.large_binary()),
        ]
    )


def _name(slot: int) -> str:
    return f"slots-{slot // SLOTS:06d}"


def _is(slot: int, file: str) -> str:
    quoted = file.replace("'", "''")
    return f"slot = {slot} AND file = '{quoted}'"


def _tidy(table: Table) -> None:
    """One fragment, one version; who reads an older one looks again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about those readers
        table.optimize(cleanup_older_than=timedelta(0))


def _vectors(column: Any, block: VectorBlock, uri: str) -> Floats:
    """Vectors of a table as ``(n, d)``, none longer than one: others may write there."""
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    rows = np.asarray(values, np.float32).reshape(-1, block.n_dims)
    if len(rows) != len(column) or not (np.einsum("ij,ij->i", rows, rows) < 1.01).all():
        raise UnusableRegistry(f"{uri}: damaged vectors (not {block.n_dims} numbers each)")
    return rows


@contextmanager
def lance_errors(uri: str) -> Iterator[None]:
    """Turn what Lance and the storage say into one line."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, RuntimeError | ValueError | OSError) and (
            type(error).__name__ != "RustPanic"  # what hostile bytes end in; it cannot be imported
        ):
            raise
        said = _said(error)
        if any(x in said for x in DISK_FULL_MESSAGES):
            raise DiskFull(f"{uri}: cannot be written ({said})") from None
        raise UnusableRegistry(f"{uri}: cannot be used ({said})") from None


def _said(error: Exception) -> str:
    """What went wrong, without the nested values around it."""
    text = " ".join(str(error).split())
    if found := WHY_ELSEWHERE.search(text):
        return found[1] or found[2]
    return WHERE_IN_RUST.sub("", text.partition(" {")[0])[:300]
