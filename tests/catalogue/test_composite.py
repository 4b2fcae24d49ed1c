"""Claim: models that see and hear are run with pictures and sounds, and their towers are proven."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from benchmarks.catalogue.make import made  # noqa: E402 (only where torch is there)
from benchmarks.catalogue.parts import placeholders  # noqa: E402
from benchmarks.catalogue.work import known_classes, recipe_of  # noqa: E402

CLASSES = {  # what is run, with what; least share of the parameters that stand on axes
    "qwen2_vl": ("image_grid_thw", 0.99),  # rows of patches, and a grid of them
    "qwen2_audio": ("input_features", 0.99),
    "phi3": ("input_ids", 0.99),  # queries of one key: two labels begin at one place of o_proj
}


@pytest.mark.claim("composite models")
@pytest.mark.parametrize("kind", CLASSES)
def test_towers_and_language_models_are_proven_in_one_entry(kind):
    recipe = recipe_of(next(x for x in known_classes() if x.split(":")[1] == kind))
    argument, least = CLASSES[kind]
    assert argument in recipe.build(0, 0).inputs
    found = made(recipe)
    assert not found.why
    assert min(found.shares) > least
    assert found.entry is not None
    stacks = {row.pattern.split(".#.")[0] for row in found.entry.rows if ".#." in row.pattern}
    assert len(stacks) == (1 if kind == "phi3" else 2)


def test_tokens_of_pictures_lie_inside_of_the_vocabulary_and_are_told_apart():
    given = {"image_token_id": 4000, "audio_token_id": None, "video_token_id": 7}
    found = placeholders({**given, "vocab_size": 96})
    assert found.keys() == {"image_token_id", "audio_token_id"}
    assert len({*found.values(), 7}) == 3
    assert all(48 < x < 96 for x in found.values())


def test_outputs_of_every_text_hold_the_placeholders_of_its_own_picture():
    recipe = recipe_of(next(x for x in known_classes() if ":llava:" in x))
    tiny = recipe.build(0, 0)
    token = tiny.config["image_token_index"]
    counts = (tiny.inputs["input_ids"] == token).sum(1)
    assert torch.equal(counts, torch.tensor([64, 64]))  # 8 x 8 patches, no class token
