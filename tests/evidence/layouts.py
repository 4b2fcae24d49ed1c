"""Queries and keys of one small attention a block, stored as other architectures store them."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.evidence.blind import SignPlan, run_signs
from weightkin.evidence.block_pairs import pair_axes
from weightkin.evidence.key_signs import KeyGuard, key_axes
from weightkin.evidence.turn_stage import run_turns
from weightkin.formats import model_from_arrays

WIDTH, LATENT, NOPE = 32, 8, 4
# how: key heads, queries of each, size of a head, rotary dimensions of it, config
LAYOUTS = {
    "neox": (4, 1, 8, 8, {"model_type": "gpt_neox", "rotary_pct": 1.0}),
    "falcon": (2, 2, 16, 16, {"model_type": "falcon", "alibi": False, "num_kv_heads": 2}),
    "one key head": (1, 4, 32, 32, {"model_type": "llama", "num_key_value_heads": 1}),
    "falcon, one key head": (1, 4, 32, 32, {"model_type": "falcon", "alibi": False}),
    "latent": (1, 4, 32, 32, {"model_type": "deepseek_v3", "qk_rope_head_dim": 32}),
    "codegen": (4, 1, 8, 8, {"model_type": "codegen", "rotary_dim": 8}),
    "persimmon": (4, 1, 8, 8, {"model_type": "persimmon", "partial_rotary_factor": 1.0}),
    "bloom": (4, 1, 8, 0, {"model_type": "bloom"}),
    "mpt": (4, 1, 8, 0, {"model_type": "mpt"}),
    "mpt, grouped": (2, 2, 16, 0, {"model_type": "mpt"}),
    "bigcode": (1, 4, 32, 0, {"model_type": "gpt_bigcode"}),
    "falcon, one key head, slopes": (1, 4, 32, 0, {"model_type": "falcon", "alibi": True}),
}
# how: names of a block, its attention, what it writes with, and its MLP
NAMES = {
    "neox": ("gpt_neox.layers", "attention.query_key_value", "attention.dense", "mlp.dense"),
    "falcon": (
        "transformer.h",
        "self_attention.query_key_value",
        "self_attention.dense",
        "mlp.dense",
    ),
    "bloom": (
        "transformer.h",
        "self_attention.query_key_value",
        "self_attention.dense",
        "mlp.dense",
    ),
    "persimmon": ("model.layers", "self_attn.query_key_value", "self_attn.dense", "mlp.dense"),
    "codegen": ("transformer.h", "attn.qkv_proj", "attn.out_proj", "mlp.fc"),
    "mpt": ("transformer.blocks", "attn.Wqkv", "attn.out_proj", "ffn"),
    "bigcode": ("transformer.h", "attn.c_attn", "attn.c_proj", "mlp.c"),
}
MLPS = {
    "mlp.dense": ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
    "mlp.fc": ("mlp.fc_in", "mlp.fc_out"),
    "ffn": ("ffn.up_proj", "ffn.down_proj"),
    "mlp.c": ("mlp.c_fc", "mlp.c_proj"),
}
INTERLEAVED = ("latent", "codegen")


def config_of(how):
    n_kv, repeat, size, _, facts = LAYOUTS[how]
    sizes = {"hidden_size": WIDTH, "num_attention_heads": n_kv * repeat, "head_dim": size}
    return {**sizes, "qk_nope_head_dim": NOPE, "kv_lora_rank": LATENT, **facts}


def drawn(how, rng, n_blocks=1):
    """Queries and keys of every block as complex planes (or rows where nothing turns).

    The rows of a plane differ in length as training leaves them: the weights show the layout.
    """
    n_kv, repeat, size, n_turned, _ = LAYOUTS[how]
    if not n_turned:
        return tuple(rng.normal(size=(n_blocks, n_kv, n, size, WIDTH)) for n in (repeat, 1))
    n_planes, columns = n_turned // 2, LATENT if how == "latent" else WIDTH
    over = 1.5 ** rng.choice([-1, 1], (n_blocks, n_kv, 1, n_planes, 1))  # a turn exchanges the two
    parts = []
    for n, width, lengths in ((repeat, columns, 1.0), (1, WIDTH, over)):
        x, y = rng.normal(size=(2, n_blocks, n_kv, n, n_planes, width))
        x, y = (z / np.linalg.norm(z, axis=-1, keepdims=True) for z in (x, y))
        parts.append(x * lengths + 1j * y / lengths)
    return tuple(parts)


def turned(queries, keys, turns):
    """Planes of every key head turned by quarters, ``(n_blocks, n_kv, n_planes)``; or signs."""
    unit = 1j ** np.asarray(turns) if np.iscomplexobj(keys) else 1 - 2 * np.asarray(turns)
    return queries * unit[:, :, None, :, None], keys * unit[:, :, None, :, None]


def stage_of(how, a, b):
    """What the test of planes, or of signs, finds between two models of one layout."""
    if LAYOUTS[how][3]:
        return run_turns(a, b, None, -np.inf, frugal=False)
    pairs = pair_axes(key_axes(a), key_axes(b), {})
    return run_signs(a, b, 0, None, SignPlan(KeyGuard(a, b).untied(pairs)[0]))[0]


def hits_of(stage):
    """Planes or signs that agree, and of how many."""
    tests = stage.tests if stage else ()
    return sum(int(t.statistic) for t in tests), sum(t.n_units for t in tests)


def side(how, queries, keys):
    """The model, and its anatomy."""
    rng = np.random.default_rng(0)  # what no test of queries and keys looks at
    arrays = {}
    for block, (q, k) in enumerate(zip(queries, keys, strict=True)):
        arrays.update(_stored(how, block, _rows(how, q), _rows(how, k), rng))
    arrays = {name: np.asarray(x, dtype=np.float32) for name, x in arrays.items()}
    model = model_from_arrays(arrays, config=config_of(how))
    return Side(model, read_anatomy(model))


def _rows(how, planes):
    """``(n_kv, n, size, n_columns)``."""
    if not np.iscomplexobj(planes):
        return planes
    if how in INTERLEAVED:
        return np.stack([planes.real, planes.imag], axis=3).reshape(
            *planes.shape[:2], -1, planes.shape[3]
        )
    return np.concatenate([planes.real, planes.imag], axis=2)


def _stored(how, block, q, k, rng):
    out = rng.normal(size=(WIDTH, q.shape[0] * q.shape[1] * q.shape[2]))
    up, down = rng.normal(size=(40, WIDTH)), rng.normal(size=(WIDTH, 40))
    if how in ("one key head", "latent"):
        layer = f"model.layers.{block}."
        found = {f"{layer}self_attn.o_proj": out, f"{layer}mlp.up_proj": up}
        found |= {f"{layer}mlp.gate_proj": up, f"{layer}mlp.down_proj": down}
        if how == "latent":
            nope = rng.normal(size=(len(q[0]), NOPE, q.shape[-1]))
            whole = np.concatenate([nope, q[0]], axis=1)  # one key head of all queries
            found |= {f"{layer}self_attn.q_b_proj": whole.reshape(-1, q.shape[-1])}
            found |= {f"{layer}self_attn.q_a_proj": rng.normal(size=(q.shape[-1], WIDTH))}
            latent = rng.normal(size=(LATENT, WIDTH))
            keys = np.concatenate([latent, k.reshape(-1, WIDTH)])
            found |= {f"{layer}self_attn.kv_a_proj_with_mqa": keys}
            found |= {f"{layer}self_attn.kv_b_proj": rng.normal(size=(64, LATENT))}
        else:
            for name, x in (("q", q), ("k", k), ("v", rng.normal(size=k.shape))):
                found[f"{layer}self_attn.{name}_proj"] = x.reshape(-1, WIDTH)
    else:
        blocks, fused, writer, mlp = NAMES[how.partition(",")[0]]
        layer = f"{blocks}.{block}."
        found = {f"{layer}{fused}": _together(how, q, k, rng.normal(size=k.shape))}
        found |= {
            f"{layer}{writer}": out,
            **{f"{layer}{x}": y for x, y in zip(MLPS[mlp], (up, down), strict=True)},
        }
        if how == "bigcode":
            found["transformer.wpe"] = np.ones((8, WIDTH))
    return {f"{name}.weight": x for name, x in found.items()}


def _together(how, q, k, v):
    """Queries, keys and values in one matrix."""
    parts = [x.reshape(-1, WIDTH) for x in (q, k, v)]
    if how.startswith(("mpt", "bigcode")):
        return np.concatenate(parts)
    if how == "codegen":  # a quarter of the heads after another: queries, values, keys
        quarters = [x.reshape(4, -1, WIDTH) for x in (parts[0], parts[2], parts[1])]
        return np.concatenate(quarters, axis=1).reshape(-1, WIDTH)
    return np.concatenate([q, k, v], axis=1).reshape(-1, WIDTH)
