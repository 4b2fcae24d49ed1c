"""Claim: the lines below a verdict state what was found, and repeat nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import families
from tests.report.records import comparison, search
from weightkin.records import Part, clue
from weightkin.records.family import FamilyEdge
from weightkin.report.derived import derivation_lines
from weightkin.report.terminal import comparison_lines
from weightkin.report.tree import explain

EMBEDDING = Part(name="embedding", verdict="aligned-only", log10_pvalue=-9.0)


def test_parts_are_listed_only_if_their_verdicts_differ():
    same = comparison()
    mixed = replace(same, parts=(*same.parts, EMBEDDING))
    assert not [x for x in comparison_lines(same) if x.startswith("  part ")]
    assert [x for x in comparison_lines(same, is_full=True) if x.startswith("  part ")]
    parts = [x for x in comparison_lines(mixed) if x.startswith("  part ")]
    assert parts[1] == "  part embedding: aligned only (p <= 1e-9)"


def test_the_null_hypothesis_is_stated_where_a_test_was_run():
    null = "  null hypothesis: the two models were initialised independently"
    assert sum(x.startswith(null) for x in comparison_lines(comparison())) == 1
    assert not any(x.startswith(null) for x in comparison_lines(comparison(axes=(), tests=())))


@pytest.mark.parametrize(
    ("kind", "details", "line"),
    [
        ("quantised", {"bits": 8, "scope": "row", "scheme": "symmetric"},
         "quantised (8 bits, per row, symmetric)"),
        ("fine-tuned", {"typical_distance": 0.257, "share_equal": 0.99999},
         "fine-tuned (median relative distance 0.257, 99.9 % of values equal)"),
        ("magnitude-pruned", {"share": 0.5}, "magnitude-pruned (50 % zeros)"),
        ("noise", {"share": 0.01}, "noise (noise of 1 % of the standard deviation)"),
        ("unknown", {}, "unknown"),
    ],
)  # fmt: skip
def test_a_kind_has_its_main_numbers_in_words(kind, details, line):
    lines = derivation_lines(comparison(kind=(kind,), kind_details=details))
    assert lines[0] == f"  kind: {line}"
    assert lines[1] == "  direction: a is the parent of b (probability 0.99)"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"parent_probability": 0.7999}, "parent     undetermined (0.79, at least 0.8 is needed)"),
        ({"parent_probability": 0.97}, "parent     undetermined (0.97)"),  # a part of a family
        ({"parent_probability": 0.8, "direction": "determined"}, "parent     determined (0.80)"),
        ({"parent_probability": 0.5}, "direction  probability 0.60 that the parent is the older"),
        ({}, "direction  undetermined (estimate 0.60)"),
        ({"direction": "determined"}, "direction  determined (estimate 0.60)"),
    ],
)
def test_the_parent_of_an_edge_has_its_reason(more, words):
    edge = FamilyEdge(parent="base-a", child="ft", direction_probability=0.6, **more)
    graph = replace(families.small(), edges=(edge,))
    assert any(x.startswith(f"    {words}") for x in explain(graph, "ft"))


def test_a_search_that_compared_nothing_says_so():
    none = replace(search(), relatives=(), others=(), n_compared=0)
    assert none.sentence == "child: no relatives found among 2 models (no candidate to compare)"
    some = replace(none, n_compared=2)
    assert some.sentence.endswith("(no evidence of shared weights with the 2 compared)")


def test_a_percentage_of_inheritance_is_one():
    said = clue("inherits", share=0.63).sentence
    assert said == "inherits 63 % of the changes that made its parent"
