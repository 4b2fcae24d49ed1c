"""Copies under the names of another publisher, or behind a block that passes its input on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.claims.cases import Answer, Case
from benchmarks.lib.null_models import CONFIG, Arrays, noisy, null_arrays
from weightkin import compare, evasions
from weightkin.anatomy import read_anatomy
from weightkin.formats import model_from_arrays

TITLE = "Under other names, behind other blocks"
META = {
    "model.embed_tokens": "tok_embeddings",
    "model.norm": "norm",
    "lm_head": "output",
    "model.layers": "layers",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.up_proj": "feed_forward.w3",
    "mlp.down_proj": "feed_forward.w2",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _compared(a: Arrays, b: Arrays) -> Answer:
    sides = (model_from_arrays(x, config=CONFIG, name=n) for x, n in ((a, "a"), (b, "b")))
    record = compare(*sides)
    return Answer(record.verdict == "dependent", record.sentence)


def _identity_in_front(_: Path) -> Answer:
    """A hidden copy behind a block that passes its input on."""
    rng = np.random.default_rng(1)
    arrays = null_arrays(rng, hidden=64)
    copy = model_from_arrays(arrays, config=CONFIG, name="copy")
    for step in (evasions.permute_units, evasions.rotate_residual):
        moved = step({k: copy.rows(k) for k in copy.tensors}, read_anatomy(copy), rng)
        copy = model_from_arrays(moved.arrays, config=CONFIG, name="copy")
    hidden: Arrays = {}
    for name in copy.tensors:
        parts = name.split(".")
        if parts[1] != "layers":
            hidden[name] = copy.rows(name)
            continue
        hidden[".".join(["model", "layers", str(int(parts[2]) + 1), *parts[3:]])] = copy.rows(name)
        if parts[2] == "0":
            flat = rng.permutation(copy.rows(name).ravel()).reshape(copy.rows(name).shape)
            writes = "o_proj" in name or "down_proj" in name
            hidden[name] = (flat * (1e-5 if writes else 1.0)).astype(np.float32)
    return _compared(arrays, hidden)


def _meta_names(_: Path) -> Answer:
    """A fine-tune under the names of the original publisher, rotary pairs side by side."""
    rng = np.random.default_rng(2)
    arrays = null_arrays(rng, hidden=64)
    renamed: Arrays = {}
    for name, values in noisy(arrays, rng, share=0.1).items():
        new = name
        for old, theirs in META.items():
            new = new.replace(old, theirs)
        if "q_proj" in name or "k_proj" in name:
            heads = values.reshape(-1, 2, CONFIG["head_dim"] // 2, values.shape[1])
            values = heads.transpose(0, 2, 1, 3).reshape(values.shape)
        renamed[new] = values
    return _compared(arrays, renamed)


CASES = (
    Case(
        "a hidden copy behind an identity block",
        "dependent",
        "no evidence",
        _identity_in_front,
    ),
    Case(
        "a fine-tune under Meta's own names",
        "dependent",
        "not testable",
        _meta_names,
    ),
)
