"""Traced entries in one file: an index of tensor patterns, and entries in small compressed chunks.

The file begins with a line that names the format and says how long the head is. The head is JSON
(versions of the libraries and of the generator, where chunks stand) and the index: for every
pattern, by a checksum of its end, the entries that have it. Chunks are JSON, compressed with LZMA.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from weightkin.catalogue.traced import TracedEntry, entry_facts, entry_of, general

FILE = "traced.bin"
FORMAT = "weightkin traced classes 1"
GENERATOR = 3  # raised whenever the same classes give other entries
CHUNK = 24  # entries that are compressed together
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """A file of entries; those asked for are decompressed."""

    versions: Mapping[str, str]
    generator: int
    n_entries: int
    checksums: np.ndarray  # (pairs,) uint32, ascending
    owners: np.ndarray  # (pairs,) uint16: the entry that has the pattern
    chunks: tuple[tuple[int, int], ...]
    data: bytes

    def counts(self, patterns: Iterable[str]) -> np.ndarray:
        """How many of some ends of patterns each entry has: (entries,)."""
        wanted = np.unique(np.array([checksum(p) for p in patterns], dtype=np.uint32))
        first = np.searchsorted(self.checksums, wanted, "left")
        last = np.searchsorted(self.checksums, wanted, "right")
        found = [self.owners[a:b] for a, b in zip(first, last, strict=True) if b > a]
        rows = np.concatenate(found) if found else np.zeros(0, dtype=np.uint16)
        return np.bincount(rows, minlength=self.n_entries)

    def named(self, names: Iterable[str]) -> list[int]:
        """Numbers of the entries of some classes or model types, in order."""
        return np.flatnonzero(self.counts(map(_title, names))).tolist()

    def entry(self, number: int) -> TracedEntry:
        """One entry by its number."""
        return _entry(self, number)

    def __iter__(self) -> Iterator[TracedEntry]:
        """All entries in order."""
        return map(self.entry, range(self.n_entries))


@lru_cache(maxsize=8)
def _chunk(store: Store, number: int) -> list[dict[str, Any]]:
    start, size = store.chunks[number]
    text = lzma.decompress(store.data[start : start + size], lzma.FORMAT_RAW, None, _FILTERS)
    found: list[dict[str, Any]] = json.loads(text)
    return found


@lru_cache(maxsize=64)
def _entry(store: Store, number: int) -> TracedEntry:
    chunk, rank = divmod(number, CHUNK)
    return entry_of(_chunk(store, chunk)[rank])


def names_of(entry: TracedEntry) -> set[str]:
    """What a config may call a class: its own name, or its model type."""
    return {*entry.model_types, *(name.rpartition(".")[2] for name in entry.classes)}


def _title(name: str) -> str:
    return f"class {name}"  # no pattern holds a space


def checksum(pattern: str) -> int:
    """The number under which the index has the end of a pattern."""
    return zlib.crc32(pattern.encode())


def end_of(pattern: str) -> str:
    """A pattern from the word before its first number on; all of it where it has none.

    Every number stands for one of a list, also where an entry takes it for a name.
    """
    words = general(pattern).split(".")
    return ".".join(words[max(0, words.index("#") - 1) :] if "#" in words else words)


def packed(entries: Sequence[TracedEntry], versions: Mapping[str, str]) -> bytes:
    """The bytes of a store: equal for equal entries.

    Parameters
    ----------
    entries : sequence of TracedEntry
        In the order in which they are numbered; alike ones side by side compress best.
    versions : mapping of str to str
        Of the libraries whose classes they are.

    Returns
    -------
    bytes
        The whole file.
    """
    pairs = sorted(
        {
            (checksum(key), number)
            for number, entry in enumerate(entries)
            for key in (*(end_of(row.pattern) for row in entry.rows), *map(_title, names_of(entry)))
        }
    )
    chunks = [
        lzma.compress(
            _json([entry_facts(entry) for entry in entries[i : i + CHUNK]]),
            lzma.FORMAT_RAW,
            -1,
            None,
            _FILTERS,
        )
        for i in range(0, len(entries), CHUNK)
    ]
    index = zlib.compress(
        np.array([x for x, _ in pairs], dtype="<u4").tobytes()
        + np.array([x for _, x in pairs], dtype="<u2").tobytes(),
        9,
    )
    facts = {
        "versions": dict(sorted(versions.items())),
        "generator": GENERATOR,
        "entries": len(entries),
        "pairs": len(pairs),
        "index": len(index),
        "chunks": [len(chunk) for chunk in chunks],
    }
    head = _json(facts)
    return b"".join([f"{FORMAT} {len(head)}\n".encode(), head, index, *chunks])


def _json(facts: Any) -> bytes:
    return json.dumps(facts, separators=(",", ":")).encode()


def unpacked(data: bytes) -> Store:
    """The store in the bytes of a file. A malformed one raises: it is ours."""
    line, _, rest = data.partition(b"\n")
    text = line.decode()
    if not text.startswith(f"{FORMAT} "):
        raise ValueError(f"not a file of traced classes: {text[:40]!r}")
    head = int(text.rsplit(" ", 1)[1])
    facts = json.loads(rest[:head])
    start = len(line) + 1 + head
    index = zlib.decompress(data[start : start + facts["index"]])
    n = facts["pairs"]
    ends = np.cumsum([start + facts["index"], *facts["chunks"]]).tolist()
    return Store(
        versions=facts["versions"],
        generator=facts["generator"],
        n_entries=facts["entries"],
        checksums=np.frombuffer(index, dtype="<u4", count=n),
        owners=np.frombuffer(index, dtype="<u2", count=n, offset=4 * n),
        chunks=tuple(zip(ends, facts["chunks"], strict=False)),
        data=data,
    )


@cache
def shipped_store() -> Store | None:
    """The store of this package, None where it was built without one."""
    file = files("weightkin.catalogue") / FILE
    return unpacked(file.read_bytes()) if file.is_file() else None
