"""Coincidences: units matched to their own index, and the bound 1/k! on how many chance allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.stats.matching import Matching
from weightkin.stats.sums import logsumexp

LOG10 = math.log(10.0)
Z_GRID = np.array([1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, *2.0 ** np.arange(4, 11)])
Z_LOG_WEIGHTS = np.full(len(Z_GRID), -math.log(len(Z_GRID)))


@dataclass(frozen=True, slots=True)
class Coincidences:
    """Counts of one view, both ways, with how alike the coincident units are."""

    n_units: int  # that could have coincided
    forward: int  # a to b
    backward: int  # b to a
    units: npt.NDArray[np.int64]  # coincident both ways
    observed: npt.NDArray[np.float32]  # cosine at these units
    chance: npt.NDArray[np.float32]  # cosine of their best other match


def coincidences_log10_sf(k: int) -> float:
    """Log10 of a bound on the probability of at least ``k`` coincidences.

    Null hypothesis: the labels of the units of one model are uniform given the other model, which
    holds when the two come from independent initialisations. Given everything but the labels, k
    chosen units all hit with probability (h-k)!/h! at most, so E[C(K, k)] <= 1/k!, and
    P(K >= k) <= E[C(K, k)]. The rule may be many-to-one; the number of units does not enter.

    Parameters
    ----------
    k : int
        Observed number of coincidences, ``k >= 0``.

    Returns
    -------
    float
        ``-log10(k!)``: 0.0 at ``k <= 1``, finite for every ``k``.

    Examples
    --------
    >>> round(coincidences_log10_sf(8), 3)  # 1/8! = 2.48e-5
    -4.606
    """
    return -math.lgamma(k + 1) / LOG10


def count_coincidences(matching: Matching) -> Coincidences:
    """Count the units matched to their own index, and measure them. Both sides need equal size."""
    n = len(matching.forward)
    own = np.arange(n)
    is_forward = matching.forward == own
    is_backward = matching.backward == own
    units = np.flatnonzero(is_forward & is_backward)
    others = matching.cosine.copy()
    np.fill_diagonal(others, -np.inf)
    best_other = 0.5 * (others.max(axis=1, initial=-np.inf) + others.max(axis=0, initial=-np.inf))
    return Coincidences(
        n_units=int(np.isfinite(np.diagonal(matching.cosine)).sum()),
        forward=int(is_forward.sum()),
        backward=int(is_backward.sum()),
        units=units,
        observed=np.diagonal(matching.cosine)[units],
        chance=np.maximum(best_other[units], -1.0),
    )


def log_evalues(k: int, size: int = 0) -> npt.NDArray[np.float64]:
    """Log e-values ``z^k e^{-(z-1)}`` of a count of coincidences, one for each z of ``Z_GRID``.

    Each has expectation at most one under the null of `coincidences_log10_sf`, because
    E[z^K] = sum_k E[C(K, k)] (z-1)^k <= e^{z-1}. The grid and its weights are fixed beforehand.

    Parameters
    ----------
    k : int
        Observed number of coincidences.
    size : int
        Number of units where these are few: the sum then ends with its term ``size``; 0 where it
        is not cut.

    Returns
    -------
    ndarray
        ``(n_z,)``.
    """
    return np.asarray(k * np.log(Z_GRID) - (log_moments(size) if size else Z_GRID - 1.0))


@lru_cache(maxsize=64)
def log_moments(size: int) -> npt.NDArray[np.float64]:
    """Log of the largest E[z^K] of ``size`` units, for each z of ``Z_GRID``."""
    j = np.arange(size + 1)
    return np.asarray(
        np.log(((Z_GRID[:, None] - 1.0) ** j / np.exp(scipy.special.gammaln(j + 1))).sum(axis=1))
    )


def mix_log_evalue(log_evalues_on_grid: npt.NDArray[np.float64]) -> float:
    """Log of the mixture over the grid: one e-value out of one for each z."""
    return float(logsumexp(log_evalues_on_grid + Z_LOG_WEIGHTS))
