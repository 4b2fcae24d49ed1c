"""Claim: children of other libraries' classes are found, unrelated pairs are not.

A sample of what `benchmarks/claims/census.py` looks at in full.
"""

import pytest

torch = pytest.importorskip("torch")

from benchmarks.catalogue.classes import all_classes  # noqa: E402 (only where torch is there)
from benchmarks.claims.census import FALSE, lines_of, look_at, table  # noqa: E402

SAMPLE = ("llama", "bert", "t5", "resnet", "mixtral", "gpt2", "vit", "clip", "qwen3", "opt",
          "gemma2", "phi3")  # fmt: skip
EVERY = 13  # of the classes, for the larger sample
MAINS = {own.kind: own for own in all_classes(only_main=True)}


@pytest.mark.parametrize("kind", SAMPLE)
def test_the_child_is_found_and_the_unrelated_is_not(kind):
    line = look_at(MAINS[kind])
    assert (line["child"], line["other"]) == ("dependent", "no-evidence"), line
    assert line["tested"] > 0.9
    assert line["real"] > 0.9


def test_what_cannot_be_built_is_listed_with_its_reason():
    line = look_at(MAINS["dinat"])
    assert line["stage"] == "not built"
    assert "natten" in line["why"]
    text = "\n".join(table([line, look_at(MAINS["mamba"])]))
    assert "dinat" in text


@pytest.mark.claim("census")
def test_no_false_alarm_and_no_crash_in_a_larger_sample():
    lines = lines_of([*MAINS.values()][::EVERY])
    assert not [x for x in lines if x["stage"] in ("crashed", "gave up")]
    assert not [x for x in lines if x.get("other") in FALSE]
    built = [x for x in lines if "child" in x]
    found = [x for x in built if x["child"] == "dependent"]
    assert len(found) > 0.7 * len(built)
