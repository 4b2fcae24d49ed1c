"""Inputs of a forward pass of a tiny instance, from its signature and its config."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from benchmarks.catalogue import diffusers_inputs, transformers_inputs
from benchmarks.catalogue.joint import parts_of

MEDIA = {"pixel_values", "input_features"}


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model(**inputs)


def first_that_runs(builds: Iterable[Callable[[], torch.nn.Module]]) -> torch.nn.Module:
    """Return the first model that is built and runs, else the first that is built.

    One that runs with all that it can see and hear comes before one that runs on a text alone. All
    begin with the same random numbers. Raises the first error where none is built.
    """
    state = torch.get_rng_state()
    found: torch.nn.Module | None = None
    on_text: torch.nn.Module | None = None
    first: Exception | None = None
    for build in builds:
        torch.set_rng_state(state)
        try:
            model = build()
            found = found or model
            inputs = working_inputs(model)
        except ImportError:
            raise
        except NoInputsError:
            continue
        except Exception as error:
            first = first or error
        else:
            if not MEDIA & inspect.signature(model.forward).parameters.keys() - inputs.keys():
                return model
            on_text = on_text or model
    found = on_text or found
    if found is None:
        raise first or NoInputsError("nothing to build")
    return found


def _of_parts(parts: Mapping[str, torch.nn.Module]) -> Iterator[dict[str, Any]]:
    """Arguments of every part that takes some."""
    found = {}
    for name, part in parts.items():
        with contextlib.suppress(NoInputsError):
            found[name] = working_inputs(part)
    if found:
        yield found


def _tries(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    known = set(inspect.signature(model.forward).parameters)
    if parts := parts_of(model):
        yield from _of_parts(parts)
        return
    module = (
        diffusers_inputs if type(model).__module__.startswith("diffusers") else transformers_inputs
    )
    for inputs in module.tries(model):
        yield {k: v for k, v in inputs.items() if k in known}
