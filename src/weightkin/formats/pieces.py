"""Tensors put together from stored pieces, or unpacked from compressed ones, row by row."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Index, Recipe, runs_of, stored_rows
from weightkin.formats.model import BATCH, Storage
from weightkin.sources.files import File, Spans
from weightkin.text import shown, unreadable

STORED = "stored:"  # before the name of what a recipe reads
STEP = 1 << 20  # compressed bytes that are unpacked at a time


class Tile(NamedTuple):
    """One stored block of a tensor: where it begins in every dimension, and its sizes."""

    name: str
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tensor cut into blocks, each stored by itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tiles: tuple[Tile, ...]

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows, of all blocks that hold a part of them."""
        out = np.zeros((len(rows), *self.shape[1:]), dtype=self.dtype)
        for tile in self.tiles:
            first = tile.offsets[0]
            a, b = np.searchsorted(rows, [first, first + tile.sizes[0]]).tolist()
            if a == b:
                continue
            width = math.prod(tile.sizes[1:])
            read = stored_rows(storage, tile.name, rows[a:b] - first, width)
            inner = zip(tile.offsets[1:], tile.sizes[1:], strict=True)
            at = (slice(a, b), *(slice(start, start + n) for start, n in inner))
            out[at] = read.reshape(b - a, *tile.sizes[1:])
        return out.reshape(len(rows), math.prod(self.shape[1:]))


def whole_of(where: str, shape: tuple[int, ...], tiles: Sequence[Tile]) -> tuple[Tile, ...]:
    """Blocks in the order of their rows, if they cover every element of a tensor exactly once.

    Parameters
    ----------
    where : str
        File and tensor, for messages.
    shape : tuple of int
        Of the whole tensor, of one dimension or more.
    tiles : sequence of Tile
        Its blocks.

    Returns
    -------
    tuple of Tile
        The same blocks.

    Raises
    ------
    UnreadableModel
        A block is outside, two overlap, or an element is in none.
    """
    ordered = sorted(tiles, key=lambda tile: tile.offsets)
    n = 0
    for tile in ordered:
        sides = zip(tile.offsets, tile.sizes, shape, strict=True)
        if any(not 0 <= start <= start + size <= whole for start, size, whole in sides):
            raise unreadable(where, f"a block at {shown(tile.offsets)} is outside {shown(shape)}")
        n += math.prod(tile.sizes)
    marks = {tile.offsets for tile in ordered if math.prod(tile.sizes)}
    if n != math.prod(shape) or len(marks) != sum(math.prod(t.sizes) > 0 for t in ordered):
        raise unreadable(where, f"blocks of {n} values in all do not make up {shown(shape)}")
    if not _is_grid(shape, [tile for tile in ordered if math.prod(tile.sizes)]):
        raise unreadable(where, "its blocks overlap")
    return tuple(ordered)


def _is_grid(shape: tuple[int, ...], tiles: Sequence[Tile]) -> bool:
    """Whether no two blocks overlap, given that they are as large as the tensor together."""
    cuts = [sorted({tile.offsets[i] for tile in tiles}) for i in range(len(shape))]
    if math.prod(map(len, cuts)) != len(tiles):
        return False  # blocks that are no grid: no library writes them
    ends = [dict(zip(cut, [*cut[1:], n], strict=True)) for cut, n in zip(cuts, shape, strict=True)]
    return all(
        start + size == end[start]
        for tile in tiles
        for start, size, end in zip(tile.offsets, tile.sizes, ends, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Flat:
    """A tensor whose elements stand in several stored runs, one after the other."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    runs: tuple[tuple[str, int], ...]  # name of each stored run, and its elements

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows, of all runs that hold a part of them."""
        width = math.prod(self.shape[1:])
        wanted = [(a * width, b * width) for a, b in runs_of(rows)]
        parts = [np.zeros(0, dtype=self.dtype)]
        ends = np.cumsum([n for _, n in self.runs])
        for start, stop in wanted:
            at = start
            while at < stop:
                k = int(np.searchsorted(ends, at, side="right"))
                name, n = self.runs[k]
                begin = int(ends[k]) - n
                end = min(stop, int(ends[k]))
                parts.append(storage.read(name, at - begin, end - begin))
                at = end
        return np.concatenate(parts).reshape(len(rows), width)


@dataclass(frozen=True, slots=True)
class Turned:
    """A matrix with its rows as columns: reads all of it, a part at a time."""

    shape: tuple[int, ...]
    inner: Recipe

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows: columns of what is put together."""
        width, n = self.shape
        step = max(1, BATCH // max(1, width))
        parts = [self.inner.rows(storage, np.zeros(0, dtype=np.int64)).reshape(0, width)[:, rows]]
        for start in range(0, n, step):
            some = self.inner.rows(storage, np.arange(start, min(n, start + step)))
            parts.append(some.reshape(-1, width)[:, rows])
        return np.ascontiguousarray(np.concatenate(parts).T)


@dataclass(frozen=True)
class Inflated:
    """A tensor whose bytes are compressed (deflate), unpacked as far as the rows asked for."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str  # of the stored bytes
    n_stored: int
    skip: int  # unpacked bytes before the first element
    streams: list[_Stream] = field(default_factory=list, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "streams": []}

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows; ascending reads go on where the last one stopped."""
        width = math.prod(self.shape[1:]) * self.dtype.itemsize
        spans = [(self.skip + a * width, self.skip + b * width) for a, b in runs_of(rows)]
        if not spans:
            return np.zeros((0, math.prod(self.shape[1:])), dtype=self.dtype)
        stream = self.streams.pop() if self.streams else None
        if stream is None or stream.at > spans[0][0]:
            stream = _Stream(self)
        found = b"".join(stream.take(storage, start, stop) for start, stop in spans)
        self.streams[:] = [stream]
        return np.frombuffer(found, dtype=self.dtype).reshape(len(rows), -1)


class _Stream:
    """Unpacks from the beginning, forward only, holding little."""

    def __init__(self, of: Inflated) -> None:
        self.of = of
        self.unpacker = zlib.decompressobj(-15)
        self.read = 0  # compressed bytes taken
        self.at = 0  # unpacked bytes passed
        self.rest = b""  # compressed, taken and not yet unpacked

    def take(self, storage: Storage, start: int, stop: int) -> bytes:
        """Bytes from start to stop of what is unpacked."""
        while self.at < start:
            self._next(storage, min(STEP, start - self.at))
        parts = []
        while self.at < stop:
            parts.append(self._next(storage, min(STEP, stop - self.at)))
        return b"".join(parts)

    def _next(self, storage: Storage, most: int) -> bytes:
        if not self.rest and self.read < self.of.n_stored:
            end = min(self.of.n_stored, self.read + STEP)
            self.rest = storage.read(self.of.name, self.read, end).tobytes()
            self.read = end
        try:
            data = self.unpacker.decompress(self.rest, most)
        except zlib.error as error:
            what = f"its compressed bytes are damaged ({shown(error)})"
            raise unreadable(self.of.name, what) from None
        is_stuck = not data and self.rest == self.unpacker.unconsumed_tail
        self.rest = self.unpacker.unconsumed_tail
        if (
            not data
            and (is_stuck or self.unpacker.eof)
            and not (self.read < self.of.n_stored and not self.unpacker.eof)
        ):
            raise unreadable(self.of.name, "its compressed bytes end too early")
        self.at += len(data)
        return data


def behind_stream(file: File, spans: Spans, *, n_unpacked: int) -> Spans:
    """Bytes behind the end of compressed ones; all of them where it is not as long as it says."""
    found: list[tuple[int, int]] = []
    for start, stop in spans:
        unpacker, at, left, n = zlib.decompressobj(-15), start, b"", 0
        while not unpacker.eof and n <= n_unpacked and (left or at < stop):
            if not left:
                left = file.read([(at, min(stop, at + STEP))]).tobytes()
                at += len(left)
            try:
                n += len(unpacker.decompress(left, STEP))
            except zlib.error:
                break
            left = unpacker.unconsumed_tail
        is_whole = unpacker.eof and n == n_unpacked
        end = at - len(unpacker.unused_data) if is_whole else start
        found += [(end, stop)] if end < stop else []
    return found
