"""Which dimensions of the residual width were kept, by the embeddings that show them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Ints
from weightkin.evidence.block_pairs import pair_axes
from weightkin.evidence.guard import whom_to_trust
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import MAX_UNITS, Plan
from weightkin.evidence.sample import n_embedding_rows, view_places
from weightkin.evidence.token_draws import TOKEN_RUN
from weightkin.evidence.unitmap import is_in_order, match_effect, match_units, no_match
from weightkin.formats.model import Model
from weightkin.records import Skipped
from weightkin.records.evidence import Trusts
from weightkin.records.location import ResidualMap
from weightkin.stats.matching import centred

N_RESIDUAL_TOKENS = 512  # embedding rows that show the residual dimensions
MIN_MATCHED_SHARE = 0.5  # of the dimensions matched for a map to be shown that no p-value supports


def map_residual(
    a: Side, b: Side, plan: Plan, seed: int, log10_alpha: float
) -> tuple[list[ResidualMap], tuple[Skipped, ...]]:
    """Test each residual stream, and say which of A's dimensions B kept. P-values are uncorrected.

    Null hypothesis: given the other model, the labels of one model's residual dimensions are
    uniform: coincidences at equal widths, the order of mutual best matches otherwise.

    Parameters
    ----------
    a, b : Side
        The two models.
    plan : Plan
        How much is read of every axis.
    seed : int
        Of the tests.
    log10_alpha : float
        Log10 of the level.

    Returns
    -------
    list of ResidualMap
        One for each pair of streams that could be tested.
    tuple of Skipped
        What was not tested.
    """
    tester = PairTester(a, b, plan, seed)
    tested = []
    for axis_a, axis_b in pair_axes(a.axes("residual"), b.axes("residual"), {}):
        n_rows = min(n_embedding_rows(a.model, axis_a), n_embedding_rows(b.model, axis_b))
        views = (
            tester.read(axis_a, is_a=True, n_vocabulary=n_rows),
            tester.read(axis_b, is_a=False, n_vocabulary=n_rows),
        )
        found = tester.test(axis_a, axis_b, *views)
        if found:
            tested.append((found, n_rows))
    trusts, why = whom_to_trust(tester.guard_a, tester.guard_b)
    if why is not None and tested:
        tester.note([replace(why, what="residual axes")])
    maps = []
    for t, n in tested:
        is_trusted = trusts is not None and bool(tester.without_ties([t]))
        log10_p = t.evidence.log10_pvalue if is_trusted else 0.0
        axes = _AxisPair(a, b, t.a, t.b)
        maps.append(_residual_map(axes, n, log10_p, trusts, log10_alpha))
    return maps, tuple(tester.skipped.values())


@dataclass(frozen=True, slots=True)
class _AxisPair:
    a: Side
    b: Side
    axis_a: Axis
    axis_b: Axis


def _residual_map(
    pair: _AxisPair, n_rows: int, log10_p: float, trusts: Trusts | None, log10_alpha: float
) -> ResidualMap:
    axis_a, axis_b = pair.axis_a, pair.axis_b
    views_a = _dimension_views(pair.a.model, axis_a, n_rows)
    views_b = _dimension_views(pair.b.model, axis_b, n_rows)
    found = match_units(views_a, views_b, lambda _role: False)
    least = MIN_MATCHED_SHARE * min(axis_a.n_units, axis_b.n_units)
    if log10_p > log10_alpha and len(found.units_a) < least:
        found = no_match()  # unrelated models share a few dimensions by chance
    return ResidualMap(
        stack=axis_a.stack,
        test="coincidences" if axis_a.n_units == axis_b.n_units else "order",
        trusts=trusts or "",
        n_a=axis_a.n_units,
        n_b=axis_b.n_units,
        n_tested=min(axis_a.n_units, axis_b.n_units, MAX_UNITS),
        log10_pvalue=log10_p,
        kept_a=tuple(found.units_a.tolist()),
        kept_b=tuple(found.units_b.tolist()),
        in_order=is_in_order(found),
        effect=match_effect(found),
    )


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
    if n <= N_RESIDUAL_TOKENS:
        return np.arange(n)
    starts = np.linspace(0, n - TOKEN_RUN, N_RESIDUAL_TOKENS // TOKEN_RUN).astype(np.int64)
    return np.unique(starts[:, None] + np.arange(TOKEN_RUN))
