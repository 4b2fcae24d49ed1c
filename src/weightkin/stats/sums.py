"""Sums of exponentials and ranks of values, for arrays so small that the call is what costs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles


def logsumexp(x: npt.ArrayLike, axis: int | None = None) -> Doubles:
    """Log of the sum of exponentials, safe from overflow; minus infinity where there are none.

    The largest terms are taken out of the sum, so that small ones are not lost beside them.
    """
    x = np.asarray(x, dtype=np.float64)
    top = x.max(axis=axis, keepdims=True, initial=-np.inf)
    is_top = x == top
    with np.errstate(divide="ignore", invalid="ignore"):  # all terms infinite
        rest = np.exp(np.where(is_top, -np.inf, x) - top).sum(axis=axis, keepdims=True)
        n_top = is_top.sum(axis=axis, keepdims=True)
        total = np.where(np.isfinite(top), np.log1p(rest / n_top) + np.log(n_top) + top, top)
    return np.asarray(total.squeeze(axis))


def tied(x: npt.NDArray[np.generic]) -> tuple[Doubles, npt.NDArray[np.int64]]:
    """Rank of each value of a flat array, equal ones at their mean; how many are equal to it."""
    _, where, tally = np.unique(x, return_inverse=True, return_counts=True)
    ranks = np.cumsum(tally) - (tally - 1) / 2
    return ranks[where], tally[where]
