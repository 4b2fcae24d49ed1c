"""Whether the axes of a model are those that its names say or those that its graph shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from weightkin.anatomy.onnx.read import axes_by_graph, heads_among, reach
from weightkin.anatomy.onnx.tensors import is_weight
from weightkin.anatomy.types import Anatomy, Axis
from weightkin.catalogue import entries
from weightkin.catalogue.config import heads_of
from weightkin.formats.model import Model, TensorInfo

NEARLY = 0.9  # of a model: names that reach so much are all that is asked
MOSTLY = 0.75  # of what a graph reaches: names that reach so much are preferred, as kin have them
Names: TypeAlias = Callable[[Mapping[str, TensorInfo], Mapping[str, Any]], Anatomy]


def by_graph(model: Model, found: Anatomy, by_names: Names) -> Anatomy:
    """What names say, or what the graph in the file of a model says where that is clearly more.

    Heads that the graph shows may be what names were waiting for, or that its numbers are none.

    Parameters
    ----------
    model : Model
        Its file carries a graph.
    found : Anatomy
        What names, shapes and its config say.
    by_names : callable
        Says so of tensors with a config.

    Returns
    -------
    Anatomy
        One of the two.
    """
    n_parameters = sum(math.prod(info.shape) for info in model.tensors.values())
    waits = any(problem.code == "heads" for problem in found.skipped)
    if _is_named(found) and reach(model, found.axes) >= NEARLY * n_parameters and not waits:
        return found
    axes = axes_by_graph(model)
    heads = heads_among(axes, dict(found.roles))
    heads = {} if any(heads_of(model.config).values()) else heads
    again = _without_constants(model, axes, {**model.config, **heads}, by_names)
    readings = sorted((again, found), key=lambda x: (reach(model, x.axes), len(x.axes)))
    least = NEARLY * reach(model, readings[-1].axes)
    named = [x for x in readings if _is_named(x) and reach(model, x.axes) >= least]
    found = (named or readings)[-1]
    if reach(model, found.axes) >= MOSTLY * reach(model, axes):
        return found
    blocks = {(axis.stack, axis.block) for axis in axes}
    return Anatomy(
        family=found.family,
        stacks=tuple(Counter(stack for stack, _ in blocks).items()),
        axes=tuple(axes),
        roles=found.roles,
    )


def _is_named(anatomy: Anatomy) -> bool:
    """Whether roles come from an entry that was written for names."""
    return bool(set(anatomy.family.split("+")) & entries().keys())


def _without_constants(
    model: Model, axes: Sequence[Axis], config: Mapping[str, Any], by_names: Names
) -> Anatomy:
    """What names say once sizes are aside, and tables where the graph shows what they are.

    A width that names then take for certain, with such tables aside, must be one in the graph too.
    """
    held = {name: x for name, x in model.tensors.items() if is_weight(x)}
    on_axes = {place.tensor for axis in axes for place in axis.places}
    is_known = reach(model, axes) >= NEARLY * sum(math.prod(x.shape) for x in held.values())
    again = by_names({n: x for n, x in held.items() if n in on_axes or not is_known}, config)
    certain = [{(p.tensor, p.dim) for p in axis.places} for axis in axes]
    kept = (
        axis
        for axis in again.axes
        if axis.block != -1
        or not is_known
        or any({(p.tensor, p.dim) for p in axis.places} <= own for own in certain)
    )
    known = dict(again.roles)
    others = ((name, "other") for name in model.tensors if name not in known)
    return replace(again, axes=tuple(kept), roles=(*again.roles, *others))
