"""Claim: what names and the class of a model both tell is called alike, however it was read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import transformers

from weightkin import compare
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.traced.named import under_known_names
from weightkin.anatomy.types import Axis, Place
from weightkin.formats.memory import model_from_arrays

UP, DOWN = Place("up", 0, 0, 8, "mlp.up"), Place("down", 1, 0, 8, "mlp.down")
NAMED = Axis("mlp", "units", "decoder", 3, 8, "S_8", "decoder.3.mlp", (UP, DOWN))
TRACED = Axis(
    *("fc1.bias.0", "units", "decoder.layers", 3, 8, "S_8", "graph.7"),
    (replace(UP, role="w:up.0"), replace(DOWN, role="w:down.1"), Place("bias", 0, 0, 8, "b:bias")),
)
MATRICES = {"up", "down", "gate"}


def test_an_axis_that_both_tell_has_the_name_of_the_catalogue():
    other = replace(TRACED, places=(Place("x", 0, 0, 8, "w:x"), Place("y", 1, 0, 8, "w:y")))
    assert under_known_names([TRACED, other], [NAMED], MATRICES) == (other, NAMED)


def test_an_axis_with_less_freedom_or_more_views_stays_as_it_is():
    cells = replace(TRACED, head_size=4)
    more = replace(TRACED, places=(*TRACED.places, Place("gate", 0, 0, 8, "w:gate")))
    fewer = replace(NAMED, places=(*NAMED.places, Place("gate", 0, 0, 8, "mlp.gate")))
    heads = replace(NAMED, kind="heads")
    other = replace(more, places=(*TRACED.places, Place("gate", 0, 0, 8, "b:gate")))  # no view
    pairs = (cells, NAMED), (more, NAMED), (TRACED, fewer), (TRACED, heads), (other, fewer)
    for axis, known in pairs:
        assert under_known_names([axis], [known], MATRICES) == (axis,)


def _whisper(rng, width=32, hidden=96):
    """Whisper under the names of its publisher."""
    shapes = {"decoder.token_embedding.weight": (70, width), "encoder.conv1.weight": (width, 8, 3),
              "encoder.conv1.bias": (width,), "encoder.conv2.weight": (width, width, 3),
              "encoder.conv2.bias": (width,), "encoder.positional_embedding": (12, width),
              "decoder.positional_embedding": (8, width)}  # fmt: skip
    for name in ("encoder.ln_post", "decoder.ln"):
        shapes |= {f"{name}.{leaf}": (width,) for leaf in ("weight", "bias")}
    for block in [f"{x}.blocks.{i}" for x in ("encoder", "decoder") for i in range(2)]:
        for attention in ("attn", "cross_attn") if "decoder" in block else ("attn",):
            own = f"{block}.{attention}"
            matrices = [f"{own}.{x}" for x in ("query", "key", "value", "out")]
            shapes |= {f"{x}.weight": (width, width) for x in matrices}
            shapes |= {f"{x}.bias": (width,) for x in matrices if "key" not in x}
            shapes |= {f"{own}_ln.{leaf}": (width,) for leaf in ("weight", "bias")}
        shapes |= {f"{block}.mlp_ln.{leaf}": (width,) for leaf in ("weight", "bias")}
        shapes |= {
            f"{block}.mlp.0.weight": (hidden, width),
            f"{block}.mlp.0.bias": (hidden,),
            f"{block}.mlp.2.weight": (width, hidden),
            f"{block}.mlp.2.bias": (width,),
        }
    return {name: rng.standard_normal(x, dtype=np.float32) for name, x in shapes.items()}


def test_a_model_with_its_config_and_without_one_is_the_same(rng):
    arrays = _whisper(rng)
    config = {"model_type": "whisper", "d_model": 32, "encoder_attention_heads": 4,
              "decoder_attention_heads": 4, "num_attention_heads": 4}  # fmt: skip
    alone, told = model_from_arrays(arrays), model_from_arrays(arrays, config=config)
    assert len(read_anatomy(alone).axes) < len(read_anatomy(told).axes)
    found = compare(alone, told)
    assert (found.verdict, found.basis) == ("dependent", "exact")
    assert found.tested_share > 0.4


def _distilbert():
    config = transformers.DistilBertConfig(
        vocab_size=60, max_position_embeddings=12, n_layers=2, n_heads=4, dim=32, hidden_dim=96
    )
    torch.manual_seed(0)
    model = transformers.DistilBertForMaskedLM(config)
    arrays = {name: x.detach().numpy() for name, x in model.state_dict().items()}
    return arrays, config.to_dict()


def test_a_whole_model_is_read_by_its_class_and_a_changed_one_by_names():
    arrays, config = _distilbert()
    whole, bare = model_from_arrays(arrays, config=config), model_from_arrays(arrays)
    assert read_anatomy(whole).family == "transformers.DistilBertForMaskedLM"
    found = compare(whole, bare)
    assert (found.verdict, found.basis) == ("dependent", "exact")
    without = {name: x for name, x in arrays.items() if "position" not in name}
    assert read_anatomy(model_from_arrays(without, config=config)).family == "distilbert"
    more = {**arrays, "transformer.layer.0.adapter.weight": np.ones((8, 32), np.float32)}
    assert read_anatomy(model_from_arrays(more, config=config)).family == "distilbert"
