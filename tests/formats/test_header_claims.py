"""Claim: what a header says of a merge or of the base of a LoRA is a claim, and never fails."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from weightkin.errors import UnreadableModel
from weightkin.formats import open_model
from weightkin.formats.declared import declared
from weightkin.formats.header_claims import claims_in

FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
RECIPE = {
    "type": "webui",
    "primary_model_hash": FIRST,
    "secondary_model_hash": SECOND,
    "tertiary_model_hash": None,
    "interp_method": "Weighted sum",
    "multiplier": 0.3,
}
MODELS = {FIRST: {"name": "one.safetensors", "sd_merge_recipe": None}, SECOND: {"name": ""}}


def test_a_merge_declares_its_models_by_name_or_hash(tmp_path):
    said = {"sd_merge_recipe": json.dumps(RECIPE), "sd_merge_models": json.dumps(MODELS)}
    save_file({"w": np.ones((4, 4), np.float32)}, tmp_path / "merged.safetensors", said)
    model = open_model(tmp_path / "merged.safetensors")
    assert declared(model).parents == ("one.safetensors", SECOND)
    assert claims_in(model.metadata).method == "Weighted sum"


@pytest.mark.parametrize(
    ("metadata", "parents"),
    [
        ({"ss_base_model_version": "sdxl_base_v1-0", "ss_sd_model_name": "x.ckpt"}, ("x.ckpt",)),
        ({"ss_sd_model_name": "None", "ss_sd_model_hash": "6ce0161689"}, ("6ce0161689",)),
        ({"modelspec.merged_from": "a.safetensors, b,, a.safetensors"}, ("a.safetensors", "b")),
        ({"sd_merge_models": json.dumps(MODELS)}, ("one.safetensors",)),
        ({"format": "pt"}, ()),
    ],
)
def test_the_keys_of_trainers_and_interfaces_are_read(metadata, parents):
    assert claims_in(metadata).parents == parents


@pytest.mark.parametrize(
    "recipe",
    ["{", "[" * 5000, "[]", "3", '{"primary_model_hash": {"a": 1}}', "{" + " " * (1 << 21) + "}"],
)
def test_a_malformed_recipe_declares_nothing(recipe):
    found = claims_in({"sd_merge_recipe": recipe, "sd_merge_models": '{"x": 3}'})
    assert found.parents == ()
    assert found.method == ""


def test_too_many_keys_are_not_looked_at():
    assert claims_in({f"k{i}": "" for i in range(5000)} | {"ss_sd_model_name": "x"}).parents == ()


def test_an_adapter_alone_names_the_base_it_declares(tmp_path):
    factors = {
        "lora_unet_mid_block_proj.lora_down.weight": np.ones((2, 4), np.float32),
        "lora_unet_mid_block_proj.lora_up.weight": np.ones((4, 2), np.float32),
    }
    said = {"ss_sd_model_name": "base.safetensors", "ss_network_module": "networks.lora"}
    save_file(factors, tmp_path / "style.safetensors", said)
    with pytest.raises(UnreadableModel, match="declared base: base.safetensors"):
        open_model(tmp_path / "style.safetensors")
