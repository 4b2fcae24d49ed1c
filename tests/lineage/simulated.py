"""Small models with a known genealogy, made of random increments instead of training."""

import numpy as np

from weightkin.formats import Model, model_from_arrays
from weightkin.records.family import FamilyGraph

WIDTH, UNITS, BLOCKS, TOKENS, HEADS = 32, 64, 3, 96, 4
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": WIDTH,
    "intermediate_size": UNITS,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "vocab_size": TOKENS,
    "hidden_act": "silu",
}
Arrays = dict[str, np.ndarray]


def base(rng: np.random.Generator) -> Arrays:
    """A model from its own initialisation: heavy-tailed, as trained weights are."""
    shapes = {"model.embed_tokens.weight": (TOKENS, WIDTH), "lm_head.weight": (TOKENS, WIDTH)}
    for block in range(BLOCKS):
        at = f"model.layers.{block}"
        shapes |= {f"{at}.self_attn.{p}_proj.weight": (WIDTH, WIDTH) for p in "qkvo"}
        shapes |= {f"{at}.mlp.{p}_proj.weight": (UNITS, WIDTH) for p in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": (WIDTH, UNITS)}
        shapes |= {f"{at}.{n}_layernorm.weight": (WIDTH,) for n in ("input", "post_attention")}
    shapes["model.norm.weight"] = (WIDTH,)
    arrays = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            arrays[name] = np.ones(shape, dtype=np.float32)
        else:
            arrays[name] = (rng.standard_t(5, shape) * 0.05).astype(np.float32)
    return arrays


def trained_on(
    parent: Arrays,
    rng: np.random.Generator,
    size: float = 0.15,
    drift: Arrays | None = None,
    decay: float = 0.995,
) -> Arrays:
    """A child: every matrix moves by its own noise, and by a drift if one is given; norms grow."""
    child = {}
    for name, x in parent.items():
        if x.ndim == 1:
            child[name] = x + rng.normal(0, 0.01, x.shape).astype(np.float32)
            continue
        move = rng.normal(0, size * x.std(), x.shape)
        if drift is not None:
            move += drift[name]
        if "embed_tokens" in name:
            move[-16:] = 0.0  # tokens that are never used
        child[name] = (decay * x + move).astype(np.float32)
    return child


def low_rank_drift(parent: Arrays, rng: np.random.Generator, size: float, rank: int = 3) -> Arrays:
    """A movement in few directions of every matrix, as one objective causes in all its models."""
    drift = {}
    for name, x in parent.items():
        if x.ndim == 2:
            move = rng.normal(size=(x.shape[0], rank)) @ rng.normal(size=(rank, x.shape[1]))
            drift[name] = move * (size * x.std() / move.std())
    return drift


def mixed(parents: list[Arrays], weights: list[float]) -> Arrays:
    """A linear merge."""
    return {
        name: sum(w * p[name] for w, p in zip(weights, parents, strict=True)).astype(np.float32)
        for name in parents[0]
    }


def model(name: str, arrays: Arrays) -> Model:
    """An open model of these arrays."""
    from dataclasses import replace

    return replace(model_from_arrays(arrays, config=CONFIG), name=name)


def drawn(graph: FamilyGraph) -> set[tuple[str, str]]:
    """All edges, determined or not."""
    return {(e.parent, e.child) for e in graph.edges}


def likely(graph: FamilyGraph) -> set[tuple[str, str]]:
    """Edges that are determined."""
    return {(e.parent, e.child) for e in graph.edges if e.direction == "determined"}
