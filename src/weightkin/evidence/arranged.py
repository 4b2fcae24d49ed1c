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

from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Doubles, Floats

# Views that neither clones nor splits of units can set: a unit has one row of each.
HARD: dict[AxisKind, tuple[str, ...]] = {"units": ("mlp.gate", "mlp.up")}
ASKED: tuple[AxisKind, ...] = ("units", "vo", "heads")
LEAST_FEATURES = 4  # rows of fewer are like some other row whatever they are
LEAST_ASKED, FEWEST = 0.05, 8  # share of the units drawn, and units, from which orders are asked
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
    n_ordered: int = 0  # features that can be put in any order, where nothing can be turned


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


def margin_of_orders(levels: Sequence[Level]) -> float:
    """The same where nothing can be turned: of units and of features only the order is free.

    For k fixed pairs of rows, each uniform in direction, the mean cosine is below
    ``sqrt(2 E v)`` but for a share of exp(-k E) of all choices, v the mean of ``1 / d`` of their
    rows; E counts the choices of pairs, for each pair, and all orders of what their rows are seen
    in. As in `margin_of`, ``sqrt(1 - exp(-2 E v))`` is used, and what rows have in common raises v.
    A few units that training makes alike are above this in any net, so k is `LEAST_ASKED` of the
    units drawn or more.

    Parameters
    ----------
    levels : sequence of Level
        All pairs of axes of one kind, with `Level.n_ordered`.

    Returns
    -------
    float
        From `LEAST_MARGIN` on, no order explains it; 0 without units.
    """
    levels = [x for x in levels if x.n_features >= LEAST_FEATURES]
    sizes = [len(x.cosines) for x in levels]
    if not sum(sizes):
        return 0.0
    cosines = np.concatenate([x.cosines for x in levels])
    order = np.argsort(-cosines, kind="stable")
    at = np.repeat(np.arange(len(levels)), sizes)[order]
    weights = np.array([x.weight for x in levels])[at]
    n_rows = np.cumsum(weights)
    means = np.cumsum(cosines[order] * weights) / n_rows
    variances = np.array(
        [_spread(x.n_features, max(x.n_partners, 2), x.chance) ** 2 for x in levels]
    )
    variance = np.cumsum(variances[at] * weights) / n_rows
    orders = np.zeros(len(at))
    first = np.unique(at, return_index=True)[1]
    orders[first] = [math.lgamma(levels[i].n_ordered + 1) for i in at[first]]
    seen = [x for x in levels if len(x.cosines)]
    n = max(2, *(x.n_partners for x in seen)) * (2 if any(x.is_signed for x in seen) else 1)
    share = np.minimum(n_rows / sum(x.weight * x.n for x in levels), 1.0)
    choices = entropy(n, share) / min(x.n_views for x in seen) + np.cumsum(orders) / n_rows
    margins = means / np.sqrt(1.0 - np.exp(-2.0 * variance * choices))
    least = max(FEWEST, math.ceil(LEAST_ASKED * sum(x.n for x in levels)))
    return max(0.0, float(margins[min(least, len(margins)) - 1 :].max()))


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
    spread = _spread(n_features, n, chance)
    choices = entropy(2 * n if is_signed else n, np.minimum(n_rows / n_all, 1.0)) / n_views
    chosen = np.sqrt(1.0 - np.exp(-2.0 * spread**2 * choices))
    turned = TURN * np.sqrt(n_features / n_rows)
    return np.asarray(turned + chosen * np.maximum(1.0 - turned, 0.0))


def _spread(n_features: int, n: int, chance: float) -> float:
    """Standard deviation of a cosine: of uniform rows, or what the best of n others shows."""
    most = NormalDist().inv_cdf((n - 0.375) / (n + 0.25))  # of n normal numbers, on average
    return max(1.0 / math.sqrt(max(n_features - 1, 1)), chance / most)


def entropy(n: int, share: Doubles) -> Doubles:
    """Log of the number of ways to choose a share of all units and partners among n, for each one.

    The limit for large n of (log of the ways to choose f n of n, and as many different partners) /
    (f n) is ``log(n / f) - 1 - 2 (1 - f) / f log(1 - f)``.
    """
    rest = np.maximum(1.0 - share, 1e-300)
    return np.asarray(np.log(n / share) - 1.0 - 2.0 * rest / share * np.log(rest))
