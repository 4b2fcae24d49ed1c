"""Putting evidence together: blocks multiply, what shares labels is averaged, stages are paid for.

Everything is a log e-value: a non-negative statistic with expectation at most one under the null.
1/e is then a p-value, averages of e-values are e-values under any dependence, and products are
e-values when each factor has expectation at most one given the ones before. Evidence of one pair
of blocks is a vector over the grid of `coincidences.Z_GRID`, so that one z is used in all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weightkin.stats.coincidences import Z_GRID, Z_LOG_WEIGHTS
from weightkin.stats.sums import logsumexp

Grid = npt.NDArray[np.float64]  # (n_z,): log e-value of one piece of evidence for each z

# Prior of the monotone block map: how often the next step pairs two blocks or skips one.
LOG_PAIR, LOG_SKIP = math.log(0.9), math.log(0.05)

# Sub-tests of one stage, fixed beforehand: straight pairing, monotone maps, any single pair.
LOG_STRAIGHT, LOG_MONOTONE, LOG_SINGLE = math.log(0.5), math.log(0.25), math.log(0.25)


def average(evidence: Sequence[Grid]) -> Grid:
    """Mean e-value of pieces that share labels (views of a block, directions, copied experts)."""
    return np.asarray(logsumexp(np.stack(evidence), axis=0) - math.log(len(evidence)))


def product(groups: Sequence[Sequence[Grid]]) -> Grid:
    """Product over groups with separate labels of the mean e-value inside each group."""
    return np.sum([average(group) for group in groups], axis=0) if groups else np.zeros(len(Z_GRID))


def stopped_log_evalue(steps: Sequence[Grid]) -> float:
    """Log e-value of a sequence of blocks that may stop at any time: the largest mixture so far.

    1/max_t E_t is a p-value (Ville) because E_t is a mixture with fixed weights of products of
    factors with conditional expectation at most one. The next block may depend on the past.
    """
    if not steps:
        return 0.0
    totals = np.cumsum(np.stack(steps), axis=0)  # (n_steps, n_z)
    return max(0.0, float(logsumexp(totals + Z_LOG_WEIGHTS, axis=1).max()))


def monotone_log_evalue(table: Grid, is_testable: npt.NDArray[np.bool_]) -> Grid:
    """Log e-value for "some blocks of a are blocks of b, in order", summed over all such maps.

    Null hypothesis: as for one pair of blocks, with separate labels for every block of the model
    that is trusted. Each map uses a block at most once, its product is an e-value, and so is the
    sum over maps with weights that sum to one (a path chooses pair or skip at every step).

    Parameters
    ----------
    table : ndarray
        Shape ``(n_blocks_a, n_blocks_b, n_z)``, log e-values of all pairs.
    is_testable : ndarray
        Shape ``(n_blocks_a, n_blocks_b)``; an untestable pair counts as one.

    Returns
    -------
    ndarray
        Shape ``(n_z,)``. Cost ``O(n_blocks_a n_blocks_b n_z)``.
    """
    n_a, n_b, n_z = table.shape
    table = np.where(is_testable[:, :, None], table, 0.0)
    paths = np.full((n_a + 2, n_b + 2, n_z), -np.inf)  # one row and column before the first
    paths[1, 1] = 0.0
    pairs = np.zeros((n_a + 1, n_b + 1, n_z))  # no path leads to a pair of nothing
    pairs[1:, 1:] = table
    for total in range(1, n_a + n_b + 1):  # all cells that as many steps lead to
        i = np.arange(max(0, total - n_b), min(n_a, total) + 1)
        j = total - i
        paired = paths[i, j] + LOG_PAIR + pairs[i, j]
        # skip a block of a; forced, hence free, once b is used up
        skipped_a = paths[i, j + 1] + np.where(j < n_b, LOG_SKIP, 0.0)[:, None]
        skipped_b = paths[i + 1, j] + np.where(i < n_a, LOG_SKIP, 0.0)[:, None]
        paths[i + 1, j + 1] = np.logaddexp(np.logaddexp(paired, skipped_a), skipped_b)
    return np.asarray(paths[n_a + 1, n_b + 1])


def best_monotone_map(scores: Grid) -> list[tuple[int, int]]:
    """Pairs of the monotone map with the largest sum of scores, without those <= 0.

    Descriptive: a maximum over maps carries no p-value of its own. ``scores`` is
    ``(n_blocks_a, n_blocks_b)``; ties prefer the earlier pairing.
    """
    n_a, n_b = scores.shape
    best = np.zeros((n_a + 1, n_b + 1))
    for i in range(1, n_a + 1):
        for j in range(1, n_b + 1):
            paired = best[i - 1, j - 1] + max(scores[i - 1, j - 1], 0.0)
            best[i, j] = max(paired, best[i - 1, j], best[i, j - 1])
    pairs: list[tuple[int, int]] = []
    i, j = n_a, n_b
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def holm(log10_pvalues: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Holm's correction in log10: valid under any dependence, one number for each hypothesis."""
    flat = log10_pvalues.reshape(-1)
    order = np.argsort(flat, kind="stable")
    factors = np.log10(np.arange(len(flat), 0, -1))
    stepped = np.maximum.accumulate(np.minimum(flat[order] + factors, 0.0))
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected.reshape(log10_pvalues.shape)
