"""Claim: the number of heads is that of the part of a config that is about a stack, or unknown."""

from __future__ import annotations

import pytest

from weightkin.catalogue.config import about_stack

SMALL = {"hidden_size": 12, "num_attention_heads": 3}
OTHER = {"hidden_size": 12, "num_attention_heads": 4}
WIDE = {"hidden_size": 24, "num_attention_heads": 6}


@pytest.mark.parametrize(
    ("config", "prefix", "heads"),
    [
        ({"backbone_config": SMALL}, "backbone.encoder.layer", 3),
        ({"backbone_config": SMALL, "neck_config": WIDE}, "backbone.encoder.layer", 3),
        ({"model": {"backbone_config": SMALL}}, "backbone.encoder.layer", 3),
        ({"image_model_config": SMALL, "fov_model_config": SMALL}, "encoder.layer", 3),
        ({"image_model_config": SMALL, "fov_model_config": OTHER}, "encoder.layer", 0),
        ({"image_model_config": SMALL, "fov_model_config": OTHER}, "fov_model.encoder.layer", 4),
        ({"backbone_config": WIDE}, "backbone.encoder.layer", 0),
        ({"text_config": SMALL}, "encoder.layer", 0),
        ({"vision_config": SMALL, "text_config": OTHER}, "encoder.layer", 3),
        ({**OTHER, "backbone_config": SMALL}, "backbone.encoder.layer", 4),
    ],
)
def test_heads_are_those_of_the_part_that_has_the_width(config, prefix, heads):
    assert about_stack(config, "vision", prefix, 12).get("num_attention_heads", 0) == heads
