"""Runs of many small tensors, read together where they lie in one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.model import Storage
from weightkin.formats.storage import FileStorage, bytes_of
from weightkin.sources.files import Spans, TensorLocation

TOGETHER = 1 << 20  # bytes
MOST_TOGETHER = 1 << 10  # tensors

_Wanted = tuple[str, TensorLocation, Spans, int]  # name, where, bytes of the file, how many


def read_each(storage: Storage, wanted: Iterable[tuple[str, Spans]]) -> Iterator[npt.NDArray[Any]]:
    """Elements of ascending runs of each of some tensors, as `Storage.read_runs` returns them.

    Parameters
    ----------
    storage : Storage
        What holds the tensors.
    wanted : iterable of (str, spans)
        Names, and half-open ranges of the flattened tensors.

    Yields
    ------
    ndarray
        One for each, in its stored dtype.
    """
    batch: list[_Wanted] = []
    n_bytes = 0
    for name, runs in wanted:
        place = storage.places.get(name) if isinstance(storage, FileStorage) else None
        spans = [] if place is None or place.strides else bytes_of(place, name, runs)
        size = sum(stop - start for start, stop in spans)
        is_near = bool(batch) and place is not None and place.file is batch[0][1].file
        is_room = n_bytes + size <= TOGETHER and len(batch) < MOST_TOGETHER
        if not (spans and is_near and is_room):
            yield from _read(batch)
            batch, n_bytes = [], 0
        if place is None or not spans or size > TOGETHER:
            yield storage.read_runs(name, runs)
            continue
        batch.append((name, place, spans, size))
        n_bytes += size
    yield from _read(batch)


def _read(batch: list[_Wanted]) -> Iterator[npt.NDArray[Any]]:
    """The pieces of one batch, in the order of the file, and from there to their tensors."""
    if not batch:
        return
    pieces = sorted((span, i) for i, (_, _, spans, _) in enumerate(batch) for span in spans)
    joined = batch[0][1].file.read([span for span, _ in pieces])
    raw = [np.empty(size, dtype=np.uint8) for *_, size in batch]
    filled = [0] * len(batch)
    at = 0
    for (start, stop), i in pieces:
        n = stop - start
        raw[i][filled[i] : filled[i] + n] = joined[at : at + n]
        filled[i] += n
        at += n
    for (_, place, _, _), own in zip(batch, raw, strict=True):
        yield own.view(place.dtype)
