"""What reading would cost: a storage that notes what is asked for and answers with zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.weights.adapter import Joined
from weightkin.weights.computed import ComputedStorage
from weightkin.weights.files import GATHER, FileStorage, LocalFile, Place
from weightkin.weights.model import Model, Spans, Storage
from weightkin.weights.pages import PAGE
from weightkin.weights.ranges import GAP, Intervals, add, missing, pieces_of


@dataclass(slots=True)
class Account:
    """Bytes and requests that were not made."""

    n_bytes: int = 0
    n_requests: int = 0
    noted: dict[int, Intervals] = field(default_factory=dict)  # by file


@dataclass(slots=True)
class DryRun:
    """Stands in for the files of a model, and writes to the account what they would cost."""

    real: FileStorage
    account: Account

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
            noted = self.account.noted.setdefault(id(place.file), [])
            unit = PAGE if isinstance(place.file, LocalFile) else 1
            spans = [
                (start // unit * unit, -(-stop // unit) * unit)
                for start, stop in _spans(place, runs)
            ]
            for start, stop in pieces_of(missing(spans, noted), GAP if unit == 1 else 0):
                add(noted, start, stop)
                self.account.n_bytes += stop - start
                self.account.n_requests += unit == 1

    @property
    def bytes_touched(self) -> int:
        """Bytes read in earnest, and those that would have been."""
        return self.real.bytes_touched + self.account.n_bytes


def dry_run(model: Model) -> tuple[Model, Account] | None:
    """Return the model with zeros for what files hold, and the account; None without files."""
    account = Account()
    storage = _dry(model.storage, account)
    return None if storage is None else (replace(model, storage=storage), account)


def _dry(storage: Storage, account: Account) -> Storage | None:
    """Keep what is computed, and replace the files below it."""
    if isinstance(storage, FileStorage):
        return DryRun(storage, account)
    if isinstance(storage, ComputedStorage):
        inner = _dry(storage.inner, account)
        return None if inner is None else ComputedStorage(inner, storage.recipes)
    if isinstance(storage, Joined):
        base, adapter = (_dry(x, account) for x in (storage.base, storage.adapter))
        return None if base is None or adapter is None else Joined(base, adapter)
    return None


def _spans(place: Place, runs: Spans) -> list[tuple[int, int]]:
    """Bytes that hold runs of a tensor, ascending; of a strided view, the page of each element."""
    width, base = place.dtype.itemsize, place.offset
    if not place.strides:
        return [(base + a * width, base + b * width) for a, b in runs]
    if not isinstance(place.file, LocalFile):  # fetched whole
        extent = 1 + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))
        return [(base, base + extent * width)] if runs else []
    pages = [np.zeros(0, dtype=np.int64)]
    for run_start, run_stop in runs:
        for start in range(run_start, run_stop, GATHER):
            flat = np.arange(start, min(start + GATHER, run_stop))
            corners = np.unravel_index(flat, place.shape)
            cells = sum(c * s for c, s in zip(corners, place.strides, strict=True))
            first = base + np.asarray(cells) * width
            pages.append(np.unique(np.concatenate([first, first + width - 1]) // PAGE))
    return [(page * PAGE, (page + 1) * PAGE) for page in np.unique(np.concatenate(pages)).tolist()]
