"""What the parts of a composite config have in common: a width, and tokens for what is seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig

PLACEHOLDER = re.compile(r"(image|audio|video)_(token|patch)_?(id|index)\Z")


def join_parts(values: Mapping[str, Any]) -> None:
    """What is seen or heard comes out as wide as the text model, if a field says how wide."""
    width = getattr(values.get("text_config"), "hidden_size", None)
    for part in values.values():
        if isinstance(part, PretrainedConfig) and hasattr(part, "out_hidden_size") and width:
            part.out_hidden_size = width


def placeholders(values: Mapping[str, Any]) -> dict[str, int]:
    """Tokens that stand for pictures and sounds: each inside of the vocabulary, none as another."""
    text = values.get("text_config")
    size = getattr(text, "vocab_size", None) or values.get("vocab_size")
    if not isinstance(size, int):
        return {}
    given = {name: x for name, x in values.items() if PLACEHOLDER.match(name)}
    kept = {name: x for name, x in given.items() if x is not None and 0 <= x < size}
    free = [x for x in range(size - 1, size // 2, -1) if x not in kept.values()]
    return dict(zip(sorted(given.keys() - kept.keys()), free, strict=False))
