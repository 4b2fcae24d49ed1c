"""Where the units of an axis stand along a dimension, and which matrices may tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Ints

VIEW, BESIDE = "w:", "b:"  # how roles of places begin: a view, or what only belongs to a unit


def is_view(place: Place) -> bool:
    """Whether a place is a view of units, by its role."""
    return place.role.startswith(VIEW)


def entries_of(place: Place) -> slice | Ints:
    """Entries along the dimension of a place, in the order of its axis."""
    if place.spans:
        return np.concatenate([np.arange(*span) for span in place.spans])
    return slice(place.start, place.start + place.size)


def n_copies(place: Place) -> int:
    """How many entries of a place belong to each unit."""
    return place.outer * place.repeat * place.inner


def n_held(axis: Axis, place: Place) -> int:
    """How many units a place holds: all of the axis, or the first ones where a sketch cuts it."""
    return min(axis.n_units, place.size // n_copies(place))


def positions(axis: Axis, place: Place, first: int = 0, n: int | None = None) -> Ints:
    """Entries along the dimension of a place that belong to each of some units.

    Parameters
    ----------
    axis : Axis
        Of units, V/O dimensions, heads or the residual width.
    place : Place
        One of its places.
    first, n : int
        Units from ``first`` on, so many; all that the place holds without.

    Returns
    -------
    ndarray of int
        ``(n, n_copies)``.
    """
    size = place.size // axis.n_units if axis.kind == "heads" else place.inner
    held = axis.n_units if axis.kind == "heads" else n_held(axis, place)
    units = np.arange(first, held if n is None else min(held, first + n))
    cell = axis.head_size if axis.kind != "heads" and axis.head_size else axis.n_units
    group, own = np.divmod(units, cell)
    outer, repeat = np.arange(place.outer)[:, None, None], np.arange(place.repeat)[:, None]
    n_groups = math.ceil(axis.n_units / cell)
    run = (outer * n_groups * place.repeat + group[:, None, None, None] * place.repeat + repeat) * (
        cell * size
    )
    at = run + own[:, None, None, None] * size + np.arange(size)
    return np.asarray(place.start + at.reshape(len(units), -1), dtype=np.int64)


def without_own_views(axes: Iterable[Axis]) -> list[Axis]:
    """Axes in which no matrix is a view that has the labels of its axis along two dimensions.

    A relabelling moves its features too, so what is found on it has no known law.
    """
    axes = list(axes)
    along: dict[tuple[str, str], set[tuple[int, int | None]]] = {}
    for axis in axes:
        if any(map(is_view, axis.places)):
            for place in axis.places:
                along.setdefault((place.tensor, axis.labels), set()).add(_dimension(place))

    def checked(axis: Axis, place: Place) -> Place:
        dim, index = _dimension(place)
        others = along.get((place.tensor, axis.labels), ())
        if is_view(place) and any(
            d != dim and (i is None or index in (i, None)) for d, i in others
        ):
            return replace(place, role=f"{BESIDE}{place.role.removeprefix(VIEW)}")
        return place

    return [
        replace(axis, places=tuple(checked(axis, place) for place in axis.places))
        if any(map(is_view, axis.places))
        else axis
        for axis in axes
    ]


def _dimension(place: Place) -> tuple[int, int | None]:
    """Dimension of the whole tensor, and the expert."""
    return place.dim + (place.index is not None), place.index
