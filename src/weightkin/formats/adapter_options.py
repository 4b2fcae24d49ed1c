"""Options of a PEFT adapter that change its values: computed, or refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from weightkin.text import quoted, unreadable

MAX_PATTERNS = 10_000  # rows of alpha_pattern
_KEEPS_BASE = (None, True, False, "gaussian", "eva", "orthogonal")  # starts that leave it as it is
_EXPRESSION = frozenset("\\[](){}*+?|^$")  # what names of modules do not hold


def check_options(config: Mapping[str, Any], file: PurePath) -> None:
    """Refuse what changes the values and is not computed here."""
    start = config.get("init_lora_weights")
    if start not in _KEEPS_BASE:
        found = f"{quoted(start)} as init_lora_weights, which changes the base"
        raise unreadable(file, found, "an adapter converted to plain LoRA")
    patterns = config.get("alpha_pattern") or {}
    for key in patterns if isinstance(patterns, dict) else ():
        if _EXPRESSION.intersection(str(key)):
            found = f"the expression {quoted(key)} in alpha_pattern"
            raise unreadable(file, found, "names of modules")


def scaling_of(module: str, rank: int, config: Mapping[str, Any], file: PurePath) -> float:
    """``alpha / r``, or ``alpha / sqrt(r)`` for rank-stabilised adapters."""
    alpha = config.get("lora_alpha")
    patterns = config.get("alpha_pattern") or {}
    if isinstance(patterns, dict):
        for key, value in list(patterns.items())[:MAX_PATTERNS]:
            if module == key or module.endswith(f".{key}"):  # never run as a regular expression
                alpha = value
                break
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise unreadable(file, f"{quoted(alpha)} as lora_alpha", "a number")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
