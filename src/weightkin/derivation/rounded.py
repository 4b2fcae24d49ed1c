"""Whether one matrix is another one rounded to levels that only the format of the file knows."""

from __future__ import annotations

import numpy as np

from weightkin.sketch.types import SketchedTensor
from weightkin.stats.matching import Floats

SHARED = 16  # neighbours in a row that share their levels in every packed format
ORDER_ROWS = 64  # rows of a matrix that are asked for their order
DISORDER = 1e-3  # share of neighbours in order that may be exchanged: ties of narrow formats
UNIFORM = 2.2  # kurtosis of errors, in runs of 16: 1.9 where uniform, 2.6 where normal


def is_rounded(x: Floats, y: Floats, child: SketchedTensor) -> bool:
    """Whether y is x rounded to levels that neighbours in a row share, whatever the levels are.

    Rounding keeps the order of what shares its levels, and its errors are uniform: their kurtosis
    is 1.8. A change made on top of the levels, which keeps the order as long as it is small, has
    the 3 of a normal law or more.
    """
    if len(child.shape) != 2 or y.shape != child.stored.shape:
        return False
    x, y = x[:ORDER_ROWS].astype(np.float64), y[:ORDER_ROWS].astype(np.float64)
    n_rows, n_columns = y.shape
    if n_columns < SHARED:
        return False
    runs = np.arange(n_rows)[:, None] * (child.shape[1] // SHARED + 1) + child.columns // SHARED
    order = np.lexsort((y.ravel(), x.ravel(), runs.ravel()))
    run, up, down = runs.ravel()[order], x.ravel()[order], y.ravel()[order]
    is_near = np.diff(run) == 0
    is_wrong = (np.diff(down) < 0) | ((np.diff(up) == 0) & (np.diff(down) != 0))
    if not is_near.any() or np.mean(is_wrong[is_near]) > DISORDER:
        return False
    _, start = np.unique(run, return_index=True)
    size = np.diff([*start, len(run)])
    error = (up - down) - np.repeat(np.add.reduceat(up - down, start) / size, size)
    square = np.add.reduceat(error**2, start)
    is_told = (square > 0) & (size == SHARED)
    if not is_told.any():
        return False
    kurtosis = size * np.add.reduceat(error**4, start) / np.maximum(square, 1e-300) ** 2
    return float(np.mean(kurtosis[is_told])) < UNIFORM
