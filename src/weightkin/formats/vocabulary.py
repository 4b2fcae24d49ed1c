"""Texts of the tokens of a model, as a tokenizer.json beside its weights lists them."""

from __future__ import annotations

import json

from weightkin.errors import OutOfReach, UnreadableModel
from weightkin.formats.model import Model

MAX_TOKENIZER_BYTES = 1 << 26


def vocabulary(model: Model) -> dict[str, int]:
    """Token texts of a tokenizer.json beside the model; empty when there is none to read."""
    try:
        text = model.beside("tokenizer.json", MAX_TOKENIZER_BYTES) if model.beside else None
        words = json.loads(text.decode("utf-8"))["model"]["vocab"] if text else {}
        return {str(w): int(i) for w, i in words.items()}
    except OutOfReach:
        raise
    except (UnreadableModel, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
