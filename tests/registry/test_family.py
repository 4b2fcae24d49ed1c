"""Claim: the family graph of a registry is that of its models, kept, grown and renewed."""

import shutil
import sqlite3

import pytest

from weightkin import FamilyGraph, Registry, family_graph
from weightkin.errors import UnreadableModel, UnusableRegistry


def edges(graph):
    return {(e.parent, e.child, e.kind, e.direction) for e in graph.edges}


def found_at(path):
    with sqlite3.connect(path) as connection:
        times = connection.execute("SELECT found, record FROM family").fetchall()
    connection.close()
    return times


@pytest.fixture
def registry(family, crowd, tmp_path):
    found = Registry(tmp_path / "r.sqlite")
    found.add([family / x for x in ("root", "child", "hidden", "sibling")] + crowd[:3])
    return found


def test_the_graph_of_a_registry_is_that_of_its_models(registry, family, crowd):
    graph = registry.family()
    models = [family / x for x in ("root", "child", "hidden", "sibling")] + crowd[:3]
    assert edges(graph) == edges(family_graph(models))
    assert [(n.name, n.registered) for n in graph.nodes if n.observed] == [
        (m.name, (m.id,)) for m in registry.list()
    ]
    assert FamilyGraph.from_json(graph.to_json()).nodes == graph.nodes


def test_the_graph_is_kept_while_the_models_stay(registry, family):
    first = registry.family()
    written = found_at(registry.path)
    assert registry.family().to_json() == first.to_json()
    assert found_at(registry.path) == written
    assert registry.family(alpha=1e-8).alpha == 1e-8


def test_a_newcomer_is_hung_into_the_graph(registry, family):
    registry.family()
    registry.add([family / "grandchild"])
    graph = registry.family()
    assert graph.parameters["n_contents"] == 7  # when it was begun
    assert {e.parent for e in graph.parents_of("grandchild")} == {"child"}
    with sqlite3.connect(registry.path) as connection:
        connection.execute("DELETE FROM family")
    connection.close()
    assert edges(registry.family()) == edges(graph)
    assert registry.family().parameters["n_contents"] == 8


def test_a_hidden_newcomer_is_hung_through_its_invariant_vector(family, crowd, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root", family / "child", *crowd[:3]])
    registry.family()
    registry.add([family / "hidden"])
    graph = registry.family()
    assert graph.parameters["n_contents"] == 5
    assert {e.parent for e in graph.parents_of("hidden")} <= {"root", "child"}
    assert graph.parents_of("hidden")


def test_a_copy_and_a_removal_are_seen(registry, family, tmp_path):
    registry.family()
    registry.add([shutil.copytree(family / "root", tmp_path / "other" / "root")])
    node = registry.family().nodes[0]
    assert (node.id, node.duplicates, node.registered) == ("root", ("root",), (1, 8))
    registry.remove("child")
    assert "child" not in {n.id for n in registry.family().nodes}


def test_what_cannot_be_laid_out_is_told(registry, tmp_path):
    with pytest.raises(UnusableRegistry, match="no such registry"):
        Registry(tmp_path / "none.sqlite").family()
    sketches = sorted((tmp_path / "r.sqlite.files" / "sketches").iterdir())
    sketches[0].write_bytes(b"short")
    graph = registry.family()
    assert graph.incomplete
    assert len(graph.skipped) == 1
    for sketch in sketches:
        sketch.write_bytes(b"short")
    with pytest.raises(UnreadableModel, match="none of 7 sketches"):
        registry.family(seed=1)
    for model in registry.list():
        registry.remove(f"#{model.id}")
    with pytest.raises(UnusableRegistry, match="no model is registered"):
        registry.family()
