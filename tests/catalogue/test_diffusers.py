"""Claim: tiny instances of classes of diffusers have sizes that agree, run, and are proven."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from benchmarks.catalogue import diffusers_classes  # noqa: E402 (only where torch is there)
from benchmarks.catalogue.example_inputs import working_inputs  # noqa: E402
from benchmarks.catalogue.make import made as entry_made  # noqa: E402
from benchmarks.catalogue.recipe import Recipe, Tiny  # noqa: E402
from benchmarks.catalogue.short import made  # noqa: E402


@pytest.mark.parametrize("name", ["AllegroTransformer3DModel", "LTX2VideoTransformer3DModel"])
@pytest.mark.parametrize("which", [0, 1])
def test_widths_of_all_heads_together_agree_and_the_model_runs(name, which):
    module = diffusers_classes.build(name, which)
    own, real = dict(module.config), diffusers_classes.real_values(name)
    for kind in ("", "audio_") if "audio_num_attention_heads" in own else ("",):
        keys = [f"{kind}{x}" for x in ("num_attention_heads", "attention_head_dim")]
        width = f"{kind}cross_attention_dim"
        assert real[width] == real[keys[0]] * real[keys[1]]
        assert own[width] == own[keys[0]] * own[keys[1]]
    assert working_inputs(module)


@pytest.mark.claim("diffusers classes")
@pytest.mark.parametrize(
    ("name", "share"), [("AceStepTransformer1DModel", 0.99), ("SD3Transformer2DModel", 0.2)]
)  # queries in groups; shifts and scales that are fewer in the last block, and a fixed table
def test_entries_are_proven(name, share):
    def build(which, seed):
        torch.manual_seed(seed)
        module = diffusers_classes.build(name, which).float()
        torch.manual_seed(1)
        return Tiny(module, working_inputs(module), dict(module.config))

    found = entry_made(Recipe(f"diffusers.{name}", (), build))
    assert found.why == ""
    assert min(found.shares) > share


def test_shapes_in_short_are_sums_products_and_quotients():
    config = {"width": 24, "heads": 4, "layers": 2}
    assert made("n:width/heads/2,2*width+1,layers+heads", config).shape == (3, 49, 6)
    assert made("c:3", config).tolist() == [0, 1, 2]
    assert made("e:1,4,3", config).tolist() == [[False, False, False, True]]
