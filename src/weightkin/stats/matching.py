"""Which unit of one model looks most like which unit of the other, whatever their labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats, Ints

POWER_STEPS = 20
ROWS_AT_ONCE = 256


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
    usable = np.zeros(len(x), dtype=bool)
    usable[_usable(x)[0]] = True
    return usable


def _usable(x: Floats) -> tuple[Ints, Floats]:
    """Rows that may take part, and what they are scaled to length one."""
    peak = np.abs(x).max(axis=1, initial=0.0)
    candidates = np.flatnonzero(np.isfinite(peak) & (peak > 0))
    rows = unit_rows(x[candidates])
    digits = rows * (_leading_sign(rows) * np.float32(2**20))[:, None]
    np.round(digits, out=digits)
    keys = [row.tobytes() for row in digits.astype(np.int32)]
    counts = Counter(keys)
    is_single = np.array([counts[key] == 1 for key in keys], dtype=bool)
    if is_single.all():
        return candidates, rows
    return candidates[is_single], rows[is_single]


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
    (kept_x, rows_x), (kept_y, rows_y) = _usable(x), _usable(y)
    forward = np.full(len(x), -1, dtype=np.int64)
    backward = np.full(len(y), -1, dtype=np.int64)
    cosine = np.full((len(x), len(y)), -np.inf, dtype=np.float32)
    if len(kept_x) and len(kept_y):
        order_x, order_y = rng.permutation(len(kept_x)), rng.permutation(len(kept_y))
        kept_x, kept_y = kept_x[order_x], kept_y[order_y]
        shuffled = rows_x[order_x] @ rows_y[order_y].T  # (n kept of x, n kept of y)
        forward[kept_x] = kept_y[shuffled.argmax(axis=1)]
        backward[kept_y] = kept_x[best_rows(shuffled)]
        cosine[np.ix_(kept_x, kept_y)] = shuffled
    return Matching(forward, backward, cosine)


def best_rows(score: Floats) -> Ints:
    """The row of the largest value of each column: what ``score.argmax(axis=0)`` gives, sooner.

    That reads columns one by one, while this reads rows.
    """
    most = score.max(axis=0)
    if np.isnan(most).any():
        return np.asarray(score.argmax(axis=0))
    found = np.full(len(most), -1, dtype=np.int64)
    for start in range(0, len(score), ROWS_AT_ONCE):
        is_most = score[start : start + ROWS_AT_ONCE] == most
        at = np.flatnonzero(is_most.any(axis=0) & (found < 0))
        found[at] = start + is_most[:, at].argmax(axis=0)
    return found


def unit_rows(x: Floats) -> Floats:
    """Rows scaled to length one (zero rows stay zero), by their peak first, against overflow."""
    peak = np.abs(x).max(axis=1, keepdims=True, initial=0.0)
    scaled = x / np.where(peak > 0, peak, 1.0)
    norm = np.sqrt(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64))[:, None]
    np.divide(scaled, np.where(norm > 0, norm, 1.0), out=scaled, casting="same_kind")
    return scaled.astype(np.float32, copy=False)


def centred(units: Floats) -> Floats:
    """Remove each unit's mean over tokens, and the one direction over tokens that most units share.

    In trained (un)embeddings that direction separates rare tokens from frequent ones and makes all
    units look alike. Found by power iteration from a start that ignores labels, so the result is
    the same whatever the order of the units.
    """
    x = units - units.mean(axis=1, keepdims=True)  # (n_units, n_tokens)
    direction = np.einsum("ij,ij->j", x, x)
    for _ in range(POWER_STEPS):
        length = float(np.linalg.norm(direction))
        if not 0 < length < np.inf:
            return np.ascontiguousarray(x)
        direction = x.T @ (x @ (direction / length))
    direction /= max(float(np.linalg.norm(direction)), np.finfo(np.float32).tiny)
    return np.ascontiguousarray(x - np.outer(x @ direction, direction), dtype=np.float32)


def _leading_sign(rows: Floats) -> Floats:
    """Sign of the largest entry of each row: duplicates up to a negative scale then agree."""
    if not rows.size:
        return np.zeros(len(rows), dtype=np.float32)
    at = np.abs(rows).argmax(axis=1)
    return np.asarray(np.sign(rows[np.arange(len(rows)), at]))
