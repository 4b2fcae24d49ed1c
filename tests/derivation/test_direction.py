"""Claim: a direction is stated only where it is right; otherwise it is undetermined."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.derivation.families import COPIES, TRUTH, sketch, true_parent
from weightkin.derivation.clock import clock, collinear_rows
from weightkin.derivation.direction import direction_of
from weightkin.derivation.kinds import kind_of
from weightkin.records import clue
from weightkin.sketch import Scheme

LOSSY = {
    *("cast", "quantised", "magnitude-pruned", "width-pruned", "depth-pruned", "vocab-extended"),
    *("noise", "upcycled", "stacked"),
}
RELATED = [
    (a, b)
    for a, b in combinations([n for n in TRUTH if n not in COPIES], 2)
    if set(TRUTH[a]["origins"]) & set(TRUTH[b]["origins"])
]
BOTH_LOSSY = [(a, b) for a, b in RELATED if TRUTH[a]["kind"] in LOSSY and TRUTH[b]["kind"] in LOSSY]


@pytest.mark.claim
def test_no_direction_is_wrong_among_lossy_children(zoo):
    """Siblings that both lost something: where a careless rule sees a chain. Every fourth pair."""
    wrong = [(a, b) for a, b in BOTH_LOSSY[::4] if not is_right(a, b, Scheme.whole())]
    assert not wrong


@pytest.mark.claim
def test_no_direction_is_wrong_where_one_model_lost_something(zoo):
    """Related pairs, siblings included, on small samples; `benchmarks.claims.kinds` runs all."""
    chosen = [pair for pair in RELATED if any(TRUTH[name]["kind"] in LOSSY for name in pair)]
    wrong = [(a, b) for a, b in chosen[::3] if not is_right(a, b, Scheme())]
    assert not wrong


def is_right(a, b, scheme):
    parent = kind_of(sketch(a, scheme), sketch(b, scheme)).parent
    return parent in ("undetermined", true_parent(a, b))


@pytest.mark.parametrize("family", ["llama", "moe"])
def test_decay_shrinks_unused_rows_by_one_factor(zoo, family):
    reading = clock(sketch(f"{family}-a"), sketch(f"{family}-a-ft1"))
    assert reading.c == pytest.approx(0.99247, abs=1e-5)
    assert reading.n_rows >= 32
    assert reading.residual < 1e-9
    back = clock(sketch(f"{family}-a-ft1"), sketch(f"{family}-a"))
    assert back.c == pytest.approx(1 / reading.c, rel=1e-6)


def test_reserved_rows_are_among_the_collinear_ones(zoo):
    found = collinear_rows(sketch("llama-a", Scheme()), sketch("llama-a-ft1", Scheme()))
    assert {row for _, row in found.rows} >= set(range(480, 512))


def test_the_clock_stands_still_where_nothing_decayed(zoo):
    assert clock(sketch("llama-a"), sketch("llama-a-lora4")).c == 1.0
    assert clock(sketch("gpt-a"), sketch("gpt-a-ft1")) is None  # tied: every row has a gradient
    assert clock(sketch("llama-a"), sketch("llama-b")) is None


def test_a_running_clock_alone_leaves_the_direction_undetermined(zoo):
    derived = kind_of(sketch("llama-a"), sketch("llama-a-ft1"))
    assert derived.parent == "undetermined"
    (found,) = [x for x in derived.evidence if x.code == "unused-rows"]
    assert "than in a, so a was trained less" in found.sentence
    assert found.sentence.endswith("the parent or an older sibling (not counted)")
    assert derived.evidence[-1].code == "ask-relatives"


def test_evidence_that_contradicts_itself_cancels():
    clues = [clue("image-of", log_odds=x) for x in (3.0, -3.0)]
    assert direction_of(clues).parent == "undetermined"
    assert direction_of(clues[:1]).parent == "a"
    assert direction_of(clues[1:]).parent == "b"
