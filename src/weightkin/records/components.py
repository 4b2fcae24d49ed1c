"""What became of each component of a diffusion model: U-Net or transformer, VAE, text encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from weightkin.notebooks import InShort

# equal: all sampled values; rounded: equal once both are rounded to one format; changed: alike, and
# not equal; unrelated: nothing alike; alone: nothing of it is in the other model
ComponentState = Literal["equal", "rounded", "changed", "unrelated", "alone"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelComponent(InShort):
    """One component of a model."""

    name: str
    n_tensors: int
    n_parameters: int
    stored_as: str  # what the names of its tensors begin with in the file
    names_of: str = ""  # of another publisher: the library class whose names they stand for


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NodeComponent(InShort):
    """One component of a member of a family; the name is empty where the model has no parts."""

    name: str
    digest: str  # of its sampled values alone: "wkc1-" and SHA-256
    n_parameters: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ComponentRelation(InShort):
    """One component of a beside what it is in b; the name is empty where the model has no parts."""

    a: str
    b: str
    state: ComponentState
    n_parameters: int  # of the component in the model that has it, the smaller of both
    distance: float = 0.0  # median relative distance of its matrices, where changed
