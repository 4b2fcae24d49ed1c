"""Claim: tensors of two models are paired by what they do, never by what they are called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.models import CONFIG, base, child
from weightkin import take_sketch
from weightkin.anatomy.roles import RoleKey
from weightkin.derivation.pairing import match_blocks, pair_tensors
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


def numbered(tensors, stack, blocks):
    """A sketch of plain matrices, the first of which stand in numbered blocks of one stack."""
    sketch = take_sketch(model_from_arrays({f"x{i}": x for i, x in enumerate(tensors)}))
    known = {
        name: replace(x, stack=stack, block=number)
        for (name, x), number in zip(sketch.tensors.items(), blocks, strict=False)
    }
    return replace(sketch, stacks=((stack, len(blocks)),), tensors={**sketch.tensors, **known})


def in_blocks(tensors, numbers):
    """The same with one matrix a block, each of one role."""
    sketch = numbered(tensors, "blocks", numbers)
    own = [replace(x, key=RoleKey("blocks", x.block, "mlp.up")) for x in sketch.tensors.values()]
    return replace(sketch, tensors={x.name: x for x in own})


def test_blocks_that_are_not_numbered_from_zero_on_are_paired(rng):
    arrays = [rng.standard_normal((8, 8), dtype=np.float32) for _ in range(3)]
    a, b = (numbered(arrays, "down_blocks.resnets", [1, 3]) for _ in range(2))
    assert match_blocks(a, b) == (("down_blocks.resnets", 1, 1), ("down_blocks.resnets", 3, 3))
    assert len(pair_tensors(a, b)) == 3


def test_blocks_of_a_shorter_stack_are_found_whatever_their_numbers(rng):
    arrays = [rng.standard_normal((8, 8), dtype=np.float32) for _ in range(3)]
    a, b = in_blocks(arrays, [2, 4, 6]), in_blocks(arrays[1:], [1, 3])
    assert match_blocks(a, b) == (("blocks", 4, 1), ("blocks", 6, 3))


def test_a_part_whose_block_only_one_model_shows_is_paired_by_its_role(rng):
    arrays = [rng.standard_normal((8, 8), dtype=np.float32) for _ in range(2)]
    a, b = numbered(arrays, "blocks", [0]), numbered(arrays, "blocks", [0, 0])
    b = replace(b, stacks=a.stacks)
    assert {x.a.name for x in pair_tensors(a, b)} == set(a.tensors)
    assert {x.a.name for x in pair_tensors(b, a)} == set(a.tensors)
