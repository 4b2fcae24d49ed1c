"""How alike two models are under equal numbers, over what an arrangement reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Floats
from weightkin.evidence.arrangement import entropy, reached_by, reached_inside, spread_of

# Views that neither clones nor splits of units can set: a unit has one row of each.
HARD: dict[AxisKind, tuple[str, ...]] = {"units": ("mlp.gate", "mlp.up")}
ASKED: tuple[AxisKind, ...] = ("units", "vo", "heads")
LEAST_FEATURES = 4  # rows of fewer are like some other row whatever they are
LEAST_ASKED, FEWEST = 0.05, 8  # share of the units drawn, and units, from which orders are asked
LEAST_MARGIN = 1.0  # mean cosine over what arrangement reaches, from which it is excluded


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
    n_views: int = 1  # rows of one unit; 1 where one view, or one model, may be favoured
    is_signed: bool = True  # whether the sign of a row is free
    inside: float = 0.0  # share of the features that a head spans, where its rows can be mixed
    n_each: int = 1  # rows of one unit in one view
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
    widths = {x.n_features for x in used}
    n_rows, n_features = min(a.n_units, b.n_units) * len(used), max(widths)
    sizes = [axis.head_size or axis.n_units for axis in (a, b)]
    n_each = max(a.head_size, 1) if a.kind == "heads" else 1
    n_rows, n_features = n_rows * n_each, n_features // n_each  # of a head, side by side
    size = {"vo": max(sizes), "heads": a.head_size}.get(a.kind, 0)
    is_even = len(widths) == 1 and a.n_units == b.n_units
    return Level(
        cosines=least.cosines,
        chance=max(x.chance for x in used),
        weight=n_rows / max(least.n, 1),
        n_features=n_features,
        n=least.n,
        n_partners=max(sizes),
        n_views=len(used) if is_even else 1,
        is_signed="mlp.gate" not in views,
        inside=size / max(n_features, 1),
        n_each=n_each,
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
    n_all = sum(x.weight * x.n for x in levels)
    n_features, n_partners = max(x.n_features for x in seen), max(x.n_partners for x in seen)
    chance, n_views = float(np.median([x.chance for x in seen])), min(x.n_views for x in seen)
    if inside := max(x.inside for x in seen):
        reached = reached_inside(
            n_rows,
            n_all,
            n_features=n_features,
            inside=inside,
            spread=spread_of(n_features, max(n_partners, 2), chance),
            n_views=n_views,
            n_each=min(x.n_each for x in seen),
        )
    else:
        reached = reached_by(
            n_rows,
            n_all,
            n_features=n_features,
            n_partners=n_partners,
            chance=chance,
            n_views=n_views,
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
        [spread_of(x.n_features, max(x.n_partners, 2), x.chance) ** 2 for x in levels]
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
