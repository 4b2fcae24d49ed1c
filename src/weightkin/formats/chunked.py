"""Tensors of HDF5 in chunks of one size, filtered one by one, and what else a chunk may hold."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weightkin.errors import UnreadableModel
from weightkin.formats.computed import Index
from weightkin.formats.model import Storage
from weightkin.sources.files import File, Spans
from weightkin.text import shown, unreadable


class Piece(NamedTuple):
    """One stored chunk of a tensor: its bytes, where it begins, which filters it skipped."""

    name: str
    offsets: tuple[int, ...]
    n_stored: int
    left_out: int


DEFLATE, SHUFFLE = 1, 2  # filters of HDF5, by their numbers


@dataclass(frozen=True, slots=True)
class Chunked:
    """A tensor in chunks of one size, filtered one by one; those at its edges are padded."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sizes: tuple[int, ...]  # of a chunk
    pieces: tuple[Piece, ...]  # in the order of their places
    filters: tuple[int, ...]

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows, of all chunks that hold a part of them."""
        out = np.zeros((len(rows), *self.shape[1:]), dtype=self.dtype)
        n = self.sizes[0]
        for piece in self.pieces:
            a, b = np.searchsorted(rows, [piece.offsets[0], piece.offsets[0] + n]).tolist()
            if a == b:
                continue
            chunk = self._unpacked(storage, piece)
            ends = [
                min(size, whole - start)
                for size, whole, start in zip(self.sizes, self.shape, piece.offsets, strict=True)
            ][1:]
            starts = piece.offsets[1:]
            at = (slice(a, b), *(slice(s, s + e) for s, e in zip(starts, ends, strict=True)))
            some = chunk[rows[a:b] - piece.offsets[0]]
            out[at] = some[(slice(None), *(slice(0, end) for end in ends))]
        return out.reshape(len(rows), math.prod(self.shape[1:]))

    def _unpacked(self, storage: Storage, piece: Piece) -> npt.NDArray[Any]:
        """One chunk, read and with its filters undone from the last to the first."""
        return self.unpacked(piece, storage.read(piece.name, 0, piece.n_stored).tobytes())

    def unpacked(self, piece: Piece, data: bytes) -> npt.NDArray[Any]:
        """The values of one chunk, of its stored bytes."""
        n_bytes = math.prod(self.sizes) * self.dtype.itemsize
        for i, number in reversed(list(enumerate(self.filters))):
            if piece.left_out >> i & 1:
                continue
            if number == DEFLATE:
                data = _unpacked(piece.name, data, n_bytes)
            elif number == SHUFFLE:
                whole = np.frombuffer(data, dtype=np.uint8)
                data = whole.reshape(self.dtype.itemsize, -1).T.tobytes() if len(whole) else data
        if len(data) != n_bytes:
            raise unreadable(piece.name, f"a chunk of {len(data)} bytes, not {n_bytes}")
        return np.frombuffer(data, dtype=self.dtype).reshape(self.sizes)

    def hides(self, piece: Piece, data: bytes) -> bool:
        """Whether a chunk holds more than its tensor shows: past an edge, or behind its values."""
        try:
            values = self.unpacked(piece, data)
        except UnreadableModel:
            return True
        ends = [n - start for n, start in zip(self.shape, piece.offsets, strict=True)]
        is_past = np.ones(self.sizes, dtype=bool)
        is_past[tuple(slice(0, end) for end in ends)] = False
        past = values.view(np.dtype((np.void, values.itemsize)))[is_past]
        return bool((past != past[:1]).any())


def _unpacked(name: str, data: bytes, n_bytes: int) -> bytes:
    """Bytes of one compressed chunk, never more than it can have."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, n_bytes)
    except zlib.error as error:
        raise unreadable(name, f"its compressed bytes are damaged ({shown(error)})") from None
    if not unpacker.eof and unpacker.unconsumed_tail:
        raise unreadable(name, f"a chunk of over {n_bytes} bytes when unpacked")
    if unpacker.unused_data:
        raise unreadable(name, "bytes behind its compressed ones")
    return found


def hiding(file: File, spans: Spans, *, chunked: Chunked, pieces: tuple[Piece, ...]) -> Spans:
    """Those of some chunks, one span each, that hold more than their tensor shows."""
    return [
        span
        for span, piece in zip(spans, pieces, strict=True)
        if chunked.hides(piece, file.read([span]).tobytes())
    ]
