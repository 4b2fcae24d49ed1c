"""How far stated probabilities are from what comes true, and how sure a share over families is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
N_BINS = 10
N_RESAMPLES = 2000
N_DRAWS = 400
SEED = 20240607


def calibration_error(stated: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Expected calibration error: over ten equal bins, how far off the mean is, by their size."""
    p, y = np.asarray(stated, dtype=float), np.asarray(right, dtype=float)
    if not p.size:
        return 0.0
    at = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    off = np.bincount(at, weights=p - y, minlength=N_BINS)
    return float(np.abs(off).sum() / p.size)


def chance_error(stated: Sequence[float]) -> float:
    """Expected calibration error by chance alone: of what comes true exactly as often as stated."""
    p = np.asarray(stated, dtype=float)
    if not p.size:
        return 0.0
    rng = np.random.default_rng(SEED)
    return float(np.mean([calibration_error(p, rng.random(p.size) < p) for _ in range(N_DRAWS)]))


def brier_score(stated: Sequence[float], right: Sequence[bool]) -> float:
    """Mean squared difference between what was stated and what came true."""
    p, y = np.asarray(stated, dtype=float), np.asarray(right, dtype=float)
    return float(np.mean((p - y) ** 2)) if p.size else 0.0


def share_interval(n_good: Sequence[int], n: Sequence[int]) -> tuple[float, float]:
    """95 % interval of a share by resampling whole families: counts of good ones, and of all."""
    total = np.asarray(n, dtype=float)
    good, total = np.asarray(n_good, dtype=float)[total > 0], total[total > 0]
    if not total.size:
        return 0.0, 1.0
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(len(total), size=(N_RESAMPLES, len(total)))
    shares: Doubles = good[drawn].sum(axis=1) / total[drawn].sum(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)
