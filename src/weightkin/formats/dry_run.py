"""Reading ahead: a rehearsal on files that answer with zeros says what will be asked for.

Which bytes are read follows from headers alone, so a reading can be rehearsed before anything is
read. That tells what it costs (``--estimate``), and lets a server be asked for everything at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.adapter import Joined
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.model import Model, Storage
from weightkin.formats.storage import FileStorage
from weightkin.sources.files import File, Spans, TensorLocation
from weightkin.sources.local import GATHER, LocalFile
from weightkin.sources.ranges import GAP, Intervals, RemoteFile, add, fetch, missing, pieces_of
from weightkin.sources.touched import PAGE

Reading = Callable[[Model], object]  # reads a part of a model; its result is thrown away


@dataclass(slots=True)
class DryFile:
    """Stands in for a file: notes what is asked for, and answers with zeros."""

    real: File
    asked: list[tuple[int, int]] = field(default_factory=list)
    noted: Intervals = field(default_factory=list)  # counted already
    bytes_touched: int = 0

    @property
    def path(self) -> PurePath:
        """Where the file is."""
        return self.real.path

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.real.size

    @property
    def stamp(self) -> str:
        """That of the file."""
        return self.real.stamp

    def read(self, spans: Spans) -> npt.NDArray[np.uint8]:
        """Zeros in place of the bytes of ascending spans."""
        self.asked.extend(spans)
        return np.zeros(sum(stop - start for start, stop in spans), dtype=np.uint8)

    def gather(self, place: TensorLocation, runs: Spans) -> npt.NDArray[Any]:
        """Zeros in place of elements of a strided tensor: their pages, or from a server all."""
        if isinstance(self.real, LocalFile):
            self.asked.extend(_pages(place, runs))
        else:
            extent = 1 + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))
            self.asked.append((place.offset, place.offset + extent * place.dtype.itemsize))
        return np.zeros(sum(stop - start for start, stop in runs), dtype=place.dtype)

    def prefetch(self, spans: Spans) -> None:
        """Nothing: what is read is noted."""

    def settle(self) -> tuple[int, int]:
        """Bytes and requests of what was asked for since, as one errand: whole pages of a disk."""
        unit = PAGE if isinstance(self.real, LocalFile) else 1
        spans = [(a // unit * unit, -(-b // unit) * unit) for a, b in sorted(self.asked)]
        held = self.real.held if isinstance(self.real, RemoteFile) else []
        for start, stop in held if not self.noted else ():
            add(self.noted, start, stop)
        pieces = pieces_of(missing(spans, self.noted), GAP if unit == 1 else 0)
        for start, stop in pieces:
            add(self.noted, start, stop)
        self.asked.clear()
        n_bytes = sum(stop - start for start, stop in pieces)
        self.bytes_touched += n_bytes
        return n_bytes, len(pieces) if unit == 1 else 0


@dataclass(frozen=True, slots=True)
class DryRun:
    """A model of zeros in place of another one, and the files that note what is asked for."""

    model: Model
    files: Sequence[DryFile]

    def settle(self) -> tuple[int, int]:
        """Bytes and requests of what was read since the last time, as one errand."""
        counts = [file.settle() for file in self.files]
        return sum(n for n, _ in counts), sum(n for _, n in counts)


def dry_run(model: Model) -> DryRun | None:
    """Return a model of zeros in place of one that lies in files; None for any other."""
    stands_in: dict[int, DryFile] = {}
    storage = _twin(model.storage, stands_in)
    if storage is None:
        return None
    return DryRun(replace(model, storage=storage, beside=None), list(stands_in.values()))


def is_remote(model: Model) -> bool:
    """Whether bytes of a model are fetched from a server."""
    return any(isinstance(file, RemoteFile) for file in _files(model.storage))


def read_ahead(model: Model, *readings: Reading) -> None:
    """Fetch all that some readings are going to ask of servers, at once; local files wait."""
    if not is_remote(model):
        return
    dry = dry_run(model)
    if dry is None:
        return
    with np.errstate(all="ignore"):  # what is computed from zeros means nothing
        for reading in readings:
            reading(dry.model)
    wanted = [(f.real, sorted(f.asked)) for f in dry.files if isinstance(f.real, RemoteFile)]
    if any(missing(spans, real.held) for real, spans in wanted):
        fetch(wanted)


def _files(storage: Storage) -> list[File]:
    match storage:
        case FileStorage():
            return [place.file for place in storage.places.values()]
        case ComputedStorage():
            return _files(storage.inner)
        case Joined():
            return _files(storage.base) + _files(storage.adapter)
    return []


def _twin(storage: Storage, stands_in: dict[int, DryFile]) -> Storage | None:
    """The same storage on files of zeros; None where values do not lie in files."""
    match storage:
        case FileStorage():
            places = {}
            for name, place in storage.places.items():
                dry = stands_in.setdefault(id(place.file), DryFile(place.file))
                places[name] = replace(place, file=dry)
            return FileStorage(places, ())
        case ComputedStorage():
            inner = _twin(storage.inner, stands_in)
            return None if inner is None else replace(storage, inner=inner)
        case Joined():
            base, adapter = (_twin(x, stands_in) for x in (storage.base, storage.adapter))
            return None if base is None or adapter is None else Joined(base, adapter)
    return None


def _pages(place: TensorLocation, runs: Spans) -> list[tuple[int, int]]:
    """The pages that hold elements of a strided tensor, ascending."""
    pages = [np.zeros(0, dtype=np.int64)]
    for run_start, run_stop in runs:
        for start in range(run_start, run_stop, GATHER):
            flat = np.arange(start, min(start + GATHER, run_stop))
            corners = np.unravel_index(flat, place.shape)
            cells = sum(c * s for c, s in zip(corners, place.strides, strict=True))
            first = place.offset + np.asarray(cells) * place.dtype.itemsize
            last = first + place.dtype.itemsize - 1
            pages.append(np.unique(np.concatenate([first, last]) // PAGE))
    return [(page * PAGE, (page + 1) * PAGE) for page in np.unique(np.concatenate(pages)).tolist()]
