"""Order: when units were dropped, the survivors keep their order, and chance does not."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.stats.matching import Matching

LOG10 = math.log(10.0)


@dataclass(frozen=True, slots=True)
class Order:
    """Mutual best matches of one view, and the longest run of them that keeps its order."""

    n_units: int  # mutual best matches
    length: int  # longest increasing subsequence
    units_a: npt.NDArray[np.int64]  # the units on it
    units_b: npt.NDArray[np.int64]
    observed: npt.NDArray[np.float32]  # cosine at these units
    chance: npt.NDArray[np.float32]  # cosine of their best other match


def order_log10_sf(length: int, n: int) -> float:
    """Log10 of a bound on the chance that ``n`` shuffled units keep ``length`` of them in order.

    Null hypothesis: given the unlabelled pair, the labels of one model's units are uniform, so the
    mutual best matches read in the order of a are a uniform permutation of n. A permutation of n
    has C(n, l)/l! increasing subsequences of length l on average, which bounds P(L >= l).
    The pairs must be one-to-one and chosen without looking at positions.

    Parameters
    ----------
    length : int
        Longest increasing subsequence, ``0 <= length <= n``.
    n : int
        Number of matched units.

    Returns
    -------
    float
        ``min(0, log10 C(n, length) - log10 length!)``, always finite.

    Examples
    --------
    >>> round(order_log10_sf(8, 8), 3)  # all eight in order: 1/8!
    -4.606
    """
    return min(0.0, float(_log_bounds(np.array([length]), n)[0]) / LOG10)


def log_evalue(length: int, n: int) -> float:
    """Log e-value of the order statistic: the mean over l of 1{L >= l} / bound(l).

    The weights 1/n are fixed given n, which does not depend on labels; each term has expectation
    at most one under the null of `order_log10_sf`, hence so has their mean.
    """
    if n == 0:
        return 0.0
    bounds = np.minimum(_log_bounds(np.arange(1, length + 1), n), 0.0)
    return float(np.logaddexp.reduce(-bounds) - math.log(n)) if length else -math.inf


def longest_in_order(matching: Matching) -> Order:
    """Mutual best matches sorted by the index in a, and their longest increasing subsequence in b.

    Cost ``O(m log m)`` for m mutual matches.
    """
    rows = np.flatnonzero(matching.forward >= 0)
    mutual = rows[matching.backward[matching.forward[rows]] == rows]
    partner = matching.forward[mutual]
    kept = np.array(_increasing_subsequence(partner.tolist()), dtype=np.int64)
    units_a, units_b = mutual[kept], partner[kept]
    others = matching.cosine[units_a].copy()  # (length, n_b)
    others[np.arange(len(units_a)), units_b] = -np.inf
    return Order(
        n_units=len(mutual),
        length=len(kept),
        units_a=units_a,
        units_b=units_b,
        observed=matching.cosine[units_a, units_b],
        chance=np.maximum(others.max(axis=1, initial=-np.inf), -1.0),
    )


def length_in_order(partners: npt.NDArray[np.int64]) -> int:
    """Length of the longest increasing run of partners, gaps allowed."""
    return len(_increasing_subsequence(partners.tolist()))


def _log_bounds(lengths: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    """Natural log of C(n, l)/l! for each l."""
    return np.asarray(
        scipy.special.gammaln(n + 1)
        - 2 * scipy.special.gammaln(lengths + 1)
        - scipy.special.gammaln(n - lengths + 1)
    )


def _increasing_subsequence(values: list[int]) -> list[int]:
    """Positions of one longest strictly increasing subsequence (patience sorting)."""
    tails: list[int] = []  # smallest end of an increasing run of each length
    ends: list[int] = []  # its position
    before: list[int] = []  # predecessor of each position, -1 at a start
    for position, value in enumerate(values):
        at = bisect_left(tails, value)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [value]
        ends[at : at + 1] = [position]
    chain: list[int] = []
    position = ends[-1] if ends else -1
    while position >= 0:
        chain.append(position)
        position = before[position]
    return chain[::-1]
