"""Are position tables sinusoids? Then residual dimensions have a place of their own by definition.

Vaswani et al., "Attention is all you need" (2017), section 3.5: dimension i moves with the position
p as sin(p / base^(2i/d)) or its cosine. Fixed or as a start for training, such tables tell residual
dimensions apart in every model alike, so that their relabelling is no symmetry.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from weightkin.arrays import Doubles, Floats

BASE = 10_000.0
MIN_EXPLAINED = 0.25  # share of variance; waves explain 2/n of a random column of n positions
MIN_DIMENSIONS = 4


def is_sinusoidal(table: Floats, least: float = MIN_EXPLAINED) -> bool:
    """Whether most columns of a table of positions are the waves that their index calls for.

    Parameters
    ----------
    table : ndarray
        Shape ``(n_positions, width)``, from the first position on; whole width. Rows for special
        tokens before the first patch of an image may be there too.
    least : float
        Share of the variance of the middle column that the waves explain.

    Returns
    -------
    bool
        Dimensions with a whole period inside the table are looked at: sines and cosines in
        turn or in two halves, and two-dimensional grids in quarters, with any phase. Trained tables
        whose dimensions are waves of *other* frequencies are not meant.
    """
    x = np.asarray(table, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < MIN_DIMENSIONS or not np.isfinite(x).all():
        return False
    return any(_explained(x[-len(at) :], at, w) > least for at, w in _layouts(*x.shape))


def _layouts(n: int, width: int) -> Iterator[tuple[Doubles, Doubles]]:
    """Position of each row in each dimension (or one for all), and frequency of each dimension."""
    line = np.arange(n, dtype=np.float64)[:, None]
    i, half = np.arange(width), width // 2
    yield line, BASE ** (-2.0 * (i // 2) / width)
    yield line, BASE ** (-(i % half) / half)
    yield line, BASE ** (-(i % half) / max(1, half - 1))
    quarter, side = width // 4, math.isqrt(n)
    for n_extra in range(3):  # class and distillation tokens
        side = math.isqrt(n - n_extra) if n > n_extra else 0
        if quarter and side > 1 and side * side == n - n_extra:
            row, column = np.divmod(np.arange(side * side, dtype=np.float64), side)
            for first, second in ((row, column), (column, row)):
                at = np.where(i[None, :] < 2 * quarter, first[:, None], second[:, None])
                yield at, BASE ** (-(i % quarter) / quarter)


def _explained(x: Doubles, at: Doubles, frequency: Doubles) -> float:
    """Share that a sine and a cosine of the right frequency explain, of the middle dimension."""
    length = float(at.max()) + 1
    turning = np.flatnonzero(frequency * length >= 2 * math.pi)
    if len(turning) < MIN_DIMENSIONS:
        return 0.0
    shares = []
    for i in turning:
        angle = (at[:, i] if at.shape[1] > 1 else at[:, 0]) * frequency[i]
        waves = np.column_stack([np.sin(angle), np.cos(angle), np.ones(len(angle))])
        y = x[:, i]
        left = y - waves @ np.linalg.lstsq(waves, y, rcond=None)[0]
        total = float(((y - y.mean()) ** 2).sum())
        shares.append(1 - float((left**2).sum()) / total if total > 0 else 0.0)
    return float(np.median(shares))
