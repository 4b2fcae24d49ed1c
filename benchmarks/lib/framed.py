"""Unrelated models lined up with a reference, and relatives of its shape: random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy import read_anatomy
from weightkin.evasions import frame
from weightkin.formats import Model, model_from_arrays

Arrays = dict[str, npt.NDArray[np.float32]]
ROUNDS = 6
HEAD_SIZE = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a Llama-like model of random weights."""

    width: int
    n_blocks: int
    n_units: int
    repeat: int = 1  # query heads for each key head
    head: int = HEAD_SIZE  # dimensions of a head


@dataclass(frozen=True, slots=True)
class Aim:
    """What a model is fitted at: roles of matrices, and blocks; all of them where none are said."""

    views: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()


EVERYTHING = Aim()
AIMS = {
    "everything": EVERYTHING,
    "gates": Aim(("mlp.gate",)),
    "gates and ups": Aim(("mlp.gate", "mlp.up")),
    "gates of one block": Aim(("mlp.gate",), (0,)),
    "values": Aim(("attn.v",)),
    "values and outputs": Aim(("attn.v", "attn.o")),
    "values of one block": Aim(("attn.v",), (0,)),
}
RELATIVES = {"cosine 0.9": 0.9, "cosine 0.7": 0.7, "half of an unrelated model": None}


def drawn(shape: Shape, seed: int) -> Arrays:
    """A model of random weights."""
    rng = np.random.default_rng([seed, shape.width, shape.n_blocks])

    def normal(n: int, d: int) -> npt.NDArray[np.float32]:
        return (0.02 * rng.standard_normal((n, d), dtype=np.float32)).astype(np.float32)

    d, h = shape.width, shape.n_units
    ones = np.ones(d, np.float32)
    arrays = {
        "model.embed_tokens.weight": normal(512, d),
        "lm_head.weight": normal(512, d),
        "model.norm.weight": ones,
    }
    for i in range(shape.n_blocks):
        at = f"model.layers.{i}."
        arrays |= {at + f"{x}_layernorm.weight": ones for x in ("input", "post_attention")}
        for name, n in (("q", d), ("k", d // shape.repeat), ("v", d // shape.repeat)):
            arrays[at + f"self_attn.{name}_proj.weight"] = normal(n, d)
        arrays[at + "self_attn.o_proj.weight"] = normal(d, d)
        arrays |= {at + f"mlp.{x}_proj.weight": normal(h, d) for x in ("gate", "up")}
        arrays[at + "mlp.down_proj.weight"] = normal(d, h)
    return arrays


def config_of(shape: Shape) -> dict[str, Any]:
    """What its config.json would say."""
    heads = shape.width // shape.head
    return {
        "model_type": "llama",
        "hidden_size": shape.width,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // shape.repeat,
        "head_dim": shape.head,
        "tie_word_embeddings": False,
    }


def relative(shape: Shape, seed: int, made: str) -> Arrays:
    """A child of the model of a seed."""
    parent, unrelated = drawn(shape, seed), drawn(shape, seed + 1000)
    cosine = RELATIVES[made]
    own, other = (1.0, 1.0) if cosine is None else (cosine, float(np.sqrt(1 - cosine**2)))
    return {
        name: x if x.ndim == 1 else (own * x + other * unrelated[name]).astype(np.float32)
        for name, x in parent.items()
    }


def framed(
    innocent: Model,
    reference: Model,
    aim: Aim = EVERYTHING,
    *,
    rounds: int = ROUNDS,
    with_rotation: bool = True,
) -> Model:
    """A model lined up with a reference, in memory."""
    arrays = [{n: m.rows(n) for n in m.tensors} for m in (innocent, reference)]
    changed = frame(
        arrays[0],
        read_anatomy(innocent),
        arrays[1],
        rounds=rounds,
        with_rotation=with_rotation,
        views=aim.views,
        blocks=aim.blocks or None,
    )
    return model_from_arrays(changed.arrays, config={**innocent.config, **changed.config_changes})
