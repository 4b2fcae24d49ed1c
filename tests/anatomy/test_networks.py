"""Claim: each network of a file is read by itself; towers of one network stay together."""

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.naming import MAX_STACKS
from weightkin.anatomy.networks import MAX_NETWORKS
from weightkin.formats import model_from_arrays


def _anatomy(*networks):
    arrays = {prefix + k: v for prefix, x in networks for k, v in x.items()}
    return read_anatomy(model_from_arrays(arrays, config=CONFIG))


@pytest.fixture
def arrays(rng):
    return models.base(rng, blocks=2)


@pytest.mark.parametrize(
    ("prefixes", "stacks"),
    [
        (("teacher.", ""), {"decoder", "teacher.decoder"}),
        (("main.", "a_decoy."), {"main.decoder", "a_decoy.decoder"}),
        (
            ("student.module.backbone.", "teacher.backbone."),
            {"student.decoder", "teacher.decoder"},
        ),
        (("", "ema.", "swa.x."), {"decoder", "ema.decoder", "swa.x.decoder"}),
    ],
)
def test_every_network_is_whole(arrays, prefixes, stacks):
    anatomy = _anatomy(*((prefix, arrays) for prefix in prefixes))
    assert {stack for stack, _ in anatomy.stacks} == stacks
    alone = _anatomy(("", arrays))
    for prefix in stacks:
        here = [x for x in anatomy.axes if x.stack == prefix]
        assert [(x.kind, x.n_units) for x in here] == [(x.kind, x.n_units) for x in alone.axes]
    assert len({x.labels for x in anatomy.axes}) == len(anatomy.axes)
    assert not anatomy.skipped
    assert len(anatomy.roles) == len(prefixes) * len(alone.roles)


def test_one_network_under_a_prefix_keeps_plain_names(arrays):
    assert _anatomy(("module.", arrays)).stacks == (("decoder", 2),)


def test_towers_are_stacks_of_one_network(arrays):
    blocks = {k: v for k, v in arrays.items() if ".layers." in k}
    anatomy = _anatomy(("vision_tower.", blocks), ("language_model.", arrays))
    assert dict(anatomy.stacks) == {"vision": 2, "decoder": 2}


def test_a_tower_beside_two_networks_is_read_too(arrays):
    anatomy = _anatomy(("x.", arrays), ("y.", arrays), ("text_model.", arrays))
    assert dict(anatomy.stacks) == {"x.decoder": 2, "y.decoder": 2, "text_model.text": 2}


def test_a_tensor_of_no_network_refuses_the_width_that_it_may_touch(arrays):
    extra = {"queue": np.ones((4, arrays["model.norm.weight"].shape[0]), np.float32)}
    anatomy = _anatomy(("x.", arrays), ("y.", arrays), ("", extra))
    assert {x.kind for x in anatomy.axes} == {"units", "vo", "heads"}
    assert any("queue is not understood" in p.why for p in anatomy.skipped)


def test_stacks_beyond_those_that_are_read_are_counted(arrays):
    few = {k: v for k, v in arrays.items() if "mlp" in k}
    networks = [(f"n{i}.", few) for i in range(MAX_NETWORKS + 1)]
    anatomy = _anatomy(*networks)
    left = MAX_NETWORKS + 1 - MAX_STACKS
    assert any(p.what == f"{left} stacks of blocks" for p in anatomy.skipped)
