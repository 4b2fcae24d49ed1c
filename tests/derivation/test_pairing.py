"""Claim: tensors of two models are paired by what they do, never by what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models import CONFIG, base, child
from weightkin import take_sketch
from weightkin.derivation.pairing import pair_tensors
from weightkin.formats import model_from_arrays
from weightkin.sketch.layout import in_one_layout


def sketched(arrays):
    return take_sketch(model_from_arrays(arrays, config=CONFIG))


RENAMED = {
    "without its outer module": lambda n: n.removeprefix("model."),
    "inside of two modules": lambda n: f"policy.base.{n}",
    "by another publisher": lambda n: n.replace("mlp.", "feed_forward.").replace(
        "self_attn.", "attention."
    ),
}


@pytest.mark.parametrize("how", RENAMED)
def test_a_child_under_other_names_has_every_pair_and_equal_distances(how, rng):
    arrays = base(rng)
    moved = child(arrays, rng, 0.1)
    plain = pair_tensors(sketched(arrays), sketched(moved))
    other = {RENAMED[how](name): x for name, x in moved.items()}
    found = pair_tensors(sketched(arrays), sketched(other))
    assert len(found) == len(arrays)
    assert {x.a.stored_name: x.b.stored_name for x in found} == {n: RENAMED[how](n) for n in arrays}
    by_name = {x.a.name: x.both for x in found}
    for pair in plain:
        np.testing.assert_array_equal(by_name[pair.a.name].values_b, pair.both.values_b)


def test_one_matrix_for_gate_and_up_is_paired_with_those_two(rng):
    arrays = base(rng)
    fused = {n: x for n, x in arrays.items() if "gate_proj" not in n and "up_proj" not in n}
    for name in (n for n in arrays if "gate_proj" in n):
        both = [arrays[name], arrays[name.replace("gate_proj", "up_proj")]]
        fused[name.replace("gate_proj", "gate_up_proj")] = np.concatenate(both)
    found = pair_tensors(*in_one_layout([sketched(arrays), sketched(fused)]))
    assert {x.a.stored_name for x in found} == arrays.keys()
    for pair in found:
        np.testing.assert_array_equal(pair.both.values_a, pair.both.values_b)
