"""What the steps of a family have in common, against definitions written out."""

import numpy as np
import pytest

from tests.lineage.simulated import base, model, trained_on
from weightkin.lineage.family_law import GROWTH, MOST, PRIOR, law_features, steps_apart
from weightkin.lineage.member_measures import squares_apart
from weightkin.lineage.pair_measures import measure
from weightkin.sketch import Scheme, take_sketch


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


def shortest_edges(far):
    """Edges of a shortest tree by Kruskal's rule."""
    n = len(far)
    group = list(range(n))
    edges = []
    pairs = [(i, j) for i in range(n) for j in range(i)]
    for u, v in sorted(pairs, key=lambda x: far[x]):
        if group[u] != group[v]:
            edges.append(np.log(far[u, v]))
            group = [group[u] if x == group[v] else x for x in group]
    return edges


@pytest.mark.parametrize("n", [2, 3, 9])
def test_steps_are_measured_against_the_shortest_tree(rng, n):
    far = rng.uniform(0.01, 1.0, (n, n))
    far = far + far.T
    np.fill_diagonal(far, np.inf)
    found = steps_apart(far)
    edges = shortest_edges(far)
    off = ~np.eye(n, dtype=bool)
    assert np.allclose(found["step_typical"][off], np.log(far[off]) - np.median(edges))
    wide = np.percentile(edges, 75) - np.percentile(edges, 25)
    assert np.allclose(found["step_spread"], wide)


def slow_law(parents, children, x, edges, k):
    """Mean and variance of a trait over all pairs but one and its reverse."""
    own = {(parents[k], children[k]), (children[k], parents[k])}
    told = [
        (edges[u, v], y)
        for u, v, y in zip(parents, children, x, strict=True)
        if (u, v) not in own and np.isfinite(y)
    ]
    w, y = np.array(told).T
    mean = (w * y).sum() / w.sum()
    return mean, (w * y * y).sum() / w.sum() - mean**2, w.sum()


def test_a_pair_is_held_against_all_others_but_itself(rng):
    n = 6
    parents, children = np.nonzero(~np.eye(n, dtype=bool))
    edges = rng.dirichlet(np.ones(n + 1), size=n).T[:n]
    np.fill_diagonal(edges, 0.0)
    features = {name: rng.normal(0.4, 1.0, len(parents)) for name in (*GROWTH, "step_typical")}
    features["biases"][:7] = np.nan
    found = law_features(parents, children, features, edges)
    for name in GROWTH:
        for k, x in enumerate(features[name]):
            mean, variance, weight = slow_law(parents, children, features[name], edges, k)
            shrunk = mean * weight / (weight + PRIOR)
            wide = variance + mean**2 - shrunk**2
            ratio, odd = 2 * x * shrunk / wide, (x - shrunk) / np.sqrt(wide)
            told = np.isfinite(x)
            for key, value in ((f"law_{name}", ratio), (f"law_{name}_odd", odd)):
                wanted = np.clip(value, -MOST, MOST) if told else np.nan
                assert found[key][k] == pytest.approx(wanted, nan_ok=True), key


def test_the_same_growth_in_every_step_tells_the_way(rng):
    n = 8
    parents, children = np.nonzero(~np.eye(n, dtype=bool))
    sign = np.where(parents < children, 1.0, -1.0)
    edges = np.zeros((n, n))
    edges[np.arange(n - 1), np.arange(1, n)] = 0.6
    edges[np.arange(1, n), np.arange(n - 1)] = 0.3
    features = {name: sign + rng.normal(0, 0.1, len(sign)) for name in (*GROWTH, "step_typical")}
    found = law_features(parents, children, features, edges)
    assert (found["law_grown"][sign > 0] > 0).all()
    assert (found["law_grown"][sign < 0] < 0).all()


def slow_squares(a, b, kept_a, kept_b):
    kept = kept_a & kept_b
    whole = a.size / max(1, kept.sum())
    far = sum((x - y) ** 2 for x, y, k in zip(a, b, kept, strict=True) if k) * whole
    both = sum(x**2 + y**2 for x, y, k in zip(a, b, kept, strict=True) if k) * whole
    return far, both


def test_what_pruning_set_to_zero_in_most_is_left_out_of_distances(rng):
    flat = rng.standard_normal((5, 200))
    flat[1] += 0.1 * rng.standard_normal(200)
    for k, share in ((0, 0.2), (1, 0.3), (2, 0.5), (3, 0.4), (4, 1.0)):  # all zero is no pruning
        flat[k, rng.permutation(200)[: int(share * 200)]] = 0.0
    far, both, own = squares_apart(flat)
    keeps = [*(flat[:4] != 0), np.ones(200, dtype=bool)]
    assert np.allclose(own, (flat**2).sum(axis=1))
    for u in range(5):
        for v in range(5):
            if u != v:
                wanted = slow_squares(flat[u], flat[v], keeps[u], keeps[v])
                assert (far[u, v], both[u, v]) == pytest.approx(wanted)
    assert (np.diag(far) == 0).all()


def test_zeros_of_a_few_count_like_other_values(rng):
    flat = rng.standard_normal((4, 200))
    flat[0, :80] = 0.0
    far = squares_apart(flat)[0]
    assert far[0, 1] == pytest.approx(((flat[0] - flat[1]) ** 2).sum())


def test_pruning_each_model_for_itself_moves_no_distance(rng):
    base = rng.standard_normal(5000)
    steps = [base, base + 0.05 * rng.standard_normal(5000), base + 0.2 * rng.standard_normal(5000)]
    flat = np.stack(steps)
    pruned = np.where(np.abs(flat) < np.quantile(np.abs(flat), 0.3, axis=1)[:, None], 0.0, flat)
    before, after = squares_apart(flat)[0], squares_apart(pruned)[0]
    off = ~np.eye(3, dtype=bool)
    assert after[off] == pytest.approx(before[off], rel=0.1)


def test_corners_of_members_that_were_all_pruned_are_filled(rng):
    root = base(rng)
    members = [trained_on(root, rng, size=0.02) for _ in range(4)]
    cut = [
        {
            k: np.where(np.abs(x) > np.quantile(np.abs(x), 0.3), x, np.float32(0))
            for k, x in m.items()
        }
        for m in members
    ]

    def corners(arrays):
        sketches = [take_sketch(model(f"m{k}", x), Scheme()) for k, x in enumerate(arrays)]
        return measure(sketches)[0].corners

    found, whole = corners(cut), corners(members)
    assert np.abs(found - whole).max() < np.abs(whole).max() / 4
    some = corners([*members[:3], cut[3]])
    assert (some[:, 3] == 0).mean() == pytest.approx(0.3, abs=0.05)  # few: zeros stay
    assert (found == 0).mean() < 0.32  # where all lost an entry it stays so
