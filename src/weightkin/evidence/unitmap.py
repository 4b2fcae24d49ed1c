"""Which unit is which, in blocks that belong together.

Descriptive: the evidence that two blocks belong together is paid for elsewhere. Small matrices are
read whole. Of large ones with units as columns, a few whole rows show every unit in as many
coordinates; of other large ones the first units are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Bools, Floats, Ints
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.effects import effect_of
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import read_views, view_places
from weightkin.evidence.views import TokenRows, token_views
from weightkin.formats.model import Model
from weightkin.records import Effect
from weightkin.records.location import Scale, UnitMap
from weightkin.stats.matching import unit_rows

LARGE_MATRIX = 1 << 21  # elements of one matrix above which not everything is read
COORDINATES = 256  # whole rows read of a large matrix whose columns are the units
MAX_MAPPED_UNITS = 4096  # units read where no such matrix is there
SCORES_AT_ONCE = 1024  # rows of the table of scores held at a time
MAX_GAP = 8  # units of B between two clear neighbours, in which an unclear match may still fit
MIN_MARGIN = 1.25  # how much more alike than its best other match a unit must be
COINS = {"mlp.up", "mlp.down", "attn.v", "attn.o"}  # views that change sign with their unit


@dataclass(frozen=True, slots=True)
class UnitMatch:
    """One-to-one matches of units that stand out from every other."""

    units_a: Ints
    units_b: Ints
    observed: Floats  # mean cosine over the views (absolute where signs are free)
    chance: Floats  # that of the best other match


def match_units(views_a: Views, views_b: Views, is_free: Callable[[str], bool]) -> UnitMatch:
    """Mutual best matches by the mean cosine over shared views, kept where they stand out.

    A match stands out when it is `MIN_MARGIN` times as alike as the best other match of either
    unit, and as nine in ten such of all units.
    When those that stand out are all in order, other mutual best matches that fit closely between
    two of them are kept too. Cost ``O(n_a n_b)`` cosines, ``SCORES_AT_ONCE`` rows at a time.

    Parameters
    ----------
    views_a, views_b : dict of str to ndarray
        Role to ``(n_units, n_features)``.
    is_free : callable
        Whether signs of a view, by its role, are ignored.

    Returns
    -------
    UnitMatch
        Matched units, ascending in a; empty where no view is shared.
    """
    shared = [r for r, x in views_a.items() if r in views_b and x.shape[1] == views_b[r].shape[1]]
    if not shared:
        return no_match()
    a, b = ({r: unit_rows(views[r]) for r in shared} for views in (views_a, views_b))
    n_a, n_b = len(a[shared[0]]), len(b[shared[0]])
    best = np.zeros(n_a, np.int64)  # of each unit of a
    first, second_a = np.full(n_a, -2.0, np.float32), np.full(n_a, -2.0, np.float32)
    second_b = np.full(n_b, -2.0, np.float32)  # of each unit of b, without the best ones of a
    for at in range(0, n_a, SCORES_AT_ONCE):
        score = np.zeros((min(SCORES_AT_ONCE, n_a - at), n_b), dtype=np.float32)
        for role in shared:
            cosine = a[role][at : at + SCORES_AT_ONCE] @ b[role].T
            score += np.abs(cosine, out=cosine) if is_free(role) else cosine
        score /= len(shared)
        here, own = slice(at, at + len(score)), np.arange(len(score))
        best[here] = score.argmax(axis=1)
        first[here] = score[own, best[here]]
        score[own, best[here]] = -2.0
        second_a[here] = score.max(axis=1)
        second_b = np.maximum(second_b, score.max(axis=0))
    mutual = _mutual(best, first, second_b)
    if not len(mutual):
        return no_match()
    partner = best[mutual]
    chance = np.maximum(np.maximum(second_a[mutual], second_b[partner]), -1.0)
    level = np.maximum(chance, np.quantile(chance, 0.9))
    is_clear = first[mutual] >= MIN_MARGIN * np.maximum(level, 0.01)
    is_single = first[mutual] > chance + 1e-3  # of copies none is chosen
    kept = is_clear | (_fits_between(partner, is_clear, n_b) & is_single)
    return UnitMatch(
        units_a=mutual[kept],
        units_b=partner[kept],
        observed=first[mutual[kept]],
        chance=chance[kept],
    )


def map_units(
    a: Side,
    b: Side,
    axis_a: Axis,
    axis_b: Axis,
    seen_through: tuple[TokenRows, TokenRows] | None = None,
) -> UnitMap | None:
    """Which units of one axis are which of the other; None when no view can be compared.

    Parameters
    ----------
    a, b : Side
        The two models.
    axis_a, axis_b : Axis
        The pair of axes.
    seen_through : (TokenRows, TokenRows), optional
        Shared tokens through which units are seen; without them the weights.

    Returns
    -------
    UnitMap or None
        Matched units, signs, scales and effect; None when no view can be compared.
    """
    is_large = any(is_large_axis(s.model, x) for s, x in ((a, axis_a), (b, axis_b)))
    n = max(axis_a.n_units, axis_b.n_units)
    views_a, views_b = (
        large_views(side.model, axis) if is_large else _whole_views(side.model, axis, n)
        for side, axis in ((a, axis_a), (b, axis_b))
    )
    if seen_through is not None:
        views_a, views_b = (
            token_views(s.model, x, frame, min(x.n_units, MAX_MAPPED_UNITS))
            for s, x, frame in zip((a, b), (axis_a, axis_b), seen_through, strict=True)
        )
    shared = [r for r in views_a if r in views_b and views_a[r].shape[1] == views_b[r].shape[1]]
    if not shared:
        return None
    n_looked = len(views_a[shared[0]]), len(views_b[shared[0]])
    has_signs = axis_a.kind == "vo" or (axis_a.is_gated and axis_b.is_gated)

    def is_free(role: str) -> bool:
        return has_signs and role in COINS

    found = match_units({r: views_a[r] for r in shared}, {r: views_b[r] for r in shared}, is_free)
    coin = next((r for r in shared if is_free(r)), None)
    return UnitMap(
        axis=axis_a.kind,
        name_a=axis_a.name,
        name_b=axis_b.name,
        block_a=block_name(axis_a),
        block_b=block_name(axis_b),
        n_units_a=axis_a.n_units,
        n_units_b=axis_b.n_units,
        n_looked_a=n_looked[0],
        n_looked_b=n_looked[1],
        units_a=tuple(found.units_a.tolist()),
        units_b=tuple(found.units_b.tolist()),
        share_kept=round(len(found.units_a) / max(1, n_looked[0]), 6),
        in_order=is_in_order(found),
        n_flipped=_n_flipped(views_a[coin], views_b[coin], found) if coin else 0,
        scale=_scales(views_a, views_b, shared, found),
        effect=match_effect(found),
    )


def _whole_views(model: Model, axis: Axis, n_units: int) -> Views:
    """All units of an axis; a plan reads half as many V/O dimensions, and an eighth of columns."""
    if any(map(is_view, axis.places)):
        return large_views(model, axis)
    return read_views(model, axis, Plan(n_units=max(2 * n_units, COORDINATES)))[0]


def large_views(model: Model, axis: Axis) -> Views:
    """All units in a few coordinates, or else the first units."""
    if any(map(is_view, axis.places)):
        return read_views(
            model, axis, Plan(n_units=MAX_MAPPED_UNITS), run=Run(0, MAX_MAPPED_UNITS)
        )[0]
    for place in view_places(model, axis):
        if place.dim != 1 or place.index is not None or place.repeat != 1:
            continue
        rows = model.rows(place.tensor, slice(0, COORDINATES))
        view = np.ascontiguousarray(rows[:, place.start : place.start + place.size].T)
        if np.isfinite(view).all():
            return {place.role: view}
    first = replace(axis, places=tuple(p for p in axis.places if p.dim == 0))
    return read_views(model, first, Plan(n_units=MAX_MAPPED_UNITS))[0]


def no_match() -> UnitMatch:
    """No unit matched."""
    none, zero = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    return UnitMatch(none, none, zero, zero)


def is_large_axis(model: Model, axis: Axis) -> bool:
    """Whether a matrix of the axis is too large to be read whole."""
    sizes = [int(np.prod(model.tensors[p.tensor].shape)) for p in view_places(model, axis)]
    return max(sizes, default=0) > LARGE_MATRIX


def _mutual(best: Ints, first: Floats, second: Floats) -> Ints:
    """Units of a that are the best of their own best; completes ``second`` in place.

    ``second`` comes without the best scores of a's units; those that lose go into it here.
    """
    top = second.copy()
    np.maximum.at(top, best, first)
    wins = first == top[best]
    wins &= np.bincount(best[wins], minlength=len(second))[best] == 1  # copies: none
    np.maximum.at(second, best[~wins], first[~wins])
    return np.flatnonzero(wins)


def _fits_between(partner: Ints, is_clear: Bools, n: int) -> Bools:
    """Matches whose partner lies in the short gap between those of their clear neighbours."""
    clear = partner[is_clear]
    if len(clear) * 4 < len(partner) or (np.diff(clear) <= 0).any():
        return np.zeros(len(partner), dtype=bool)
    ends = np.concatenate(([-1], clear, [n]))
    before: Ints = np.cumsum(is_clear) - is_clear  # clear matches of lower units of a
    low, high = ends[before], ends[before + 1 + is_clear]
    fits = (partner > low) & (partner < high) & (high - low <= max(MAX_GAP, n // 32))
    rest = np.flatnonzero(fits & ~is_clear)
    rest = rest[[_rises(partner, fits | is_clear, i) for i in rest.tolist()]] if len(rest) else rest
    return np.isin(np.arange(len(partner)), rest)


def _rises(partner: Ints, kept: Bools, i: int) -> bool:
    """Whether a match is in order with the kept ones next to it."""
    lower, upper = np.flatnonzero(kept[:i]), np.flatnonzero(kept[i + 1 :])
    rises = not len(lower) or partner[lower[-1]] < partner[i]
    return bool(rises and (not len(upper) or partner[i + 1 + upper[0]] > partner[i]))


def is_in_order(found: UnitMatch) -> bool:
    """Whether the matched units of b stand in the order of those of a."""
    return bool((np.diff(found.units_b) > 0).all())  # units_a ascend


def _n_flipped(x: Floats, y: Floats, found: UnitMatch) -> int:
    products = np.einsum("ij,ij->i", x[found.units_a], y[found.units_b])
    return int((products < 0).sum())


def _scales(a: Views, b: Views, roles: Sequence[str], found: UnitMatch) -> dict[str, Scale]:
    return {r: _scale(a[r], b[r], found) for r in roles} if len(found.units_a) else {}


def _scale(x: Floats, y: Floats, found: UnitMatch) -> Scale:
    norms = [np.linalg.norm(v, axis=1) for v in (x[found.units_a], y[found.units_b])]
    ratio = norms[1] / np.maximum(norms[0], np.finfo(np.float32).tiny)
    low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
    return Scale(median=_finite(middle), spread=_finite((high - low) / max(middle, 1e-30)))


def _finite(x: float) -> float:
    return round(float(np.clip(x, 0.0, 1e30)), 6)


def match_effect(found: UnitMatch) -> Effect | None:
    """Medians over the matched units; None without any."""
    return effect_of(found.observed, found.chance) if len(found.units_a) else None
