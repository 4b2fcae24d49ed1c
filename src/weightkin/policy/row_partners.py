"""Rows of one model that point where some row of another does, or against it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

LEAST_COSINE, CHANCE = 0.75, 7.0  # of two rows; standard deviations of that of rows by chance
MOST_COLUMNS = 128  # of a row, compared
ROWS_AT_ONCE, PARTNERS_AT_ONCE = 1 << 11, 1 << 9
Rows = npt.NDArray[np.float32]


def rows_with_partner(a: Rows, b: Rows, width: int, *, either_way: bool = False) -> int:
    """Count the rows of one model that point where one of another does, or against it.

    A cosine is the sum of two products: of the first columns and of the others, or of the even
    and the odd part, of which the odd one changes its sign when a row is read backwards. The
    second is at most the product of two lengths, and is taken only where that may be enough.

    Parameters
    ----------
    a, b : ndarray
        Rows of length 1 (or zero), with the same columns.
    width : int
        Values of a row, of which the columns are some.
    either_way : bool
        Whether rows of b are read backwards as well.

    Returns
    -------
    int
        How many rows of ``a`` have a partner in ``b``.
    """
    least = max(LEAST_COSINE, CHANCE / math.sqrt(min(width, MOST_COLUMNS)))
    first_a, second_a, length_a = _parts(a, either_way=either_way)
    first_b, second_b, length_b = _parts(b, either_way=either_way)
    order = np.argsort(length_b, kind="stable")
    left = np.arange(len(a))  # without a partner so far
    for at in range(0, len(b), PARTNERS_AT_ONCE):
        part = order[at : at + PARTNERS_AT_ONCE]
        found = [np.zeros(0, dtype=left.dtype)]
        for start in range(0, len(left), ROWS_AT_ONCE):
            own = left[start : start + ROWS_AT_ONCE]
            cosines = first_a[own] @ first_b[part].T
            missing = least - np.abs(cosines).max(axis=1)
            near = np.flatnonzero(missing <= length_a[own] * length_b[part[-1]])
            rest = second_a[own[near]] @ second_b[part].T
            both = cosines[near]
            both = np.abs(both) + np.abs(rest) if either_way else np.abs(both + rest)
            found.append(own[near[both.max(axis=1, initial=0.0) >= least]])
        left = np.setdiff1d(left, np.concatenate(found), assume_unique=True)
    return len(a) - len(left)


def _parts(rows: Rows, *, either_way: bool) -> tuple[Rows, Rows, Rows]:
    """Two parts of each row, at right angles to each other, and the length of the second."""
    n = rows.shape[1] // 3
    first, second = rows[:, n:], rows[:, :n]
    if either_way:
        n = rows.shape[1] // 2
        ahead, behind = rows[:, :n], rows[:, ::-1][:, :n]
        half = np.float32(math.sqrt(0.5))
        first = np.concatenate([(ahead + behind) * half, rows[:, n : rows.shape[1] - n]], axis=1)
        second = (ahead - behind) * half
    return first, second, np.linalg.norm(second, axis=1) * np.float32(1.0 + 1e-5)  # rounding
