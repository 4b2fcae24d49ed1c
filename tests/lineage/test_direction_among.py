"""Claim: with relatives at hand a pair gets its direction, and siblings get none."""

from dataclasses import replace

import pytest

from tests import families
from weightkin import compare, verify
from weightkin.api import direction_among
from weightkin.api.compare import Options
from weightkin.errors import UnreadableModel, UsageError
from weightkin.records import Comparison, clue
from weightkin.records.family import CLAIMED


@pytest.fixture(scope="module")
def models(zoo):
    return lambda *names: [str(zoo / "models" / name) for name in names]


@pytest.mark.claim
def test_a_child_hangs_below_and_the_record_is_rerun(models):
    more = ("llama-a-ft1b", "llama-a-ft2", "llama-a-ft3", "llama-a-long")
    a, b, *others = models("llama-a-ft1", "llama-a", *more)
    record = compare(a, b, options=Options(relatives=others))
    alone = compare(a, b)
    assert alone.direction.parent == "undetermined"
    assert record.direction.probability > 0.5
    assert (record.direction.parent == "b") == (record.direction.probability >= CLAIMED)
    assert (
        record.direction.evidence[0].sentence
        == "among 6 models: llama-a-ft1 is placed below llama-a"
    )
    same = {"direction": alone.direction, "parameters": alone.parameters, "seconds": alone.seconds}
    assert replace(record, **same, bytes_read=alone.bytes_read) == alone
    again = Comparison.from_json(record.to_json())
    assert again.parameters["relatives"] == others
    assert verify(again) == []
    again.parameters["relatives"] = [3]
    with pytest.raises(UnreadableModel, match="relatives is not a list of sources"):
        verify(again)


@pytest.mark.parametrize(
    ("a", "b", "parent", "probability", "said"),
    [
        ("base-a", "ft", "a", 0.97, "among 7 models: ft is placed below base-a"),
        ("mix", "base-a", "b", 0.9603, "among 7 models: mix is placed below base-a, via ft"),
        ("mix", "base-b", "b", 0.99, "among 7 models: mix is placed below base-b"),
        (
            "mix",
            "ft-int4",
            "undetermined",
            0.5,
            "among 7 models: neither is placed below the other",
        ),
    ],
)
def test_the_way_between_two_models_gives_the_direction(
    models, monkeypatch, a, b, parent, probability, said
):
    pair = models("vit-a", "vit-a-ft1")
    graph = families.small()
    sources = {a: pair[0], b: pair[1]}
    nodes = [replace(n, source=sources[n.id]) if n.id in sources else n for n in graph.nodes]
    graph = replace(graph, nodes=tuple(nodes), incomplete=True)
    monkeypatch.setattr(direction_among, "find_family", lambda *_, **__: graph)
    record = compare(*pair, options=Options(relatives=[pair[0]]))
    direction = record.direction
    assert (direction.parent, direction.probability) == (parent, probability)
    assert direction.evidence[0].sentence == said
    assert (record.incomplete, record.skipped[-1:]) == (True, graph.skipped)


def test_every_step_of_a_way_is_named_the_open_ones_first():
    sure = families.small().edges[0]
    sure = replace(
        sure, parent="b", child="c", direction="determined", evidence=(clue("text", text="x"),)
    )
    unsure = replace(sure, parent="a", child="b", direction="undetermined",
                     direction_probability=0.75, evidence=(clue("text", text="y"),))  # fmt: skip
    said = [x.sentence for x in direction_among.evidence_of_path([unsure, sure], 0.7)]
    assert said == ["a to b: the parent is undetermined (0.75)", "a to b: y", "b to c: x"]
    assert [x.sentence for x in direction_among.evidence_of_path([sure], 0.9)] == ["x"]


def test_strangers_are_what_compare_says(models):
    a, b, other = models("vit-a", "vit-b", "vit-a-ft1")
    record = compare(a, b, options=Options(relatives=[other]))
    assert (record.verdict, record.direction.parent) == ("no-evidence", "undetermined")


def test_quick_and_a_relative_that_is_not_there_are_refused(models):
    a, b = models("vit-a", "vit-a-ft1")
    with pytest.raises(UsageError, match="relatives"):
        compare(a, b, effort="quick", options=Options(relatives=["vit-b"]))
    with pytest.raises(UnreadableModel, match="nowhere"):
        compare(a, b, options=Options(relatives=["nowhere"]))
