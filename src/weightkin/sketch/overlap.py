"""Two samples lined up, and what the whole matrices would give, with a standard error.

Rows are weighted in two strata. Rows of the run stand for themselves alone; the scattered rows
stand for all others, which is unbiased when those are a random sample: their indices are chosen by
a fixed hash, so this holds for every matrix that was not made against that hash. With
``run_is_sample`` all rows count as one sample: a smaller error, and right only where the first rows
are like the rest, which the first rows of a token table (bytes, special tokens) are not. Vectors,
and tensors without scattered rows, have no other choice.

Columns are a run from the first one, blown up to the width of the matrix. This assumes that columns
are alike; the standard error counts their spread as if they were a random sample.

Where shapes differ, the whole is the part that both matrices have: the smaller number of rows and
of columns. By consistent sampling the common scattered rows are a random sample of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.sketch.types import SketchedTensor
from weightkin.stats.matching import Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A sum over a whole matrix, estimated from a sample of it."""

    value: float
    standard_error: float  # 0 where everything was read; inf from a single row
    n_rows: int  # rows of the sample


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
    _, rows_a, rows_b = np.intersect1d(a.rows, b.rows, assume_unique=True, return_indices=True)
    _, columns_a, columns_b = np.intersect1d(
        a.columns, b.columns, assume_unique=True, return_indices=True
    )
    return Common(
        values_a=a.values[np.ix_(rows_a, columns_a)],
        values_b=b.values[np.ix_(rows_b, columns_b)],
        is_run=(rows_a < a.n_run) | (rows_b < b.n_run),
        shape=_smaller(a, b),
    )


def squared_norm(a: SketchedTensor, *, run_is_sample: bool = False) -> Estimate:
    """Sum of squares of the whole matrix; see the module for what the strata assume."""
    is_run = np.arange(len(a.rows)) < a.n_run
    return _estimate(a.values.astype(np.float64) ** 2, is_run, a.matrix_shape, run_is_sample)


def squared_distance(
    a: SketchedTensor, b: SketchedTensor, *, run_is_sample: bool = False
) -> Estimate:
    """Sum of squared differences over the part that both whole matrices have."""
    both = common(a, b)
    squares = (both.values_a.astype(np.float64) - both.values_b) ** 2
    return _estimate(squares, both.is_run, both.shape, run_is_sample)


def inner_product(a: SketchedTensor, b: SketchedTensor, *, run_is_sample: bool = False) -> Estimate:
    """Sum of products over the part that both whole matrices have."""
    both = common(a, b)
    products = both.values_a.astype(np.float64) * both.values_b
    return _estimate(products, both.is_run, both.shape, run_is_sample)


def _smaller(a: SketchedTensor, b: SketchedTensor) -> tuple[int, int]:
    """Shape of the part that both whole matrices have."""
    (rows_a, columns_a), (rows_b, columns_b) = a.matrix_shape, b.matrix_shape
    return min(rows_a, rows_b), min(columns_a, columns_b)


def _estimate(
    terms: npt.NDArray[np.float64],
    is_run: npt.NDArray[np.bool_],
    shape: tuple[int, int],
    run_is_sample: bool,
) -> Estimate:
    """Expand a sample of terms to the whole: stratified over rows, by ratio over columns."""
    n_rows, n_columns = terms.shape
    if not terms.size:
        return Estimate(0.0, 0.0 if 0 in shape else float("inf"), 0)
    exact = np.zeros(n_rows, dtype=bool) if run_is_sample or is_run.all() else is_run
    n_rest = shape[0] - int(exact.sum())  # rows that the others stand for
    sample = terms[~exact]  # (n_sampled, n_columns)
    weight = n_rest / len(sample) if len(sample) else 0.0
    by_column = terms[exact].sum(axis=0) + weight * sample.sum(axis=0)  # (n_columns,)
    widening = shape[1] / n_columns
    row_error = widening * _expanded_error(sample.sum(axis=1), n_rest)
    column_error = _expanded_error(by_column, shape[1])
    value = widening * float(by_column.sum())
    return Estimate(value, float(np.hypot(row_error, column_error)), n_rows)


def _expanded_error(sample: npt.NDArray[np.float64], n: int) -> float:
    """Standard error of ``n * mean(sample)`` when drawn from n without replacement (Cochran)."""
    k = len(sample)
    if k >= n:
        return 0.0
    if k < 2:
        return float("inf")
    return float(n * np.std(sample, ddof=1) / np.sqrt(k) * np.sqrt(1 - k / n))
