"""Claim: the tree is a cheapest one: as networkx finds it, and as trying all of them finds it."""

import networkx
import numpy as np
import pytest

from tests import naive
from weightkin.lineage.arborescence import arborescence

INF = np.inf


def total(costs, parents, prices=0.0):
    prices = np.broadcast_to(prices, len(parents))
    return sum(prices[x] if p < 0 else costs[p, x] for x, p in enumerate(parents))


def is_forest(parents):
    return all(naive.reaches_root(parents, x) for x in range(len(parents)))


def of_networkx(costs, prices):
    """Total cost by the oracle: node n is the artificial root."""
    n = len(costs)
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(n + 1))
    for i, j in zip(*np.nonzero(np.isfinite(costs)), strict=True):
        if i != j:
            graph.add_edge(int(i), int(j), weight=float(costs[i, j]))
    for x in np.flatnonzero(np.isfinite(prices)):
        graph.add_edge(n, int(x), weight=float(prices[x]))
    tree = networkx.minimum_spanning_arborescence(graph)
    return sum(data["weight"] for _, _, data in tree.edges(data=True))


@pytest.mark.parametrize("kind", ["random", "ties", "signed integers", "nearly symmetric"])
@pytest.mark.parametrize("n", [2, 7, 25])
def test_cost_is_that_of_networkx(kind, n, rng):
    for _ in range(4):
        costs = rng.normal(size=(n, n)) + 3
        if kind == "ties":
            costs = rng.integers(0, 3, (n, n)).astype(float)
        elif kind == "signed integers":
            costs = rng.integers(-9, 10, (n, n)).astype(float)
        elif kind == "nearly symmetric":
            points = rng.normal(size=(n, 3))
            costs = np.linalg.norm(points[:, None] - points, axis=2)
            costs += 0.1 * rng.integers(0, 2, (n, n))
        for prices in (np.where(np.arange(n) == n // 2, 0.0, INF), np.full(n, 1.5)):
            parents = arborescence(costs, prices)
            assert is_forest(parents)
            assert total(costs, parents, prices) == pytest.approx(of_networkx(costs, prices))


def test_forbidden_edges_are_never_used_and_split_the_forest(rng):
    for _ in range(20):
        n = 12
        costs = np.where(rng.random((n, n)) < 0.15, rng.integers(1, 6, (n, n)), INF)
        prices = np.full(n, 100.0)
        parents = arborescence(costs, prices)
        assert is_forest(parents)
        assert total(costs, parents, prices) == of_networkx(costs, prices)
        assert np.sum(arborescence(costs) < 0) == np.sum(parents < 0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_cost_is_the_smallest_of_all_forests(n, rng):
    for _ in range(12 if n < 5 else 4):
        costs = rng.integers(-2, 5, (n, n)).astype(float)
        costs[rng.random((n, n)) < 0.3] = INF
        prices = rng.integers(0, 6, n).astype(float)
        parents = arborescence(costs, prices)
        assert is_forest(parents)
        assert total(costs, parents, prices) == naive.cheapest_forest(costs, prices)
        few = arborescence(costs)
        assert is_forest(few)
        assert (np.sum(few < 0), total(costs, few)) == naive.fewest_roots(costs)


def test_a_known_tree_comes_back():
    parents = np.array([-1, 0, 0, 1, 1, 2, 5])
    costs = np.full((7, 7), 9.0)
    costs[parents[1:], np.arange(1, 7)] = 1.0
    assert arborescence(costs).tolist() == parents.tolist()


def test_cycles_within_cycles_are_opened():
    costs = np.full((6, 6), INF)
    for a, b, cost in [(0, 1, 1), (1, 0, 1), (2, 3, 1), (3, 2, 1), (1, 2, 2), (3, 0, 2),
                       (4, 2, 9), (5, 4, 3), (4, 5, 3), (0, 4, 8)]:  # fmt: skip
        costs[a, b] = cost
    prices = [INF, INF, INF, INF, INF, 1.0]
    parents = arborescence(costs, prices)
    assert parents.tolist() == [3, 0, 4, 2, 5, -1]


def test_a_price_for_roots_decides_how_many_trees_there_are(rng):
    costs = np.full((6, 6), 10.0)
    costs[:3, :3] = costs[3:, 3:] = 1.0
    assert np.sum(arborescence(costs, 5.0) < 0) == 2
    assert np.sum(arborescence(costs, 20.0) < 0) == 1
    assert np.sum(arborescence(costs, 0.5) < 0) == 6
    assert np.sum(arborescence(costs) < 0) == 1


def test_the_same_input_gives_the_same_tree(rng):
    costs = rng.integers(0, 2, (40, 40)).astype(float)
    kept = costs.copy()
    assert arborescence(costs).tolist() == arborescence(costs).tolist()
    assert np.array_equal(costs, kept)  # and is left as it was


def test_what_no_tree_can_reach_is_named():
    costs = [[INF, INF, INF], [INF, INF, 1.0], [INF, 1.0, INF]]
    with pytest.raises(ValueError, match="node [12] has no edge from outside"):
        arborescence(costs, [0.0, INF, INF])


@pytest.mark.parametrize(
    "costs", [[[0.0, np.nan], [1.0, 0.0]], [[0.0, -INF], [1.0, 0.0]], [[0.0, 1.0]]]
)
def test_costs_that_cannot_be_meant_are_refused(costs):
    with pytest.raises(ValueError, match=r"NaN|not \(n, n\)"):
        arborescence(costs)


def test_no_nodes_make_no_tree():
    assert arborescence(np.zeros((0, 0))).tolist() == []
