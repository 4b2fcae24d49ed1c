"""The first paper's statistics by name: PERMTEST, MATCH, SPEARMAN, FISHER, and the closed-form z.

Zhu, Ahmed, Kuditipudi, Liang, "Independence Tests for Language Models" (ICML 2025), algorithms 1
to 4. They are here for whoever reproduces the paper. Those marked asymptotic never drive a verdict:
the Student-t tail of SPEARMAN is too small by 2 to 14 times at nine units, by 1e18 at 11,008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.arrays import Floats, Ints
from weightkin.stats.matching import unit_rows
from weightkin.stats.sums import logsumexp

LOG10 = math.log(10.0)


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """Outcome of PERMTEST: ``log10_pvalue`` is exact (null ``monte-carlo``)."""

    observed: float
    log10_pvalue: float
    n_draws: int


class InvariantStatistic(ValueError):  # noqa: N818 (a refusal, not a fault)
    """The statistic does not change under relabelling, so PERMTEST can say nothing."""


def perm_test(
    statistic: Callable[[np.random.Generator | None], float],
    *,
    n_draws: int,
    rng: np.random.Generator,
    tolerance: float = 1e-9,
) -> PermutationResult:
    """PERMTEST (algorithm 1): how often does a random relabelling look as similar as the truth?

    Null hypothesis: the weights of one model keep their law under the relabellings drawn.

    Parameters
    ----------
    statistic : callable
        ``statistic(None)`` is the observed value and ``statistic(rng)`` the value after a fresh
        uniform relabelling, by one code path. Large means similar.
    n_draws : int
        T, fixed beforehand.
    rng : Generator
        Source of the relabellings.
    tolerance : float
        Values within this relative distance count as ties, against us.

    Returns
    -------
    PermutationResult
        p = (1 + #{phi_t >= phi_obs - tol}) / (T + 1), never below 1 / (T + 1).

    Raises
    ------
    InvariantStatistic
        If every draw ties with the observed value.
    """
    observed = statistic(None)
    draws = np.array([statistic(rng) for _ in range(n_draws)])
    slack = tolerance * max(1.0, abs(observed))
    if n_draws and np.all(np.abs(draws - observed) <= slack):
        raise InvariantStatistic("every relabelling ties with the observed value")
    exceed = int((draws >= observed - slack).sum())
    return PermutationResult(observed, math.log10((1 + exceed) / (n_draws + 1)), n_draws)


def match(x: Floats, y: Floats, rng: np.random.Generator) -> Ints:
    """MATCH (algorithm 2): the one-to-one assignment of rows with the largest sum of cosines.

    Rows of x are shuffled first and put back after, so that a solver that breaks ties by index
    stays equivariant. Cost ``O(n^3)`` at worst.

    Parameters
    ----------
    x, y : ndarray
        ``(n, n_features)``, the units of two models.
    rng : Generator
        Draws the shuffle.

    Returns
    -------
    ndarray of int64
        ``(n,)``: the row of y for each row of x.
    """
    shuffle = rng.permutation(len(x))
    cosine = unit_rows(x[shuffle]) @ unit_rows(y).T  # (n, n)
    _, columns = scipy.optimize.linear_sum_assignment(-cosine)
    matched = np.empty(len(x), dtype=np.int64)
    matched[shuffle] = columns
    return matched


def spearman(matched: Ints, reference: Ints) -> tuple[float, float]:
    """SPEARMAN (algorithm 3): correlation of two matchings, one-sided Student-t tail, asymptotic.

    Returns
    -------
    tuple
        ``(r, log10_pvalue)``; at r = 1, where t divides by zero, the exact 1/n! is returned.
    """
    n = len(matched)
    if n < 3:
        return 0.0, 0.0
    squares = float(((matched - reference).astype(np.float64) ** 2).sum())
    r = 1.0 - 6.0 * squares / (n * (n * n - 1.0))
    if r >= 1.0:
        return 1.0, -float(scipy.special.gammaln(n + 1)) / LOG10
    t = r * math.sqrt((n - 2) / (1.0 - r * r)) if r > -1.0 else -math.inf
    tail = float(scipy.stats.t.logsf(t, n - 2))
    if not math.isfinite(tail):  # the library underflows far out
        tail = student_t_log_tail(t, n - 2)
    return r, min(0.0, tail / LOG10)


def spearman_monte_carlo(r: float, n: int, *, n_draws: int, rng: np.random.Generator) -> float:
    """Log10 p of a Spearman correlation against uniform permutations: exact, floor 1/(T+1).

    Null hypothesis: the matching is uniform on the n! permutations. Cost ``O(T n)``.

    Parameters
    ----------
    r : float
        Observed correlation.
    n : int
        Number of units matched.
    n_draws : int
        T, fixed beforehand.
    rng : Generator
        Source of the permutations.

    Returns
    -------
    float
        Log10 of ``(1 + #{r_t >= r}) / (T + 1)``.
    """
    own = np.arange(n)
    draws = np.array([spearman(rng.permutation(n), own)[0] for _ in range(n_draws)])
    return math.log10((1 + int((draws >= r - 1e-12).sum())) / (n_draws + 1))


def fisher(log10_pvalues: Sequence[float]) -> float:
    """FISHER (algorithm 4): log10 of the chi-squared tail of -2 sum log p with 2L degrees.

    Exact for independent exact p-values; as good as its inputs otherwise. No value is dropped.
    """
    n = len(log10_pvalues)
    half = -LOG10 * sum(log10_pvalues)  # half the statistic; the tail is a Poisson sum
    if n == 0 or half == 0.0:
        return 0.0
    j = np.arange(n)
    return min(
        0.0, float(logsumexp(j * math.log(half) - scipy.special.gammaln(j + 1)) - half) / LOG10
    )


def trace_z(similarity: npt.NDArray[np.float64]) -> float:
    """Closed form of PERMTEST for the summed squared l2 of one block under unit relabelling.

    ``similarity`` is S = G_A G_B' + U_A U_B' + D_A' D_B (n x n). Under a uniform relabelling
    trace(S) has exact mean sum(S)/n and variance sum(doubly centred S^2)/(n-1). The z is
    asymptotic; 1/(1+z^2) (z > 0, Cantelli) is a bound.
    """
    n = len(similarity)
    if n < 2:
        return 0.0
    rows, columns = similarity.mean(axis=1), similarity.mean(axis=0)
    centred = similarity - rows[:, None] - columns[None, :] + similarity.mean()
    spread = math.sqrt(float((centred**2).sum()) / (n - 1))
    return (float(np.trace(similarity)) - float(similarity.sum()) / n) / spread if spread else 0.0


def student_t_log_tail(t: float, df: float) -> float:
    """Natural log of P(T > t), t > 0, where the library underflows: the incomplete beta series."""
    x = df / (df + t * t)
    a = df / 2
    k = np.arange(4096)
    series = np.cumsum(np.log((a + 0.5 + k) / (a + 1 + k)) + math.log(x))  # 2F1(a+1/2, 1; a+1; x)
    log_series = np.logaddexp(0.0, logsumexp(series))
    log_beta = (
        scipy.special.gammaln(a) + scipy.special.gammaln(0.5) - scipy.special.gammaln(a + 0.5)
    )
    log_tail = a * math.log(x) + 0.5 * math.log1p(-x) - math.log(a) - log_beta + log_series
    return float(log_tail - math.log(2.0))
