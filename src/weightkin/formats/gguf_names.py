"""What GGUF metadata says, in the words of a config, and tensor names from before conversion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# architectures that conversion names in this way and that were Llama-like before
LLAMA_LIKE = frozenset(
    ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "olmo2", "granite",
     "minicpm", "stablelm", "internlm2", "exaone", "smollm3", "glm4", "baichuan")
)  # fmt: skip
REORDERED = frozenset(("llama", "granite", "minicpm", "mistral"))  # converted by Llama's rules
_TOP = {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}
_INSIDE = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BLOCK = re.compile(r"blk\.([0-9]{1,6})\.([a-z_]+)\.(weight|bias)", re.ASCII)
_SIZES = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context_length",
}
_DECLARED = ("name", "organization", "version", "repo_url")
MAX_DECLARED = 64  # base models


def config_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes as a config says them, the base models and the licence that the file declares."""
    family = facts["general.architecture"]
    # conversion adds the one to gains that their model stores as the distance from it
    config: dict[str, Any] = {"model_type": family, "norms_hold_gains": True}
    for key, name in _SIZES.items():
        if (value := facts.get(f"{family}.{name}")) is not None:
            config[key] = value
    n = facts.get("general.base_model.count")
    if isinstance(n, int) and 0 < n <= MAX_DECLARED:
        declared = [
            {k: facts[key] for k in _DECLARED if (key := f"general.base_model.{i}.{k}") in facts}
            for i in range(n)
        ]
        config["declared_base_models"] = declared
    if isinstance(licence := facts.get("general.license"), str):
        config["declared_licence"] = licence
    return config


def original_name(facts: Mapping[str, Any], name: str) -> str:
    """Name that a tensor had before conversion, where that is known."""
    if facts["general.architecture"] not in LLAMA_LIKE:
        return name
    module, _, leaf = name.rpartition(".")
    if module in _TOP:
        return f"{_TOP[module]}.{leaf}"
    if (found := _BLOCK.fullmatch(name)) and found[2] in _INSIDE:
        return f"model.layers.{found[1]}.{_INSIDE[found[2]]}.{found[3]}"
    return name


def heads_of(facts: Mapping[str, Any], name: str) -> int:
    """Heads whose rows conversion reordered; 0 for a tensor that it left alone."""
    family = facts["general.architecture"]
    found = _BLOCK.fullmatch(name)
    if family not in REORDERED or not found or found[2] not in ("attn_q", "attn_k"):
        return 0
    heads = facts.get(f"{family}.attention.head_count")
    if found[2] == "attn_k":
        heads = facts.get(f"{family}.attention.head_count_kv", heads)
    return heads if isinstance(heads, int) and 0 < heads < 1 << 16 else 0
