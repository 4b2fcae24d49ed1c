"""Claim: weights of parents are fitted down the slope of the probability of the true forests."""

import math

import numpy as np
import pytest
from benchmarks.lib.forest_slopes import Rows, by_size, slopes

from tests.lineage.slow_forests import all_forests

STEP = 1e-5
NONE = np.zeros((0, 0))


def family(n, edges, rng):
    """Members of which 0 is the root; edges from parent to child; one pair is no candidate."""
    true = np.zeros((n, n), dtype=bool)
    true[tuple(zip(*edges, strict=True))] = True
    pairs = [(u, v) for u in range(n) for v in range(n) if u != v and (u, v) != (n - 1, 0)]
    parents, children = np.array(pairs).T
    orders = rng.choice([0.3, 1.0], (n, n))
    return Rows(parents, children, NONE, NONE, orders, true, ~true.any(axis=0))


def log_probability(r, pairs, members):
    """Of the true forests among all of them, counted one by one."""
    n = len(members)
    weights = np.zeros((n, n))
    weights[r.parents, r.children] = np.exp(pairs)
    every = list(all_forests(weights * r.orders, np.exp(members)))
    true = [
        w
        for parents, w in every
        if all(r.is_root[v] if p < 0 else r.true[p, v] for v, p in enumerate(parents))
    ]
    return math.log(sum(true)) - math.log(sum(w for _, w in every))


@pytest.fixture
def found(rng):
    merged = [(0, 1), (0, 2), (1, 3), (2, 3)]
    return [family(4, merged, rng), family(3, [(0, 1), (1, 2)], rng), family(4, [(0, 1)], rng)]


def test_slopes_are_those_of_all_forests_one_by_one(found, rng):
    pairs = [rng.normal(size=len(r.parents)) for r in found]
    members = [rng.normal(size=len(r.is_root)) for r in found]
    ways = slopes(by_size(found), np.concatenate(pairs), np.concatenate(members))
    for i, sort in enumerate((pairs, members)):
        slow = []
        for k, r in enumerate(found):
            for j in range(len(sort[k])):
                ends = []
                for step in (STEP, -STEP):
                    said = [pairs[k].copy(), members[k].copy()]
                    said[i][j] += step
                    ends.append(log_probability(r, *said))
                slow.append((ends[1] - ends[0]) / (2 * STEP))
        assert ways[i][0] == pytest.approx(slow, abs=2e-6)


def test_curvature_is_that_of_a_probability_and_never_zero(found):
    ways = slopes(by_size(found), *(np.zeros(k) for k in (11 + 5 + 11, 4 + 3 + 4)))
    p = ways[1][0] + np.concatenate([r.is_root for r in found])
    assert ways[1][1] == pytest.approx(p * (1 - p))
    sure = slopes(by_size(found), np.full(27, -40.0), np.zeros(11))
    assert (sure[1][1] == 1e-4).all()
