"""Claim: where several classes explain a model, only what all of them allow is relabelled."""

from __future__ import annotations

from dataclasses import replace

import diffusers
import pytest
import torch

from tests.catalogue.test_traced_pairs import config_of, groups, read, shapes_of, tensor
from weightkin.anatomy.graph.axes import UnitLabel
from weightkin.anatomy.traced import reach
from weightkin.anatomy.traced.agreed import agreed
from weightkin.anatomy.types import Place


def label(*tensors: str, cell: int = 0, n: int = 12) -> UnitLabel:
    places = tuple(Place(name, 0, 0, n, name) for name in tensors)
    return UnitLabel("stack", 0, "units", n, cell, frozenset(tensors), places)


BOTH = label("up", "down")


@pytest.mark.parametrize(
    ("label", "other", "is_kept"),
    [
        (BOTH, [label("down", "up")], True),
        (BOTH, [label("up"), label("down")], True),  # what moves apart may move together
        (label("up"), [BOTH], False),  # what moves together does not move apart
        (BOTH, [label("up")], False),  # nothing is known of the other place
        (BOTH, [label("up"), label("down", "head")], False),
        (BOTH, [], False),
        (replace(BOTH, cell=4), [BOTH], True),
        (replace(BOTH, cell=2), [replace(BOTH, cell=4)], True),
        (replace(BOTH, cell=4), [replace(BOTH, cell=6)], False),
        (BOTH, [replace(BOTH, cell=4)], False),
        (BOTH, [label("up"), label("down", cell=3)], False),
        (BOTH, [label("up", "down", n=6)], False),
    ],
)
def test_a_relabelling_is_kept_where_it_is_one_of_the_other_reading(label, other, is_kept):
    assert agreed([label], other) == [label] * is_kept


def test_a_file_that_does_not_name_its_class_is_read_by_all_that_have_its_names():
    with torch.device("meta"):
        module = diffusers.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
    tensors = {key: tensor(key, tuple(x.shape)) for key, x in module.state_dict().items()}
    own, bare = read(tensors, config_of(module)), read(tensors, {})
    assert own.entry.name == "diffusers.AutoencoderKL"
    assert reach(own.axes, shapes_of(tensors)) > 0.99
    assert reach(bare.axes, shapes_of(tensors)) > 0.9
    assert {(128, 4), (512, 16), (512, 0)} <= groups(own.axes)
    assert {(128, 2), (512, 8), (512, 0)} <= groups(bare.axes)  # twice as many groups are possible
    cells = {
        (axis.n_units, place.tensor, place.dim): axis.head_size
        for axis in own.axes
        for place in axis.places
    }
    for axis in bare.axes:
        for place in axis.places:
            cell = cells[axis.n_units, place.tensor, place.dim]
            assert axis.head_size in (cell, cell / 2)
