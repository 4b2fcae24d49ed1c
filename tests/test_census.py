"""Claim: children of other libraries' classes are found, unrelated pairs are not.

A sample of what `benchmarks/claims/census.py` looks at in full.
"""

import time

import pytest

torch = pytest.importorskip("torch")

from benchmarks.catalogue.classes import all_classes, tiny  # noqa: E402 (only where torch is there)
from benchmarks.lib import claim  # noqa: E402
from benchmarks.lib.bounded import each  # noqa: E402

census = claim("census")
FALSE, lines_of, look_at, table = census.FALSE, census.lines_of, census.look_at, census.table

SAMPLE = ("llama", "bert", "t5", "resnet", "mixtral", "gpt2", "vit", "clip", "mamba", "convnext",
          "whisper", "llava")  # fmt: skip
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


def test_children_are_counted_by_basis_and_by_what_passed():
    lines = table([look_at(MAINS["mamba"]), look_at(MAINS["llama"])])
    (mamba,) = (x for x in lines if x.endswith("| mamba |"))
    (llama,) = (x for x in lines if x.endswith("| llama |"))
    assert mamba.startswith("| exact-unconfirmed | units")
    assert llama.startswith("| exact | units")


@pytest.mark.claim("census")
def test_no_false_alarm_and_no_crash_in_a_larger_sample():
    lines = lines_of([*MAINS.values()][::EVERY])
    assert not [x for x in lines if x["stage"] in ("crashed", "gave up")]
    assert not [x for x in lines if x.get("other") in FALSE]
    built = [x for x in lines if "child" in x]
    found = [x for x in built if x["child"] == "dependent"]
    assert len(found) > 0.9 * len(built)


def test_the_two_tiny_instances_differ_in_depth_and_in_every_width():
    first, second = (tiny(MAINS["qwen3"], which, 1).config for which in (0, 1))
    for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "head_dim",
                 "num_attention_heads", "vocab_size"):  # fmt: skip
        assert getattr(first, name) != getattr(second, name), name
    own = [first.hidden_size, first.intermediate_size, first.head_dim, first.vocab_size,
           first.head_dim * first.num_attention_heads]  # fmt: skip
    assert len({*own, first.head_dim * first.num_key_value_heads}) == 6


def test_weights_are_seeded_and_nowhere_zero():
    a, again, b = (dict(tiny(MAINS["mamba"], 0, seed).named_parameters()) for seed in (1, 1, 2))
    for name, p in a.items():
        assert torch.equal(p, again[name])
        assert (p != 0).all()
        assert not torch.equal(p, b[name])


def test_an_item_that_takes_too_long_is_given_up_and_the_next_is_done():
    found = list(each(time.sleep, [0.0, 60.0, 0.1], seconds=1, gigabytes=8))
    assert [why for _, _, why in found] == ["", "took more than 1 s", ""]
