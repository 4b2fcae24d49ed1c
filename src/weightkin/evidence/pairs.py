"""Evidence from one pair of axes: coincidences at equal sizes, order where units were dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats
from weightkin.evidence.arranged import Level, Seen, level_of
from weightkin.evidence.clones import once_per_clone
from weightkin.evidence.effects import effect_of
from weightkin.evidence.windows import copied_windows, cut_windows, multiplied, window_of
from weightkin.records import Effect
from weightkin.stats import order
from weightkin.stats.coincidences import Z_GRID, count_coincidences, log_evalues, mix_log_evalue
from weightkin.stats.combining import Grid, average
from weightkin.stats.copies import Groups, copied_runs
from weightkin.stats.matching import best_rows, match_rows, unit_rows
from weightkin.stats.order import longest_in_order

COIN_ROLES = ("mlp.up", "mlp.down")  # views of a gated unit that change sign with it
LOG10 = math.log(10.0)

Views = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class ViewTest:
    """One test of one view, before the two models' names are put on it."""

    name: str
    view: str
    n_units: int
    statistic: float
    log10_pvalue: float
    effect: Effect


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """All views of one pair of axes, averaged: they share their labels.

    Runs of labels that are copies of each other inside a model are averaged too, so what a pair is
    worth depends on whose labels are trusted; ``grid`` is the smaller of ``grids``.
    """

    grids: tuple[Grid, Grid]  # trusting the labels of a, of b
    tests: tuple[ViewTest, ...]
    observed: Floats  # cosine at the matched units of the widest view
    chance: Floats  # level of their best other match, over as many candidates as the axis has units
    agreement: Floats  # 1.0 where another view matches the unit too
    units: tuple[tuple[int, int], ...] = field(default=())  # matched units of the widest view
    n_drawn: int = 0  # units of that view
    level: Level | None = None  # how alike units are under their own numbers

    @property
    def grid(self) -> Grid:
        """What the pair is worth whichever model is trusted."""
        return min(self.grids, key=mix_log_evalue)

    @property
    def log10_pvalue(self) -> float:
        """P-value of this pair alone."""
        return min(0.0, -mix_log_evalue(self.grid) / LOG10)


def pair_evidence(
    views_a: Views, views_b: Views, axis_a: Axis, axis_b: Axis, rng: np.random.Generator
) -> PairEvidence | None:
    """Test one pair of axes on the views that both have with equal features; None if there is none.

    Null hypothesis: given the other model, the labels of one model's units on this axis are uniform
    (inside each head for V/O dimensions, inside each cell of an axis that has cells).
    Cost: ``n_a * n_b`` cosines for each view.

    Parameters
    ----------
    views_a, views_b : dict of role to array, ``(n_units, n_features)``
    axis_a, axis_b : Axis
    rng : Generator
        Breaks ties.

    Returns
    -------
    PairEvidence or None
    """
    shared = [
        role
        for role, x in views_a.items()
        if role in views_b
        and x.shape[1] == views_b[role].shape[1]
        and len(x)
        and len(views_b[role])
    ]
    if not shared:
        return None
    shared.sort(key=lambda role: -views_a[role].shape[1])  # widest first, stable
    window = window_of(axis_a, axis_b)
    if window == 1 and axis_a.kind == "units":
        return None  # a single unit has no order
    is_order = axis_a.n_units != axis_b.n_units and not window
    n_candidates = max(axis_a.n_units, axis_b.n_units)
    of_a, of_b = ({role: views[role] for role in shared} for views in (views_a, views_b))
    groups: tuple[Groups, Groups] = ((0,), (0,))
    if window:
        groups = _copies(axis_a, of_a, window), _copies(axis_b, of_b, window)
    if axis_a.kind != "vo" and not is_order:
        of_a, of_b = once_per_clone(of_a, of_b)
    measured = []
    for role in shared:
        x, y = of_a[role], of_b[role]
        if is_order:
            measured.append(_order(role, x, y, n_candidates, rng))
        else:
            size = window or min(len(x), len(y))
            is_cut = window > 0 and axis_a.kind == "units"
            laws = groups, window if is_cut else 0
            found = _coincidences(role, (x, y), size, n_candidates, laws, rng)
            measured.append(_against_all(found, x, y, n_candidates) if is_cut else found)
    by_role = dict(zip(shared, measured, strict=True))
    widest = measured[0]
    is_gated = axis_a.is_gated and axis_b.is_gated
    others = [
        set(view.units)
        | (_sign_blind(of_a[role], of_b[role]) if is_gated and role in COIN_ROLES else set())
        for role, view in zip(shared[1:], measured[1:], strict=True)
    ]
    agreement = [float(np.mean([u in s for s in others])) if others else 0.0 for u in widest.units]
    return PairEvidence(
        grids=(
            average([multiplied(runs, groups[0]) for m in measured for runs in m.runs]),
            average([multiplied(runs, groups[1]) for m in measured for runs in m.runs]),
        ),
        tests=tuple(m.test for m in measured),
        observed=widest.observed,
        chance=widest.chance,
        agreement=np.array(agreement, dtype=np.float32),
        units=tuple(widest.units),
        n_drawn=min(len(of_a[shared[0]]), len(of_b[shared[0]])),
        level=level_of(
            axis_a, axis_b, {role: seen.under_numbers for role, seen in by_role.items()}
        ),
    )


def pooled_effect(found: Sequence[PairEvidence]) -> Effect:
    """Effect over the matched units of all pairs together; agreement where views may agree."""
    return effect_of(
        np.concatenate([e.observed for e in found]),
        np.concatenate([e.chance for e in found]),
        np.concatenate([np.zeros(0), *(e.agreement for e in found if len(e.tests) > 1)]),
    )


def matched_share(found: Sequence[PairEvidence]) -> tuple[float, float]:
    """Share of the units drawn that are matched both ways: of all pairs, and of the best pair."""
    numbers = [(len(e.units), e.n_drawn) for e in found if e.n_drawn]
    n_matched, n_drawn = (sum(x[i] for x in numbers) for i in (0, 1))
    return n_matched / max(1, n_drawn), max((m / n for m, n in numbers), default=0.0)


def median_ratio(found: Sequence[PairEvidence]) -> float:
    """Effect ratio of the median pair, among those with at least three matched units."""
    ratios = [effect_of(e.observed, e.chance).ratio for e in found if len(e.observed) >= 3]
    return float(np.median(ratios)) if ratios else 0.0


@dataclass(frozen=True, slots=True)
class _View:
    """What one view says: for each direction of matching the log e-values of all runs of labels."""

    runs: list[npt.NDArray[np.float64]]  # each (n_runs, n_z)
    units: list[tuple[int, int]]
    observed: Floats
    chance: Floats
    test: ViewTest
    n_features: int

    @property
    def under_numbers(self) -> Seen:
        """How alike units are under their own numbers."""
        chance = float(np.median(self.chance)) if len(self.chance) else 0.0
        return Seen(self.observed, self.test.n_units, chance, self.n_features)


def _coincidences(
    role: str,
    rows: tuple[Floats, Floats],
    size: int,
    n_candidates: int,
    laws: tuple[tuple[Groups, Groups], int],
    rng: np.random.Generator,
) -> _View:
    """Coincidences of one view in windows of ``size`` units (one window: the whole axis).

    ``laws``: which windows are copies, in a and in b; and their size where it makes them sharper.
    """
    (x, y), (groups, few) = rows, laws
    counts = [
        count_coincidences(match_rows(x[at : at + size], y[at : at + size], rng))
        for at in range(0, min(len(x), len(y)) - size + 1, size)
    ]
    runs = [
        np.stack([log_evalues(c.forward, few) for c in counts]),
        np.stack([log_evalues(c.backward, few) for c in counts]),
    ]
    worth = [mix_log_evalue(average([multiplied(r, g) for r in runs])) for g in groups]
    observed = np.concatenate([c.observed for c in counts])
    scale = _extreme(n_candidates) / _extreme(size)
    chance = np.minimum(np.concatenate([c.chance for c in counts]) * scale, 1.0)
    test = ViewTest(
        name="coincidences",
        view=role,
        n_units=sum(c.n_units for c in counts),
        statistic=float(sum(c.forward for c in counts)),
        log10_pvalue=min(0.0, -min(worth) / LOG10),
        effect=effect_of(observed, chance),
    )
    units = [(i * size + int(u),) * 2 for i, c in enumerate(counts) for u in c.units]
    return _View(runs, units, observed, chance, test, x.shape[1])


def _order(role: str, x: Floats, y: Floats, n_candidates: int, rng: np.random.Generator) -> _View:
    """Order of the mutual best matches of one view."""
    found = longest_in_order(match_rows(x, y, rng))
    chance = np.minimum(found.chance * _extreme(n_candidates) / _extreme(len(y)), 1.0)
    test = ViewTest(
        name="order",
        view=role,
        n_units=found.n_units,
        statistic=float(found.length),
        log10_pvalue=order.order_log10_sf(found.length, found.n_units),
        effect=effect_of(found.observed, chance),
    )
    runs = [np.full((1, len(Z_GRID)), order.log_evalue(found.length, found.n_units))]
    units = list(zip(found.units_a.tolist(), found.units_b.tolist(), strict=True))
    return _View(runs, units, found.observed, chance, test, x.shape[1])


def _copies(axis: Axis, views: Views, window: int) -> Groups:
    if axis.kind == "vo":
        return copied_runs(list(cut_windows(views, window)))
    return copied_windows(views, window)


def _sign_blind(x: Floats, y: Floats) -> set[tuple[int, int]]:
    """Units of one view that are each other's best by absolute cosine."""
    cosine = np.abs(unit_rows(x) @ unit_rows(y).T)
    forward, backward = cosine.argmax(axis=1), best_rows(cosine)
    return {(i, int(j)) for i, j in enumerate(forward) if backward[j] == i}


def _against_all(view: _View, x: Floats, y: Floats, n_candidates: int) -> _View:
    """The same view, with chance from all units read: in a small cell the best other says little.

    Parameters
    ----------
    view : _View
        Coincidences in windows.
    x, y : ndarray
        ``(n_x, n_features)`` and ``(n_y, n_features)``.
    n_candidates : int
        Units of the axis.

    Returns
    -------
    _View
        With another level of chance, and the effect that follows.
    """
    units = np.array([unit for unit, _ in view.units], dtype=np.int64)
    rows_x, rows_y = unit_rows(x), unit_rows(y)
    tables = rows_x[units] @ rows_y.T, rows_y[units] @ rows_x.T  # (n matched, n_y), (.., n_x)
    for table in tables:
        table[np.arange(len(units)), units] = -1.0
    best = 0.5 * sum((table.max(axis=1, initial=-1.0) for table in tables), np.float32(0.0))
    scale = _extreme(n_candidates) / _extreme(min(len(x), len(y)))
    chance = np.minimum(best * scale, 1.0).astype(np.float32)
    return replace(
        view, chance=chance, test=replace(view.test, effect=effect_of(view.observed, chance))
    )


def _extreme(n: int) -> float:
    """Typical largest of n standard normals: what the best of n candidates reaches by chance."""
    return float(scipy.special.ndtri(1.0 - 1.0 / (max(n, 3) + 1.0)))
