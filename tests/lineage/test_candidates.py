"""Claim: an edge is determined exactly where its parent is probable enough, whatever its kind."""

import pytest

from weightkin.lineage.candidates import CandidateEdge


@pytest.mark.parametrize(("probability", "is_claimed"), [(0.8, True), (0.79, False), (None, False)])
@pytest.mark.parametrize("kind", ["fine-tuned", "quantised", "merged", "unknown"])
def test_only_the_probability_of_the_parent_counts(kind, probability, is_claimed):
    edge = CandidateEdge(0, 1, kind, probability=probability, direction=0.5, support=0.0)
    assert edge.is_claimed == is_claimed
