"""What GGUF metadata says, in the words of a config. Tensor names come from the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weightkin.catalogue import by_gguf

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
    entry = by_gguf().get(facts["general.architecture"])
    if entry is None:
        return name
    module, _, leaf = name.rpartition(".")
    if before := entry.gguf_names.get(module):
        return f"{before}.{leaf}"
    found = _BLOCK.fullmatch(name)
    if found and (before := entry.gguf_names.get(f"blk.#.{found[2]}")):
        return f"{before.replace('#', found[1])}.{found[3]}"
    return name


def heads_of(facts: Mapping[str, Any], name: str) -> int:
    """Heads whose rows conversion reordered; 0 for a tensor that it left alone."""
    family = facts["general.architecture"]
    entry, found = by_gguf().get(family), _BLOCK.fullmatch(name)
    if not entry or not entry.gguf_reordered:
        return 0
    if not found or found[2] not in ("attn_q", "attn_k"):
        return 0
    heads = facts.get(f"{family}.attention.head_count")
    if found[2] == "attn_k":
        heads = facts.get(f"{family}.attention.head_count_kv", heads)
    return heads if isinstance(heads, int) and 0 < heads < 1 << 16 else 0
