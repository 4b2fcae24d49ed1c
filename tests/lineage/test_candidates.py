"""Claim: an edge is determined exactly where its parent is probable enough, whatever its kind."""

import pytest

from weightkin.lineage.candidates import CandidateEdge


@pytest.mark.parametrize(("probability", "is_claimed"), [(0.8, True), (0.79, False), (None, False)])
@pytest.mark.parametrize("kind", ["fine-tuned", "quantised", "merged", "unknown"])
def test_only_the_probability_of_the_parent_counts(kind, probability, is_claimed):
    edge = CandidateEdge(0, 1, kind, probability=probability, direction=0.5, support=0.0)
    assert edge.is_claimed == is_claimed


def test_of_two_that_differ_in_extent_alone_neither_is_stated():
    edge = CandidateEdge(0, 1, "unknown", probability=0.99, is_exchangeable=True)
    assert not edge.is_claimed
