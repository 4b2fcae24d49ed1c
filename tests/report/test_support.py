"""Claim: support is shown where it was measured, and says what it found."""

from dataclasses import replace

import pytest

from tests.families import graph
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyNode, RunnerUp
from weightkin.records.registry import Step
from weightkin.report.explain import explain
from weightkin.report.graph_formats import dot
from weightkin.report.html.graph_model import edge_facts
from weightkin.report.parent_words import support_number
from weightkin.report.tree import family_lines

SECOND = RunnerUp(parent="c", behind=1.0, unit="log-odds")
EDGE = FamilyEdge(parent="a", child="b", kind="fine-tuned", support=0.42, runner_up=SECOND)
NEVER = "another model is nearer in every resample of the matrices; other evidence decides"


def said(edge):
    return dict(edge_facts(edge, 1e-6)).get("Support")


@pytest.mark.parametrize(
    ("changed", "words", "number"),
    [
        ({}, "the nearest model in 42 % of the resamples of the matrices", "0.42"),
        ({"support": 0.0}, NEVER, "0.00"),
        ({"runner_up": None}, None, "–"),  # the only candidate
        ({"evidence": (clue("several-roots", n=2),)}, None, "–"),  # below one that is not here
        ({"kind": "permuted", "support": 1.0}, None, "–"),
        ({"weight": 0.5, "runner_up": None},
         "the mixture is nearer than any other model in 42 % of the resamples of the matrices",
         "0.42"),
        ({"weight": 0.5, "support": 0.0},
         "a single model is nearer in every resample of the matrices", "0.00"),
    ],
)  # fmt: skip
def test_support_is_said_where_something_could_have_been_nearer(changed, words, number):
    edge = replace(EDGE, **changed)
    assert (said(edge), support_number(edge)) == (words, number)
    nodes = [FamilyNode(id=x, name=x) for x in "abc"]
    found = graph(nodes, [edge], [("a", "b"), ("c",)])
    assert any("support" in x for x in explain(found, "b")) == (words is not None)
    lines = "\n".join(family_lines(found, is_full=True))
    assert (f"support {number}" in lines) == (words is not None)
    assert (f"\\nsupport {number}" in dot(found)) == (words is not None)


def test_a_step_which_knows_no_other_candidates_has_its_number():
    assert support_number(Step(parent="a", child="b", support=0.5)) == "0.50"
