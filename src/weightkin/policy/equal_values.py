"""How many values of two models are the same at the same places, or the same with another sign.

A few huge cells turn every row of a matrix into another direction, and leave nearly all of its
values as they were; the negative of a matrix has none of its directions. No test is needed to see
either.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weightkin.formats import Model

MIN_EQUAL_SHARE = 0.6  # share of equal values that no two models have that were trained apart
LEAST_VALUES = 1000
MOST_NEGATIVE = -0.5  # correlation that no two matrices have that were trained apart
LEAST_NEGATIVE = 256  # values of a matrix that tell
MAX_EQUAL_ROWS, MAX_EQUAL_COLUMNS = 8, 4096  # of a tensor, looked at
MOST_WIDTH = 1 << 22  # of a row, which is read whole


def equal_share(a: Model, b: Model) -> float:
    """Share of equal values in matrices of one name and shape; zeros and what is no number aside.

    All values of a matrix count that goes against the other one, whatever its scale. 0 where there
    are too few to tell.
    """
    n_equal = n = 0
    if a.sketched is not None or b.sketched is not None:
        return 0.0
    for name in a.tensors.keys() & b.tensors.keys():
        shape = a.tensors[name].shape
        if len(shape) < 2 or shape != b.tensors[name].shape or 0 in shape:
            continue
        width = math.prod(shape[1:])
        if width > MOST_WIDTH:
            continue
        rows = np.unique(np.linspace(0, shape[0] - 1, MAX_EQUAL_ROWS).astype(np.int64))
        x, y = (m.rows(name, rows).reshape(len(rows), width)[:, :MAX_EQUAL_COLUMNS] for m in (a, b))
        is_value = np.isfinite(x) & np.isfinite(y) & (x != 0)
        x, y = x[is_value].astype(np.float64), y[is_value].astype(np.float64)
        n_equal += len(x) if _is_negative(x, y) else int((x == y).sum())
        n += int(is_value.sum())
    return n_equal / n if n >= LEAST_VALUES else 0.0


def _is_negative(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> bool:
    """Whether values at the same places have opposite signs, most of them."""
    size = np.sqrt((x @ x) * (y @ y))
    return bool(len(x) >= LEAST_NEGATIVE and 0 < size < np.inf and (x @ y) / size < MOST_NEGATIVE)
