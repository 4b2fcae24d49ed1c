"""Claim: coincidences are counted as defined; 1/k! bounds their law for every equivariant rule."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import naive
from weightkin.stats.coincidences import (
    Z_GRID,
    coincidences_log10_sf,
    count_coincidences,
    log_evalues,
    mix_log_evalue,
)
from weightkin.stats.matching import Matching, centred, match_rows, unit_rows, usable_rows


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_bound_holds_for_every_rule_whatever_its_multiplicities(n):
    for rule in product(range(n), repeat=n):  # every function, one-to-one or not
        tail = naive.tail_over_labels(lambda p, a=rule: sum(a[i] == p[i] for i in range(n)), n)
        for k, probability in tail.items():
            assert math.log10(probability) <= coincidences_log10_sf(k) + 1e-12


@pytest.mark.parametrize("n", [6, 7])
def test_bound_holds_for_one_to_one_rules_and_is_tight_at_the_end(n):
    tail = naive.tail_over_labels(lambda p: sum(i == p[i] for i in range(n)), n)
    for k, probability in tail.items():
        assert math.log10(probability) <= coincidences_log10_sf(k) + 1e-12
    assert math.log10(tail[n]) == pytest.approx(coincidences_log10_sf(n))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.claim
def test_evalues_have_expectation_at_most_one_for_every_rule(n):
    from itertools import permutations

    for rule in product(range(n), repeat=n):
        counts = [sum(rule[i] == p[i] for i in range(n)) for p in permutations(range(n))]
        e = np.mean([np.exp(log_evalues(k)) for k in counts], axis=0)
        assert (e <= 1 + 1e-12).all()
        assert np.mean([math.exp(mix_log_evalue(log_evalues(k))) for k in counts]) <= 1 + 1e-12


def test_bound_is_finite_and_falls_with_every_count():
    values = [coincidences_log10_sf(k) for k in (0, 1, 2, 10, 1000, 10**6)]
    assert values[:2] == [0.0, 0.0]
    assert all(math.isfinite(v) for v in values)
    assert values == sorted(values, reverse=True)


def test_matching_agrees_with_the_slow_twin(rng):
    x, y = rng.standard_normal((2, 12, 5)).astype(np.float32)
    matching = match_rows(x, y, rng)
    assert matching.forward.tolist() == naive.nearest(x, y)
    assert matching.backward.tolist() == naive.nearest(y, x)
    counted = count_coincidences(matching)
    assert counted.forward == naive.coincidences(x, y)
    assert counted.backward == naive.coincidences(y, x)


def test_relabelling_both_models_changes_no_count(rng):
    x = rng.standard_normal((40, 8)).astype(np.float32)
    y = (x + 0.8 * rng.standard_normal(x.shape)).astype(np.float32)
    p = rng.permutation(40)
    before = count_coincidences(match_rows(x, y, rng))
    after = count_coincidences(match_rows(x[p], y[p], rng))
    assert (before.forward, before.backward) == (after.forward, after.backward)


def test_a_copy_coincides_everywhere_and_its_effect_is_one(rng):
    x = rng.standard_normal((30, 16)).astype(np.float32)
    counted = count_coincidences(match_rows(x, 3 * x, rng))
    assert counted.forward == counted.backward == len(counted.units) == 30
    assert counted.observed == pytest.approx(1.0, abs=1e-5)
    assert counted.chance.max() < 0.95


def test_chance_is_the_best_other_match_in_both_directions():
    own = np.arange(3)
    cosine = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.3], [0.0, 0.4, 0.7]], np.float32)
    found = count_coincidences(Matching(own, own, cosine))
    assert found.observed == pytest.approx([0.9, 0.8, 0.7])
    assert found.chance == pytest.approx([(0.5 + 0.2) / 2, (0.3 + 0.5) / 2, (0.4 + 0.3) / 2])
    some = count_coincidences(Matching(own, np.array([0, 2, 2]), cosine))
    assert (some.n_units, some.forward, some.backward) == (3, 3, 2)
    assert some.units.tolist() == [0, 2]


def test_dead_and_duplicated_rows_never_coincide(rng):
    x = rng.standard_normal((20, 6)).astype(np.float32)
    x[3] = 0
    x[8], x[9] = 2 * x[5], -3 * x[5]
    x[11, 0] = np.nan
    assert np.flatnonzero(~usable_rows(x)).tolist() == [3, 5, 8, 9, 11]
    matching = match_rows(x, x, rng)
    out = [3, 5, 8, 9, 11]
    assert (matching.forward[out] == -1).all()
    assert (matching.backward[out] == -1).all()
    assert (matching.cosine[out] == -np.inf).all()
    counted = count_coincidences(matching)
    assert counted.forward == counted.n_units == 15


def test_centred_units_keep_no_mean_and_no_direction_that_most_share(rng):
    shared = rng.standard_normal(40)
    own = 0.1 * rng.standard_normal((30, 40))
    units = (own + rng.uniform(1, 2, (30, 1)) * shared + rng.normal(0, 9, (30, 1))).astype(
        np.float32
    )
    found = centred(units)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-4)
    direction = shared - shared.mean()
    left = found @ direction / np.linalg.norm(direction)
    assert np.abs(left).max() < 0.1 * np.abs(units @ direction / np.linalg.norm(direction)).min()
    order = rng.permutation(30)
    np.testing.assert_allclose(centred(units[order]), found[order], atol=1e-4)
    expected = own - own.mean(axis=1, keepdims=True)
    expected -= np.outer(expected @ direction, direction) / (direction @ direction)
    assert np.linalg.norm(found - expected) < 0.2 * np.linalg.norm(expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e18, 1e30])
def test_rows_of_any_size_get_length_one(rng, scale):
    """Their squares would leave single precision."""
    x = rng.standard_normal((5, 7))
    x[2] = 0
    scaled = unit_rows((scale * x).astype(np.float32))
    np.testing.assert_allclose(scaled, unit_rows(x.astype(np.float32)), atol=1e-6)
    assert np.linalg.norm(scaled, axis=1) == pytest.approx([1, 1, 0, 1, 1])


def test_ties_are_broken_without_looking_at_labels(rng):
    """Rows drawn from four coarse values: a solver that prefers low indices would coincide."""
    hits = 0
    for _ in range(400):
        x, y = rng.integers(-1, 2, (2, 8, 2)).astype(np.float32)
        hits += count_coincidences(match_rows(x, y, rng)).forward
    assert hits / 400 < 1.0 + 5 / math.sqrt(400)  # expectation at most one


@given(st.integers(0, 300), st.integers(0, 300))
def test_more_coincidences_are_never_weaker_evidence(k, more):
    assert mix_log_evalue(log_evalues(k + more)) >= mix_log_evalue(log_evalues(k))


def test_grid_loses_little_against_the_best_z():
    for k in (4, 16, 64, 256, 1024):
        best = k * math.log(k) - (k - 1)
        loss = best - mix_log_evalue(log_evalues(k))
        assert loss < 0.1 * k + math.log(len(Z_GRID))
