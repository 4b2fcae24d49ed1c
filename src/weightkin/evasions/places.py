"""Working copies of a model's arrays, and what may be done along one place of an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.positions import entries_of, is_view, positions
from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place
from weightkin.errors import UsageError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Arrays = Mapping[str, npt.NDArray[Any]]
Wide = dict[str, npt.NDArray[Any]]  # own copies; float tensors in float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A model after a rewrite: float32 arrays, what its config must now say, which rewrites ran.

    ``token_order``: the old numbers of its tokens, in the order of the new ones, where they moved.
    """

    arrays: dict[str, npt.NDArray[Any]]
    config_changes: dict[str, Any] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    token_order: Ints | None = None


def widen(arrays: Arrays) -> Wide:
    """Own copies of all arrays, floats in float64, so that a rewrite rounds once, at its end."""
    return {
        name: np.array(x, dtype=np.float64 if _is_float(x) else x.dtype, order="C")
        for name, x in arrays.items()
    }


def finish(wide: Wide, done: str, **config_changes: Any) -> Rewritten:
    """Round back to float32 and say what was done."""
    arrays = {
        name: np.asarray(x, dtype=np.float32 if _is_float(x) else x.dtype, order="C")
        for name, x in wide.items()
    }
    return Rewritten(arrays=arrays, config_changes=config_changes, done=(done,))


def along(wide: Wide, place: Place) -> Floats:
    """One place with its axis first: shape ``(place.size, ...)``; a writable view if in one run."""
    array = wide[place.tensor] if place.index is None else wide[place.tensor][place.index]
    return np.moveaxis(array, place.dim, 0)[entries_of(place)]


def put_along(wide: Wide, place: Place, block: Floats) -> None:
    """Write what `along` read, changed, in place."""
    array = wide[place.tensor] if place.index is None else wide[place.tensor][place.index]
    np.moveaxis(array, place.dim, 0)[entries_of(place)] = block


def units_along(wide: Wide, axis: Axis, place: Place) -> Floats:
    """What a place holds of each unit of its axis: ``(n_units, everything that goes with it)``."""
    array = wide[place.tensor] if place.index is None else wide[place.tensor][place.index]
    at = positions(axis, place)
    return np.asarray(np.moveaxis(array, place.dim, 0)[at].reshape(len(at), -1))


def values_along(wide: Wide, place: Place) -> Floats:
    """The same for numbers that are to change: whole ones have no room for it."""
    check_float(wide, place.tensor)
    return along(wide, place)


def check_float(wide: Wide, name: str) -> None:
    """Refuse a tensor whose values cannot be changed a little."""
    if not _is_float(wide[name]):
        kind = wide[name].dtype
        raise UsageError(f"{name}: its values are {kind}, not floating point")


def reorder(wide: Wide, place: Place, order: Ints) -> None:
    """Put entry ``order[i]`` at position ``i``, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    place : Place
        Where an axis runs along a tensor.
    order : ndarray of int
        ``(place.size,)``, a permutation.
    """
    block = along(wide, place)
    block[...] = block[order]


def relabel(wide: Wide, axis: Axis, places: Iterable[Place], order: Ints) -> None:
    """Put unit ``order[i]`` at position ``i`` of an axis wherever it stands, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    axis : Axis
        Of any kind; ``order`` must stay inside its cells or heads where it has any.
    places : iterable of Place
        Its places; those of all axes of its labels, where these are to be moved together.
    order : ndarray of int
        ``(n_units,)``, a permutation.
    """
    for place in places:
        array = wide[place.tensor] if place.index is None else wide[place.tensor][place.index]
        entries = np.moveaxis(array, place.dim, 0)
        at = positions(axis, place)
        entries[at.ravel()] = entries[at[order].ravel()]


def random_order(rng: np.random.Generator, axis: Axis) -> Ints:
    """An order of the units of an axis, inside its cells where it has any."""
    size = axis.head_size or axis.n_units
    pieces = [first + rng.permutation(size) for first in range(0, axis.n_units, size)]
    return np.concatenate(pieces)


def scale(wide: Wide, place: Place, factor: Floats) -> None:
    """Multiply entry ``i`` by ``factor[i]``, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    place : Place
        Where an axis runs along a tensor.
    factor : ndarray
        ``(place.size,)``.

    Raises
    ------
    UsageError
        The tensor holds whole numbers.
    """
    block = values_along(wide, place)
    block *= factor.reshape(-1, *(1,) * (block.ndim - 1))


def mix(wide: Wide, place: Place, matrices: Floats) -> None:
    """Replace the vector of each head by a matrix times it, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    place : Place
        Where the heads lie.
    matrices : ndarray
        ``(n_heads, size, size)``; every one of the ``place.repeat`` query heads that share a
        key-value head gets the matrix of that head.

    Raises
    ------
    UsageError
        The tensor holds whole numbers.
    """
    block = values_along(wide, place)
    n, size, _ = matrices.shape
    heads = block.reshape(n, place.repeat, size, math.prod(block.shape[1:]))
    mixed = np.einsum("gij,grjk->grik", matrices, heads).reshape(block.shape)
    put_along(wide, place, mixed)


def axes_of(anatomy: Anatomy, kind: AxisKind, *needed: str) -> tuple[Axis, ...]:
    """Axes of one kind, or `UsageError` when there are none or one lacks a role it needs."""
    axes = tuple(axis for axis in anatomy.axes if axis.kind == kind)
    if not axes:
        raise UsageError(f"a {anatomy.family} model: no axis of kind {kind} to rewrite")
    for axis in axes:
        missing = set(needed) - {place.role for place in axis.places}
        if missing:
            where = f"{axis.stack} block {axis.block}, {axis.name}"
            raise UsageError(f"{where}: the place of {', '.join(sorted(missing))} is not known")
    return axes


def movable_units(anatomy: Anatomy) -> tuple[Axis, ...]:
    """Axes of units whose places are all known: MLPs, and what comes from a graph."""
    units = [axis for axis in anatomy.axes if axis.kind == "units"]
    of_graph = [axis for axis in units if any(map(is_view, axis.places))]
    if len(of_graph) == len(units) > 0:
        return tuple(of_graph)
    rest = replace(anatomy, axes=tuple(axis for axis in anatomy.axes if axis not in of_graph))
    return (*axes_of(rest, "units", "mlp.up", "mlp.down"), *of_graph)


def by_labels(axes: tuple[Axis, ...]) -> Iterator[tuple[Axis, tuple[Place, ...]]]:
    """Group axes that must be relabelled together: one of them, and the places of all."""
    groups: dict[str, list[Axis]] = {}
    for axis in axes:
        groups.setdefault(axis.labels, []).append(axis)
    for members in groups.values():
        yield members[0], tuple(place for axis in members for place in axis.places)


def random_rotations(rng: np.random.Generator, n: int, size: int) -> Floats:
    """Orthogonal matrices, uniform on the orthogonal group.

    Parameters
    ----------
    rng : Generator
        Source of the draw.
    n : int
        How many.
    size : int
        Rows and columns of each.

    Returns
    -------
    ndarray
        ``(n, size, size)``, float64.
    """
    q, r = np.linalg.qr(rng.standard_normal((n, size, size)))
    signs = np.sign(np.einsum("nii->ni", r))
    return np.asarray(q * signs[:, None, :])  # else QR's sign convention would bias the draw


def inverse_transposes(matrices: Floats) -> Floats:
    """The matrices by which readers make up for others: ``(n, size, size)`` each."""
    return np.linalg.inv(matrices).transpose(0, 2, 1).astype(np.float64)


def random_scales(rng: np.random.Generator, shape: int | tuple[int, ...], spread: float) -> Floats:
    """Positive factors between ``1 / spread`` and ``spread``, uniform in the logarithm.

    Parameters
    ----------
    rng : Generator
        Source of the draw.
    shape : int or tuple of int
        Shape of the result.
    spread : float
        Largest factor, over 1.

    Returns
    -------
    ndarray
        Factors of that shape, float64.

    Raises
    ------
    UsageError
        ``spread`` is not over 1.
    """
    if not spread > 1:
        raise UsageError(f"spread must be more than 1, not {spread}")
    return np.exp(rng.uniform(-np.log(spread), np.log(spread), shape))


def random_signs(rng: np.random.Generator, n: int) -> Floats:
    """``n`` fair signs."""
    return rng.choice([-1.0, 1.0], n)


def _is_float(x: npt.NDArray[Any]) -> bool:
    return x.dtype.kind not in "iubc"
