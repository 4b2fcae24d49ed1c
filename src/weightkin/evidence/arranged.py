"""How alike two unrelated models can be made by an arrangement that changes no output.

Whoever holds a reference may turn the residual stream of another model by one orthogonal map, turn
values inside their heads, and put units in any order. One map has to serve all rows of all blocks:
fitted to N random rows of d features it brings their cosine to at most sqrt(d / N) on average, and
the choice of a partner brings it to what the best of all others reaches. Together they reach at
most what is computed here, in nets of every width from 32, depth and aim that were tried
(docs/log.md); relatives reach more. It is a measured bound with a margin, no theorem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Floats

# Views that neither clones nor splits of units can set: a unit has one row of each.
HARD: dict[AxisKind, tuple[str, ...]] = {"units": ("mlp.gate", "mlp.up")}
ASKED: tuple[AxisKind, ...] = ("units", "vo", "heads")
LEAST_MARGIN = 1.15  # mean cosine over what arrangement reaches, from which it is excluded
TURNED = 0.78  # of the sum of both turns, what they reach together on values


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one view shows of the units that were drawn."""

    cosines: Floats  # at the units that found their own number
    n: int  # units that were drawn
    chance: float  # median cosine of the best other partner among all units of the axis
    n_features: int


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """How alike the units of one pair of axes are under their own numbers.

    Of the first view in `HARD`, else of the least alike one.
    """

    cosines: Floats  # as in `Seen`
    chance: float
    weight: float  # rows of the whole axis for each that was drawn, in the views that were fitted
    n_features: int
    inside: float = 0.0  # what turning values inside their heads adds


def level_of(a: Axis, b: Axis, views: Mapping[str, Seen]) -> Level:
    """How alike two axes are, by what each view shows.

    Parameters
    ----------
    a, b : Axis
        Of one kind.
    views : mapping of str to Seen
        By role, at least one.

    Returns
    -------
    Level
    """
    hard = next((views[role] for role in HARD.get(a.kind, ()) if role in views), None)
    used = list(views.values()) if hard is None else [hard]
    least = min(used, key=lambda x: float(x.cosines.sum()) / max(x.n, 1))
    n_rows, n_features = min(a.n_units, b.n_units) * len(used), max(x.n_features for x in used)
    inside = 0.0
    if a.kind == "heads":  # a row of each of their dimensions, side by side
        n_rows, n_features = n_rows * a.head_size, n_features // max(a.head_size, 1)
    if a.kind in ("vo", "heads"):
        inside = math.sqrt(a.head_size / max(n_features * len(used), 1))
    return Level(
        cosines=least.cosines,
        chance=max(x.chance for x in used),
        weight=n_rows / max(least.n, 1),
        n_features=n_features,
        inside=inside,
    )


def margin_of(levels: Sequence[Level]) -> float:
    """Mean cosine over what arrangement reaches, of the units for which that is most.

    A model fitted at some units or blocks alone gets further there; so every number of units is
    asked, those most alike first.

    Parameters
    ----------
    levels : sequence of Level
        All pairs of axes of one kind.

    Returns
    -------
    float
        From `LEAST_MARGIN` on, no arrangement that is known explains it; 0 without units.
    """
    cosines = np.concatenate([np.zeros(0), *(x.cosines for x in levels)])
    if not len(cosines):
        return 0.0
    weights = np.concatenate([np.full(len(x.cosines), x.weight) for x in levels])
    order = np.argsort(-cosines, kind="stable")
    n_rows = np.cumsum(weights[order])
    means = np.cumsum((cosines * weights)[order]) / n_rows
    seen = [x for x in levels if len(x.cosines)]
    by_turn = np.sqrt(max(x.n_features for x in seen) / n_rows)
    if inside := max(x.inside for x in seen):
        reached = TURNED * (by_turn + inside)
    else:
        reached = np.hypot(by_turn, max(float(np.median([x.chance for x in seen])), 1e-3))
    return max(0.0, float((means / reached).max()))


def margin_on(side: Side, found: Sequence[tuple[Axis, Level | None]]) -> float | None:
    """Margin of axes of one model; None unless a rotation could have turned every one of them.

    Parameters
    ----------
    side : Side
        The model.
    found : sequence of (Axis, Level or None)
        Axes with what they show; None where they are seen through what no rotation moves.

    Returns
    -------
    float or None
        That of `margin_of`. The residual width itself is not asked.
    """
    tensors = turned_tensors(side)
    levels = [x for axis, x in found if x and axis.kind in ASKED and can_be_turned(axis, tensors)]
    return margin_of(levels) if levels and len(levels) == len(found) else None


def can_be_turned(axis: Axis, tensors: frozenset[str]) -> bool:
    """Whether the rows of an axis stand in one of the tensors that a rotation turns."""
    return any(place.tensor in tensors for place in axis.places)


def turned_tensors(side: Side) -> frozenset[str]:
    """Tensors that read or write a residual stream which a rotation may turn.

    Where most matrices of the stream are kernels, its channels go through elementwise functions or
    norms by groups, and can only be reordered.
    """
    found: set[str] = set()
    for stream in side.axes("residual"):
        tensors = {place.tensor for place in stream.places}
        sizes = [len(side.model.tensors[name].shape) for name in tensors]
        if 2 * sum(n > 2 for n in sizes) <= sum(n > 1 for n in sizes):
            found |= tensors
    return frozenset(found)
