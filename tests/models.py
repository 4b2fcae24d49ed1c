"""Small models in memory and on disk for tests: Llama-like, with any matrix a test wants."""

from __future__ import annotations

import json

import numpy as np
from benchmarks.lib.null_models import CONFIG, noisy, null_arrays
from safetensors.numpy import save_file

base = null_arrays  # independent normal weights
PROJECTIONS = ("gate_proj", "up_proj")


def child(arrays, rng, noise=0.2):
    """Arrays moved a little, as fine-tuning does."""
    return noisy(arrays, rng, share=noise)


def map_units(arrays, block, index):
    """Reorder, repeat or drop the hidden units of one block: row i becomes unit index[i]."""
    out = dict(arrays)
    layer = f"model.layers.{block}.mlp."
    for name in PROJECTIONS:
        out[layer + name + ".weight"] = arrays[layer + name + ".weight"][index]
    out[layer + "down_proj.weight"] = arrays[layer + "down_proj.weight"][:, index]
    return out


def keep_blocks(arrays, kept):
    """Keep some blocks, renumbered in the order given."""
    out = {k: v for k, v in arrays.items() if "layers." not in k}
    for new, old in enumerate(kept):
        prefix = f"model.layers.{old}."
        for k, v in arrays.items():
            if k.startswith(prefix):
                out[f"model.layers.{new}." + k.removeprefix(prefix)] = v
    return out


def write(folder, arrays, config=CONFIG):
    """Write a model folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def by_stored_name(sketch):
    """Tensors of a sketch by what the model calls them."""
    return {tensor.stored_name: tensor for tensor in sketch.tensors.values()}


def write_pair(folder, *unrelated):
    """Write a model, its child, and models of other starts; returns the folder of all."""
    rng = np.random.default_rng(5)
    arrays = base(rng)
    write(folder / "a", arrays)
    write(folder / "child", child(arrays, rng))
    for name in unrelated:
        write(folder / name, base(rng))
    return folder
