"""The anatomy of a sketch: the axes of the model, with places cut to what the sketch holds.

Units are seen in their first rows (gate, up) and first columns (down), V/O dimensions in the rows
of V alone, the residual width in its first columns of the token tables. Heads are left out: no
whole head is held. The number of units of an axis stays that of the model. A sketch sees a tensor
as a matrix; where units stand several times in a tensor, it holds the first of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from weightkin.anatomy.positions import BESIDE, is_view, without_own_views
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Ints
from weightkin.formats.model import Problem
from weightkin.sketch.types import SketchedTensor

NO_WHOLE_HEAD = Problem("heads", "a sketch contains no complete head", code="not-in-sketch")
KEPT_ROLES = {
    "units": ("mlp.gate", "mlp.up", "mlp.in0", "mlp.in1", "mlp.down", "conv"),
    "vo": ("attn.v",),
    "residual": ("embed", "unembed"),
}


def cut_anatomy(anatomy: Anatomy, held: Sequence[SketchedTensor]) -> Anatomy:
    """Return what of an anatomy can be tested on the runs of a sketch."""
    tensors = {tensor.stored_name: tensor for tensor in held}
    axes, lost = [], 0
    for axis in without_own_views(anatomy.axes):
        if axis.kind == "heads":
            continue
        places = tuple(p for place in axis.places if (p := _cut(axis, place, tensors)))
        if any(not place.role.startswith(BESIDE) for place in places):
            axes.append(replace(axis, places=places))
        else:
            lost += 1
    skipped = list(anatomy.skipped)
    if any(axis.kind == "heads" for axis in anatomy.axes):
        skipped.append(NO_WHOLE_HEAD)
    if lost:
        why = "the sketch contains none of their matrices"
        skipped.append(Problem(f"{lost} axes", why, code="not-in-sketch"))
    return replace(
        anatomy,
        axes=tuple(axes),
        roles=tuple((tensor.stored_name, tensor.role) for tensor in held),
        skipped=tuple(skipped),
    )


def flat_start(shape: tuple[int, ...], place: Place) -> tuple[int, int]:
    """Where a place begins in a tensor seen as a matrix: 0 or 1 (rows or columns), and which.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensor, without a first dimension of experts.
    place : Place
        A place of it.

    Returns
    -------
    tuple of int
        Dimension of the matrix, and the first index.
    """
    return min(place.dim, 1), place.start * _behind(shape, place)


def _behind(shape: tuple[int, ...], place: Place) -> int:
    """Columns of the matrix for one index along a dimension that is not the first."""
    return math.prod(shape[place.dim + 1 :]) if place.dim else 1


def _cut(axis: Axis, place: Place, tensors: Mapping[str, SketchedTensor]) -> Place | None:
    """Where a place begins in the runs of its tensor, and how much of it they hold."""
    name = place.tensor if place.index is None else f"{place.tensor}[{place.index}]"
    tensor = tensors.get(name)
    if tensor is None:
        return None
    if axis.kind == "units" and (is_view(place) or place.role.startswith(BESIDE)):
        return _cut_view(axis, place, tensor)
    if place.role not in KEPT_ROLES[axis.kind] or place.repeat != 1:
        return None
    if len(tensor.shape) < 2 or place.dim > 1 or (place.dim == 1 and len(tensor.shape) != 2):
        return None
    held = tensor.rows[: tensor.n_run] if place.dim == 0 else tensor.columns
    start, size = _held(held, place.start, place.size)
    if axis.kind == "vo" and place.dim == 1:
        size -= size % axis.head_size  # whole heads, as views of columns are turned head by head
    if not size:
        return None
    return replace(place, tensor=name, start=start, size=size, index=None)


def _cut_view(axis: Axis, place: Place, tensor: SketchedTensor) -> Place | None:
    """The first entries of the first units of a place, as they stand in a matrix.

    None under two units, and for vectors.
    """
    if len(tensor.shape) < 2 or place.dim >= len(tensor.shape):
        return None
    dim, first = flat_start(tensor.shape, place)
    inner = place.inner * _behind(tensor.shape, place)
    n_units = axis.head_size if place.repeat > 1 and axis.head_size else axis.n_units
    held = tensor.columns if dim else tensor.rows[: tensor.n_run]
    start, size = _held(held, first, n_units * inner)
    if size < 2 * inner:
        return None
    size -= size % inner
    return Place(tensor.stored_name, dim, start, size, place.role, inner=inner)


def _held(held: Ints, first: int, n: int) -> tuple[int, int]:
    """Position of the first index of a place among those held, and how many follow without gap."""
    start = int(np.searchsorted(held, first))
    wanted = held[start : start + n]
    expected = first + np.arange(len(wanted))
    return start, int(np.argmin(wanted == expected)) if (wanted != expected).any() else len(wanted)
