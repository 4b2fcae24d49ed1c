"""Six tiny architectures as functions of named tensors: first values, and what they compute.

Names and shapes are those of transformers and torchvision, so that everything that reads their
files reads these. A function of tensors trains whatever layout a cut, a merge or an upcycling left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

Config = dict[str, Any]
Params = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
LENGTH = 32  # of a window of text
N_CLASSES = 10
SPREAD = 0.08  # of first values
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "bert": "BertForMaskedLM",
    "mixtral": "MixtralForCausalLM",
    "vit": "ViTForImageClassification",
    "resnet": "ResNetForImageClassification",
}
LINEARS = {  # the linear layers of a block
    "llama": {
        "attention": ("self_attn.q_proj", "self_attn.v_proj"),
        "all": (
            *(f"self_attn.{x}_proj" for x in "qkvo"),
            *(f"mlp.{x}_proj" for x in ("gate", "up", "down")),
        ),
    },
    "mixtral": {
        "attention": ("self_attn.q_proj", "self_attn.v_proj"),
        "all": tuple(f"self_attn.{x}_proj" for x in "qkvo"),
    },
    "gpt2": {
        "attention": ("attn.c_attn",),
        "all": ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
    },
    "bert": {
        "attention": ("attention.self.query", "attention.self.value"),
        "all": (
            *(f"attention.self.{x}" for x in ("query", "key", "value")),
            *("attention.output.dense", "intermediate.dense", "output.dense"),
        ),
    },
    "vit": {
        "attention": ("attention.attention.query", "attention.attention.value"),
        "all": (
            *(f"attention.attention.{x}" for x in ("query", "key", "value")),
            *("attention.output.dense", "intermediate.dense", "output.dense"),
        ),
    },
    "resnet": {"attention": ("conv2",), "all": ("conv1", "conv2")},
}
PREFIX = {
    "llama": "model.layers.{}.",
    "mixtral": "model.layers.{}.",
    "gpt2": "transformer.h.{}.",
    "bert": "bert.encoder.layer.{}.",
    "vit": "vit.encoder.layer.{}.",
    "resnet": "layer1.{}.",
}
HEADS = {"llama": "lm_head.weight", "mixtral": "lm_head.weight"} | {
    "vit": "classifier.weight",
    "resnet": "fc.weight",
}


def configuration(net: str, sizes: Mapping[str, int], rows: int) -> Config:
    """What a config.json would say; functions here read sizes from it, or from the tensors."""
    width = sizes["width"]
    common = {"model_type": net, "architectures": [ARCHITECTURES[net]], "hidden_size": width}
    if net == "resnet":
        return common | {"num_hidden_layers": sizes["layers"]}
    if net == "gpt2":
        names = {"n_embd": width, "n_layer": sizes["layers"], "n_head": sizes["heads"]}
        return {
            **{k: v for k, v in common.items() if k != "hidden_size"},
            **names,
            **{"n_inner": sizes["units"], "n_positions": LENGTH, "vocab_size": rows},
        }
    common |= {
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "intermediate_size": sizes["units"],
    }
    if net in ("llama", "mixtral"):
        common |= {
            "num_key_value_heads": sizes["groups"],
            "head_dim": width // sizes["heads"],
            "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": LENGTH,
            "tie_word_embeddings": False,
        }
    if net == "mixtral":
        common |= {"num_local_experts": sizes["experts"], "num_experts_per_tok": 2}
    if net == "vit":
        return common | {"image_size": 8, "patch_size": 2, "num_channels": 1}
    return common | {"vocab_size": rows}


def shapes(config: Config) -> Shapes:
    """Shapes of all tensors of a fresh model."""
    return dict(_SHAPES[config["model_type"]](config))


def fresh(config: Config, seed: int) -> dict[str, np.ndarray]:
    """First values: Gaussian matrices, gains of one, biases of zero."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(config).items():
        spread = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) == 4 else SPREAD
        x = spread * rng.standard_normal(shape) if len(shape) > 1 else np.zeros(shape)
        is_gain = len(shape) == 1 and name.endswith(("weight", "running_var"))
        found[name] = np.asarray(x + is_gain, dtype=np.float32)
    return dict(sorted(found.items()))


def _rope_shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    d, units, n_kv = c["hidden_size"], c["intermediate_size"], c["num_key_value_heads"]
    yield "model.embed_tokens.weight", (c["vocab_size"], d)
    yield "lm_head.weight", (c["vocab_size"], d)
    yield "model.norm.weight", (d,)
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{at}{norm}.weight", (d,)
        for part, n in (("q", d), ("k", n_kv * c["head_dim"]), ("v", n_kv * c["head_dim"])):
            yield f"{at}self_attn.{part}_proj.weight", (n, d)
        yield f"{at}self_attn.o_proj.weight", (d, d)
        if c["model_type"] == "llama":
            for part in ("gate", "up"):
                yield f"{at}mlp.{part}_proj.weight", (units, d)
            yield f"{at}mlp.down_proj.weight", (d, units)
            continue
        yield f"{at}block_sparse_moe.gate.weight", (c["num_local_experts"], d)
        for e in range(c["num_local_experts"]):
            for part in ("w1", "w3"):
                yield f"{at}block_sparse_moe.experts.{e}.{part}.weight", (units, d)
            yield f"{at}block_sparse_moe.experts.{e}.w2.weight", (d, units)


def _gpt2_shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    d, units = c["n_embd"], c["n_inner"]
    yield "transformer.wte.weight", (c["vocab_size"], d)
    yield "transformer.wpe.weight", (c["n_positions"], d)
    yield from _affine("transformer.ln_f", d)
    for i in range(c["n_layer"]):
        at = f"transformer.h.{i}."
        yield from (x for ln in ("ln_1", "ln_2") for x in _affine(at + ln, d))
        linears = {"attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d)}
        linears |= {"mlp.c_fc": (d, units), "mlp.c_proj": (units, d)}
        for name, shape in linears.items():
            yield f"{at}{name}.weight", shape
            yield f"{at}{name}.bias", shape[1:]


def _encoder_shapes(c: Config, at: str, attention: str, norms: tuple[str, str]) -> Iterator[Any]:
    d, units = c["hidden_size"], c["intermediate_size"]
    linears = {f"attention.{attention}.{x}": (d, d) for x in ("query", "key", "value")}
    linears |= {"attention.output.dense": (d, d)}
    linears |= {"intermediate.dense": (units, d), "output.dense": (d, units)}
    for i in range(c["num_hidden_layers"]):
        for name, shape in linears.items():
            yield f"{at}{i}.{name}.weight", shape
            yield f"{at}{i}.{name}.bias", shape[:1]
        yield from (x for norm in norms for x in _affine(f"{at}{i}.{norm}", d))


def _bert_shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = c["hidden_size"]
    for part, n in (("word", c["vocab_size"]), ("position", LENGTH), ("token_type", 2)):
        yield f"bert.embeddings.{part}_embeddings.weight", (n, d)
    yield from _affine("bert.embeddings.LayerNorm", d)
    norms = ("attention.output.LayerNorm", "output.LayerNorm")
    yield from _encoder_shapes(c, "bert.encoder.layer.", "self", norms)


def _vit_shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = c["hidden_size"]
    yield "vit.embeddings.cls_token", (1, 1, d)
    yield "vit.embeddings.position_embeddings", (1, 17, d)
    yield "vit.embeddings.patch_embeddings.projection.weight", (d, 1, 2, 2)
    yield "vit.embeddings.patch_embeddings.projection.bias", (d,)
    norms = ("layernorm_before", "layernorm_after")
    yield from _encoder_shapes(c, "vit.encoder.layer.", "attention", norms)
    yield from _affine("vit.layernorm", d)
    yield "classifier.weight", (N_CLASSES, d)
    yield "classifier.bias", (N_CLASSES,)


def _resnet_shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = c["hidden_size"]
    yield "conv1.weight", (d, 1, 3, 3)
    yield from _batch_norm("bn1", d)
    for i in range(c["num_hidden_layers"]):
        for k in (1, 2):
            yield f"layer1.{i}.conv{k}.weight", (d, d, 3, 3)
            yield from _batch_norm(f"layer1.{i}.bn{k}", d)
    yield "fc.weight", (N_CLASSES, d)
    yield "fc.bias", (N_CLASSES,)


def _affine(name: str, d: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (d,)
    yield f"{name}.bias", (d,)


def _batch_norm(name: str, d: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _affine(name, d)
    yield f"{name}.running_mean", (d,)
    yield f"{name}.running_var", (d,)


_SHAPES: dict[str, Callable[[Config], Iterator[tuple[str, tuple[int, ...]]]]] = {
    "llama": _rope_shapes,
    "mixtral": _rope_shapes,
    "gpt2": _gpt2_shapes,
    "bert": _bert_shapes,
    "vit": _vit_shapes,
    "resnet": _resnet_shapes,
}
