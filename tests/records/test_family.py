"""Claim: a family record goes to JSON and back, and refuses what does not fit together."""

import json
from dataclasses import replace

import pytest

from tests import families
from weightkin.errors import UnreadableModel
from weightkin.records.accounting import PossibleParent
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode, RunnerUp


def test_json_is_the_contract_and_comes_back():
    graph = families.small()
    data = json.loads(graph.to_json())
    assert data["schema"] == "weightkin/family/2"
    assert {"nodes", "edges", "components"} <= data.keys()
    assert data["nodes"][0].keys() == {"id", "name", "source", "digest", "observed", "duplicates",
                                      "registered", "components"}  # fmt: skip
    required = {"parent", "child", "kind", "kind_details", "weight", "log10_pvalue", "direction",
                "direction_probability", "distance", "support"}  # fmt: skip
    assert required <= data["edges"][0].keys()
    assert FamilyGraph.from_json(graph.to_json()) == graph
    assert FamilyGraph.from_json(graph.to_json(indent=None)) == graph


def test_nothing_is_null():
    assert "null" not in families.small().to_json()
    assert "runner_up" not in json.loads(families.small().to_json())["edges"][-1]


def test_fields_of_a_later_version_are_passed_over():
    data = json.loads(families.small().to_json())
    data["new"] = data["nodes"][0]["new"] = data["edges"][0]["new"] = 1
    assert FamilyGraph.from_json(json.dumps(data)) == families.small()


def test_an_unobserved_node_has_no_name():
    with pytest.raises(ValueError, match="unobserved but has a name"):
        families.graph([FamilyNode(id="x", name="x", observed=False)], [])


@pytest.mark.parametrize(
    ("nodes", "edges", "said"),
    [
        ("ab", [("a", "c")], "there is no node 'c'"),
        ("ab", [("a", "b"), ("a", "b")], "an edge is there twice"),
        ("aba", [], "a node is there twice"),
        ("a", [("a", "a")], "a cycle"),
        ("abc", [("a", "b"), ("b", "c"), ("c", "a")], "a cycle"),
    ],
)
def test_graphs_that_cannot_be_are_refused(nodes, edges, said):
    made = [FamilyEdge(parent=p, child=c) for p, c in edges]
    with pytest.raises(ValueError, match=said):
        families.graph([FamilyNode(id=x, name=x) for x in nodes], made, [tuple(nodes)])


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ([("a", "b")], "do not partition"),
        ([("a", "b", "c"), ("c",)], "do not partition"),
        ([("a",), ("b", "c")], "joins two components"),
        ([("a", "b", "c"), ()], "a component is empty"),
    ],
)
def test_components_must_partition_the_nodes(components, said):
    nodes = [FamilyNode(id=x, name=x) for x in "abc"]
    with pytest.raises(ValueError, match=said):
        families.graph(nodes, [FamilyEdge(parent="a", child="b")], components)


@pytest.mark.parametrize(
    "change",
    [
        {"distance": float("nan")},
        {"distance": -1.0},
        {"weight": float("inf")},
        {"log10_pvalue": 0.5},
        {"support": 1.5},
        {"direction_probability": -0.1},
        {"direction": "maybe"},
        {"distance": True},
        {"runner_up": RunnerUp(parent="nobody", behind=0.1)},
        {"runner_up": RunnerUp(parent="a", behind=float("nan"))},
        {"parent_probability": 1.1},
        {"parents": (PossibleParent(parent="nobody", probability=0.5),)},
        {"parents": (PossibleParent(parent="root", probability=0.5),)},
        {"parents": (PossibleParent(parent="a", probability=-0.5),)},
        {"parents": (PossibleParent(parent="a", probability=0.5, observed=False),)},
    ],
)
def test_edges_that_cannot_be_are_refused(change):
    edge = replace(FamilyEdge(parent="a", child="b"), **change)
    with pytest.raises(ValueError, match="edge 'a' -> 'b'"):
        families.graph([FamilyNode(id=x, name=x) for x in "ab"], [edge])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("nodes", 0, "id"), 7),
        (("nodes", 0, "id"), ""),
        (("nodes", 0), "a"),
        (("edges", 0, "distance"), "far"),
        (("edges", 0, "kind"), ["cast"]),
        (("components",), [[1]]),
        (("components",), 5),
        (("alpha",), "small"),
        (("edges", 0, "runner_up"), {"who": "a"}),
    ],
)
def test_a_broken_record_is_one_line(path, value):
    data = json.loads(families.small().to_json())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(UnreadableModel, match=r"^family.json: invalid record \(") as error:
        FamilyGraph.from_json(json.dumps(data), "family.json")
    assert "\n" not in str(error.value)


def test_the_sentence_counts():
    assert families.small().sentence == (
        "8 models (1 duplicate): 7 in 1 family, 1 without relatives, 1 unobserved ancestor,"
        " 6 edges (1 with an undetermined parent)"
    )


def test_the_models_of_the_sentence_add_up():
    whole = families.small()
    nodes = [*whole.nodes, FamilyNode(id="far", name="far", duplicates=("far-copy", "far-too")),
             FamilyNode(id="odd", name="odd")]  # fmt: skip
    more = replace(whole, nodes=tuple(nodes), not_testable=("far", "ft"),
                   components=(*whole.components, ("far",), ("odd",)))  # fmt: skip
    assert more.sentence.startswith(
        "12 models (3 duplicates): 7 in 1 family, 2 without relatives, 3 not testable, 1 unobserved"
    )
    alone = families.graph(nodes[-2:], [], [("far",), ("odd",)])
    assert alone.sentence == "4 models (2 duplicates): no family, 4 without relatives"


def test_parents_come_heaviest_first():
    assert [edge.parent for edge in families.small().parents_of("mix")] == ["ft", "base-b"]
