"""Parts that a forward pass leaves out: codecs and decoders that only a generation calls."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks.catalogue.example_inputs import NoInputsError, run, working_inputs
from benchmarks.catalogue.joint import joint


def with_idle_parts(model: torch.nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Let a model run its idle parts too, beside what it does by itself.

    Parameters
    ----------
    model : torch.nn.Module
        Of transformers. Its forward pass is replaced where parts of it are idle: then it returns
        what it did, and the outputs of each part under its name.
    inputs : mapping of str to Any
        Arguments that it takes.

    Returns
    -------
    dict of str to Any
        Those arguments, and those of each idle part that takes some under its name.
    """
    parts: dict[str, torch.nn.Module] = {}
    beside: dict[str, Any] = {}
    for name, part in _idle(model, inputs).items():
        with contextlib.suppress(NoInputsError):
            beside[name] = working_inputs(joint(part))
            parts[name] = part
    if parts:
        own = model.forward

        def forward(**given: Any) -> dict[str, Any]:
            found = {name: part(**given.pop(name)) for name, part in parts.items()}
            return {"own": own(**given), **found}

        model.forward = forward
    return {**inputs, **beside}


def _idle(model: torch.nn.Module, inputs: Mapping[str, Any]) -> dict[str, torch.nn.Module]:
    """The outermost models inside of a model of which no module was called."""
    called: set[torch.nn.Module] = set()
    hooks = [x.register_forward_pre_hook(lambda x, _: called.add(x)) for x in model.modules()]
    try:
        run(model, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    found: dict[str, torch.nn.Module] = {}
    for name, part in model.named_modules():
        is_outermost = not any(name.startswith(f"{outer}.") for outer in found)
        is_model = bool(name) and isinstance(part, PreTrainedModel)
        if is_model and is_outermost and called.isdisjoint(part.modules()):
            found[name] = part
    return found
