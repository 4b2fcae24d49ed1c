"""Inputs of a forward pass of a tiny instance, from its signature and its config."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from benchmarks.catalogue import diffusers_inputs, transformers_inputs


class NoInputsError(Exception):
    """No inputs that are known of were taken; the message is that of the first try."""


def working_inputs(model: torch.nn.Module) -> dict[str, Any]:
    """Return the first arguments that a model takes, fullest first.

    Raises
    ------
    NoInputsError
        Where it takes none of them.
    """
    first = ""
    for inputs in _tries(model):
        try:
            run(model, inputs)
        except Exception as error:
            first = first or f"{type(error).__name__}: {error}".splitlines()[0][:200]
        else:
            return inputs
    raise NoInputsError(first or "no inputs known")


@torch.no_grad()
def run(model: torch.nn.Module, inputs: Mapping[str, Any]) -> Any:
    """One forward pass, always with the same random numbers."""
    torch.manual_seed(0)
    return model(**inputs)


def _tries(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    known = set(inspect.signature(model.forward).parameters)
    module = (
        diffusers_inputs if type(model).__module__.startswith("diffusers") else transformers_inputs
    )
    for inputs in module.tries(model):
        yield {k: v for k, v in inputs.items() if k in known}
