"""Claim: gains that one layout stores as their distance from one are no difference of weights."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from weightkin import compare, family_graph

package = pytest.importorskip("gguf")
MAP = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
}
NORMS = {
    "gemma": {"post_attention_layernorm": "ffn_norm"},
    "gemma3": {
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
}
NORMS["gemma2"] = {k: v for k, v in NORMS["gemma3"].items() if "self_attn" not in k}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
SIZES = {"q_proj": (64, 64), "k_proj": (32, 64), "v_proj": (32, 64), "o_proj": (64, 64)}
SIZES |= {"gate_proj": (160, 64), "up_proj": (160, 64), "down_proj": (64, 160)}
SIZES |= {"q_norm": (16,), "k_norm": (16,), "embed_tokens": (200, 64)}


def arrays(rng, family):
    names = [f"model.layers.{i}.{x}" for i in range(3) for x in (*MAP, *NORMS[family])]
    made = {}
    for name in (*names, *TOP):
        shape = SIZES.get(name.rpartition(".")[2], (64,))
        made[f"{name}.weight"] = rng.normal(0, 0.1, shape).astype(np.float32)
    return made


def written(folder, family, weights, **more):
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    sizes = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = {"model_type": family, "hidden_size": 64, **sizes} | more
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v}))
    return folder


def converted(path, family, weights, dtype=np.float32):
    """As llama.cpp converts them: one is added to all gains, which are written as float32."""
    writer = package.GGUFWriter(path, family)
    writer.add_block_count(3)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    for name, x in weights.items():
        stem, names = name.removesuffix(".weight"), MAP | NORMS[family]
        if stem in TOP:
            new = TOP[stem]
        else:
            _, _, block, rest = stem.split(".", 3)
            new = f"blk.{block}.{names[rest]}"
        is_gain = stem.endswith("norm")
        x = (x + 1).astype(np.float32) if is_gain else x.astype(dtype)
        writer.add_tensor(f"{new}.weight", x)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.claim
@pytest.mark.parametrize("family", NORMS)
def test_a_converted_model_is_the_model(tmp_path, rng, family):
    weights = arrays(rng, family)
    folder = written(tmp_path / "a", family, weights)
    file = converted(tmp_path / "a.gguf", family, weights)
    found = compare(folder, file)
    assert found.kind == ("header-only",)
    assert found.equal.share == 1.0
    assert compare(file, folder).kind == ("header-only",)
    half = converted(tmp_path / "half.gguf", family, weights, np.float16)
    rounded = compare(folder, half)
    assert rounded.kind == ("cast",)
    assert rounded.direction.parent == "a"
    nameless = written(tmp_path / "nameless", "", weights)
    assert compare(nameless, file).kind == ("header-only",)
    graph = family_graph([folder, file])
    assert sum(len(node.duplicates) for node in graph.nodes) == 1


def test_a_fine_tuned_conversion_is_as_far_as_the_fine_tuned_model(tmp_path, rng):
    weights = arrays(rng, "gemma2")
    tuned = {
        k: x + 0.05 * x * rng.standard_normal(x.shape).astype("f4") for k, x in weights.items()
    }
    folder = written(tmp_path / "a", "gemma2", weights)
    plain = compare(folder, written(tmp_path / "b", "gemma2", tuned))
    found = compare(folder, converted(tmp_path / "b.gguf", "gemma2", tuned))
    assert found.kind == plain.kind == ("fine-tuned",)
    key = "typical_distance"
    assert found.kind_details[key] == plain.kind_details[key]


def test_gains_that_one_layout_stores_one_higher_are_changed_gains(tmp_path, rng):
    weights = arrays(rng, "gemma2")
    higher = {k: x + 1 if "norm" in k else x for k, x in weights.items()}
    one = written(tmp_path / "a", "gemma2", weights)
    assert "header-only" not in compare(one, written(tmp_path / "b", "gemma2", higher)).kind
