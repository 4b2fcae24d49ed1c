"""Pieces of a file as sets of bytes: those that a tensor touches, unions, and what is left.

Pieces are arrays of shape (n, 2): first byte and the one behind the last. Sets of them are
ascending, and no two of their pieces touch.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.sources.files import File, Spans, TensorLocation, batches

MOST_PIECES = 1 << 22  # of the strided tensors of one file
MOST_GAPS = 1 << 17  # pieces of a file that are read one by one
MOST_RAW = 1 << 28  # bytes of pieces that are read
BYTES_AT_ONCE = 1 << 22
Pieces = npt.NDArray[np.int64]
NOTHING: Pieces = np.zeros((0, 2), dtype=np.int64)


def union(*sets: Pieces) -> Pieces:
    """Bytes in any of the pieces, which may overlap."""
    pieces = np.concatenate(sets) if sets else NOTHING
    pieces = pieces[pieces[:, 0] < pieces[:, 1]]
    if not len(pieces):
        return NOTHING
    pieces = pieces[np.argsort(pieces[:, 0], kind="stable")]
    ends = np.maximum.accumulate(pieces[:, 1])
    first = np.append(True, pieces[1:, 0] > ends[:-1])
    last = np.append(first[1:], True)
    return np.stack([pieces[first, 0], ends[last]], axis=1)


def rest(held: Pieces, size: int) -> Pieces:
    """Bytes of a file of some size that a set does not hold."""
    starts = np.append(0, held[:, 1])
    stops = np.append(held[:, 0], size)
    gaps = np.stack([starts, stops], axis=1)
    return gaps[gaps[:, 0] < gaps[:, 1]]


def without(a: Pieces, b: Pieces, size: int) -> Pieces:
    """Bytes of one set that another does not hold."""
    return rest(union(rest(a, size), b), size)


def both(a: Pieces, b: Pieces, size: int) -> Pieces:
    """Bytes that two sets hold."""
    return without(a, rest(b, size), size)


def length(pieces: Pieces) -> int:
    """Bytes of a set."""
    return int((pieces[:, 1] - pieces[:, 0]).sum())


def whole_of(file: File) -> Pieces:
    """All bytes of a file."""
    return as_pieces([(0, file.size)], file.size)


def as_pieces(spans: Spans, size: int) -> Pieces:
    """Spans of a file of some size as a set; what lies outside of it is cut off."""
    found = np.array(spans, dtype=np.int64).reshape(-1, 2).clip(0, size)
    return union(found)


def touched(places: Iterable[TensorLocation]) -> Pieces:
    """Bytes of one file that tensors touch, as a set."""
    left, found = MOST_PIECES, [NOTHING]
    for place in places:
        pieces = _touched(place, left)
        left -= len(pieces)
        found.append(pieces)
    return union(*found)


def _touched(place: TensorLocation, most: int) -> Pieces:
    """The pieces that a tensor touches; only the first of them where there are more than ``most``.

    Dimensions that repeat elements (stride 0) add nothing, and those that follow on one another
    without a gap are one piece.
    """
    width = place.dtype.itemsize
    if 0 in place.shape:
        return NOTHING
    if not place.strides:
        stop = place.offset + math.prod(place.shape) * width
        return np.array([[place.offset, stop]], dtype=np.int64)
    steps = sorted((s, n) for n, s in zip(place.shape, place.strides, strict=True) if n > 1 and s)
    run = 1
    while steps and steps[0][0] <= run:
        step, n = steps.pop(0)
        run += (n - 1) * step
    starts: npt.NDArray[Any] = np.zeros(1, dtype=np.int64)
    for step, n in steps:
        if len(starts) * n > most:
            break
        starts = (starts[:, None] + np.arange(n) * step).reshape(-1)
    first = place.offset + starts * width
    return np.stack([first, first + run * width], axis=1)


def information(file: File, pieces: Pieces) -> int:
    """Compressed size of some pieces of a file; their own size where they are too many to read."""
    if length(pieces) > MOST_RAW or len(pieces) > MOST_GAPS:
        return length(pieces)
    packer, n = zlib.compressobj(1), 0
    for some in batches(pieces.tolist(), BYTES_AT_ONCE):
        n += len(packer.compress(file.read(some).tobytes()))
    return n + len(packer.flush())


def is_blank(file: File, spans: Spans) -> bool:
    """Whether all bytes of some ascending spans are zero; False where they are too many to read."""
    if sum(stop - start for start, stop in spans) > MOST_RAW or len(spans) > MOST_GAPS:
        return False
    return not any(file.read(some).any() for some in batches(spans, BYTES_AT_ONCE))
