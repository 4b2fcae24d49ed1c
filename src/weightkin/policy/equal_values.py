"""How many values of two models are the same at the same places, or the same with another sign.

A few huge cells turn every row of a matrix into another direction, and leave nearly all of its
values as they were; the negative of a matrix has none of its directions. No test is needed to see
either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weightkin.formats import Model

MIN_EQUAL_SHARE = 0.6  # share of equal values that no two models have that were trained apart
LEAST_VALUES = 1000
MOST_NEGATIVE = -0.5  # correlation that no two matrices have that were trained apart
LEAST_NEGATIVE = 64  # values of a matrix that tell
MOST_OF_SHAPE = 512  # matrices of one shape that are looked at
CORNER = 4096  # values of a matrix by which opposite ones are found
MAX_EQUAL_ROWS, MAX_EQUAL_COLUMNS = 8, 4096  # of a tensor, looked at
MOST_WIDTH = 1 << 22  # of a row, which is read whole
Values = npt.NDArray[np.float32]


def equal_share(a: Model, b: Model, seed: int | None = None) -> float:
    """Share of the values in matrices of the second model that the first one has at their places.

    Zeros and what is no number are left aside. Names must agree for equal values; for opposite ones
    the shape is enough, and all values of a matrix count that goes against another one, whatever
    its scale. 0 where there are too few to tell. A few rows of each matrix are looked at: those
    that ``seed`` chooses, or else some that are spread evenly.
    """
    if a.sketched is not None or b.sketched is not None:
        return 0.0
    n_equal = n = 0
    theirs = _by_shape(a)
    for shape, names in _by_shape(b).items():
        others = theirs.get(shape, [])[:MOST_OF_SHAPE]
        if not others:
            continue
        held = {name: _sample(a, name, seed) for name in others}
        corners = _unit_rows([x[:CORNER] for x in held.values()])
        for name in names[:MOST_OF_SHAPE]:
            y = _sample(b, name, seed)
            is_value = np.isfinite(y) & (y != 0)
            against = (corners @ _unit_rows([y[:CORNER]])[0]).min()
            is_negative = len(y) >= LEAST_NEGATIVE and against < MOST_NEGATIVE
            if is_negative or name in held:  # others dilute nothing
                n += int(is_value.sum())
                is_same = True if is_negative else held[name] == y
                n_equal += int((is_value & is_same).sum())
    return n_equal / n if n >= LEAST_VALUES else 0.0


def _by_shape(model: Model) -> dict[tuple[int, ...], list[str]]:
    """Names of the matrices of a model that can be read in part, by their shapes."""
    found: dict[tuple[int, ...], list[str]] = {}
    for name, info in model.tensors.items():
        is_matrix = len(info.shape) > 1 and 0 not in info.shape
        if is_matrix and math.prod(info.shape[1:]) <= MOST_WIDTH:
            found.setdefault(info.shape, []).append(name)
    return found


def _sample(model: Model, name: str, seed: int | None) -> Values:
    """Values of a few rows, the same places in every matrix of one shape."""
    shape = model.tensors[name].shape
    if seed is None:
        rows = np.unique(np.linspace(0, shape[0] - 1, MAX_EQUAL_ROWS).astype(np.int64))
    else:
        rng = np.random.default_rng([seed, *shape])
        n = min(shape[0], MAX_EQUAL_ROWS)
        rows = np.sort(rng.choice(shape[0], n, replace=False)).astype(np.int64)
    return model.rows(name, rows).reshape(len(rows), -1)[:, :MAX_EQUAL_COLUMNS].reshape(-1)


def _unit_rows(values: Sequence[Values]) -> npt.NDArray[np.float64]:
    """Each as a row of length 1; what is no number as zero."""
    rows = np.nan_to_num(np.array(values, dtype=np.float64), posinf=0.0, neginf=0.0)
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    unit: npt.NDArray[np.float64] = rows / np.maximum(lengths, 1e-300)
    return unit
