"""What a config.json calls its sizes and its parts. An entry adds keys with ``n`` of its labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from weightkin.catalogue.table import layouts

MAX_PARTS = 64  # of a config
COMPONENTS = "components"  # key of the configs of parts, each in a folder of its own
Size = Literal["width", "heads", "kv_heads", "head_dim"]
PARTS = {  # nested configs that speak of one stack
    "vision": ("vision_config",),
    "audio": ("audio_config",),
    "text": ("text_config",),
    "decoder": ("text_config", "llm_config", "language_config", "decoder"),
    "encoder": ("encoder",),
}
DEPTHS = frozenset(
    {
        *("num_hidden_layers", "num_layers", "n_layers", "n_layer"),
        *("encoder_layers", "decoder_layers", "num_decoder_layers"),
    }
)
LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
_COMMON: Mapping[Size, tuple[str, ...]] = {
    "width": ("hidden_size", "n_embd", "d_model", "dim"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_kv_heads"),
    "head_dim": ("head_dim", "d_kv"),
}


@cache
def keys_of(size: Size) -> tuple[str, ...]:
    """Keys under which configs state a size, the commonest first."""
    keys = dict.fromkeys(_COMMON[size])
    for entry in layouts():
        n = {name: entry.label(name).get("n", "") for name in ("d", "kv", "r", "v")}
        heads = n["r"].partition("/")[0] or n["kv"]
        own = {"width": n["d"], "heads": heads, "kv_heads": n["r"] and n["kv"], "head_dim": n["v"]}
        keys[own[size]] = None
    keys.pop("", None)
    return tuple(keys)


def whole_number(config: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    """Return the first positive integer under one of the keys, else 0."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def part_of(config: Mapping[str, Any], stack: str) -> Mapping[str, Any]:
    """The part of a config that speaks of one stack: the nested one if there is one."""
    for key in PARTS.get(stack, ()):
        if isinstance(nested := config.get(key), Mapping):
            return nested
    return config


def about_stack(
    config: Mapping[str, Any], stack: str, prefix: str, width: int
) -> Mapping[str, Any]:
    """The part of a config that says how many heads a stack has.

    Where neither the part of a stack of that name nor the whole says so, parts under any key may,
    if they state the width of the stack and agree: those whose key is a word of its names, else
    all but those of other stacks.

    Parameters
    ----------
    config : mapping
        Of the model.
    stack, prefix : str
        Name of the stack, and what the names of its blocks begin with.
    width : int
        Its residual width.

    Returns
    -------
    mapping
        As `part_of` gives it, where no part is certain.
    """
    own = part_of(config, stack)
    if own is not config or not width or whole_number(own, keys_of("heads")):
        return own
    words, others = prefix.split("."), {x for name in PARTS.values() for x in name}
    parts = [
        (key, part)
        for key, part in _nested(config)
        if whole_number(part, keys_of("heads")) and whole_number(part, keys_of("width")) == width
    ]
    named = [part for key, part in parts if key.removesuffix("_config") in words]
    found = named or [part for key, part in parts if key not in others]
    sizes: tuple[Size, ...] = ("heads", "kv_heads", "head_dim")
    stated = {tuple(whole_number(part, keys_of(size)) for size in sizes) for part in found}
    return found[0] if len(stated) == 1 else own


def _nested(config: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Parts of a config with their keys, whatever part they stand in."""
    found = [("", config)]
    for _, own in found:
        if len(found) < MAX_PARTS:
            found += [(key, x) for key, x in own.items() if isinstance(x, Mapping)]
    return found[1:]


def config_of(config: Mapping[str, Any], component: str) -> Mapping[str, Any]:
    """The config of one part of a diffusion model; of a model without parts, its own."""
    if not component:
        return config
    nested = config.get(COMPONENTS)
    own = nested.get(component) if isinstance(nested, Mapping) else None
    return own if isinstance(own, Mapping) else {}


def heads_of(config: Mapping[str, Any]) -> dict[str, int]:
    """Number of heads that a config states for each part that it has, and for the rest ("")."""
    stated = {"": config, **{part: part_of(config, part) for part in PARTS}}
    return {part: whole_number(own, keys_of("heads")) for part, own in stated.items()}


def language_model_type(config: Mapping[str, Any]) -> str:
    """Model type of the language model that a config speaks of, empty where it says none."""
    for key in PARTS["decoder"]:
        nested = config.get(key)
        if isinstance(nested, Mapping) and isinstance(nested.get("model_type"), str):
            return str(nested["model_type"])
    return str(config.get("model_type", ""))
