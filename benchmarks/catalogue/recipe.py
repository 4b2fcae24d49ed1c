"""How a class of a library is built: all that making its entry needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Published = tuple[Mapping[str, tuple[int, ...]], Mapping[str, Any]]  # shapes as read, and config


@dataclass(frozen=True)
class Tiny:
    """A tiny instance ready to run."""

    module: torch.nn.Module
    inputs: Mapping[str, Any]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """How a class is built: ``build(which, seed)``, ``which`` below the number of instances.

    ``published`` is the class at real size, ``build_alike(seed)`` an instance all of whose widths
    are one: what a class does only where two widths are equal, it does there.
    """

    name: str  # as ``library.Class``
    model_types: tuple[str, ...]
    build: Callable[[int, int], Tiny]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    n_instances: int = 2
    are_members: bool = False  # models as they are published
    published: Callable[[], Published] | None = None
    build_alike: Callable[[int], Tiny] | None = None
