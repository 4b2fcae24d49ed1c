"""Claim: the paper's statistics exist under their names, are right, and say what they are worth."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chi2, spearmanr
from scipy.stats import t as student_t

from tests import naive
from weightkin.stats.published import (
    InvariantStatistic,
    fisher,
    match,
    perm_test,
    spearman,
    spearman_monte_carlo,
    student_t_log_tail,
    trace_z,
)


def test_match_is_the_best_assignment(rng):
    x, y = rng.standard_normal((2, 6, 4)).astype(np.float32)
    best = max(
        permutations(range(6)), key=lambda p: sum(naive.cosine(x[i], y[p[i]]) for i in range(6))
    )
    assert match(x, y, rng).tolist() == list(best)


def test_match_of_identical_rows_is_not_drawn_to_the_identity(rng):
    ones = np.ones((6, 3), dtype=np.float32)
    fixed = [int((match(ones, ones, rng) == np.arange(6)).sum()) for _ in range(300)]
    assert np.mean(fixed) == pytest.approx(1.0, abs=0.25)


def test_spearman_agrees_with_the_library(rng):
    own = np.arange(30)
    other = rng.permutation(30)
    expected = spearmanr(other, own, alternative="greater")
    r, log10_p = spearman(other, own)
    assert r == pytest.approx(expected.statistic)
    assert 10**log10_p == pytest.approx(expected.pvalue)


def test_spearman_far_tail_does_not_underflow():
    assert student_t_log_tail(8.0, 40) == pytest.approx(student_t.logsf(8.0, 40))
    own = np.arange(5000)
    shuffled = own.copy()
    shuffled[:500] = shuffled[:500][::-1]
    r, log10_p = spearman(shuffled, own)
    assert r > 0.99
    assert -1e5 < log10_p < -4000
    assert spearman(own, own)[1] == pytest.approx(-math.lgamma(5001) / math.log(10))


def test_student_tail_is_too_small_at_nine_units():
    """The exact tail at r >= 0.9 is 1.01e-3; the asymptotic one claims half of it."""
    own = np.arange(9)
    rng = np.random.default_rng(3)
    draws = np.array([spearman(rng.permutation(9), own)[0] for _ in range(40_000)])
    exact = float((draws >= 0.9).mean())
    r = draws[(draws >= 0.9)].min()
    t = r * math.sqrt(7 / (1 - r * r))
    assert exact > 1.5 * student_t.sf(t, 7)


def test_fisher_agrees_with_chi_squared_and_goes_beyond(rng):
    logs = np.log10(rng.uniform(size=5)).tolist()
    expected = chi2.logsf(-2 * math.log(10) * sum(logs), 10) / math.log(10)
    assert fisher(logs) == pytest.approx(expected)
    assert fisher([-400.0] * 32) < -12_000
    assert fisher([0.0, 0.0]) == fisher([]) == 0.0


def test_trace_moments_are_exact(rng):
    s = rng.standard_normal((6, 6))
    mean, variance = naive.trace_moments(s)
    assert trace_z(s) == pytest.approx((np.trace(s) - mean) / math.sqrt(variance))
    assert trace_z(np.array([[3.0, 0.0], [1.0, 2.0]])) == pytest.approx(1.0)  # of two: 5 or 1
    assert trace_z(np.ones((1, 1))) == trace_z(np.ones((4, 4))) == 0.0  # every relabelling is alike


def test_perm_test_is_valid_and_counts_ties_against_us(rng):
    """Observed value exchangeable with the draws, on a coarse scale full of ties."""
    n_runs, alpha = 3000, 0.1
    hits = 0
    for _ in range(n_runs):
        result = perm_test(lambda draw: float(rng.integers(0, 5)), n_draws=19, rng=rng)
        hits += result.log10_pvalue <= math.log10(alpha) + 1e-12
    assert hits / n_runs <= alpha + 3 * math.sqrt(alpha / n_runs)


def test_perm_test_counts_the_truth_among_the_draws(rng):
    """Of 3 draws that are above, equal and below: (1 + 2) / (1 + 3)."""
    draws = iter([2.0, 5.0, 2.0, 1.0])
    result = perm_test(lambda draw: next(draws), n_draws=3, rng=rng)
    assert (result.observed, result.n_draws) == (2.0, 3)
    assert result.log10_pvalue == pytest.approx(math.log10(3 / 4))


def test_perm_test_refuses_an_invariant_statistic(rng):
    with pytest.raises(InvariantStatistic):
        perm_test(lambda draw: 1.0, n_draws=99, rng=rng)


def test_monte_carlo_floor_is_one_over_t_plus_one(rng):
    assert spearman_monte_carlo(1.0, 50, n_draws=99, rng=rng) == pytest.approx(-2.0)


def test_spearman_says_nothing_of_two_units_and_something_of_three():
    assert spearman(np.array([0, 1]), np.array([1, 0])) == (0.0, 0.0)
    r, log10_p = spearman(np.array([1, 2, 0]), np.array([0, 2, 1]))
    assert r == pytest.approx(spearmanr([1, 2, 0], [0, 2, 1]).statistic)
    assert log10_p == pytest.approx(student_t.logsf(r * (1 / (1 - r * r)) ** 0.5, 1) / math.log(10))
