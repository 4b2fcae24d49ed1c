"""Models without a forward pass of their own: they hold other models, or only encode."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import PreTrainedModel


def joint(model: torch.nn.Module) -> torch.nn.Module:
    """Give a model without a forward pass one: that of its encoder, or of all its parts at once.

    Parameters
    ----------
    model : torch.nn.Module
        Of transformers. One that has a forward pass is returned as it is.

    Returns
    -------
    torch.nn.Module
        The same model. Parts are called with the arguments under their names.
    """
    if _runs(model):
        return model
    if parts := parts_of(model):

        def forward(**given: Any) -> dict[str, Any]:
            return {name: parts[name](**inputs) for name, inputs in given.items()}

        kind = inspect.Parameter.KEYWORD_ONLY
        own = [inspect.Parameter(name, kind, default=None) for name in parts]
        forward.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
        model.forward = forward
    elif callable(encode := getattr(model, "encode", None)):
        model.forward = encode
    return model


def parts_of(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Models with a forward pass that one without holds; {} where it has one itself."""
    if type(model).forward is not torch.nn.Module.forward:
        return {}
    parts = {name: x for name, x in model.named_children() if isinstance(x, PreTrainedModel)}
    return {name: joint(x) for name, x in parts.items() if _runs(x) or parts_of(x)}


def _runs(model: torch.nn.Module) -> bool:
    return type(model).forward is not torch.nn.Module.forward
