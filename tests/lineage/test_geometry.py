"""Shapes of families that distances alone confuse are told apart."""

import numpy as np
import pytest

from tests.lineage.simulated import base, drawn, likely, low_rank_drift, mixed, model, trained_on
from weightkin import family_graph


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


def graph_of(**arrays):
    return family_graph([model(name, x) for name, x in arrays.items()])


def test_a_chain_is_a_chain(rng):
    a = base(rng)
    b = trained_on(a, rng, size=0.05, drift=low_rank_drift(a, rng, 0.2))
    c = trained_on(b, rng, size=0.05, drift=low_rank_drift(b, rng, 0.2))
    graph = graph_of(c=c, a=a, b=b)
    assert drawn(graph) == {("a", "b"), ("b", "c")}
    assert likely(graph)


def test_two_models_alone_are_never_parent_and_child_for_certain(rng):
    a = base(rng)
    one, two = trained_on(a, rng, decay=0.99), trained_on(a, rng, decay=0.97)
    assert likely(graph_of(one=one, two=two)) == set()
    assert likely(graph_of(a=a, one=one)) == set()


def test_a_star_is_a_star(rng):
    a = base(rng)
    children = {f"child{k}": trained_on(a, rng, size=0.1 + 0.05 * k) for k in range(4)}
    assert likely(graph_of(**children, a=a)) <= {("a", child) for child in children}


def test_siblings_of_one_objective_are_not_parent_and_child(rng):
    a = base(rng)
    drift = low_rank_drift(a, rng, 0.3)
    children = {f"child{k}": trained_on(a, rng, drift=drift) for k in range(4)}
    assert likely(graph_of(**children, a=a)) <= {("a", child) for child in children}


def test_a_merge_hangs_from_both_parents_and_an_ancestor_from_neither(rng):
    a = base(rng)
    b, c = trained_on(a, rng), trained_on(a, rng)
    m = mixed([b, c], [0.7, 0.3])
    graph = graph_of(m=m, c=c, b=b, a=a)
    assert drawn(graph) == {("a", "b"), ("a", "c"), ("b", "m"), ("c", "m")}
    assert {("b", "m"), ("c", "m")} <= likely(graph)
    weights = {e.parent: e.weight for e in graph.parents_of("m")}
    assert weights == pytest.approx({"b": 0.7, "c": 0.3}, abs=0.05)


def test_a_merge_without_its_parents_is_nobodys_merge(rng):
    a = base(rng)
    b, c, d = (trained_on(a, rng) for _ in range(3))
    m = mixed([b, c], [0.5, 0.5])
    graph = graph_of(m=m, d=d, a=a)
    assert ("d", "m") not in likely(graph)
    assert len(graph.parents_of("m")) <= 1


def test_siblings_without_their_parent_get_an_unobserved_one(rng):
    a = base(rng)
    children = {f"child{k}": trained_on(a, rng) for k in range(3)}
    graph = graph_of(**children)
    (hidden,) = [node.id for node in graph.nodes if not node.observed]
    assert {(e.parent, e.child) for e in graph.edges} == {(hidden, child) for child in children}


def test_strangers_stay_apart_however_many(rng):
    graph = graph_of(**{f"stranger{k:02d}": base(rng) for k in range(24)})
    assert not graph.edges
    assert len(graph.components) == 24


def test_two_bases_merged_join_their_families_through_the_child_only(rng):
    a, b = base(rng), base(rng)
    a1, b1 = trained_on(a, rng), trained_on(b, rng)
    m = mixed([a, b], [0.5, 0.5])
    graph = graph_of(a=a, b=b, a1=a1, b1=b1, m=m)
    assert len(graph.components) == 1
    across = {("a", "m"), ("b", "m")}
    assert across <= likely(graph)
    assert not {(p, c) for p, c in likely(graph) if {p[0], c[0]} == {"a", "b"}}


@pytest.mark.parametrize("seed", range(4))
def test_two_bases_joined_by_their_merge_alone_have_no_common_ancestor(seed):
    rng = np.random.default_rng(seed)
    a, b = base(rng), base(rng)
    graph = graph_of(a=a, b=b, m=mixed([a, b], [0.5, 0.5]))
    assert drawn(graph) == {("a", "m"), ("b", "m")}
    assert all(node.observed for node in graph.nodes)
