"""Claim: framed strangers are never dependent, and say why: aligned only."""

import pytest
from benchmarks.lib.framed import Aim, framed
from zoo import truth

from weightkin.api.compare import compare
from weightkin.formats import open_model


def _open(name):
    return open_model(truth.ROOT / truth.load()[name]["path"])


@pytest.mark.parametrize("with_rotation", [False, True])
@pytest.mark.parametrize(
    ("base", "stranger"), [("llama-a", "llama-b"), ("gpt-a", "gpt-b"), ("vit-a", "vit-b")]
)
def test_framed_strangers_are_aligned_only(zoo, base, stranger, with_rotation):
    reference = _open(base)
    frame = framed(_open(stranger), reference, rounds=8, with_rotation=with_rotation)
    record = compare(reference, frame)
    assert record.verdict == "aligned-only"
    assert record.log10_pvalue < -100
    assert not any(axis.passes for axis in record.axes)


def test_a_frame_aimed_at_one_block_is_aligned_only_too(zoo):
    reference = _open("llama-a")
    frame = framed(_open("llama-b"), reference, rounds=8, with_rotation=True, aim=Aim(blocks=(0,)))
    assert compare(reference, frame).verdict == "aligned-only"
