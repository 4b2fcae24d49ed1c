"""Nets that no entry of the catalogue explains: what several readers find together."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from weightkin.anatomy.chains import plain_axes
from weightkin.anatomy.graph.axes import VIEW
from weightkin.anatomy.links import STACK, linked_axes
from weightkin.anatomy.types import Axis
from weightkin.formats.model import TensorInfo

MARGIN = 2.0  # by how much more of a net single layers must show than chains


def unexplained_axes(
    rest: Iterable[TensorInfo], axes: Sequence[Axis], taken: set[str]
) -> list[Axis]:
    """Return the axes of chains and of single layers; of chains first unless they show much less.

    What is found on different sizes of a chain is multiplied, on single layers it is averaged.

    Parameters
    ----------
    rest : iterable of TensorInfo
        Tensors that no entry explains.
    axes : sequence of Axis
        What is known already; its tensors are left alone.
    taken : set of str
        Names of stacks in use.

    Returns
    -------
    list of Axis
        Of kind ``units``.
    """
    tensors = {info.name: info for info in rest}
    chains = plain_axes(tensors, axes, taken)
    chains += linked_axes(tensors, [*axes, *chains], taken | {axis.stack for axis in chains})
    links = linked_axes(tensors, axes, taken)
    begun = {_beginning(place.tensor) for axis in links for place in axis.places}
    left = {name: info for name, info in tensors.items() if _beginning(name) not in begun}
    links += plain_axes(left, axes, taken | {axis.stack for axis in links})
    return links if _seen(links, tensors) > MARGIN * _seen(chains, tensors) else chains


def is_by_layers(axes: Iterable[Axis]) -> bool:
    """Whether nothing is known but single layers."""
    return all(axis.stack == STACK for axis in axes)


def _seen(axes: Sequence[Axis], tensors: Mapping[str, TensorInfo]) -> int:
    """Parameters of all matrices that tell units apart."""
    views = {p.tensor for axis in axes for p in axis.places if p.role.startswith(VIEW)}
    return sum(math.prod(tensors[name].shape) for name in views)


def _beginning(name: str) -> str:
    """A name up to its first number: what a chain is told by."""
    return re.split("[0-9]", name, maxsplit=1)[0]
