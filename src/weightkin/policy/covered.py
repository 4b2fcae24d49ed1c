"""How much of each file of a model belongs to its tensors: what is left over may be anything.

One ledger, from the bytes up: a tensor owns the elements that it touches, and all other bytes of a
file count by what they can hold at most, which is their size when compressed. Names, padding of
zeros and a vocabulary are small then; weights are not, however they are written.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats import Storage
from weightkin.formats.adapter import Joined
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.storage import FileStorage
from weightkin.formats.table import HEAD, begun_as, format_of
from weightkin.sources.files import File, TensorLocation

MOST_OTHER = 1 << 20  # compressed bytes beside tensors: names, shapes, a pickle, a graph
MOST_VOCABULARY = 1 << 24  # of a GGUF file, which holds its tokens
MOST_RAW = 1 << 28  # bytes beside tensors that are looked at
MOST_PIECES = 1 << 22  # pieces of the strided tensors of one file
MOST_GAPS = 1 << 17  # pieces between them that are looked at
BYTES_AT_ONCE = 1 << 22
Bytes = npt.NDArray[np.int64]  # (n, 2): first byte and the one behind the last of each piece


def files_of(storage: Storage) -> set[Path]:
    """The files on this machine that the tensors of a model, and its config, were read from."""
    return {
        file.path
        for stored in _stores(storage)
        for file in stored.files
        if isinstance(file.path, Path)
    }


def coverage_of(storage: Storage) -> dict[Path, str]:
    """Each file of weights, and why it may hold more than tensors ("" where it does not)."""
    return {path: _why(file, gaps) for path, (file, gaps) in _ledger(storage).items()}


def n_beside(storage: Storage) -> int:
    """What the bytes of a model's files that belong to no tensor may hold at most, in bytes."""
    return sum(information(file, gaps) for file, gaps in _ledger(storage).values())


def information(file: File, gaps: Bytes) -> int:
    """Compressed size of some pieces of a file; their own size where they are too many to read."""
    if _length(gaps) > MOST_RAW or len(gaps) > MOST_GAPS:
        return _length(gaps)
    packer, n = zlib.compressobj(1), 0
    for start, stop in gaps.tolist():
        for first in range(start, stop, BYTES_AT_ONCE):
            piece = file.read([(first, min(first + BYTES_AT_ONCE, stop))])
            n += len(packer.compress(piece.tobytes()))
    return n + len(packer.flush())


def _ledger(storage: Storage) -> dict[Path, tuple[File, Bytes]]:
    """Each file of weights with the pieces of it that no tensor touches."""
    files: dict[Path, File] = {}
    places: dict[Path, list[TensorLocation]] = {}
    for stored in _stores(storage):
        for file in stored.files:
            if isinstance(file.path, Path) and format_of(file.path.suffix):
                files[file.path] = file
        for place in stored.places.values():
            if isinstance(place.file.path, Path):
                files[place.file.path] = place.file
                places.setdefault(place.file.path, []).append(place)
    return {path: (file, _gaps(file.size, places.get(path, []))) for path, file in files.items()}


def _stores(storage: Storage) -> list[FileStorage]:
    if isinstance(storage, ComputedStorage):
        return _stores(storage.inner)
    if isinstance(storage, Joined):
        return [*_stores(storage.base), *_stores(storage.adapter)]
    return [storage] if isinstance(storage, FileStorage) else []


def _why(file: File, gaps: Bytes) -> str:
    begun = begun_as(file.read([(0, min(HEAD, file.size))]).tobytes())
    most = MOST_VOCABULARY if begun and begun.holds_tokens else MOST_OTHER
    if information(file, gaps) <= most:
        return ""
    return f"{_length(gaps):,} of {file.size:,} bytes belong to no tensor"


def _length(pieces: Bytes) -> int:
    return int((pieces[:, 1] - pieces[:, 0]).sum())


def _gaps(size: int, places: Iterable[TensorLocation]) -> Bytes:
    """Pieces of a file that no tensor touches."""
    left = MOST_PIECES
    found = [np.zeros((1, 2), dtype=np.int64)]
    for place in places:
        pieces = _touched(place, left)
        left -= len(pieces)
        found.append(pieces)
    spans = np.concatenate(found)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    gaps = np.stack([ends, np.append(spans[1:, 0], size)], axis=1)
    return gaps[gaps[:, 0] < gaps[:, 1]]


def _touched(place: TensorLocation, most: int) -> Bytes:
    """The pieces that a tensor touches; only the first of them where there are more than ``most``.

    Dimensions that repeat elements (stride 0) add nothing, and those that follow on one another
    without a gap are one piece.
    """
    width = place.dtype.itemsize
    if 0 in place.shape:
        return np.zeros((0, 2), dtype=np.int64)
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
