"""Many models: a forest is recovered, additions land where a full run puts them."""

import numpy as np
import pytest
from benchmarks.lib import claim

from tests.lineage.simulated import CONFIG, base, trained_on
from weightkin import family_graph, take_sketch
from weightkin.formats import model_from_arrays
from weightkin.lineage.proposed import likeness, proposed
from weightkin.lineage.relatives import MIN_LIKENESS
from weightkin.sketch.vectors import nearest, search_vectors

edges_of = claim("scale").edges_of
forest = claim("scale").forest
inserted = claim("scale").inserted

SIZES = (1, 4, 1, 2, 3, 1, 6, 8, 2, 12)


@pytest.fixture(scope="module")
def models():
    return list(forest(120, np.random.default_rng(20240607), SIZES))


@pytest.fixture(scope="module")
def graph(models):
    return family_graph([sketch for _, _, sketch in models])


@pytest.mark.claim
def test_a_forest_of_120_is_recovered(models, graph):
    true = {(parent, name) for name, parent, _ in models if parent}
    assert len(edges_of(graph) & true) >= 0.85 * len(true)
    homes = [{x.split("-")[0] for x in family if x.startswith("f")} for family in graph.families]
    assert all(len(home) == 1 for home in homes)


def test_vectors_find_every_relative_and_no_stranger(models):
    home = [name.split("-")[0] for name, _, _ in models]
    vectors = search_vectors([sketch for _, _, sketch in models])
    ((_, near, cosine),) = nearest(vectors, 64)
    for own, others, alike in zip(home, near, cosine, strict=True):
        found = {home[k] for k, c in zip(others, alike, strict=True) if c > 0.3}
        assert found <= {own}
        n_kin = min(64, home.count(own) - 1)
        assert sum(home[k] == own for k in others[:n_kin]) == n_kin


def test_vectors_do_not_depend_on_other_models(models):
    sketches = [sketch for _, _, sketch in models[:4]]
    assert np.array_equal(search_vectors(sketches)[2], search_vectors(sketches[2:3])[0])


def test_pairs_from_vectors_are_those_of_all_pairs(models):
    sketches = [sketch for _, _, sketch in models[:60]]
    everything, few = likeness(sketches), proposed(sketches, max_dense=0).toarray()
    assert np.array_equal(everything > 2 * MIN_LIKENESS, few > 2 * MIN_LIKENESS)
    assert np.allclose(everything[few != 0], few[few != 0], rtol=1e-4)


@pytest.mark.parametrize("factor", [100.0, 1e30])
def test_matrices_that_grew_hide_no_other(factor):
    rng = np.random.default_rng(5)
    first = base(rng)
    child = {
        k: (x + factor * rng.normal(0, 0.05, x.shape)).astype(np.float32) if "down" in k else x
        for k, x in trained_on(first, rng).items()
    }
    folder = {"first": first, "child": child, "other": base(rng)}
    loaded = [model_from_arrays(x, name=k, config=CONFIG) for k, x in folder.items()]
    for max_dense in (2000, 0):
        z = proposed([take_sketch(x) for x in loaded], max_dense)
        assert z[0, 1] > 5 * MIN_LIKENESS  # without them: 0.8 of what it was
        assert abs(z[0, 2]) < MIN_LIKENESS > abs(z[1, 2])
    found = family_graph(loaded)
    assert {frozenset(folder.keys() & set(x)) for x in found.components} == {
        frozenset({"first", "child"}),
        frozenset({"other"}),
    }


@pytest.mark.parametrize("place", [2, 7])
@pytest.mark.claim
def test_an_addition_lands_where_a_full_run_puts_it(models, place):
    some = models[:24]
    parents = {parent for _, parent, _ in some}
    name, _, sketch = [m for m in some if m[0] not in parents][place]
    rest = {other: s for other, _, s in some if other != name}
    vectors = search_vectors(list(rest.values()))
    added = inserted(family_graph(list(rest.values())), rest, vectors, sketch)
    whole = family_graph([s for _, _, s in some])
    assert edges_of(added) == edges_of(whole)
    assert {frozenset(c) for c in added.components} == {frozenset(c) for c in whole.components}
