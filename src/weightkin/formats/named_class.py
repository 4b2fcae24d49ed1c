"""The class of a model, as its config names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def architecture(config: Mapping[str, Any], family: str) -> str:
    """The class that a config names, or the family that the blocks are like."""
    named = config.get("architectures")
    first = named[0] if isinstance(named, list | tuple) and named else None
    return first if isinstance(first, str) else family
