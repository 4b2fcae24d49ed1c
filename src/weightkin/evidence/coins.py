"""Rows whose signs are coins; which units of one model share a coin: clones, copied heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats, Ints
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Run
from weightkin.evidence.sample import view_places
from weightkin.evidence.signpairs import is_wanted
from weightkin.evidence.standing_out import MIN_COSINE_GATE
from weightkin.evidence.views import UNITS_AT_ONCE, TokenRows, token_views, unit_rows_of
from weightkin.evidence.windows import cut_windows, largest_window
from weightkin.stats.copies import Groups, copied_runs, copied_units, groups_of, narrowed

# Cosines from which two units of one model share a coin. Units of trained models that are no clones
# reach .60 on gate and up together, .81 on V rows (docs/methods.md).
MIN_COSINE_COIN = 0.65
MIN_COSINE_VALUE = 0.85


def coin_sets(axis: Axis, views: Views, units: Ints) -> Groups:
    """Group some units of one model by the coin that they share.

    Blind to signs: up and V rows count by absolute cosine. V rows share a coin also where the
    windows they stand in are copies of each other, row by row.

    Parameters
    ----------
    axis : Axis
        Units of a gated MLP, or V/O dimensions.
    views : dict of str to ndarray
        Rows of all units that were read, ``(n_units, n_features)``.
    units : ndarray of int
        ``(n,)``, the units to group.

    Returns
    -------
    tuple of int
        ``(n,)``: the number of the first unit that shares its coin.
    """
    here = {role: rows[units] for role, rows in views.items()}
    if axis.kind in ("vo", "qk"):
        roles = [role for role in ("attn.v", "attn.q", "attn.k") if role in here]
        clones = copied_units(here, dict.fromkeys(roles, MIN_COSINE_VALUE))
        size = largest_window(axis.head_size)
        windows = copied_runs(list(cut_windows(views, size)), is_sign_blind=True)
        windows = (*windows, len(windows))  # rows behind the last whole window
        places = [(windows[u // size], u % size) for u in units.tolist()]
        first = {place: i for i, place in reversed(list(enumerate(places)))}
        others = tuple(first[place] for place in places)
    else:
        readers = [role for role in ("mlp.gate", "mlp.up") if role in here]
        clones = copied_units(
            here, {role: MIN_COSINE_COIN for role in readers}, signed=("mlp.gate",)
        )
        gates = [role for role in readers if role == "mlp.gate"]
        others = copied_units(here, {role: MIN_COSINE_GATE for role in gates}, signed=gates)
    edges = [(i, first) for sets in (clones, others) for i, first in enumerate(sets)]
    return groups_of(len(units), edges)


def weights_of(side: Side, axis: Axis, run: Run) -> list[Views]:
    """Weights of some units of an axis, in few features, piece by piece.

    Parameters
    ----------
    side : Side
        The model.
    axis : Axis
        Units of a gated MLP, or V/O dimensions.
    run : Run
        Which units.

    Returns
    -------
    list of dict
        Role to ``(n, n_features)``, for at most 2048 units each.
    """
    stop = min(run.start + run.n, axis.n_units)
    steps = range(run.start, stop, UNITS_AT_ONCE)
    return [
        narrowed_views(unit_features(side, axis, at, min(at + UNITS_AT_ONCE, stop), None))
        for at in steps
    ]


def narrowed_views(views: Views) -> Views:
    """Rows of what clones are told by, in few features."""
    return {role: narrowed(x) for role, x in views.items() if role != "attn.o"}


def joined(pieces: Sequence[Views]) -> Views:
    """Pieces of views one after the other."""
    everywhere = [role for role in pieces[0] if all(role in piece for piece in pieces)]
    return {role: np.concatenate([piece[role] for piece in pieces]) for role in everywhere}


def unit_features(
    side: Side, axis: Axis, start: int, stop: int, frame: TokenRows | None
) -> dict[str, Floats]:
    """Rows of some units of one axis, role by role: as weights, or through tokens.

    Parameters
    ----------
    side : Side
        The model.
    axis : Axis
        Units of a gated MLP, or V/O dimensions.
    start, stop : int
        Units from ``start`` on, before ``stop``.
    frame : TokenRows or None
        Tokens that they are seen through; None: the weights.

    Returns
    -------
    dict of str to ndarray
        Role to ``(n, width)`` or ``(n, n_tokens)``; places that are too large or not finite are
        missing.
    """
    stop = min(stop, axis.n_units)
    if frame is not None:
        views = token_views(side.model, axis, frame, stop, start)
        return {role: view for role, view in views.items() if role != "mlp.down"}
    found: dict[str, Floats] = {}
    for place in view_places(side.model, axis):
        if is_wanted(place):
            rows = unit_rows_of(side.model, place, start, stop)
            if rows is not None and np.isfinite(rows).all():
                found[place.role] = rows
    return found
