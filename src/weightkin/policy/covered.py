"""How much of each file of a model belongs to its tensors: what is left over may be anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weightkin.weights import Storage
from weightkin.weights.adapter import Joined
from weightkin.weights.computed import ComputedStorage
from weightkin.weights.files import FileStorage, Place

# Bytes beside tensors: names, shapes and padding of each, and a graph, a vocabulary, a pickle.
MOST_OTHER, MOST_EACH = 1 << 15, 1 << 11
MOST_HEADER = {".gguf": 64 << 20, ".onnx": 16 << 20}  # vocabularies; the nodes of a graph


def files_of(storage: Storage) -> set[Path]:
    """The files on this machine that the tensors of a model, and its config, were read from."""
    return {
        file.path
        for stored in _stores(storage)
        for file in stored.files
        if isinstance(file.path, Path)
    }


def coverage_of(storage: Storage) -> dict[Path, str]:
    """Each file with tensors, and why it may hold more than them ("" where it does not)."""
    places: dict[Path, list[Place]] = {}
    for stored in _stores(storage):
        for place in stored.places.values():
            if isinstance(place.file.path, Path):
                places.setdefault(place.file.path, []).append(place)
    return {path: _why(path, found) for path, found in places.items()}


def _stores(storage: Storage) -> list[FileStorage]:
    if isinstance(storage, ComputedStorage):
        return _stores(storage.inner)
    if isinstance(storage, Joined):
        return [*_stores(storage.base), *_stores(storage.adapter)]
    return [storage] if isinstance(storage, FileStorage) else []


def _why(path: Path, places: list[Place]) -> str:
    spans = np.array(sorted(_span(place) for place in places), dtype=np.int64).reshape(-1, 2)
    size = places[0].file.size
    ends = np.maximum.accumulate(spans[:, 1])
    gaps = np.maximum(0, np.append(spans[1:, 0], size) - ends)
    first = int(spans[0, 0])
    each = MOST_EACH * len(places)
    allowed = MOST_OTHER + each + MOST_HEADER.get(path.suffix.lower(), 0)
    other = int(gaps.sum())
    if first > allowed or other > MOST_OTHER + each:
        return f"{first + other:,} of {size:,} bytes that belong to no tensor"
    return ""


def _span(place: Place) -> tuple[int, int]:
    """First byte and the one behind the last of what a tensor may touch."""
    if 0 in place.shape:
        return place.offset, place.offset
    strides = place.strides or _contiguous(place.shape)
    last = sum((n - 1) * s for n, s in zip(place.shape, strides, strict=True))
    return place.offset, place.offset + (last + 1) * place.dtype.itemsize


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps = [1]
    for n in reversed(shape[1:]):
        steps.append(steps[-1] * n)
    return tuple(reversed(steps[: len(shape)]))
