"""Matched units of two models in one residual basis: which is which, with which sign and scale.

Descriptive: nothing here is evidence that two models are related. It is read once that is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.derivation.streams import Residual
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import read_views, view_places
from weightkin.evidence.unitmap import COINS, UnitMatch, large_views, match_units
from weightkin.evidence.views import READING_ROLES
from weightkin.stats.order import length_in_order

READS = ("mlp.up", "attn.v")  # rows that carry the sign and the scale of a unit
Matcher = Callable[[Views, Views, Callable[[str], bool]], UnitMatch]
WRITES = ("mlp.down", "attn.o")  # columns that make up for them


@dataclass(frozen=True, slots=True)
class MatchedUnits:
    """Matched units of one pair of axes; factors are those of b against a, by least squares."""

    a: Axis
    b: Axis
    units_a: Ints
    units_b: Ints
    n_looked: int  # units of a that looked for a partner
    reads: Floats  # of up or V rows, gains folded in
    writes: Floats  # of down or O columns
    likeness: Floats  # the smaller of their absolute cosines
    gains: float = 0.0  # median change of the norm's gains, in logs, where readers make up for it

    @property
    def share_moved(self) -> float:
        """Share of units that stand out of order: survivors of pruning have not moved."""
        return 1.0 - length_in_order(self.units_b) / max(1, len(self.units_b))


@dataclass(frozen=True, slots=True)
class AxisReading:
    """What is read of two axes: everything, unless something is named here."""

    plan: Plan | None = None  # its sample alone, which must lie in one residual basis
    known: tuple[Ints, Ints] | None = None  # units that are matched already
    in_part: bool = False  # all units in a few coordinates, which shows their order only
    matcher: Matcher = match_units


EVERYTHING = AxisReading()


def match_axes(
    a: Side,
    b: Side,
    axes: tuple[Axis, Axis],
    residual: Residual,
    how: AxisReading = EVERYTHING,
) -> MatchedUnits | None:
    """Match the units of two axes, or take pairs already known, and compare them one by one.

    Parameters
    ----------
    a, b : Side
        The two models.
    axes : tuple of Axis
        One of a and one of b, of one kind.
    residual : Residual
        How the residual stream of b stands to that of a.
    how : AxisReading
        What is read of both.

    Returns
    -------
    MatchedUnits or None
        None where the two share no view.
    """
    plan, known = how.plan, how.known
    raw, views = [], []
    for i, (side, axis) in enumerate(zip((a, b), axes, strict=True)):
        width = _width(side, axis)
        seen = plan or Plan(8 * max(axis.n_units, width))
        here = (
            large_views(side.model, axis) if how.in_part else read_views(side.model, axis, seen)[0]
        )
        there = _with_gains(side, axis, here)
        is_turned = i and residual.kind
        raw.append(residual.in_a(here, width) if is_turned else here)
        views.append(residual.in_a(there, width) if is_turned else there)
    shared = [r for r in views[0] if r in views[1] and views[0][r].shape[1] == views[1][r].shape[1]]
    if not shared:
        return None
    if known is None:
        has_signs = axes[0].kind == "vo" or (axes[0].is_gated and axes[1].is_gated)
        found = how.matcher(
            {r: views[0][r] for r in shared},
            {r: views[1][r] for r in shared},
            lambda role: has_signs and role in COINS,
        )
        known = found.units_a, found.units_b
    n_looked = len(views[0][shared[0]])
    reads, like = _factors(views, [r for r in shared if r in READS], known)
    writes, alike = _factors(views, [r for r in shared if r in WRITES], known)
    before = _factors(raw, [r for r in shared if r in READS], known)[1]
    gains = _gain_change(a, b, axes, residual) if np.median([*(like - before), 0]) > 0 else 0.0
    return MatchedUnits(*axes, *known, n_looked, reads, writes, np.minimum(like, alike), gains)


def match_experts(
    a: Side,
    b: Side,
    block: tuple[str, int],
    in_b: int,
    residual: Residual,
    matcher: Matcher = match_units,
) -> UnitMatch | None:
    """Match the experts of one block by their router's rows; None without routers.

    Parameters
    ----------
    a, b : Side
        The two models.
    block : (str, int)
        Stack and block of a.
    in_b : int
        Its block of b.
    residual : Residual
        How the stream of b stands to that of a.
    matcher : callable, optional
        Finds which expert is which from two sets of views.

    Returns
    -------
    UnitMatch or None
        Matched experts by number; None also where the streams cannot be compared.
    """
    tables = []
    for side, number in ((a, block[1]), (b, in_b)):
        places = [
            Place(tensor, 0, 0, side.model.tensors[tensor].shape[0], "router")
            for tensor, role in side.anatomy.roles
            if role == "router" and f".{number}." in tensor and tensor.endswith("weight")
        ]
        if len(places) != 1:
            return None
        rows = side.model.rows(places[0].tensor)
        tables.append({"router": rows * gain_before(side.model, block[0], places[0])})
    if tables[0]["router"].shape[1] != tables[1]["router"].shape[1] or not residual.is_known:
        return None
    if residual.kind:
        tables[1] = residual.in_a(tables[1], tables[1]["router"].shape[1])
    return matcher(tables[0], tables[1], lambda _role: False)


def _factors(
    views: list[Views], roles: list[str], pairs: tuple[Ints, Ints]
) -> tuple[Floats, Floats]:
    """Least-squares factor and absolute cosine of each pair; zeros where the role is missing."""
    if not roles:
        none = np.zeros(len(pairs[0]), dtype=np.float32)
        return none, none
    x, y = (v[roles[0]][units].astype(np.float64) for v, units in zip(views, pairs, strict=True))
    product = np.einsum("ij,ij->i", x, y)
    size_x, size_y = (np.einsum("ij,ij->i", v, v) for v in (x, y))
    tiny = np.finfo(np.float32).tiny
    factor = product / np.maximum(size_x, tiny)
    cosine = np.abs(product) / np.maximum(np.sqrt(size_x * size_y), tiny)
    return factor.astype(np.float32), cosine.astype(np.float32)


def _gain_change(a: Side, b: Side, axes: tuple[Axis, Axis], residual: Residual) -> float:
    """Median absolute log ratio of the gains before two axes; 0 where a rotation hides which."""
    if residual.kind == "rotated":
        return 0.0
    gains = []
    for side, axis in zip((a, b), axes, strict=True):
        place = next((p for p in axis.places if p.role in READS), None)
        if place is None:
            return 0.0
        gains.append(gain_before(side.model, axis.stack, place))
    if gains[0].shape != gains[1].shape:
        return 0.0
    if residual.kind:
        gains[1] = residual.in_a({"gain": gains[1][None]}, len(gains[1]))["gain"][0]
    tiny = np.finfo(np.float32).tiny
    x, y = (np.log(np.maximum(np.abs(g), tiny)) for g in gains)
    return float(np.median(np.abs(x - y)))


def _with_gains(side: Side, axis: Axis, views: Views) -> Views:
    """Fold the gain of the norm before it into everything that reads the stream."""
    folded = dict(views)
    for place in view_places(side.model, axis):
        if place.role in READING_ROLES and place.role in views:
            gain = gain_before(side.model, axis.stack, place)
            view = views[place.role]
            folded[place.role] = view * gain[: view.shape[1]]
    return folded


def _width(side: Side, axis: Axis) -> int:
    """Residual width, as the first matrix of an axis that units index shows it."""
    places = view_places(side.model, axis)
    place = next((p for p in places if p.role != "attn.o" or p.repeat == 1), None)
    if place is None:
        return 0
    shape = side.model.tensors[place.tensor].shape
    shape = shape if place.index is None else shape[1:]
    return int(np.prod(shape)) // shape[place.dim]
