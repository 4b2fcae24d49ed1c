"""A few units from all along an axis: a run of neighbours hides that all units are sorted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import tested_axes
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import n_sampled, read_places, read_sample, read_views
from weightkin.formats.model import Model

N_RUNS, LENGTH = 4, 8  # runs of units, and units of each


def read_spread(model: Model, axis: Axis, plan: Plan) -> Views:
    """Read some units all along an axis, in their order; only the guard looks at them.

    Parameters
    ----------
    model : Model
        The model.
    axis : Axis
        The axis.
    plan : Plan
        How much is read.

    Returns
    -------
    dict of str to ndarray
        One view under a name of its own, ``(32, n_features)``; empty where the sample holds all
        units, or where any order is allowed inside cells alone.
    """
    place = _place(model, axis, plan)
    if place is None:
        return {}
    alone = replace(axis, places=(place,))
    starts = np.linspace(0, axis.n_units - LENGTH, N_RUNS).astype(int).tolist()
    pieces = [read_views(model, alone, plan, run=Run(start, LENGTH))[0] for start in starts]
    if not all(pieces):
        return {}
    return {f"spread {place.role}": np.concatenate([x[place.role] for x in pieces])}


def rehearse(model: Model, anatomy: Anatomy, plan: Plan, n_vocabulary: int) -> None:
    """Read all that the aligned tests and their guard look at, and drop it."""
    read_sample(model, anatomy, plan, n_vocabulary)
    for axis in tested_axes(anatomy):
        read_spread(model, axis, plan)


def _place(model: Model, axis: Axis, plan: Plan) -> Place | None:
    """The first view of units that is no view from a graph, where units are drawn."""
    if plan.draws is None or axis.kind != "units" or axis.head_size:
        return None
    if n_sampled(axis, plan) >= axis.n_units:
        return None
    return next((p for p in read_places(model, axis, plan) if not is_view(p)), None)
