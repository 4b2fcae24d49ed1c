"""Model classes of transformers and diffusers: tiny in two configs, and at real size without data.

The two tiny instances of a class differ in depth and in all widths, and in each of them the widths
that mean different things differ as far as the class allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from benchmarks.catalogue import diffusers_classes, transformers_classes
from benchmarks.catalogue.example_inputs import working_inputs
from benchmarks.catalogue.weights import randomise

Library = Literal["transformers", "diffusers"]
N_TINY = 2


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A class of a library; of transformers, one of those of a model type."""

    library: Library
    name: str
    kind: str  # model type; of diffusers the name of the class
    head: str  # "base", or what it was made for: "causal_lm", "object_detection" ...
    is_main: bool  # the fullest class of its model type

    def __str__(self) -> str:
        return f"{self.library}:{self.kind}:{self.name}"


def all_classes(*, only_main: bool = False) -> tuple[ModelClass, ...]:
    """Return every class, transformers first; with ``only_main`` one for each model type."""
    found = [
        ModelClass("transformers", name, kind, head, i == 0)
        for kind, classes in transformers_classes.names().items()
        for i, (head, name) in enumerate(classes)
    ]
    found += [ModelClass("diffusers", x, x, "base", True) for x in diffusers_classes.names()]
    return tuple(x for x in found if x.is_main or not only_main)


def tiny(own: ModelClass, which: int, seed: int) -> torch.nn.Module:
    """Build a tiny instance on the CPU, in float32.

    Parameters
    ----------
    own : ModelClass
        The class.
    which : int
        0 or 1: which of the two configs.
    seed : int
        Of the weights.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, no parameter zero anywhere.

    Raises
    ------
    Exception
        Whatever the library raises where the class cannot be built.
    """
    torch.manual_seed(seed)
    model = _build(own, which).float()
    randomise(model, seed)
    return model


def real(own: ModelClass) -> torch.nn.Module:
    """Build a class at real size on the meta device: names and shapes, no data."""
    return _build(own, None)


def example_inputs(model: torch.nn.Module) -> dict[str, Any]:
    """Arguments of a forward pass that a tiny instance was just seen to take."""
    return working_inputs(model)


def _build(own: ModelClass, which: int | None) -> torch.nn.Module:
    if own.library == "transformers":
        return transformers_classes.build(own.kind, own.name, which)
    return diffusers_classes.build(own.name, which)
