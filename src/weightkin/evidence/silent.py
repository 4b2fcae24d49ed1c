"""Units that write nothing: they may hold anything, and are left out of every test."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Run
from weightkin.formats.model import Model

MIN_SHARE_OF_MEDIAN = 1e-3  # of the median out-column, under which a unit counts as unused
WRITERS = ("mlp.down", "attn.o", "conv.in")
N_ROWS = 64  # whole rows read of a matrix whose columns are the units
MAX_WHOLE_BYTES = 1 << 24  # of a matrix whose rows are the units, which is read whole
MAX_CHANCE = 1e-4  # that the few entries read of a sparse column are zero all the same


def silent_units(model: Model, axis: Axis, views: Views, run: Run) -> Ints:
    """Units of an axis whose out-column, as the views show it, is next to nothing.

    A property of one model that does not depend on labels, nor on any unit's sign or place. Where a
    graph says where units stand, what they read counts as well: a unit that reads nothing is
    constant.

    Parameters
    ----------
    model : Model
        The model.
    axis : Axis
        The axis.
    views : dict of str to ndarray
        Role to ``(n, n_features)``.
    run : Run
        Which units these are.

    Returns
    -------
    ndarray of int
        Numbers of the units within the run; none where out-columns are not seen.
    """
    if any(map(is_view, axis.places)):
        n = max((len(x) for x in views.values()), default=0)
        quiet = [_next_to_nothing(x) for x in views.values() if len(x) == n]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *quiet]))
    column = next((views[role] for role in WRITERS if role in views), None)
    if column is None and axis.kind == "units" and not _writers(axis, ("mlp.down",)):
        whole = silent_of_all(model, axis) - run.start  # channels: what the next one reads of them
        return whole[(whole >= 0) & (whole < run.n)]
    return np.zeros(0, np.int64) if column is None else _next_to_nothing(column)


def silent_of_all(model: Model, axis: Axis) -> Ints:
    """Unused units among all units of an axis, by a few rows of its out-matrix."""
    column = out_columns(model, axis)
    return np.zeros(0, np.int64) if column is None else _next_to_nothing(column)


def out_columns(model: Model, axis: Axis) -> Floats | None:
    """What every unit writes, in a few coordinates: ``(n_units, n_coordinates)``; None if unseen.

    A V/O dimension writes through all query heads that read it.
    """
    for place in _writers(axis, WRITERS):
        info = model.tensors[place.tensor]
        if place.index is not None or len(info.shape) < 2:
            continue
        if place.dim == 0:
            if info.n_bytes > MAX_WHOLE_BYTES:
                continue
            rows = model.rows(place.tensor, slice(place.start, place.start + place.size))
            columns = rows.reshape(len(rows), -1)
        else:
            rows = model.rows(place.tensor, slice(0, N_ROWS))
            cut = rows.reshape(*rows.shape[:2], -1)[:, place.start : place.start + place.size]
            columns = cut.transpose(1, 0, 2).reshape(cut.shape[1], -1)
        size = axis.head_size or len(columns)
        per_head = columns.reshape(-1, place.repeat, size, columns.shape[1]).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(per_head.reshape(len(columns) // place.repeat, -1))
    return None


def _writers(axis: Axis, roles: tuple[str, ...]) -> list[Place]:
    return [place for place in axis.places if place.role in roles]


def _next_to_nothing(column: Floats) -> Ints:
    if not np.isfinite(column).all():
        return np.zeros(0, np.int64)
    size = np.sqrt(np.einsum("ij,ij->i", column, column, dtype=np.float64))
    used = size > 0
    if not used.any():
        return np.zeros(0, np.int64)
    chance = float((column[used] == 0).mean()) ** column.shape[1]
    if chance > MAX_CHANCE:  # too few coordinates of a sparse matrix
        return np.zeros(0, np.int64)
    return np.flatnonzero(size <= MIN_SHARE_OF_MEDIAN * np.median(size[used]))
