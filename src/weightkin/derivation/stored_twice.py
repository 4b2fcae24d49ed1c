"""Matrices that one file holds twice, in two layouts: experts one by one, and stacked as well."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Floats
from weightkin.formats import Model
from weightkin.formats.dtypes import to_float32
from weightkin.records import Clue, clue

DOWN = "mlp.down"
N_VALUES = 64  # of a unit that are compared
N_AXES = 16  # that are looked at


def stored_twice(model: Model, anatomy: Anatomy, name: str) -> tuple[Clue, ...]:
    """Say that units of one name stand in several places, and whether with equal values.

    Parameters
    ----------
    model : Model
        The open model.
    anatomy : Anatomy
        Its own: axes of one name in one block are of the same units.
    name : str
        What the evidence calls the model.

    Returns
    -------
    tuple of Clue
        One, or none where nothing stands twice. At most 16 axes are looked at, 64 values of each.
    """
    if model.sketched is not None:
        return ()
    known: dict[tuple[str, int, str], list[Axis]] = defaultdict(list)
    for axis in anatomy.axes:
        if axis.kind == "units" and any(place.role == DOWN for place in axis.places):
            known[axis.stack, axis.block, axis.name].append(axis)
    twice = [those for those in known.values() if len(those) > 1]
    if not twice:
        return ()
    step = math.ceil(len(twice) / N_AXES)
    is_equal = all(_are_equal(model, those) for those in twice[::step])
    tensor, other = (axis.places[-1].tensor for axis in twice[0][:2])
    found = {"model": name, "n": len(twice), "tensor": tensor, "other": other}
    return (clue("stored-twice", **found, is_equal=is_equal),)


def _are_equal(model: Model, axes: Sequence[Axis]) -> bool:
    """Whether the first unit writes the same, wherever it stands."""
    places = [next((p for p in axis.places if p.role == DOWN), None) for axis in axes]
    found = [None if place is None else _first_unit(model, place) for place in places]
    first = found[0]
    return first is not None and all(
        x is not None and len(x) == len(first) and np.array_equal(x, first) for x in found
    )


def _first_unit(model: Model, place: Place) -> Floats | None:
    """Values of the first unit along the other dimension of a matrix, or of one in a stack."""
    shape = model.tensors[place.tensor].shape
    begin = 0 if place.index is None else place.index * math.prod(shape[1:])
    shape = shape if place.index is None else shape[1:]
    if len(shape) != 2:
        return None
    n = min(N_VALUES, shape[1 - place.dim])
    if place.dim == 0:
        first = begin + place.start * shape[1]
        runs = [(first, first + n)]
    else:
        starts = [begin + i * shape[1] + place.start for i in range(n)]
        runs = [(at, at + 1) for at in starts]
    return to_float32(model.storage.read_runs(place.tensor, runs))
