"""Claim: the order statistic is the longest increasing run, and C(m, l)/l! bounds its law."""

import math
from itertools import permutations

import numpy as np
import pytest

from tests import naive
from weightkin.stats.matching import Matching, match_rows
from weightkin.stats.order import log_evalue, longest_in_order, order_log10_sf


def _as_matching(values):
    n = len(values)
    forward = np.array(values)
    return Matching(forward, np.argsort(forward), np.zeros((n, n), dtype=np.float32))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7])
def test_bound_and_evalue_against_enumeration(n):
    tail = naive.tail_over_labels(naive.longest_increasing, n)
    for length, probability in tail.items():
        assert math.log10(probability) <= order_log10_sf(length, n) + 1e-12
    lengths = [naive.longest_increasing(p) for p in permutations(range(n))]
    assert np.mean([math.exp(log_evalue(length, n)) for length in lengths]) <= 1 + 1e-12


@pytest.mark.parametrize("n", [1, 4, 6])
def test_longest_run_agrees_with_the_slow_twin(n):
    for p in permutations(range(n)):
        assert longest_in_order(_as_matching(p)).length == naive.longest_increasing(p)


def test_all_in_order_is_one_over_n_factorial():
    assert order_log10_sf(50, 50) == pytest.approx(-math.lgamma(51) / math.log(10))
    assert order_log10_sf(0, 50) == 0.0
    assert order_log10_sf(0, 0) == 0.0
    assert log_evalue(0, 0) == 0.0


@pytest.mark.parametrize(("length", "n"), [(1, 1), (1, 4), (2, 4), (4, 4), (3, 7), (7, 7)])
def test_the_evalue_is_the_mean_over_all_lengths_reached(length, n):
    """Each at one over its bound, which is no more than one."""
    bounds = [min(1.0, math.comb(n, k) / math.factorial(k)) for k in range(1, length + 1)]
    expected = sum(1 / bound for bound in bounds) / n
    assert log_evalue(length, n) == pytest.approx(math.log(expected))


def test_survivors_of_pruning_keep_their_order(rng):
    x = rng.standard_normal((64, 32)).astype(np.float32)
    kept = np.sort(rng.choice(64, 40, replace=False))
    y = x[kept] + 0.1 * rng.standard_normal((40, 32)).astype(np.float32)
    found = longest_in_order(match_rows(x, y, rng))
    assert found.units_a.tolist() == kept.tolist()
    assert found.units_b.tolist() == list(range(40))
    assert order_log10_sf(found.length, found.n_units) < -40
