"""Claim: a direction is claimed only where edges stated so were right on families of others."""

import pytest

from weightkin.lineage.candidates import CandidateEdge
from weightkin.records.kinds import KINDS

LOSSY = {kind for kind, facts in KINDS.items() if facts.is_lossy}
TRAINED = ("fine-tuned", "continued-pretraining", "vocab-extended", "unknown")


def edge(kind, direction, support=1.0):
    return CandidateEdge(0, 1, kind, direction=direction, support=support)


@pytest.mark.parametrize("kind", [*TRAINED, "part", "header-only", "rounding"])
def test_training_and_kinds_that_nobody_judged_are_never_claimed(kind):
    assert not edge(kind, 1.0).is_claimed


@pytest.mark.parametrize("kind", [*sorted(LOSSY - {"vocab-extended", "header-only"}), "lora"])
def test_maps_are_claimed_from_their_cut(kind):
    assert edge(kind, 0.98).is_claimed
    assert not edge(kind, 0.97).is_claimed
    assert not edge(kind, 0.99, support=0.79).is_claimed


def test_merges_need_more():
    assert edge("merged", 0.99).is_claimed
    assert not edge("merged", 0.98).is_claimed
