"""A registry as one file that can be carried elsewhere: a zip of sketches and what is known.

Weights are not in it. What is read is checked as any sketch is; what a sketch does not show (the
invariant vector, what was declared, when it was registered) is taken on the word of the file, and
marked as imported. So are comparisons, which a search makes anew, and the family graph, which is
taken only into a registry that was empty.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sqlite3
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightkin._version import __version__
from weightkin.arrays import Floats
from weightkin.errors import UnreadableModel, UsageError, unwritable
from weightkin.formats.declared import Declared
from weightkin.formats.write_guard import refuse_inside
from weightkin.records import Skipped, unread
from weightkin.records.built import parsed
from weightkin.records.listing import Adding
from weightkin.records.registry import Registered
from weightkin.registry import evidence
from weightkin.registry.blocks import INVARIANT
from weightkin.registry.claims import check_name, check_texts, is_claimed, is_text
from weightkin.registry.entries import keep
from weightkin.registry.prepared import MAX_SKETCH, of_sketch, sketch_in
from weightkin.registry.schema import BEFORE
from weightkin.registry.sealed import SealedStore
from weightkin.registry.store import COLUMNS, model_of_row, now, opened
from weightkin.registry.stores import store_of
from weightkin.text import shown

LISTING = "models.json"
ARCHIVE_SCHEMA = "weightkin/registry-export/1"
MAX_ARCHIVE_LISTING = 1 << 27  # bytes: about 60,000 models
LEAST_VALUE = 12  # bytes of the listing for each object or list in it, on average
MAX_DIRECTORY = 1 << 24  # bytes of the list of members: about 120,000
ROWS_AT_ONCE = 10_000
DAMAGED = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
)  # fmt: skip  (what zipfile raises for damaged files)
PLAIN_FLAGS = 0x0808  # of a file in a zip: names in UTF-8, sizes behind the data


def export_to(path: Path, target: Path, *, is_forced: bool = False) -> int:
    """Write all models of a registry into one file; how many."""
    if target.exists() and not (is_forced and zipfile.is_zipfile(target)):
        is_other = ", and is no exported registry" if is_forced else "; --force overwrites it"
        raise UsageError(f"{target}: already exists{is_other}")
    refuse_inside(target)
    with opened(path, to_write=False, least=BEFORE) as connection:
        return _export(path, connection, target)


def _export(path: Path, connection: sqlite3.Connection, target: Path) -> int:
    models = _all(connection)
    store = store_of(path, connection)
    rows = store.rows(INVARIANT, [slot for _, slot, _ in models])
    draft = target.with_name(f".{target.name}.part")
    try:
        with zipfile.ZipFile(draft, "w") as archive:
            written = set()
            listed = []
            for row, (model, slot, sketch) in zip(rows, models, strict=True):
                if sketch not in written:
                    archive.writestr(f"sketches/{sketch}", store.sketch_bytes(slot, sketch))
                    written.add(sketch)
                vector = base64.b64encode(np.ascontiguousarray(row).tobytes()).decode()
                listed.append({"sketch": sketch, "invariant": vector, **_facts(model)})
            listing = {"schema": ARCHIVE_SCHEMA, "models": listed, **evidence.exported(connection)}
            text = json.dumps(listing, allow_nan=False)
            if len(text) > MAX_ARCHIVE_LISTING:
                what = f"too many models (a listing of {len(text):,} bytes, at most"
                raise UsageError(f"{target}: {what} {MAX_ARCHIVE_LISTING:,})")
            archive.writestr(LISTING, text)
        draft.replace(target)
    except OSError as error:
        raise unwritable(target, error) from None
    finally:
        draft.unlink(missing_ok=True)
    return len(models)


def import_from(path: Path, source: Path, *, place: str | None = None) -> Adding:
    """Register every model of an exported file that is not known yet.

    Parameters
    ----------
    path : Path
        The registry's file; made if it is missing.
    source : Path
        The exported file.
    place : str, optional
        As in `opened`.

    Returns
    -------
    Adding
        What was added, what was known before, what could not be read.

    Raises
    ------
    UnreadableModel
        It is no exported file.
    UnusableRegistry
        The registry cannot be used.
    """
    started = time.perf_counter()
    added: list[Registered] = []
    known: list[Registered] = []
    skipped: list[Skipped] = []
    if not source.exists():
        raise UnreadableModel(f"{source}: no such file")
    if not source.is_file():
        raise UnreadableModel(f"{source}: not a file of `weightkin export` (not a regular file)")
    with _archive(source) as archive:
        listing = _listed(archive, source)
        with opened(path, to_write=True, place=place) as connection:
            store = store_of(path, connection, to_write=True)
            is_empty = connection.execute("SELECT count(*) FROM models").fetchone()[0] == 0
            numbers: dict[int, Registered] = {}  # by those in the file
            for entry in listing["models"]:
                name = shown(str(entry.get("name", ""))[:200])
                try:
                    model, is_new = _import_one(store, connection, archive, entry)
                except UnreadableModel as error:
                    skipped.append(unread(name, error))
                    continue
                (added if is_new else known).append(model)
                numbers[entry["id"]] = model
            skipped += evidence.imported(connection, listing, numbers, source, is_empty=is_empty)
    return Adding(
        job=0,
        added=tuple(added),
        known=tuple(known),
        skipped=tuple(skipped),
        seconds=round(time.perf_counter() - started, 3),
        version=__version__,
    )


class _Bounded(io.FileIO):
    """A file of which no more is read at once than the list of members of an archive may have."""

    most = MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        left = os.fstat(self.fileno()).st_size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > self.most:
            raise zipfile.BadZipFile(f"its list of members has over {self.most:,} bytes")
        return super().read(wanted) or b""


@contextmanager
def _archive(source: Path) -> Iterator[zipfile.ZipFile]:
    """An exported file, of which no byte counts twice: what it holds is no larger than itself."""
    what = f"{source}: not a file of `weightkin export`"
    try:
        size = source.stat().st_size
        file = _Bounded(source)
    except OSError as error:
        raise UnreadableModel(f"{what} ({error})") from None
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except (OSError, *DAMAGED) as error:
            raise UnreadableModel(f"{what} ({error})") from None
        file.most = size
        if sum(info.file_size for info in archive.infolist()) > size:
            raise UnreadableModel(f"{what} (it holds more than its {size:,} bytes)")
        yield archive


def _all(connection: sqlite3.Connection) -> list[tuple[Registered, int, str]]:
    columns = ", ".join(f"models.{c}" for c in COLUMNS.split(", "))
    found = connection.execute(
        f"SELECT models.slot, contents.sketch, {columns} FROM models"  # noqa: S608
        " JOIN contents ON contents.slot = models.slot ORDER BY models.id"
    )
    return [(model_of_row(row[2:]), row[0], row[1]) for row in found]


def _facts(model: Registered) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "source": model.source,
        "revision": model.revision,
        "added": model.added,
        "imported": model.imported,
        "parents": list(model.declared_parents),
        "licence": model.licence,
    }


def _listed(archive: zipfile.ZipFile, source: Path) -> dict[str, Any]:
    what = f"{source}: not a file of `weightkin export` (no list of models)"
    text = _member(archive, LISTING, MAX_ARCHIVE_LISTING)
    if (
        text is None
        or text.count(b"[") + text.count(b"{") > len(text) // LEAST_VALUE + ROWS_AT_ONCE
    ):
        raise UnreadableModel(what)  # or next to nothing but brackets, which take much memory
    try:
        data = parsed(text.decode())
    except ValueError as error:
        raise UnreadableModel(f"{what}: {error}") from None
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(models, list) or data.get("schema") != ARCHIVE_SCHEMA:
        raise UnreadableModel(what)
    return {**data, "models": [x for x in models if isinstance(x, dict)]}


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes | None:
    """A file in the archive as `export` writes it: stored, so no larger than it seems."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        return None
    is_plain = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ~PLAIN_FLAGS
    if not is_plain or info.file_size > most or info.file_size > info.compress_size:
        return None
    try:
        return archive.read(info)
    except (OSError, *DAMAGED):
        return None


def _import_one(
    store: SealedStore,
    connection: sqlite3.Connection,
    archive: zipfile.ZipFile,
    entry: dict[str, Any],
) -> tuple[Registered, bool]:
    match entry:
        case {
            "id": int(),
            "sketch": str(file),
            "name": str(name),
            "source": str(source),
            "revision": str(revision),
            "added": str(when),
            "licence": str(licence),
            "parents": list(parents),
            "invariant": str(invariant),
        } if all(isinstance(p, str) for p in parents) and is_text(
            json.dumps(entry, ensure_ascii=False)
        ):
            pass
        case _:
            raise UnreadableModel("its entry in the list of models is invalid")
    check_texts(name, source, revision, when, licence, file, *parents)
    check_name(name)
    member = f"sketches/{file}"
    data = _member(archive, member, MAX_SKETCH)
    if data is None:
        raise UnreadableModel(f"{shown(name)}: its sketch is missing or cannot be read")
    sketch = replace(sketch_in(data, member), name=name, source=source, revision=revision or None)
    what = of_sketch(sketch, Declared(tuple(parents), licence), _vector(name, invariant))
    what = replace(what, claimed=is_claimed(sketch))
    return keep(store, connection, what, added=when, imported=now())


def _vector(name: str, text: str) -> Floats:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if len(raw) == 2 * INVARIANT.n_dims:
        vector = np.frombuffer(raw, dtype=np.float16).astype(np.float32)
        if np.isfinite(vector).all() and float(vector @ vector) < 1.01:
            return vector
    raise UnreadableModel(f"{shown(name)}: its vector is not {INVARIANT.n_dims} finite numbers")
