"""Which unit of one model looks most like which unit of the other, whatever their labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matching:
    """Nearest rows by cosine, both ways; ``-1`` where a row takes no part.

    ``cosine`` is the full table, rows of x against rows of y, ``-inf`` where a row takes no part.
    """

    forward: Ints  # (n_x,): for each row of x its best row of y
    backward: Ints  # (n_y,): for each row of y its best row of x
    cosine: Floats  # (n_x, n_y)


def usable_rows(x: Floats) -> npt.NDArray[np.bool_]:
    """Rows that may take part: finite, not zero, and no exact duplicate of another row up to scale.

    A property of one model that does not depend on labels, so a test on the rows kept stays valid.
    Every member of a set of duplicates is dropped: keeping one would need a choice by label.
    """
    finite = np.asarray(np.isfinite(x).all(axis=1))
    peak = np.asarray(np.abs(np.where(finite[:, None], x, 0.0)).max(axis=1, initial=0.0))
    candidates = np.flatnonzero(finite & (peak > 0))
    rows = unit_rows(x[candidates])
    rows = np.where(_leading_sign(rows)[:, None] < 0, -rows, rows)
    keys = [row.tobytes() for row in np.round(rows * 2**20).astype(np.int32)]
    counts = Counter(keys)
    usable = np.zeros(len(x), dtype=bool)
    usable[candidates] = [counts[key] == 1 for key in keys]
    return usable


def match_rows(x: Floats, y: Floats, rng: np.random.Generator) -> Matching:
    """Nearest neighbours by cosine between the rows of ``x`` and ``y``.

    The rows of both are shuffled before the search and put back after it, so that ties are broken
    without looking at labels: the rule is equivariant, which is all that the laws in
    `coincidences` and `order` ask of it. Rows refused by `usable_rows` match nothing.

    Parameters
    ----------
    x, y : ndarray
        Shapes ``(n_x, n_features)`` and ``(n_y, n_features)``, one row a unit.
    rng : Generator
        Breaks ties; any state is valid.

    Returns
    -------
    Matching
        Cost ``O(n_x n_y n_features)``; no assignment problem is solved.
    """
    kept_x, kept_y = np.flatnonzero(usable_rows(x)), np.flatnonzero(usable_rows(y))
    forward = np.full(len(x), -1, dtype=np.int64)
    backward = np.full(len(y), -1, dtype=np.int64)
    cosine = np.full((len(x), len(y)), -np.inf, dtype=np.float32)
    if len(kept_x) and len(kept_y):
        kept_x, kept_y = rng.permutation(kept_x), rng.permutation(kept_y)
        shuffled = unit_rows(x[kept_x]) @ unit_rows(y[kept_y]).T  # (n kept of x, n kept of y)
        forward[kept_x] = kept_y[shuffled.argmax(axis=1)]
        backward[kept_y] = kept_x[shuffled.argmax(axis=0)]
        cosine[np.ix_(kept_x, kept_y)] = shuffled
    return Matching(forward, backward, cosine)


def unit_rows(x: Floats) -> Floats:
    """Rows scaled to length one (zero rows stay zero), by their peak first, against overflow."""
    peak = np.abs(x).max(axis=1, keepdims=True, initial=0.0)
    scaled = x / np.where(peak > 0, peak, 1.0)
    norm = np.sqrt(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64))[:, None]
    np.divide(scaled, np.where(norm > 0, norm, 1.0), out=scaled, casting="same_kind")
    return scaled.astype(np.float32, copy=False)


def _leading_sign(rows: Floats) -> Floats:
    """Sign of the largest entry of each row: duplicates up to a negative scale then agree."""
    if not rows.size:
        return np.zeros(len(rows), dtype=np.float32)
    at = np.abs(rows).argmax(axis=1)
    return np.asarray(np.sign(rows[np.arange(len(rows)), at]))
