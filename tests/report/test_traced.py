"""Claim: what is drawn and said of a path is what its record holds, whatever models are called."""

from dataclasses import replace

import pytest

from tests import families
from tests.report import records
from weightkin.records import note
from weightkin.records.comparison import Summary
from weightkin.records.family import FamilyEdge, FamilyNode, RunnerUp
from weightkin.records.form import probability_words
from weightkin.records.registry import DeclaredParent, Registered, Relative, Step, Trace
from weightkin.report.cyclonedx import cyclonedx
from weightkin.report.html import body
from weightkin.report.html.graph_model import (
    DrawnEdge,
    DrawnNode,
    drawing,
    family_drawing,
    trace_drawing,
)
from weightkin.report.html.layout import Link, closing_links
from weightkin.report.in_toto import in_toto
from weightkin.report.model_card import model_card
from weightkin.report.parentage import of_trace
from weightkin.report.registry import trace_lines


def step(parent, child, **more):
    ends = {"parent_digest": f"wk1-{parent}", "child_digest": f"wk1-{child}"}
    fields = {"parent": f"m{parent}", "child": f"m{child}", "parent_id": parent, "child_id": child}
    sure = {"direction": "determined", "direction_probability": 0.99}
    return Step(**{**fields, **ends, **sure, **more})


def said(name, state, number=0):
    return DeclaredParent(name=name, state=state, code="text", data={"text": "because"}, id=number)


def trace_of(*, path=(), children=(), declared=(), relatives=(), name="m2"):
    search = replace(records.search(), name=name, digest="wk1-2", path=path, parents=path[:1],
                     children=children, relatives=relatives)  # fmt: skip
    return Trace(search=search, declared=declared)


def relative(number, name, digest, notes=()):
    model = Registered(id=number, name=name, source=name, revision="", digest=digest,
                       full_digest="", added="2026", notes=notes)  # fmt: skip
    summary = Summary(verdict="dependent", basis="exact", log10_pvalue=-9.0, looked_at="sketch")
    return Relative(model=model, summary=summary, cosine=1.0, invariant_cosine=1.0)


def labels(drawn):
    named = {node.id: node.label for node in drawn.nodes}
    return {(named[e.parent], named[e.child], e.style) for e in drawn.edges}


def test_a_declared_parent_that_is_a_child_is_not_drawn_as_parent():
    declared = (said("m4", "contradicted", 4), said("m1", "undeclared", 1))
    record = trace_of(path=(step(1, 2),), children=(step(2, 4),), declared=declared)
    drawn = trace_drawing(record)
    edges = {("#1 m1", "m2", "inferred"), ("m2", "#4 m4", "inferred")}
    assert labels(drawn) == edges
    x = {node.label: place[0] for node, place in zip(drawn.nodes, drawn.places, strict=True)}
    assert x["#1 m1"] < x["m2"] < x["#4 m4"]
    text = str(body(record))
    assert "Declares" in text
    assert "m4: contradicted; because" in text


def test_a_declared_parent_elsewhere_is_dotted():
    declared = (said("m9", "unverifiable"), said("m7", "contradicted", 7))
    drawn = trace_drawing(trace_of(path=(step(1, 2),), declared=declared))
    dotted = {("m9", "m2", "declared"), ("#7 m7", "m2", "declared")}
    assert labels(drawn) == {("#1 m1", "m2", "inferred"), *dotted}


def test_models_of_one_name_are_several_models():
    path = tuple(replace(x, parent="model", child="model") for x in (step(2, 3), step(1, 2)))
    declared = (said("model", "confirmed", 2), said("model", "unverifiable"))
    record = trace_of(path=path, declared=declared, name="model")
    drawn = trace_drawing(record)
    assert sorted(n.label for n in drawn.nodes) == ["#1 model", "#2 model", "model", "model"]
    assert all(edge.parent != edge.child for edge in drawn.edges)
    assert len(set(drawn.places)) == 4
    assert "#1 model" in str(body(record))


def test_a_parent_that_was_not_registered_has_no_number():
    hidden = replace(step(1, 2), parent="unobserved-1", parent_id=0, parent_digest="")
    drawn = trace_drawing(trace_of(path=(hidden,)))
    assert [n.is_observed for n in drawn.nodes] == [True, False]


def test_models_with_the_same_contents_are_named():
    same = "identical to m1 (#1) on the sample"
    copies = (
        relative(5, "copy", "wk1-1", (note("same-contents", name="m1", id=1),)),
        relative(1, "m1", "wk1-1"),
    )
    record = trace_of(
        path=(step(1, 2),), relatives=copies, declared=(said("copy", "confirmed", 5),)
    )
    drawn = trace_drawing(record)
    assert labels(drawn) == {("#1 m1", "m2", "inferred")}  # the declared one is its equal
    assert drawn.nodes[1].shown == "#1 m1 +1"
    assert same in str(body(record))
    nodes = [FamilyNode(id="base", name="base", duplicates=("x/copy", "y/other")),
             FamilyNode(id="ft", name="ft")]  # fmt: skip
    graph = families.graph(nodes, [FamilyEdge(parent="base", child="ft")])
    assert family_drawing(graph).nodes[0].also == ("copy", "other")
    text = str(body(graph))
    for words in ('"also":["copy","other"]', "base +2", "= copy and 1 more", ">+1</b>"):
        assert words in text


def test_what_is_not_declared_is_not_under_what_is():
    record = trace_of(path=(step(1, 2),), declared=(said("m1", "undeclared", 1),))
    text = str(body(record))
    assert "What the model declares" not in text
    assert "Inferred parents that it does not declare" in text


def test_a_declared_parent_that_is_confirmed_is_said_to_be_related_by_whatever_evidence():
    text = str(body(trace_of(declared=(said("m1", "confirmed", 1),))))
    assert "declared, and related by its weights" in text
    assert "shared weights were found" not in text


POSSIBLE = DeclaredParent(name="m1", state="possible", code="perhaps", data={"kind": "cast"}, id=1)


@pytest.mark.parametrize("state", ["possible", "undeclared"])  # the second as it was written before
def test_a_parent_that_is_only_possible_is_called_so_with_its_licence(state):
    model = relative(1, "m1", "wk1-1")
    model = replace(model, model=replace(model.model, licence="cc-by-nc-4.0"))
    open_ = step(1, 2, direction="undetermined", direction_probability=0.6)
    declared = (replace(POSSIBLE, state=state),)
    record = trace_of(path=(open_,), relatives=(model,), declared=declared)
    text, lines = str(body(record)), "\n".join(trace_lines(record))
    assert "Inferred parents that it does not declare" not in text
    assert "Possible parents" in text
    assert ">cc-by-nc-4.0</td>" in text
    assert "undeclared" not in lines
    assert "possible    m1: possibly a parent (kind: cast); licence cc-by-nc-4.0" in lines
    for form in (cyclonedx, in_toto, model_card):
        assert "undeclared" not in form(of_trace(record))


def test_a_possible_parent_says_how_probable_how_far_and_which_came_first():
    data = {"kind": "cast", "probability": 0.473, "older": 0.999, "distance": 0.12345,
            "is_registered_first": False}  # fmt: skip
    record = trace_of(path=(step(1, 2),), declared=(replace(POSSIBLE, data=data),))
    words = (
        "possibly a parent (kind: cast; probability as the parent 0.47; as the older of the two"
        " >0.99; overall distance 0.123; registered after this model)"
    )
    assert f"possible    m1: {words}" in "\n".join(trace_lines(record))
    unknown = replace(POSSIBLE, data={"kind": "unknown", "is_registered_first": True})
    assert unknown.sentence == "possibly a parent (kind unknown; registered before this model)"


def test_a_sure_parent_that_is_not_declared_stands_with_its_licence():
    model = relative(1, "m1", "wk1-1")
    model = replace(model, model=replace(model.model, licence="mit"))
    declared = (replace(POSSIBLE, state="undeclared", code="inferred"),)
    record = trace_of(path=(step(1, 2),), relatives=(model,), declared=declared)
    assert "undeclared  m1: inferred parent (cast); licence mit" in "\n".join(trace_lines(record))
    assert '"undeclared"' in in_toto(of_trace(record))


@pytest.mark.parametrize(("support", "words"), [(0.0, "0.00"), (0.93, "0.93")])
def test_support_is_explained(support, words):
    record = trace_of(path=(step(1, 2, support=support),))
    text = str(body(record))
    assert f'data-label="Support" class="num">{words}</td>' in text
    assert "share of resamples of the matrices" in text


@pytest.mark.parametrize(
    ("links", "closing"),
    [
        ([(0, 1), (1, 2)], set()),
        ([(0, 1), (1, 2), (2, 1)], {2}),
        ([(0, 0)], {0}),
        ([(0, 1), (1, 0), (2, 0)], {0, 1}),
        ([(0, 2), (1, 2), (0, 1)], set()),
    ],
)
def test_circles_are_opened_and_nothing_else(links, closing):
    found = closing_links(3, [Link(a, b) for a, b in links])
    assert found <= closing
    assert bool(found) == bool(closing)
    nodes = [DrawnNode(id=x, label=x) for x in "abc"]
    edges = [DrawnEdge(parent="abc"[a], child="abc"[b], kind="k", label="k", style="inferred",
                       probability=1.0) for a, b in links]  # fmt: skip
    drawn = drawing(nodes, edges)
    assert len(set(drawn.places)) == 3
    assert not drawn.carrying & found


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (1.0, ">0.99"),
        (0.9994, ">0.99"),
        (0.99, "0.99"),
        (0.7999, "0.79"),
        (0.5, "0.50"),
        (0.0, "<0.01"),
    ],
)
def test_no_probability_is_said_to_be_one(probability, words):
    assert probability_words(probability) == words


def test_the_second_parent_is_a_number_and_says_of_what():
    nodes = [FamilyNode(id=x, name=x) for x in "abcd"]
    second = RunnerUp(parent="b", behind=0.31, unit="log distance")
    edges = [FamilyEdge(parent="a", child="c", runner_up=second)]
    text = str(body(families.graph(nodes, edges)))
    assert ">b, 1.4 times as far away<" in text
    other = replace(edges[0], child="d", runner_up=None)
    assert ">no other candidate<" in str(body(families.graph(nodes, [*edges, other])))


def test_an_axis_that_shows_nothing_denies_nothing():
    axis = replace(records.comparison().axes[0], axis="heads", passes=False, log10_pvalue=0.0)
    text = str(body(records.comparison(axes=(axis,))))
    assert ">not shown<" in text
    assert "no evidence against shared weights" in text
    assert "no evidence against shared weights" not in str(body(records.comparison()))
