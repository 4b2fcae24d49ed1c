"""Signs: fair coins that survive any permutation of units and any rotation of the residual stream.

Where only odd operations act on a coordinate between two matrices, flipping the sign of its row in
one and its column in the other leaves the function unchanged, usual initialisations are
sign-symmetric and training commutes with the flip. Under the null the signs of one model are then
independent fair coins given everything that does not depend on them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.stats.matching import best_rows
from weightkin.stats.sums import logsumexp

LOG10 = math.log(10.0)
LAMBDAS = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 0.999])


def agreements_log10_sf(n_agree: int, n: int, chance: float = 0.5) -> float:
    """Log10 probability that at least ``n_agree`` of ``n`` coins agree: exact, one-sided.

    Null hypothesis: given everything that is blind to signs (matching, weights, cuts, the number of
    pairs), the signs of the trusted model's units are fair and independent; ``chance`` is 1/4 where
    a coin is a quarter turn and has four sides.

    Examples
    --------
    >>> round(agreements_log10_sf(10, 10), 3)  # 2^-10
    -3.01
    >>> round(agreements_log10_sf(10, 10, 0.25), 3)  # 4^-10
    -6.021
    """
    k = np.arange(n_agree, n + 1)
    log_pmf = (
        scipy.special.gammaln(n + 1)
        - scipy.special.gammaln(k + 1)
        - scipy.special.gammaln(n - k + 1)
    )
    log_pmf += k * math.log(chance) + (n - k) * math.log1p(-chance)
    return min(0.0, float(logsumexp(log_pmf)) / LOG10)


def log_evalue(n_agree: int, n: int) -> float:
    """Log e-value of ``n_agree`` of ``n`` coins agreeing, mixed over x."""
    return mix_log_evalue(log_evalues(n_agree, n))


def log_evalues(n_agree: int, n: int, chance: float = 0.5) -> npt.NDArray[np.float64]:
    """Log e-values (1+x)^T (1-x)^(n-T), one for each x of ``LAMBDAS``: expectation exactly one.

    At another ``chance`` c than 1/2 the first factor is 1 + x (1 - c) / c: 1 + 3x at 1/4.
    """
    won = np.log1p(LAMBDAS * (1.0 - chance) / chance)
    return np.asarray(n_agree * won + (n - n_agree) * np.log1p(-LAMBDAS))


def mix_log_evalue(log_evalues_on_grid: npt.NDArray[np.float64]) -> float:
    """Log of the equal mixture over ``LAMBDAS``: one e-value out of one for each x."""
    return float(logsumexp(log_evalues_on_grid) - math.log(len(LAMBDAS)))


def mutual_matches(
    score: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs (i, j) that are each other's best by a score; ties broken by a seeded shuffle.

    One-to-one, so every coin of either model is used at most once. Rows and columns without a
    finite score match nothing.
    """
    rows, columns = rng.permutation(score.shape[0]), rng.permutation(score.shape[1])
    if score.size == 0:
        return rows[:0], columns[:0]
    own = np.arange(len(rows))
    forward, backward = score.argmax(axis=1), best_rows(score)
    most_a, most_b = score[own, forward], score[backward, np.arange(len(columns))]
    if not _has_ties(score, most_a[:, None]) and not _has_ties(score, most_b[None, :]):
        is_mutual = ((backward[forward] == own) & np.isfinite(most_a))[rows]
        return rows[is_mutual], forward[rows[is_mutual]]
    shuffled = score[np.ix_(rows, columns)]
    forward, backward = shuffled.argmax(axis=1), best_rows(shuffled)
    is_mutual = (backward[forward] == own) & np.isfinite(shuffled[own, forward])
    return rows[is_mutual], columns[forward[is_mutual]]


def _has_ties(score: npt.NDArray[np.float32], most: npt.NDArray[np.float32]) -> bool:
    """Whether the largest finite value of a row, or of a column, stands there more than once."""
    is_told = np.isfinite(most)
    n_found = np.count_nonzero(score == np.where(is_told, most, np.float32(np.nan)))
    return bool(n_found != np.count_nonzero(is_told))
