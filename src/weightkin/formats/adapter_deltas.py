"""What an adapter does to a tensor of its base, computed for the rows that are asked for.

A difference is made of small factors; each formula here is local to rows, so that a few rows of a
merged matrix cost a few rows of the base and of the first factor, and the other factors whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import (
    Index,
    runs_of,
    stored_columns,
    stored_rows,
    stored_whole,
)
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage

OWN = "adapter:"  # before the names of an adapter's tensors
MAX_PIECES = 1 << 18  # pieces of columns that are read one by one
Rows = npt.NDArray[np.float64]


class Delta(Protocol):
    """A matrix that is computed from factors."""

    def rows(self, storage: Storage, rows: Index) -> Rows:
        """Some of its rows."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A factor that is stored whole, as a matrix."""

    name: str
    width: int

    def rows(self, storage: Storage, rows: Index) -> Rows:
        """Rows as they are stored."""
        return exact(stored_rows(storage, self.name, rows, self.width))


@dataclass(frozen=True, slots=True)
class Product:
    """``left @ right``; with ``is_turned`` both are stored with rows and columns exchanged."""

    left: str  # (n_rows, rank), or (rank, n_rows)
    right: str  # (rank, width), or (width, rank)
    n_rows: int
    rank: int
    width: int
    is_turned: bool = False

    def rows(self, storage: Storage, rows: Index) -> Rows:
        """Rows of the product, with one order of sums on every machine: digests rest on it."""
        if self.is_turned:
            left = _columns(storage, self.left, rows, (self.rank, self.n_rows)).T
            right = stored_whole(storage, self.right, (self.width, self.rank)).T
        else:
            left = stored_rows(storage, self.left, rows, self.rank)
            right = stored_whole(storage, self.right, (self.rank, self.width))
        return summed(exact(left), exact(right))


@dataclass(frozen=True, slots=True)
class Hadamard:
    """Two matrices multiplied element by element (LoHa)."""

    first: Product
    second: Product

    def rows(self, storage: Storage, rows: Index) -> Rows:
        """Rows of the elementwise product."""
        with np.errstate(all="ignore"):
            return self.first.rows(storage, rows) * self.second.rows(storage, rows)


@dataclass(frozen=True, slots=True)
class Kronecker:
    """The Kronecker product of two matrices (LoKr)."""

    first: Delta
    second: Delta
    n_second: int  # rows of the second

    def rows(self, storage: Storage, rows: Index) -> Rows:
        """Rows of the product: one row of the first by one row of the second."""
        outer, at = np.unique(rows // self.n_second, return_inverse=True)
        inner, below = np.unique(rows % self.n_second, return_inverse=True)
        first = self.first.rows(storage, outer)[at]
        second = self.second.rows(storage, inner)[below]
        with np.errstate(all="ignore"):
            return (first[:, :, None] * second[:, None, :]).reshape(len(rows), -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """``W + scaling * delta``, rounded as W is stored; with a magnitude, each row has that length.

    ``n_factors`` counts the numbers of the adapter of which only the change is seen.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    delta: Delta
    scaling: float
    magnitude: str = ""  # DoRA
    n_factors: int = 0

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows of the sum."""
        width = math.prod(self.shape[1:])
        stored = stored_rows(storage, self.name, rows, width)
        with np.errstate(all="ignore"):
            weight = to_float32(stored.astype(self.dtype, copy=False))
            total = weight + self.scaling * self.delta.rows(storage, rows)
            if self.magnitude:
                length = stored_rows(storage, self.magnitude, rows, 1)
                total *= exact(length) / np.sqrt((total**2).sum(axis=1, keepdims=True))
            return np.asarray(total.astype(self.dtype))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A tensor with its rows or its columns multiplied by a vector (IA3)."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    factors: str
    is_by_row: bool
    n_factors: int

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows of the product."""
        width = math.prod(self.shape[1:])
        weight = exact(stored_rows(storage, self.name, rows, width))
        by = stored_rows(storage, self.factors, rows, 1) if self.is_by_row else None
        by = stored_whole(storage, self.factors, (1, width)) if by is None else by
        with np.errstate(all="ignore"):
            return np.asarray((weight * exact(by)).astype(self.dtype))


@dataclass(frozen=True, slots=True)
class Replaced:
    """A tensor that the adapter holds whole (``modules_to_save``), rounded as the base is."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows as the adapter stores them."""
        found = stored_rows(storage, self.name, rows, math.prod(self.shape[1:]))
        with np.errstate(all="ignore"):
            return found.astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsReplaced:
    """A table of which the adapter replaces some rows (trainable tokens)."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    table: str  # the new rows
    order: Index  # which rows they are, ascending
    at: Index  # where in the table each of them is

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows of the base, and those of the adapter in their places."""
        width = math.prod(self.shape[1:])
        found = np.empty((len(rows), width), dtype=self.dtype)
        is_new = np.isin(rows, self.order)
        found[~is_new] = stored_rows(storage, self.name, rows[~is_new], width)
        wanted = self.at[np.searchsorted(self.order, rows[is_new])]
        once, back = np.unique(wanted, return_inverse=True)
        with np.errstate(all="ignore"):
            found[is_new] = stored_rows(storage, self.table, once, width)[back]
        return found


CHANGES = (Changed, Scaled)  # what shows only a product of what the adapter holds


def summed(left: Rows, right: Rows) -> Rows:
    """The product of two matrices, its terms added in one order on every machine."""
    total = np.zeros((len(left), right.shape[1]))
    with np.errstate(all="ignore"):
        for k in range(len(right)):
            total += np.outer(left[:, k], right[k])
    return total


def exact(values: npt.NDArray[Any]) -> Rows:
    """Stored values as numbers in double precision."""
    return to_float32(values).astype(np.float64)


def _columns(
    storage: Storage, name: str, columns: Index, shape: tuple[int, int]
) -> npt.NDArray[Any]:
    """Columns of a stored matrix; all of it is read where they are in too many pieces."""
    if shape[0] * len(runs_of(columns)) > MAX_PIECES:
        return stored_whole(storage, name, shape)[:, columns]
    return stored_columns(storage, name, columns, shape)
