"""Claim: without known names an MLP is inferred only when the shapes leave one reading."""

from __future__ import annotations

import pytest

from tests.anatomy.test_read import header
from weightkin.anatomy import Anatomy, read_anatomy

Shapes = dict[str, tuple[int, ...]]

ATTENTION = {"a1": (16, 16), "a2": (16, 16), "a3": (16, 16), "a4": (16, 16)}


def stack(block: Shapes, n_blocks: int = 3, container: str = "net.cell.{}") -> Shapes:
    return {
        f"{container.format(i)}.{name}.weight": shape
        for i in range(n_blocks)
        for name, shape in block.items()
    }


def read(block: Shapes, **options) -> Anatomy:
    return read_anatomy(header(stack(block, **options)))


@pytest.mark.parametrize("container", ["net.cell.{}", "cell{}", "cell_{}", "trunk.{}.inner"])
def test_a_plain_pair_is_found(container):
    anatomy = read({**ATTENTION, "m1": (40, 16), "m2": (16, 40)}, container=container)
    assert anatomy.family == "unknown"
    assert [axis.block for axis in anatomy.axes] == [0, 1, 2]
    axis = anatomy.axes[0]
    assert (axis.name, axis.kind, axis.n_units, axis.is_gated) == ("mlp", "units", 40, False)
    assert [(p.role, p.dim) for p in axis.places] == [("mlp.in0", 0), ("mlp.down", 1)]


def test_of_a_glu_gate_and_up_stay_unknown():
    anatomy = read({**ATTENTION, "m1": (40, 16), "m2": (16, 40), "m3": (40, 16)})
    axis = anatomy.axes[0]
    assert [p.role for p in axis.places] == ["mlp.in0", "mlp.in1", "mlp.down"]
    assert not axis.is_gated
    assert dict(anatomy.roles)["net.cell.0.m2.weight"] == "mlp.down"


def test_matrices_stored_in_out_are_found():
    axis = read({**ATTENTION, "m1": (16, 40), "m2": (16, 40), "m3": (40, 16)}).axes[0]
    assert [(p.role, p.dim) for p in axis.places] == [
        ("mlp.in0", 1),
        ("mlp.in1", 1),
        ("mlp.down", 0),
    ]


def test_biases_of_the_units_belong_to_the_axis():
    block = {**ATTENTION, "m1": (40, 16), "m2": (16, 40)}
    shapes = stack(block) | {f"net.cell.{i}.m1.bias": (40,) for i in range(3)}
    axis = read_anatomy(header(shapes)).axes[0]
    assert [p.tensor.rsplit(".", 1)[1] for p in axis.places] == ["weight", "bias", "weight"]


@pytest.mark.parametrize(
    ("block", "why"),
    [
        # wide attention with a fused MLP: (2h, d) and (d, h) is a second reading
        (
            {
                "a": (32, 16),
                "b": (16, 16),
                "c": (16, 16),
                "d": (16, 32),
                "e": (80, 16),
                "f": (16, 40),
            },
            "several readings",
        ),
        # wide attention alone: keys and values are left over
        ({"a": (32, 16), "b": (16, 16), "c": (16, 16), "d": (16, 32)}, "not a complete attention"),
        ({"a": (32, 16), "b": (8, 16), "c": (8, 16), "d": (16, 32)}, "not a complete attention"),
        # two MLPs, or attention and MLP of the same width
        (
            {**ATTENTION, "a": (32, 16), "b": (16, 32), "c": (48, 16), "d": (16, 48)},
            "several readings",
        ),
        ({**ATTENTION, **{x: (32, 16) for x in "abc"}, "d": (16, 32)}, "share the dimension"),
        # bottlenecks are adapters, squares are anything
        ({**ATTENTION, "a": (4, 16), "b": (16, 4)}, "no pair of matrices"),
        (ATTENTION, "no pair of matrices"),
        # names that speak of something else
        ({**ATTENTION, "x.q": (32, 16), "x.o": (16, 32)}, "not the name"),
        ({**ATTENTION, "attn.in": (32, 16), "attn.out": (16, 32)}, "not the name"),
        ({**ATTENTION, "lora.a": (32, 16), "lora.b": (16, 32)}, "not the name"),
        # something else runs along the units
        ({**ATTENTION, "a": (32, 16), "b": (16, 32), "s": (32,)}, "has a dimension of 32 too"),
        ({**ATTENTION, "a": (32, 16), "b": (16, 32), "s": (32, 1, 4)}, "has a dimension of 32"),
    ],
)
def test_what_has_another_reading_is_refused_with_the_reason(block, why):
    anatomy = read(block)
    assert anatomy.axes == ()
    assert why in "; ".join(p.why for p in anatomy.skipped)


def test_a_block_must_not_stand_alone():
    anatomy = read({**ATTENTION, "m1": (40, 16), "m2": (16, 40)}, n_blocks=1)
    assert anatomy.axes == ()
    odd = stack({**ATTENTION, "m1": (40, 16), "m2": (16, 40)}, n_blocks=2)
    odd |= stack({**ATTENTION, "x": (40, 16), "y": (16, 40)}, n_blocks=3)
    del odd["net.cell.2.x.weight"]
    assert {axis.block for axis in read_anatomy(header(odd)).axes} <= {0, 1}


def test_unequal_ties_leave_the_width_open():
    anatomy = read({"a": (40, 16), "b": (16, 40)}, container="unit.{}.x")
    assert anatomy.axes == ()
    assert "equally common" in anatomy.skipped[0].why
