"""Margin over arrangement of a model: of axes that can be turned, and of those only reordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.arranged import ASKED, Level, margin_of, margin_of_orders


def margin_on(side: Side, found: Sequence[tuple[Axis, Level | None]]) -> float | None:
    """Margin of axes of one model: the larger of what can be turned and of what can be reordered.

    Parameters
    ----------
    side : Side
        The model.
    found : sequence of (Axis, Level or None)
        Axes with what they show; None where they are seen through what no rotation moves.

    Returns
    -------
    float or None
        That of `margin_of` or of `margin_of_orders`. The residual width itself is not asked, and
        axes from a graph count as reordered: what rests on them alone is unconfirmed anyway.
    """
    of_kernels = streams_of_kernels(side)
    turned, ordered = [], []
    for axis, level in found:
        if level is None or axis.kind not in ASKED:
            return None
        if can_be_turned(side, axis, of_kernels) and not any(map(is_view, axis.places)):
            turned.append(level)
        else:
            ordered.append(replace(level, n_ordered=_n_ordered(side, axis)))
    margins = [f(x) for f, x in ((margin_of, turned), (margin_of_orders, ordered)) if x]
    return max(margins, default=None)


def _n_ordered(side: Side, axis: Axis) -> int:
    """Most features that the rows of an axis are seen in, but for places of a kernel."""
    views = [x for x in axis.places if is_view(x)] or axis.places
    shapes = [(side.model.tensors[x.tensor].shape, x.dim) for x in views]
    return max(n for shape, dim in shapes for n in (*shape[:dim], *shape[dim + 1 :], 1))


def can_be_turned(side: Side, axis: Axis, of_kernels: frozenset[str]) -> bool:
    """Whether a matrix of an axis is no kernel, and stands at no stream of kernels."""
    tensors = {x.tensor for x in axis.places} - of_kernels
    return any(len(side.model.tensors[name].shape) == 2 for name in tensors)


def streams_of_kernels(side: Side) -> frozenset[str]:
    """Tensors of streams that can only be reordered, and of no other stream.

    Where most matrices of a stream are kernels, its channels go through elementwise functions or
    norms by groups. Where no stream is declared, it may be turned all the same.
    """
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for stream in side.axes("residual"):
        tensors = {place.tensor for place in stream.places}
        sizes = [len(side.model.tensors[name].shape) for name in tensors]
        found[2 * sum(n > 2 for n in sizes) > sum(n > 1 for n in sizes)] |= tensors
    return frozenset(found[True] - found[False])
