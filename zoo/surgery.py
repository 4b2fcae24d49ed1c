"""Derivations that change shape: units, layers, vocabulary, stacks, hybrids, upcycling."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact import deviation, normal, total
from folders import Folder, Tensors

Array = NDArray[Any]
BLOCKS = r"(model\.layers\.|transformer\.h\.|bert\.encoder\.layer\.|vit\.encoder\.layer\.|layer1\.)"
LAYER = re.compile(BLOCKS + r"(\d+)(\..+)")
DEPTH = {"gpt2": "n_layer"} | dict.fromkeys(
    ("llama", "mixtral", "bert", "vit", "resnet"), "num_hidden_layers"
)
WIDTH = {"gpt2": "n_inner"} | dict.fromkeys(("llama", "bert", "vit"), "intermediate_size")
ENCODER_UNITS = {
    "intermediate.dense.weight": 0,
    "intermediate.dense.bias": 0,
    "output.dense.weight": 1,
}
# For each family: the tensors of an MLP and the dimension on which its units lie.
UNITS = {
    "llama": {
        "mlp.gate_proj.weight": 0,
        "mlp.up_proj.weight": 0,
        "mlp.down_proj.weight": 1,
    },
    "gpt2": {"mlp.c_fc.weight": 1, "mlp.c_fc.bias": 0, "mlp.c_proj.weight": 0},
    "bert": ENCODER_UNITS,
    "vit": ENCODER_UNITS,
    "resnet": {  # channels between the two convolutions of a block
        "conv1.weight": 0,
        **{f"bn1.{x}": 0 for x in ("weight", "bias", "running_mean", "running_var")},
        "conv2.weight": 1,
    },
}
PREFIX = {
    "llama": "model.layers.{}.",
    "gpt2": "transformer.h.{}.",
    "bert": "bert.encoder.layer.{}.",
    "vit": "vit.encoder.layer.{}.",
    "resnet": "layer1.{}.",
}


def n_layers(folder: Folder) -> int:
    """Return how many layers the configuration states."""
    return int(folder.config[DEPTH[folder.config["model_type"]]])


def width_pruned(folder: Folder, n_units: int) -> Folder:
    """Keep the units of largest norm in each MLP, in their order."""
    family = folder.config["model_type"]
    tensors, kept = dict(folder.tensors), []
    for layer in range(n_layers(folder)):
        axes = {PREFIX[family].format(layer) + n: axis for n, axis in UNITS[family].items()}
        energy = sum(squared_norms(tensors[name], axis) for name, axis in axes.items())
        units = np.sort(np.argsort(-energy, kind="stable")[:n_units])
        tensors |= {name: tensors[name].take(units, axis=axis) for name, axis in axes.items()}
        kept.append(units.tolist())
    config = folder.config | {WIDTH[family]: n_units}
    details = {"n_units": n_units, "kept_units": kept, "importance": "squared norm of the unit"}
    return Folder(config=config, tensors=tensors, details=details)


def squared_norms(x: Array, axis: int) -> Array:
    """Sum of squares of each unit of a tensor."""
    rows = np.moveaxis(x.astype(np.float64), axis, 0).reshape(x.shape[axis], -1)
    return total(rows * rows, axis=1)


def depth_pruned(folder: Folder, layers: Sequence[int]) -> Folder:
    """Keep some layers, in the order given."""
    stack = stacked(((folder, layers),))
    return Folder(config=stack.config, tensors=stack.tensors, details={"kept_layers": list(layers)})


def passthrough(a: Folder, b: Folder, *, layers: tuple[Sequence[int], Sequence[int]]) -> Folder:
    """Put layers of `b` on top of layers of `a`; everything else is from `a`."""
    stack = stacked(((a, layers[0]), (b, layers[1])))
    details = {"method": "passthrough", "layers": [list(part) for part in layers]}
    return Folder(config=stack.config, tensors=stack.tensors, details=details)


def stacked(parts: Sequence[tuple[Folder, Sequence[int]]]) -> Folder:
    """Concatenate layers of several models."""
    first = parts[0][0]
    tensors = {name: x for name, x in first.tensors.items() if not LAYER.fullmatch(name)}
    sources = [(folder, layer) for folder, layers in parts for layer in layers]
    for target, (folder, source) in enumerate(sources):
        tensors |= layer_tensors(folder, source, target)
    depth = DEPTH[first.config["model_type"]]
    config = first.config | {depth: len(sources)}
    return Folder(config=config, tensors=dict(sorted(tensors.items())))


def layer_tensors(folder: Folder, source: int, target: int) -> Tensors:
    """Return the tensors of layer `source`, named as layer `target`."""
    found = ((LAYER.fullmatch(name), x) for name, x in folder.tensors.items())
    return {m[1] + str(target) + m[3]: x for m, x in found if m and int(m[2]) == source}


def hybrid(a: Folder, b: Folder, *, layers_from_b: Sequence[int]) -> Folder:
    """Take `a` with some whole layers replaced by those of `b`."""
    tensors = dict(a.tensors)
    for layer in layers_from_b:
        tensors |= layer_tensors(b, layer, layer)
    return Folder(config=a.config, tensors=tensors, details={"layers_from_b": list(layers_from_b)})


def vocabulary_extended(folder: Folder, n_rows: int, seed: int) -> Folder:
    """Append rows to both embeddings: the mean row plus a little noise."""
    tensors = dict(folder.tensors)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        x = tensors[name]
        mean = total(x) / len(x)
        noise = normal(seed, name, (n_rows - len(x), x.shape[1])) * (0.01 * deviation(x))
        tensors[name] = np.concatenate([x, (mean + noise).astype(np.float32)])
    config = folder.config | {"vocab_size": n_rows}
    details = {"n_rows": n_rows, "n_rows_before": folder.config["vocab_size"], "seed": seed}
    return Folder(config=config, tensors=tensors, details=details)


def upcycled(folder: Folder, template: Folder, *, n_experts: int, seed: int) -> Folder:
    """Copy every MLP into experts, each with its own noise of 1 %; the router is random.

    `template` lends the configuration of a Mixtral-like model, no weights.
    """
    tensors: Tensors = {}
    for name, x in folder.tensors.items():
        if ".mlp." in name:
            tensors |= experts(name, x, n_experts, seed)
        else:
            tensors[name] = x
    width = folder.config["hidden_size"]
    for layer in range(n_layers(folder)):
        name = f"model.layers.{layer}.block_sparse_moe.gate.weight"
        tensors[name] = (0.02 * normal(seed, name, (n_experts, width))).astype(np.float32)
    same = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    same += ("num_key_value_heads", "max_position_embeddings", "vocab_size", "rms_norm_eps")
    same += ("head_dim", "rope_parameters", "hidden_act", "tie_word_embeddings")
    config = template.config | {key: folder.config[key] for key in same}
    config |= {"num_local_experts": n_experts, "num_experts_per_tok": 2}
    config |= {"rope_theta": folder.config["rope_parameters"]["rope_theta"]}
    details = {"n_experts": n_experts, "noise": 0.01, "seed": seed, "router": "random"}
    return Folder(config=config, tensors=dict(sorted(tensors.items())), details=details)


def experts(name: str, x: Array, n_experts: int, seed: int) -> Tensors:
    """Noisy copies of one MLP matrix under Mixtral's names."""
    prefix, rest = name.split("mlp.")
    part = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}[rest.split(".")[0]]
    spread = 0.01 * deviation(x)
    out = {}
    for expert in range(n_experts):
        target = f"{prefix}block_sparse_moe.experts.{expert}.{part}.weight"
        out[target] = (x + spread * normal(seed, target, x.shape)).astype(np.float32)
    return out


def per_layer(folder: Folder, change: Callable[[str, Tensors], Tensors]) -> Tensors:
    """Apply a change to the tensors of each layer, given its name's prefix."""
    tensors = dict(folder.tensors)
    family = folder.config["model_type"].replace("mixtral", "llama")
    for layer in range(int(folder.config[DEPTH[family]])):
        tensors |= change(PREFIX[family].format(layer), tensors)
    return tensors
