"""What a sketch keeps of a config: facts that matter, none of them long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightkin.catalogue.config import PARTS

MAX_FACT = 200  # characters of a declared fact
DECLARED = (
    *("architectures", "model_type", "torch_dtype", "dtype", "hidden_act", "activation_function"),
    *("hidden_size", "n_embd", "d_model", "intermediate_size", "n_inner", "d_ff", "head_dim"),
    *("num_hidden_layers", "n_layer", "num_attention_heads", "n_head", "num_key_value_heads"),
    *("vocab_size", "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"),
    *("max_position_embeddings", "n_positions", "rope_theta", "rope_scaling", "sliding_window"),
    *("rms_norm_eps", "layer_norm_eps", "num_local_experts", "num_experts", "num_experts_per_tok"),
    "norms_hold_gains",
)


def declared_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a config that matter, its nested configs included; nothing long, nothing deep."""
    facts: dict[str, Any] = {}
    for key in DECLARED:
        value = config.get(key)
        is_plain = isinstance(value, str | int | float | bool | list | dict)
        if is_plain and len(str(value)) <= MAX_FACT:
            facts[key] = value
    for key in (key for keys in PARTS.values() for key in keys):
        if isinstance(nested := config.get(key), Mapping) and (inner := declared_facts(nested)):
            facts[key] = inner
    return facts
