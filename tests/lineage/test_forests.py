"""Claim: probabilities of parents are sums over all forests, to the last digits of hard weights."""

import numpy as np
import pytest

from tests.lineage import slow_forests
from weightkin.lineage.forests import parent_marginals, sole_roots


def hard(rng, n, orders=12):
    """Weights over many orders, some of them zero; roots rarer than most edges."""
    weights = 10.0 ** rng.uniform(-orders / 2, orders / 2, (n, n)) * (rng.random((n, n)) < 0.7)
    return weights, 10.0 ** rng.uniform(-orders, 0, n)


def by_enumeration(weights, roots):
    n = len(roots)
    edges, first, sole = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for parents, weight in slow_forests.all_forests(weights, roots):
        for x, p in enumerate(parents):
            if p < 0:
                first[x] += weight
            else:
                edges[p, x] += weight
        if parents.count(-1) == 1:
            sole[parents.index(-1)] += weight
    total = edges[:, 0].sum() + first[0]
    return edges / total, first / total, sole / total


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_probabilities_are_those_of_all_forests_one_by_one(rng, n):
    for weights, roots in ((rng.random((n, n)), rng.random(n)), hard(rng, n, orders=6)):
        edges, first, sole = by_enumeration(weights, roots)
        found = parent_marginals(weights, roots)
        np.testing.assert_allclose(found[0], edges, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(found[1], first, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(sole_roots(weights, roots), sole, rtol=1e-9, atol=1e-15)


def test_probabilities_are_shares_of_random_forests(rng):
    n, n_drawn = 40, 2000
    weights, roots = np.exp(2 * rng.normal(size=(n, n))), np.exp(rng.normal(1, 1, n))
    edges, first, sole = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for _ in range(n_drawn):
        parents = slow_forests.random_forest(weights, roots, rng)
        for x, p in enumerate(parents):
            if p < 0:
                first[x] += 1 / n_drawn
            else:
                edges[p, x] += 1 / n_drawn
        if parents.count(-1) == 1:
            sole[parents.index(-1)] += 1 / n_drawn
    found = (*parent_marginals(weights, roots), sole_roots(weights, roots))
    for share, p in zip((edges, first, sole), found, strict=True):
        deviation = np.sqrt(p * (1 - p) / n_drawn)
        assert np.all(np.abs(share - p) <= 5 * deviation + 1 / n_drawn)


@pytest.mark.parametrize("n", [2, 7, 12])
def test_weights_over_many_orders_keep_their_digits(rng, n):
    weights, roots = hard(rng, n)
    edges, first = slow_forests.exact_marginals(weights, roots)
    found = parent_marginals(weights, roots)
    np.testing.assert_allclose(found[0], edges, rtol=1e-11)
    np.testing.assert_allclose(found[1], first, rtol=1e-11)
    np.testing.assert_allclose(found[0].sum(axis=0) + found[1], 1.0, atol=1e-14)


def test_two_models_that_are_nearly_sure_to_be_parents_of_each_other_share_what_is_left():
    """One of them is above the other; which one is decided by roots a million million times less.

    A third model is as likely a parent of the second as ever; doubles with an inverse lose it.
    """
    weights = np.array([[0.0, 1.0, 1e-14], [1.0, 0.0, 1e-14], [1e-12, 2e-12, 0.0]])
    roots = np.array([3e-12, 1e-12, 1.0])
    edges, first = parent_marginals(weights, roots)
    wanted_edges, wanted_first = slow_forests.exact_marginals(weights, roots)
    np.testing.assert_allclose(edges, wanted_edges, rtol=1e-14)
    np.testing.assert_allclose(first, wanted_first, rtol=1e-14)
    assert first[0] == pytest.approx(3 / 7, rel=1e-6)  # of 3 + 1 roots and 1 + 2 edges from outside
    assert edges[2, 1] == pytest.approx(2 / 7, rel=1e-6)


def test_a_model_without_any_weight_is_a_root_but_not_the_only_one():
    weights = np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    edges, first = parent_marginals(weights, np.ones(3))
    np.testing.assert_allclose(first, [1.0, 0.1, 1.0])
    assert edges[0, 1] == pytest.approx(0.9)
    assert sole_roots(weights, np.ones(3)).max() < 1e-90
    np.testing.assert_allclose(sole_roots(weights[:2, :2], np.ones(2)), [0.9, 0.0], atol=1e-90)


def test_the_diagonal_counts_nothing_and_the_scale_of_a_column_neither(rng):
    weights, roots = rng.random((9, 9)), rng.random(9)
    scale = 10.0 ** rng.uniform(-9, 9, 9)
    before = parent_marginals(weights, roots)
    after = parent_marginals(scale * (weights + np.diag(rng.random(9))), scale * roots)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-13)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-13)
