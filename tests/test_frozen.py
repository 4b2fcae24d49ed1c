"""Claim: what is said of the zoo is what 0.1.0 said, but for changes that are listed with a reason.

A sample, another one with each commit; `make results CLAIM=frozen` compares everything.
"""

import copy

import pytest
from benchmarks.lib import claim

from tests.conftest import commit

frozen = claim("frozen")
frozen_moves = claim("frozen_moves")
Accepted = claim("frozen_moves").Accepted
Move = claim("frozen_moves").Move

N_PAIRS = 40
SAMPLE = frozen.sample(N_PAIRS, commit())
BEFORE = {"verdict": "dependent", "kind": ["cast"], "log10 p": -3.5, "tests": {"mlp": -2.0}}


@pytest.mark.parametrize(("part", "key"), SAMPLE, ids=[key for _, key in SAMPLE])
def test_nothing_moved_without_a_reason(part, key, zoo):
    found = frozen_moves.moves(part, key, frozen.frozen()[part][key], frozen.PARTS[part].take(key))
    unexplained, _ = frozen_moves.sort_out(found, frozen_moves.accepted())
    assert frozen_moves.lines(unexplained) == []


def test_every_record_of_the_zoo_is_kept():
    kept = frozen.frozen()
    assert {part: set(records) for part, records in kept.items()} == {
        part: {key for _, key in frozen.keys([part])} for part in frozen.PARTS
    }
    assert len(kept["zoo"]) == 2211
    assert kept["zoo"]["llama-a | llama-a-ft1"]["kind"] == ["fine-tuned"]
    assert "llama-a-ft1 -> llama-a-ft2" in kept["tree"]["zoo"]["edges"]


def moved(**changes):
    now = copy.deepcopy(BEFORE) | changes
    return frozen_moves.moves("zoo", "a | b", BEFORE, now)


@pytest.mark.parametrize(
    ("changes", "item", "now"),
    [
        ({"verdict": "aligned-only"}, "", "aligned-only"),
        ({"kind": ["cast", "lora"]}, "", ["cast", "lora"]),
        ({"log10 p": -3.5 + 2e-9}, "", -3.5 + 2e-9),
        ({"tests": {"mlp": -2.1}}, "mlp", -2.1),
        ({"tests": {}}, "mlp", frozen_moves.NOTHING),
        ({"tests": {"mlp": -2.0, "vo": 0.0}}, "vo", 0.0),
        ({"direction": "a"}, "", "a"),
    ],
)
def test_every_change_is_seen(changes, item, now):
    (move,) = moved(**changes)
    assert (move.field, move.item, move.now) == (next(iter(changes)), item, now)


def test_numbers_are_equal_to_nine_decimals():
    assert moved(**{"log10 p": -3.5 + 5e-10}) == []


MOVE = Move("zoo", "a | b", "log10 p", "", -3.0, -2.0)


@pytest.mark.parametrize(
    ("change", "is_covered"),
    [
        ({}, True),
        ({"of": "b"}, True),
        ({"of": "a | *"}, True),
        ({"of": "c"}, False),
        ({"field": "verdict"}, False),
        ({"part": "formats"}, False),
        ({"now": -2.0}, True),
        ({"now": -2.1}, False),
        ({"now": "larger"}, True),
        ({"now": "smaller"}, False),
    ],
)
def test_a_reason_covers_what_it_names_and_nothing_else(change, is_covered):
    known = {"part": "zoo", "of": "*", "field": "*", "item": "*", "now": "any"} | change
    unexplained, explained = frozen_moves.sort_out([MOVE], [Accepted(reason="why", **known)])
    assert (unexplained == []) == is_covered
    assert [x for _, those in explained for x in those] == ([MOVE] if is_covered else [])


def test_reasons_are_read_and_each_has_words(tmp_path):
    path = tmp_path / "accepted.toml"
    path.write_text('[[change]]\npart="zoo"\nof="a"\nfield="kind"\nnow=["lora"]\nreason="why"\n')
    (change,) = frozen_moves.accepted(path)
    assert change.covers(Move("zoo", "a | b", "kind", "", ["cast"], ["lora"]))
    assert all(len(x.reason) > 20 for x in frozen_moves.accepted())


def test_moves_are_printed_by_field_and_the_rest_is_counted():
    lines = frozen_moves.lines([MOVE, *[Move("zoo", "a | c", "kind", "", [], ["x"])] * 3], most=2)
    assert lines == [
        "zoo, log10 p: 1 in 1 records",
        "  a | b: -3 -> -2",
        "zoo, kind: 3 in 1 records",
        "  a | c:  -> x",
        "  a | c:  -> x",
        "  ... and 1 more",
    ]
