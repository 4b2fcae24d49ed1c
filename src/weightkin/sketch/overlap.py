"""Two samples lined up on the rows and columns that both have.

Where shapes differ, the whole is the part that both matrices have: the smaller number of rows and
of columns. By consistent sampling the common scattered rows are a random sample of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats
from weightkin.sketch.types import SketchedTensor

Index = tuple[npt.NDArray[np.intp], ...]  # of rows, (n, 1), and of columns, (1, n)


@dataclass(frozen=True, slots=True)
class Common:
    """What two samples have in common; ``is_run`` marks the rows of runs."""

    values_a: Floats  # (n_rows, n_columns)
    values_b: Floats
    is_run: npt.NDArray[np.bool_]  # (n_rows,)
    shape: tuple[int, int]  # of the part that both whole matrices have


def overlap(a: SketchedTensor, b: SketchedTensor) -> tuple[Floats, Floats]:
    """Values of two samples on their common rows and columns, in equal order."""
    both = common(a, b)
    return both.values_a, both.values_b


def overlap_tail(a: SketchedTensor, b: SketchedTensor) -> tuple[Floats, Floats]:
    """Values of the tails of two token tables on their common rows and columns."""
    rows = np.intersect1d(a.tail_rows, b.tail_rows, assume_unique=True, return_indices=True)
    n = min(len(a.tail_columns), len(b.tail_columns))
    return a.tail_values[rows[1], :n], b.tail_values[rows[2], :n]


def common(a: SketchedTensor, b: SketchedTensor) -> Common:
    """Line two samples up; rows come in ascending order."""
    if np.array_equal(a.rows, b.rows) and np.array_equal(a.columns, b.columns):
        order = np.argsort(a.rows, kind="stable")
        return Common(
            values_a=a.values[order],
            values_b=b.values[order],
            is_run=order < max(a.n_run, b.n_run),
            shape=_smaller(a, b),
        )
    at_a, at_b = held_by_both(a, b)
    return Common(
        values_a=a.values[at_a],
        values_b=b.values[at_b],
        is_run=(at_a[0][:, 0] < a.n_run) | (at_b[0][:, 0] < b.n_run),
        shape=_smaller(a, b),
    )


def held_by_both(a: SketchedTensor, b: SketchedTensor) -> tuple[Index, Index]:
    """Where the common rows and columns stand in each sample, rows in ascending order."""
    _, rows_a, rows_b = np.intersect1d(a.rows, b.rows, assume_unique=True, return_indices=True)
    _, columns_a, columns_b = np.intersect1d(
        a.columns, b.columns, assume_unique=True, return_indices=True
    )
    return np.ix_(rows_a, columns_a), np.ix_(rows_b, columns_b)


def _smaller(a: SketchedTensor, b: SketchedTensor) -> tuple[int, int]:
    """Shape of the part that both whole matrices have."""
    (rows_a, columns_a), (rows_b, columns_b) = a.matrix_shape, b.matrix_shape
    return min(rows_a, rows_b), min(columns_a, columns_b)
