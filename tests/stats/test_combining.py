"""Claim: blocks multiply, shared labels are averaged, and every combination stays an e-value."""

import math

import numpy as np
import pytest

from tests import naive
from weightkin.stats.coincidences import Z_GRID, log_evalues, mix_log_evalue
from weightkin.stats.combining import (
    LOG_PAIR,
    LOG_SKIP,
    average,
    best_monotone_map,
    holm,
    monotone_log_evalue,
    product,
    stopped_log_evalue,
)


def test_average_and_product_are_what_they_say():
    x, y = log_evalues(3), log_evalues(5)
    assert np.exp(average([x, y])) == pytest.approx((np.exp(x) + np.exp(y)) / 2)
    assert product([[x], [y, y]]) == pytest.approx(x + y)
    assert product([]).tolist() == [0.0] * len(Z_GRID)


def test_monotone_sum_agrees_with_all_maps_written_out(rng):
    n_a, n_b = 3, 2
    table = rng.normal(0, 2, (n_a, n_b, len(Z_GRID)))
    fast = monotone_log_evalue(table, np.ones((n_a, n_b), dtype=bool))
    slow = np.zeros(len(Z_GRID))
    for weight, pairs in _weighted_maps(n_a, n_b):
        slow += weight * np.exp(sum((table[i, j] for i, j in pairs), np.zeros(len(Z_GRID))))
    assert fast == pytest.approx(np.log(slow))


def test_weights_of_all_monotone_maps_sum_to_one():
    for n_a, n_b in ((1, 1), (2, 3), (4, 4)):
        ones = np.zeros((n_a, n_b, len(Z_GRID)))
        total = monotone_log_evalue(ones, np.ones((n_a, n_b), dtype=bool))
        assert total == pytest.approx(0.0, abs=1e-12)


def test_monotone_map_finds_a_dropped_block():
    scores = np.full((5, 4), -1.0)
    for i, j in ((0, 0), (1, 1), (3, 2), (4, 3)):
        scores[i, j] = 9.0
    assert best_monotone_map(scores) == [(0, 0), (1, 1), (3, 2), (4, 3)]


def test_best_map_agrees_with_all_maps(rng):
    scores = rng.normal(0, 1, (4, 3))
    best = max(
        (sum(max(scores[p], 0) for p in pairs), pairs) for pairs in naive.monotone_maps(4, 3)
    )[0]
    assert sum(scores[p] for p in best_monotone_map(scores)) == pytest.approx(best)


def test_stopping_when_it_looks_best_does_not_cheat(rng):
    """Null counts, read until they look good: rejections stay under alpha."""
    alpha, n_runs = 0.05, 4000
    hits = 0
    for _ in range(n_runs):
        counts = rng.poisson(1.0, 20)
        hits += stopped_log_evalue([log_evalues(k) for k in counts]) >= -math.log(alpha)
    assert hits / n_runs < alpha + 3 * math.sqrt(alpha / n_runs)


def test_a_stopped_sequence_counts_its_best_moment():
    one, none = log_evalues(6), log_evalues(0)
    assert stopped_log_evalue([]) == 0.0
    assert stopped_log_evalue([none]) == 0.0  # evidence against counts as no evidence
    best = mix_log_evalue(one + one)
    assert stopped_log_evalue([one, one, none]) == pytest.approx(best)
    assert best > max(mix_log_evalue(one), mix_log_evalue(one + one + none))


def test_holm_is_never_below_the_raw_value_nor_above_bonferroni(rng):
    raw = -rng.exponential(1.0, (4, 5))
    corrected = holm(raw)
    assert (corrected >= raw).all()
    assert (corrected <= np.minimum(raw + math.log10(20), 0.0) + 1e-12).all()
    assert corrected.min() == pytest.approx(min(0.0, raw.min() + math.log10(20)))


def test_one_shared_block_among_eighty_is_enough():
    """A small z keeps a lone shared block visible among strangers."""
    steps = [log_evalues(64), *[log_evalues(1)] * 79]
    assert mix_log_evalue(product([[s] for s in steps])) > -math.log(1e-3)


def _weighted_maps(n_a, n_b):
    """Every path of pair and skip steps, with its weight and the pairs it makes."""

    def walk(i, j, weight, pairs):
        if i == n_a and j == n_b:
            yield weight, pairs
            return
        if i < n_a and j < n_b:
            yield from walk(i + 1, j + 1, weight * math.exp(LOG_PAIR), [*pairs, (i, j)])
        if i < n_a:
            yield from walk(i + 1, j, weight * (math.exp(LOG_SKIP) if j < n_b else 1), pairs)
        if j < n_b:
            yield from walk(i, j + 1, weight * (math.exp(LOG_SKIP) if i < n_a else 1), pairs)

    return walk(0, 0, 1.0, [])
