"""Tensors that are computed from stored ones, row by row: unpacked, merged, put in order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from weightkin.formats.model import BATCH, Storage
from weightkin.sources.files import Spans

Index = npt.NDArray[np.int64]  # ascending, each once
Floats = npt.NDArray[np.float32]


class Recipe(Protocol):
    """How the rows of one tensor follow from tensors that are stored."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is computed, of two dimensions or more."""

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows of the tensor as a matrix, reading little else."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Values that were read with the header."""

    shape: tuple[int, ...]
    values: npt.NDArray[np.generic]

    def rows(self, _storage: Storage, rows: Index) -> npt.NDArray[np.generic]:
        """Rows of them."""
        if not self.shape:
            return self.values.reshape(1, 1)
        whole = self.values.reshape(self.shape[0], math.prod(self.shape[1:]))
        chosen: npt.NDArray[np.generic] = whole[rows]
        return chosen


@dataclass(frozen=True, slots=True)
class ComputedStorage:
    """A storage some of whose tensors are computed from what another one holds."""

    inner: Storage
    recipes: Mapping[str, Recipe]

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Elements ``start:stop`` of the flattened tensor."""
        return self.read_runs(name, [(start, stop)])

    def read_runs(self, name: str, runs: Spans) -> npt.NDArray[Any]:
        """Elements of several ascending runs; whole rows are computed, a batch at a time."""
        recipe = self.recipes.get(name)
        if recipe is None:
            return self.inner.read_runs(name, runs)
        n = math.prod(recipe.shape)
        if any(not 0 <= start <= stop <= n for start, stop in runs):
            raise IndexError(f"runs outside the {n} elements of {name!r}")
        width = max(1, math.prod(recipe.shape[1:]))
        parts = []
        for batch in _row_batches(runs, width):
            spanned = [np.arange(a // width, (b - 1) // width + 1) for a, b in batch]
            rows = np.unique(np.concatenate(spanned))
            with np.errstate(all="ignore"):  # what overflows is infinite, as stored values are
                flat = recipe.rows(self.inner, rows).reshape(-1)
            at = np.searchsorted(rows, [a // width for a, _ in batch]) * width
            for begin, (a, b) in zip(at.tolist(), batch, strict=True):
                first = begin + a % width
                parts.append(flat[first : first + b - a])
        if not parts:
            return recipe.rows(self.inner, np.zeros(0, dtype=np.int64)).reshape(-1)
        return np.concatenate(parts)

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Say so of what is stored as such; what a recipe reads is asked for when it runs."""
        self.inner.prefetch([x for x in wanted if x[0] not in self.recipes])

    @property
    def bytes_touched(self) -> int:
        """Bytes touched of what is stored."""
        return self.inner.bytes_touched

    @property
    def stamps(self) -> tuple[str, ...]:
        """Those of what is stored."""
        return self.inner.stamps


def stored_rows(storage: Storage, name: str, rows: Index, width: int) -> npt.NDArray[Any]:
    """Read rows of a stored matrix.

    Parameters
    ----------
    storage : Storage
        What holds it.
    name : str
        The matrix.
    rows : array of int
        Which rows, ascending.
    width : int
        Columns of the matrix.

    Returns
    -------
    ndarray
        Shape ``(len(rows), width)``, as stored.
    """
    runs = [(a * width, b * width) for a, b in runs_of(rows)]
    return storage.read_runs(name, runs).reshape(len(rows), width)


def stored_columns(
    storage: Storage, name: str, columns: Index, shape: tuple[int, int]
) -> npt.NDArray[Any]:
    """Read columns of a stored matrix: pieces of every row.

    Parameters
    ----------
    storage : Storage
        What holds it.
    name : str
        The matrix.
    columns : array of int
        Which columns, ascending.
    shape : tuple of int
        Rows and columns of the matrix.

    Returns
    -------
    ndarray
        Shape ``(shape[0], len(columns))``, as stored.
    """
    pieces = runs_of(columns)
    runs = [(r * shape[1] + a, r * shape[1] + b) for r in range(shape[0]) for a, b in pieces]
    return storage.read_runs(name, runs).reshape(shape[0], len(columns))


def stored_whole(storage: Storage, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Read all of a small stored tensor.

    Parameters
    ----------
    storage : Storage
        What holds it.
    name : str
        The tensor.
    shape : tuple of int
        Its shape.

    Returns
    -------
    ndarray
        Shape ``shape``, as stored.
    """
    return storage.read(name, 0, math.prod(shape)).reshape(shape)


def runs_of(index: Index) -> list[tuple[int, int]]:
    """Runs without gap in ascending indices, half-open."""
    if not len(index):
        return []
    breaks = np.flatnonzero(np.diff(index) != 1)
    first = index[np.concatenate(([0], breaks + 1))].tolist()
    last = index[np.concatenate((breaks, [len(index) - 1]))].tolist()
    return [(a, b + 1) for a, b in zip(first, last, strict=True)]


def _row_batches(runs: Spans, width: int) -> Iterator[list[tuple[int, int]]]:
    """Cut and group runs so that one batch spans about `BATCH` elements of whole rows."""
    step = max(1, BATCH // width) * width
    batch: list[tuple[int, int]] = []
    n_rows = 0
    for start, stop in runs:
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            if batch and n_rows * width >= BATCH:
                yield batch
                batch, n_rows = [], 0
            n_rows += 1 + (end - 1) // width - begin // width
            batch.append((begin, end))
    if batch:
        yield batch
