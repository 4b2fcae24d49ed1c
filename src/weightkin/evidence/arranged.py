"""How alike two unrelated models can be made by an arrangement that changes no output.

Whoever holds a reference may turn the residual stream of another model by one orthogonal map R, put
the units of every block in any order, and aim at the units of his choice. Null hypothesis of the
bound: rows of the other model are independent of the reference and uniform in direction. For k
fixed pairs of rows of d features the mean cosine after the best R is at most sqrt(d / k) in
expectation (the nuclear norm of a sum of k rank-one matrices of length 1; 8 / (3 pi) = 0.849 of
that for large d, which no k exceeds), and its deviation t has a probability of at most
exp(-k (d - 1) t^2 / 2): it is Lipschitz in the rows, on a product of spheres. There are at most
exp(k E) choices of k pairs out of N in blocks of n, with `entropy` E. So no choice reaches more
than `TURN` sqrt(d / k) + sqrt(2 E / (d - 1)), up to a probability that vanishes with k.

In narrow models this sum exceeds one and says nothing. Used is what it is to first order: the
choice by the law of a cosine itself, ``sqrt(1 - exp(-2 E / (d - 1)))``, of what the turn leaves.
And where rows have something in common, d - 1 is replaced by what the best other partner shows
(`Level.chance`). Both are measured (`benchmarks.claims.framing`), not proven, and so is what
turning values inside heads adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Doubles, Floats

# Views that neither clones nor splits of units can set: a unit has one row of each.
HARD: dict[AxisKind, tuple[str, ...]] = {"units": ("mlp.gate", "mlp.up")}
ASKED: tuple[AxisKind, ...] = ("units", "vo", "heads")
LEAST_MARGIN = 1.0  # mean cosine over what arrangement reaches, from which it is excluded
TURN = 0.85
TURNED = 0.9  # of the sum of both turns, more than they reach together on values


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
    weight: float  # rows of the whole axis for each unit that was drawn, in the views it is seen in
    n_features: int
    n: int  # units that were drawn
    n_partners: int  # units of which any may stand for one
    n_views: int = 1  # rows of one unit
    is_signed: bool = True  # whether the sign of a row is free
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
    sizes = [axis.head_size or axis.n_units for axis in (a, b)]
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
        n=least.n,
        n_partners=max(sizes),
        n_views=len(used),
        is_signed="mlp.gate" not in views,
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
    n_features = max(x.n_features for x in seen)
    if inside := max(x.inside for x in seen):
        reached = TURNED * (np.sqrt(n_features / n_rows) + inside)
    else:
        reached = reached_by(
            n_rows,
            sum(x.weight * x.n for x in levels),
            n_features=n_features,
            n_partners=max(x.n_partners for x in seen),
            chance=float(np.median([x.chance for x in seen])),
            n_views=min(x.n_views for x in seen),
            is_signed=any(x.is_signed for x in seen),
        )
    return max(0.0, float((means / reached).max()))


def reached_by(
    n_rows: Doubles,
    n_all: float,
    *,
    n_features: int,
    n_partners: int,
    chance: float = 0.0,
    n_views: int = 1,
    is_signed: bool = False,
) -> Doubles:
    """The mean cosine that one turn and any choice of units and partners can reach.

    Parameters
    ----------
    n_rows : (m,) array
        Rows that are chosen.
    n_all : float
        Rows of all units.
    n_features : int
        Of a row, at least 2.
    n_partners : int
        Units of which any may stand for one.
    chance : float
        Median cosine of the best other partner: what rows have in common raises it.
    n_views : int
        Rows of one unit.
    is_signed : bool
        Whether a unit may have either sign.

    Returns
    -------
    (m,) array
    """
    n = max(n_partners, 2)
    most = NormalDist().inv_cdf((n - 0.375) / (n + 0.25))  # of n normal numbers, on average
    spread = max(1.0 / math.sqrt(max(n_features - 1, 1)), chance / most)
    choices = entropy(2 * n if is_signed else n, np.minimum(n_rows / n_all, 1.0)) / n_views
    chosen = np.sqrt(1.0 - np.exp(-2.0 * spread**2 * choices))
    turned = TURN * np.sqrt(n_features / n_rows)
    return np.asarray(turned + chosen * np.maximum(1.0 - turned, 0.0))


def entropy(n: int, share: Doubles) -> Doubles:
    """Log of the number of ways to choose a share of all units and partners among n, for each one.

    The limit for large n of (log of the ways to choose f n of n, and as many different partners) /
    (f n) is ``log(n / f) - 1 - 2 (1 - f) / f log(1 - f)``.
    """
    rest = np.maximum(1.0 - share, 1e-300)
    return np.asarray(np.log(n / share) - 1.0 - 2.0 * rest / share * np.log(rest))


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
