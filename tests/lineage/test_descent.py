"""Claim: only edges of determined direction make ancestors, and what hangs on others is open."""

from dataclasses import replace

import pytest

from tests import families
from weightkin.lineage.descent import Descent, chance_of_all
from weightkin.records.family import FamilyEdge, FamilyNode


@pytest.fixture
def small():
    return Descent(families.small())


def paths(found):
    return {node: [(e.parent, e.child) for e in path] for node, path in found.items()}


def test_descendants_are_found_at_any_depth_through_merges_and_unobserved_nodes(small):
    below = small.below("ancestor-1")
    assert set(below) == {"base-a", "ft", "ft-int4", "mix"}
    assert paths(below)["mix"] == [("ancestor-1", "base-a"), ("base-a", "ft"), ("ft", "mix")]
    assert chance_of_all(below["ft-int4"]) == pytest.approx(0.9 * 0.97 * 1.0)
    assert set(small.below("base-b")) == {"mix"}
    assert small.below("ft-int4") == {}


def test_ancestors_are_the_same_seen_from_below(small):
    assert set(small.above("mix")) == {"ft", "base-b", "base-a", "ancestor-1"}
    assert paths(small.above("mix"))["base-a"] == [("base-a", "ft"), ("ft", "mix")]


def test_what_hangs_on_an_open_edge_may_descend_from_anything_but_what_is_below_it(small):
    assert set(small.may_descend("ft")) == {"ancestor-1", "loose"} - {"ancestor-1"}
    assert set(small.may_descend("base-b")) == {"ancestor-1", "base-a", "ft", "ft-int4", "loose"}
    assert small.may_descend("stranger") == {}
    assert set(small.may_descend("loose")) == {"ancestor-1", "base-a", "ft", "ft-int4", "mix"}


@pytest.mark.parametrize(
    ("own", "other", "relation", "n_steps"),
    [("ft", "ft", "identical", 0), ("ft", "base-a", "parent", 1), ("base-a", "ft", "child", 1),
     ("ft", "ft-int4", "child", 1), ("mix", "ft", "merged-into", 1), ("ft", "mix", "child", 1),
     ("mix", "base-a", "ancestor", 2), ("base-a", "mix", "descendant", 2),
     ("ft-int4", "mix", "sibling", 0), ("ft", "loose", "unknown", 0),
     ("loose", "ancestor-1", "unknown", 0), ("ft", "base-b", "unknown", 0)],
)  # fmt: skip
def test_a_relation_is_that_of_the_determined_edges(small, own, other, relation, n_steps):
    assert small.relation(own, other) == (relation, n_steps)


def test_an_uncle_shares_an_ancestor():
    nodes = [FamilyNode(id=x, name=x) for x in "abcd"]
    sure = {"direction": "determined", "direction_probability": 0.5, "parent_probability": 0.9}
    edges = [FamilyEdge(parent=p, child=c, **sure) for p, c in ("ab", "ac", "cd")]
    found = Descent(families.graph(nodes, edges))
    assert found.relation("d", "b") == ("relative", 0)
    assert chance_of_all(found.below("a")["d"]) == pytest.approx(0.81)
    edges[0] = replace(edges[0], direction="undetermined")
    assert Descent(families.graph(nodes, edges)).relation("d", "b") == ("unknown", 0)
