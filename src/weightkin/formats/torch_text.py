"""What a TorchScript file computes: the text of its classes, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor that stands in the text: its shape, and its value if it is one number."""

    shape: tuple[int, ...]
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """What a TorchScript file computes."""

    path: PurePath
    texts: Mapping[str, str]  # by the module that each file is
    root: str  # the class of the model
    names: Mapping[str, str]  # of tensors of the model, by those in the file where they differ
    values: Mapping[str, object]  # attributes that are numbers, texts and lists of such, by path
    first: Mapping[str, str]  # of attributes that are one tensor, the first: by path
    inputs: tuple[tuple[int, ...], ...]  # shapes it was traced with; none of a script
    constants: tuple[Constant, ...]
