"""Claim: an adapter alone is told which registered models have what it changes, and no more."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.commands import command
from weightkin import Registry, compare
from weightkin.errors import UnreadableModel

MODULE = "down_blocks.0.attn.to_q"
FACTORS = {"A": (2, 8), "B": (12, 2)}
STYLES = {
    "peft": {x: f"base_model.model.{MODULE}.lora_{x}.weight" for x in FACTORS},
    "diffusers": {x: f"unet.{MODULE}.lora_{x}.weight" for x in FACTORS},
    "kohya": {
        x: f"lora_unet_{MODULE.replace('.', '_')}.lora_{way}.weight"
        for x, way in zip(FACTORS, ("down", "up"), strict=True)
    },
}


def write(folder, tensors, name="model.safetensors", **config):
    folder.mkdir(parents=True)
    save_file(tensors, folder / name)
    if config:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def matrix(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


@pytest.fixture
def home(tmp_path, rng):
    """Two models of one shape, one of another, one without the module."""
    for name in ("base", "other"):
        write(tmp_path / name, {f"{MODULE}.weight": matrix(rng, 12, 8)})
    write(tmp_path / "wider", {f"{MODULE}.weight": matrix(rng, 12, 16)})
    write(tmp_path / "without", {"mid_block.attn.to_q.weight": matrix(rng, 12, 8)})
    Registry(tmp_path / "r.sqlite").add(
        [tmp_path / x for x in ("base", "other", "wider", "without")]
    )
    return tmp_path


def adapter(home, style, rng):
    factors = {STYLES[style][x]: matrix(rng, *shape) for x, shape in FACTORS.items()}
    if style == "peft":
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["to_q"]}
        return write(home / "lora", factors, "adapter_model.safetensors", **config)
    if style == "kohya":
        factors[STYLES[style]["A"].replace("lora_down.weight", "alpha")] = np.float32([2.0])
    return write(home / "lora", factors, "lora.safetensors") / "lora.safetensors"


@pytest.mark.parametrize("style", STYLES)
def test_a_search_names_the_models_that_an_adapter_fits(style, home, rng):
    found = Registry(home / "r.sqlite").search(adapter(home, style, rng))
    assert [x.name for x in found.fits] == ["base", "other"]
    assert not found.relatives
    assert not found.is_tested
    assert found.sentence == (
        f"{found.name}: an adapter, which fits 2 of 4 models by names and shapes"
    )


def test_it_says_what_that_does_not_show(home, rng):
    file = adapter(home, "kohya", rng)
    result = command("search", "--registry", str(home / "r.sqlite"), str(file))
    assert "fits        #1 base" in result.stdout
    assert "names and shapes do not show which model it was trained on" in result.stdout


@pytest.mark.parametrize(
    ("name", "said"), [("base", "its names and shapes fit base (1 tensor)"), ("without", "not fit")]
)
def test_a_comparison_with_an_adapter_says_whether_it_fits(name, said, home, rng):
    file = adapter(home, "diffusers", rng)
    for pair in ((home / name, file), (file, home / name)):
        with pytest.raises(UnreadableModel, match="read with its base") as error:
            compare(*map(str, pair))
        assert said in str(error.value)
