"""Claim: a family graph and earlier comparisons say which declared parents the weights confirm."""

import sqlite3
from dataclasses import replace

import pytest

from tests.families import graph
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyNode
from weightkin.records.registry import Registered, Step
from weightkin.registry.declarations import Named, check_declared, matching, parent_figures
from weightkin.registry.placement import Placement
from weightkin.registry.proposing import Compared, Request
from weightkin.registry.standing import Placing
from weightkin.report.html.graph_model import family_drawing
from weightkin.report.html.one_family import by_family, named_after

NAMES = ("base", "tuned", "cast", "other", "mix", "alone", "new", "copy")  # numbers 1 to 8


def registered(number, name, *parents, source=""):
    return Registered(
        id=number, name=name, source=source or f"/x/{name}", revision="", digest=f"wk1-{number}",
        full_digest="", added="", declared_parents=parents,
    )  # fmt: skip


def edge(parent, child, direction="determined", kind="fine-tuned", weight=1.0, log10_p=-40.0):
    return FamilyEdge(parent=parent, child=child, kind=kind, direction=direction, weight=weight,
                      log10_pvalue=log10_p)  # fmt: skip


def placing(untestable=(), **declared):
    """Base -> tuned -> cast, tuned + other -> mix; alone; copy has the contents of base."""
    models = {k: registered(k, x, *declared.get(x, ())) for k, x in enumerate(NAMES, 1)}
    nodes = [FamilyNode(id=x, name=x, registered=(k,)) for k, x in enumerate(NAMES[:6], 1)]
    edges = [edge("base", "tuned"), edge("tuned", "cast", "undetermined", "cast"),
             edge("tuned", "mix", kind="merged", weight=0.5),
             edge("other", "mix", kind="merged", weight=0.5)]  # fmt: skip
    parts = [("base", "tuned", "cast", "other", "mix"), ("alone",)]
    slots = {k: k for k in models} | {8: 1}
    found = graph(nodes, edges, parts)
    return Placing(models=models, slots=slots, graph=found, untestable=untestable)


@pytest.mark.parametrize(
    ("child", "parent", "state"),
    [
        ("tuned", "base", "confirmed"),
        ("mix", "base", "confirmed"),  # over two steps
        ("tuned", "org/BASE", "confirmed"),
        ("cast", "tuned", "confirmed"),  # related, whichever is the older
        ("copy", "base", "confirmed"),
        ("base", "mix", "contradicted"),  # the other way round
        ("alone", "base", "contradicted"),
        ("tuned", "nowhere", "unverifiable"),
        ("tuned", "tuned", "confirmed"),
        ("new", "base", ""),  # in no graph yet
        ("base", "other", ""),  # of one family by a merge alone: nothing shows it
    ],
)
def test_a_declared_parent_is_held_against_the_graph(child, parent, state):
    place = placing(**{child: (parent,)})
    (found,) = place.standings({})[NAMES.index(child) + 1].declared
    assert (found.name, found.state) == (parent, state)


def test_an_edge_that_nothing_shows_confirms_no_declared_parent():
    joined = [edge("tuned", "mix", kind="merged", weight=0.5),
              edge("other", "mix", kind="merged", weight=0.5)]  # fmt: skip
    drawn = edge("tuned", "other", "undetermined", "unknown", log10_p=0.0)
    nodes = [FamilyNode(id=x, name=x, registered=(k,)) for k, x in enumerate(NAMES[:6], 1)]
    models = {k: registered(k, x) for k, x in enumerate(NAMES, 1)}
    models |= {2: registered(2, "tuned", "other"), 4: registered(4, "other", "tuned")}
    slots = {k: k for k in models}
    place = Placing(models=models, slots=slots, graph=graph(nodes, [*joined, drawn]))
    found = place.standings({})
    assert [found[k].declared[0].state for k in (2, 4)] == ["", ""]
    by_test = replace(drawn, log10_pvalue=-40.0)
    place = replace(place, graph=graph(nodes, [*joined, by_test]))
    assert place.standings({})[4].declared[0].state == "confirmed"


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("dependent", "confirmed"), ("no-evidence", "contradicted"), ("not-testable", "unverifiable"),
     ("aligned-only", "contradicted")],
)  # fmt: skip
def test_an_earlier_comparison_says_what_the_graph_does_not(verdict, state):
    place = placing(base=("other",), new=("alone",), tuned=("base",))
    assert set(place.asked()) == {(1, 4), (7, 6)}
    found = place.standings({(1, 4): verdict, (7, 6): verdict})
    assert [found[k].declared[0].state for k in (1, 7, 2)] == [state, state, "confirmed"]


def test_what_no_test_reaches_contradicts_nothing():
    place = placing(untestable=[1], alone=("base",))
    assert place.standings({})[6].declared[0].state == "unverifiable"


def test_every_model_has_its_family_its_parents_and_its_ancestors():
    found = placing().standings({})
    assert [found[k].family for k in range(1, 9)] == ["base"] * 5 + ["", "", "base"]
    assert [x.parent_id for x in found[5].parents] == [2, 4]
    assert sorted(found[5].ancestors) == [1, 2, 4]
    assert found[3].ancestors == ()  # by an edge whose direction is open
    assert [k for k in found if not found[k].is_placed] == [7]


def test_a_family_is_called_as_on_its_page_after_the_top_of_its_largest_tree():
    names = ("late", "mix", "top", "x", "y", "z")
    models = {k: registered(k, x) for k, x in enumerate(names, 1)}
    nodes = [FamilyNode(id=x, name=x, registered=(k,)) for k, x in enumerate(names, 1)]
    nodes.append(FamilyNode(id="unobserved-1", observed=False))
    edges = [edge("unobserved-1", "late"), edge("unobserved-1", "top"), edge("top", "x"),
             edge("top", "y"), edge("late", "z"), edge("late", "mix", kind="merged", weight=0.4),
             edge("top", "mix", kind="merged", weight=0.6)]  # fmt: skip
    found = graph(nodes, edges)
    place = Placing(models=models, slots={k: k for k in models}, graph=found)
    standings = place.standings({}).values()
    assert {(x.family, x.first) for x in standings} == {("top", 1)}
    assert named_after(by_family(family_drawing(found))[0]).label == "top"


def test_the_place_of_one_model_has_its_path_children_and_merges():
    place = placing().placement(2)
    assert [(x.parent, x.child_id) for x in place.path] == [("base", 2)]
    assert [(x.child, x.kind) for x in place.children] == [("cast", "cast"), ("mix", "merged")]


def test_names_mean_the_same_one_by_one_and_all_at_once():
    models = [registered(1, "a/b"), registered(2, "B", source="hf://a/b"), registered(3, "ä"),
              registered(4, "Ä"), registered(5, "hf://x", source="x")]  # fmt: skip
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE models (id INTEGER PRIMARY KEY, name TEXT, source TEXT)")
        rows = [(m.id, m.name, m.source) for m in models]
        connection.executemany("INSERT INTO models VALUES (?, ?, ?)", rows)
        at_once = Named(models)
        for name in ("a/b", "b", "c/b", "Ä", "ä", "x", "hf://x", "hf://a/b", "none"):
            assert at_once(name) == matching(connection, name), name


def test_only_a_determined_parent_is_undeclared():
    request = Request(own=None, wanted=(), alpha=1e-6, seed=0, most=9)
    steps = [
        Step(parent=x, child="own", parent_id=i, kind="cast", direction=x)
        for i, x in enumerate(("determined", "undetermined"), 1)
    ]
    place = Placement(parents=tuple(steps))
    found = check_declared((), {}, Compared(request=request, n_scanned=2), place)
    assert [(x.name, x.state) for x in found] == [
        ("determined", "undeclared"),
        ("undetermined", "possible"),
    ]
    assert [x.is_undeclared for x in found] == [True, False]


def test_an_inferred_parent_has_its_figures():
    far = clue("relative-distance", distance=0.125)
    step = Step(parent="base", child="own", parent_id=1, kind="cast", parent_probability=0.47,
                direction_probability=0.9, evidence=(far,))  # fmt: skip
    first, own = (replace(registered(k, "x"), added=f"2026-11-{k:02}") for k in (1, 9))
    known = {"kind": "cast", "probability": 0.47, "older": 0.9, "distance": 0.125}
    assert parent_figures(step) == known
    assert parent_figures(step, first, own) == {**known, "is_registered_first": True}
    assert parent_figures(step, own, first) == {**known, "is_registered_first": False}
    assert parent_figures(step, own, own) == known  # added by one call: nothing is known
