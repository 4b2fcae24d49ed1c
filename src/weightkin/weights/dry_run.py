"""What reading would cost: a storage that notes what is asked for and answers with zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.weights.files import FileStorage, LocalFile
from weightkin.weights.model import Model, Spans
from weightkin.weights.pages import PAGE
from weightkin.weights.ranges import GAP, Intervals, add, missing, pieces_of


@dataclass(slots=True)
class DryRun:
    """Stands in for the files of a model; ``n_bytes`` and ``n_requests`` are those not made."""

    real: FileStorage
    n_bytes: int = 0
    n_requests: int = 0
    noted: dict[int, Intervals] = field(default_factory=dict)  # by file

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Zeros in place of elements ``start:stop``."""
        return self.read_runs(name, [(start, stop)])

    def read_runs(self, name: str, runs: Spans) -> npt.NDArray[Any]:
        """Zeros in place of the elements of several runs."""
        self.prefetch([(name, runs)])
        return np.zeros(sum(b - a for a, b in runs), self.real.places[name].dtype)

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Note what is read: whole pages of a local file, ranges of one on a server."""
        for name, runs in wanted:
            place = self.real.places[name]
            noted = self.noted.setdefault(id(place.file), [])
            unit = PAGE if isinstance(place.file, LocalFile) else 1
            width, base = place.dtype.itemsize, place.offset
            spans = [
                ((base + a * width) // unit * unit, -(-(base + b * width) // unit) * unit)
                for a, b in runs
            ]
            for start, stop in pieces_of(missing(spans, noted), GAP if unit == 1 else 0):
                add(noted, start, stop)
                self.n_bytes += stop - start
                self.n_requests += unit == 1

    @property
    def bytes_touched(self) -> int:
        """Bytes read in earnest, and those that would have been."""
        return self.real.bytes_touched + self.n_bytes


def dry_run(model: Model) -> tuple[Model, DryRun] | None:
    """Return the model with zeros for values, and the account; None without files."""
    if not isinstance(model.storage, FileStorage):
        return None
    storage = DryRun(model.storage)
    return replace(model, storage=storage), storage
