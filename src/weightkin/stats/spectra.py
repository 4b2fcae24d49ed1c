"""Spectral coins: which of two neighbouring gaps of singular values is the larger.

In the bulk of the spectrum of a large random matrix neighbouring gaps repel and fluctuate by a law
that depends on hardly anything else (universality of local statistics). So for unrelated models it
is close to a fair coin which of two neighbours is the larger. Permutations, rotations and signs on
either side leave singular values as they are. This is a law that was measured, not a symmetry: what
follows from it is never a p-value.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weightkin.stats.sums import logsumexp

Doubles = npt.NDArray[np.float64]
Coins = tuple[Doubles, Doubles]  # pairs of gaps from the first on, and from the second on

SHARE_TOP, SHARE_LOW = 0.12, 0.06  # of the spectrum, left out at either end
TREND_DEGREE = 3  # of the logarithm of the gaps, along the spectrum
MOST_OVER_NEIGHBOURS = math.log(3.0)  # a pair with a longer gap lies beside a break
MIN_LOG_GAP = -3.0  # below the median: equal values have no gap to speak of
XS = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.97])


def singular_values(x: npt.NDArray[np.floating]) -> Doubles:
    """Singular values by the smaller Gram matrix, descending. Cost ``O(n m min(n, m))``."""
    x = np.asarray(x, dtype=np.float64)
    gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    return np.asarray(np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)))


def gap_coins(values: Doubles) -> Coins:
    """By how much the first of two neighbouring gaps is the larger, in logarithms.

    Gaps are those of log singular values in the bulk, less a smooth trend that is fitted to pairs
    of gaps as wholes, so that it stays the same where the two of a pair change places. A pair is 0,
    no coin, where one of its gaps is three times as long as those around it: a break of the
    spectrum says nothing of chance.

    Parameters
    ----------
    values : ndarray
        Singular values, descending, ``(n,)``.

    Returns
    -------
    tuple of ndarray
        Two sets of disjoint pairs, which overlap each other; empty for short spectra.
    """
    values = values[values > 0]
    n = len(values)
    bulk = np.log(values[math.ceil(SHARE_TOP * n) : n - math.ceil(SHARE_LOW * n)])
    gaps = bulk[:-1] - bulk[1:]
    return _coins(gaps), _coins(gaps[1:])


def coin_log_evalues(a: Coins, b: Coins) -> Doubles:
    """Log e-values that two spectra toss their coins alike, one for each x of ``XS``.

    Null hypothesis: the order of two neighbouring gaps of either model is a fair coin given the
    other model and given how long both gaps are. Coins weigh by ``tanh`` of how far apart the two
    are. Both sets of pairs are averaged.

    Parameters
    ----------
    a, b : Coins
        Of spectra of one length.

    Returns
    -------
    ndarray
        ``(len(XS),)``.
    """
    both = []
    for first, second in zip(a, b, strict=True):
        agree = np.tanh(first) * np.tanh(second)  # signs agree, weighted
        both.append(np.log1p(XS[:, None] * agree).sum(axis=1))
    return np.asarray(logsumexp(np.stack(both), axis=0) - math.log(2.0))


def agreement(a: Doubles, b: Doubles) -> float:
    """How far weighted agreement is above that of fair coins, in standard deviations.

    Parameters
    ----------
    a, b : ndarray
        ``(n,)``, coins of two spectra.

    Returns
    -------
    float
        0 where there are no coins; up to about ``0.8 sqrt(n)`` where the two are one.
    """
    agree = np.tanh(a) * np.tanh(b)
    size = math.sqrt(float(agree @ agree))
    return float(agree.sum()) / size if size > 0 else 0.0


def _coins(gaps: Doubles) -> Doubles:
    n = len(gaps) // 2
    if n <= TREND_DEGREE + 1:
        return np.zeros(0)
    logs = np.log(np.maximum(gaps[: 2 * n], np.finfo(np.float64).tiny))
    logs = np.maximum(logs, np.median(logs) + MIN_LOG_GAP)
    at = np.linspace(-1.0, 1.0, 2 * n)
    middle = at.reshape(n, 2).mean(axis=1)
    trend = np.polyfit(middle, logs.reshape(n, 2).mean(axis=1), TREND_DEGREE)
    left = (logs - np.polyval(trend, at)).reshape(n, 2)
    around = [np.median(left[max(0, i - 2) : i + 3]) for i in range(n)]
    is_broken = left.max(axis=1) - np.array(around) > MOST_OVER_NEIGHBOURS
    return np.where(is_broken, 0.0, left[:, 0] - left[:, 1])
