"""Which unit is which, in blocks that belong together; which residual dimensions were kept.

Descriptive: the evidence that two blocks belong together is paid for elsewhere. Small matrices are
read whole. Of large ones with units as columns, a few whole rows show every unit in as many
coordinates; of other large ones the first units are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from weightkin.anatomy.types import Axis
from weightkin.evidence.guard import whom_to_trust
from weightkin.evidence.pairs import Views, effect_of
from weightkin.evidence.sample import (
    TOKEN_RUN,
    Plan,
    centred,
    n_embedding_rows,
    read_views,
    view_places,
)
from weightkin.evidence.stage import Bench, Side, block_name, pair_axes
from weightkin.records import Effect, Skipped
from weightkin.records.comparison import Trusts
from weightkin.records.location import ResidualMap, Scale, UnitMap
from weightkin.stats.matching import Floats, Ints, unit_rows
from weightkin.weights.model import Model, Problem

LARGE = 1 << 21  # elements of one matrix above which not everything is read
COORDINATES = 256  # whole rows read of a large matrix whose columns are the units
MAX_UNITS = 4096  # units read where no such matrix is there
MAX_TOKENS = 512  # embedding rows that show the residual dimensions
CHUNK = 1024  # rows of the table of scores held at a time
CLEAR = 1.25  # how much more alike than its best other match a unit must be
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

    Signs of the views that ``is_free`` names are ignored. A match stands out when it is `CLEAR`
    times as alike as the best other match of either unit, and as the typical one of all units.
    Memory is ``CHUNK`` rows of the table of scores at a time.
    """
    shared = [r for r, x in views_a.items() if r in views_b and x.shape[1] == views_b[r].shape[1]]
    nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    if not shared:
        return UnitMatch(nothing[0], nothing[0], nothing[1], nothing[1])
    a, b = ({r: unit_rows(views[r]) for r in shared} for views in (views_a, views_b))
    n_a, n_b = len(a[shared[0]]), len(b[shared[0]])
    best_b, first_a, second_a = np.zeros(n_a, np.int64), np.zeros(n_a), np.zeros(n_a)
    best_a, first_b, second_b = np.zeros(n_b, np.int64), np.full(n_b, -2.0), np.full(n_b, -2.0)
    for at in range(0, n_a, CHUNK):
        score = np.zeros((min(CHUNK, n_a - at), n_b), dtype=np.float32)
        for role in shared:
            cosine = a[role][at : at + CHUNK] @ b[role].T
            score += np.abs(cosine, out=cosine) if is_free(role) else cosine
        score /= len(shared)
        here = slice(at, at + len(score))
        best_b[here], first_a[here], second_a[here] = _two_best(score)
        column, first, second = _two_best(score.T)
        is_better = first > first_b
        second_b = np.maximum(np.minimum(first, first_b), np.maximum(second, second_b))
        best_a = np.where(is_better, column + at, best_a)
        first_b = np.maximum(first, first_b)
    mutual = np.flatnonzero(best_a[best_b] == np.arange(n_a))
    partner = best_b[mutual]
    chance = np.maximum(second_a[mutual], second_b[partner])
    level = np.maximum(chance, np.median(second_a))
    kept = first_a[mutual] >= CLEAR * np.maximum(level, 0.01)
    return UnitMatch(
        units_a=mutual[kept],
        units_b=partner[kept],
        observed=first_a[mutual[kept]].astype(np.float32),
        chance=chance[kept].astype(np.float32),
    )


def map_units(a: Side, b: Side, axis_a: Axis, axis_b: Axis) -> UnitMap | None:
    """Which units of one axis are which of the other; None when no view can be compared."""
    is_large = any(_is_large(s.model, x) for s, x in ((a, axis_a), (b, axis_b)))
    views_a, views_b = (
        _unit_views(side.model, axis, is_large=is_large) for side, axis in ((a, axis_a), (b, axis_b))
    )
    shared = [r for r in views_a if r in views_b and views_a[r].shape[1] == views_b[r].shape[1]]
    if not shared:
        return None
    n_looked = len(views_a[shared[0]]), len(views_b[shared[0]])
    has_signs = axis_a.kind == "vo" or (axis_a.is_gated and axis_b.is_gated)

    def is_free(role: str) -> bool:
        return has_signs and role in COINS

    found = match_units(
        {r: views_a[r] for r in shared}, {r: views_b[r] for r in shared}, is_free
    )
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
        in_order=_is_in_order(found),
        n_flipped=_n_flipped(views_a[coin], views_b[coin], found) if coin else 0,
        scale={r: _scale(views_a[r], views_b[r], found) for r in shared} if len(found.units_a) else {},
        effect=_effect(found),
    )


def map_residual(a: Side, b: Side, plan: Plan, seed: int) -> tuple[list[ResidualMap], tuple[Skipped, ...]]:
    """Test each residual stream, and say which of A's dimensions B kept. P-values are uncorrected.

    Null hypothesis: given the other model, the labels of one model's residual dimensions are
    uniform: coincidences at equal widths, the order of mutual best matches otherwise.
    """
    bench = Bench(a, b, plan, seed)
    tested = []
    for axis_a, axis_b in pair_axes(a.axes("residual"), b.axes("residual"), {}):
        n_rows = min(n_embedding_rows(a.model, axis_a), n_embedding_rows(b.model, axis_b))
        views = (
            bench.read(axis_a, is_a=True, n_vocabulary=n_rows),
            bench.read(axis_b, is_a=False, n_vocabulary=n_rows),
        )
        found = bench.test(axis_a, axis_b, *views)
        if found:
            tested.append((found, n_rows))
    trusts, why = whom_to_trust(bench.guard_a, bench.guard_b)
    if trusts is None and tested:
        bench.note([Problem("residual axes", why)])
    maps = [
        _residual_map(a, b, t.a, t.b, n, t.evidence.log10_pvalue if trusts else 0.0, trusts)
        for t, n in tested
    ]
    return maps, tuple(bench.skipped.values())


def _residual_map(
    a: Side, b: Side, axis_a: Axis, axis_b: Axis, n_rows: int, log10_p: float, trusts: Trusts | None
) -> ResidualMap:
    views_a, views_b = (
        _dimension_views(side.model, axis, n_rows) for side, axis in ((a, axis_a), (b, axis_b))
    )
    found = match_units(views_a, views_b, lambda role: False)
    return ResidualMap(
        stack=axis_a.stack,
        test="coincidences" if axis_a.n_units == axis_b.n_units else "order",
        trusts=trusts or "",
        n_a=axis_a.n_units,
        n_b=axis_b.n_units,
        n_tested=min(plan_units(axis_a), plan_units(axis_b)),
        log10_pvalue=log10_p,
        kept_a=tuple(found.units_a.tolist()),
        kept_b=tuple(found.units_b.tolist()),
        in_order=_is_in_order(found),
        effect=_effect(found),
    )


def plan_units(axis: Axis) -> int:
    """Dimensions of a residual axis that the test looks at."""
    return min(axis.n_units, 1024)


def _unit_views(model: Model, axis: Axis, *, is_large: bool) -> Views:
    """All units of an axis, whole where matrices are small; without what cannot be read."""
    if not is_large:
        per_unit = 2 if axis.kind == "vo" else 1  # a plan reads half as many V/O dimensions
        return read_views(model, axis, Plan(n_units=max(axis.n_units * per_unit, 8)))[0]
    columns = [p for p in view_places(model, axis) if p.dim == 1 and p.index is None and p.repeat == 1]
    for place in columns if axis.kind == "units" else ():
        rows = model.rows(place.tensor, slice(0, COORDINATES))
        view = np.ascontiguousarray(rows[:, place.start : place.start + place.size].T)
        if np.isfinite(view).all():
            return {place.role: view}
    first = replace(axis, places=tuple(p for p in axis.places if p.dim == 0))
    return read_views(model, first, Plan(n_units=MAX_UNITS))[0]


def _dimension_views(model: Model, axis: Axis, n_rows: int) -> Views:
    """Every residual dimension as the tables of tokens, patches and positions show it."""
    views = {}
    for place in view_places(model, axis):
        n = model.tensors[place.tensor].shape[0]
        if place.role in ("embed", "unembed") and place.dim == 1:
            n = min(n, n_rows)
        rows = model.rows(place.tensor, None if place.dim == 0 else _spread(n))
        units = np.moveaxis(rows, place.dim, 0)[place.start : place.start + place.size]
        view = np.ascontiguousarray(units.reshape(len(units), -1))
        if view.shape[1] > 1 and np.isfinite(view).all() and view.any():
            views[place.role] = centred(view)
    return views


def _spread(n: int) -> Ints:
    """Runs of rows spread evenly over a table: fixed by its size alone."""
    if n <= MAX_TOKENS:
        return np.arange(n)
    starts = np.linspace(0, n - TOKEN_RUN, MAX_TOKENS // TOKEN_RUN).astype(np.int64)
    return np.unique(starts[:, None] + np.arange(TOKEN_RUN))


def _is_large(model: Model, axis: Axis) -> bool:
    sizes = [int(np.prod(model.tensors[p.tensor].shape)) for p in view_places(model, axis)]
    return max(sizes, default=0) > LARGE


def _two_best(score: Floats) -> tuple[Ints, Floats, Floats]:
    """For each row: where its best is, the best, the second best (-1 if there is none)."""
    own = np.arange(len(score))
    best = score.argmax(axis=1)
    first = score[own, best]
    if score.shape[1] < 2:
        return best, first, np.full(len(score), -1.0, dtype=np.float32)
    second = np.partition(score, -2, axis=1)[:, -2]
    return best, first, second


def _is_in_order(found: UnitMatch) -> bool:
    return bool((np.diff(found.units_b) > 0).all())  # units_a ascend


def _n_flipped(x: Floats, y: Floats, found: UnitMatch) -> int:
    products = np.einsum("ij,ij->i", x[found.units_a], y[found.units_b])
    return int((products < 0).sum())


def _scale(x: Floats, y: Floats, found: UnitMatch) -> Scale:
    norms = [np.linalg.norm(v, axis=1) for v in (x[found.units_a], y[found.units_b])]
    ratio = norms[1] / np.maximum(norms[0], np.finfo(np.float32).tiny)
    low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
    return Scale(median=_finite(middle), spread=_finite((high - low) / max(middle, 1e-30)))


def _finite(x: float) -> float:
    return round(float(np.clip(x, 0.0, 1e30)), 6)


def _effect(found: UnitMatch) -> Effect | None:
    return effect_of(found.observed, found.chance) if len(found.units_a) else None
