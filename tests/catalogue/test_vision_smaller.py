"""Claim: a published member is made smaller only where all kinds of its tensors are left."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from benchmarks.catalogue import vision_smaller
from torch import nn


def flat(depth=12, img_size=224):
    net = nn.Module()
    net.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
    net.place = nn.Parameter(nn.Linear(img_size // 16, 1).weight.data)
    if img_size % 16:
        raise ValueError("a picture is cut into parts of 16")
    return net


def staged(depths=(2, 2, 6, 2)):
    net = nn.Module()
    net.stages = nn.ModuleList(
        nn.ModuleList(nn.Linear(8, 8) for _ in range(depth)) for depth in depths
    )
    net.feature_info = [{} for _ in depths]
    return net


def uneven(depth=12):
    net = flat(depth)
    if depth > 4:
        net.last = nn.Linear(8, 8)
    return net


@pytest.fixture
def timm(monkeypatch):
    """A library of three classes in the place of timm."""
    library = ModuleType("timm")
    own = {"flat": flat, "staged": staged, "uneven": uneven}
    library.create_model = lambda name, pretrained, **options: own[name](**options)
    monkeypatch.setitem(sys.modules, "timm", library)
    monkeypatch.setattr(vision_smaller, "declare_operators", lambda: None)


def test_instances_have_other_depths(timm):
    assert [vision_smaller.shallow("flat", i) for i in (0, 1)] == [{"depth": 3}, {"depth": 4}]
    assert vision_smaller.shallow("staged", 0) == {"depths": (2, 2, 2, 2)}


def test_a_depth_that_takes_tensors_away_is_not_taken(timm):
    assert vision_smaller.shallow("uneven", 0) == {}


def test_pictures_are_made_smaller_where_a_class_is_built_for_one(timm):
    tries = list(vision_smaller.smaller("flat", 0))
    assert tries[0] == {"depth": 3, "img_size": 112}
    assert tries[-1] == {}
    assert list(vision_smaller.smaller("staged", 1)) == [{"depths": (3, 3, 3, 3)}, {}]
