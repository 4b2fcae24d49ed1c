"""Views of units wherever they stand: along any dimension, in runs, several times, in any tensor.

Of long rows the first entries are read. Where units are no rows, of a few rows the entries at the
units are read. Either way a unit is seen in at most so many features, in an order that is the same
for all units and in all models of one layout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.positions import n_copies, n_held, positions
from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.plan import Plan, Run
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Model

MAX_COPIES = 16  # entries of a unit along its dimension that are looked at
LONG_ROW = 256  # entries behind each of a unit's, from which these are rows, whatever is before
MIN_COORDINATES = 64  # features of a unit that is no row, as far as there are any
PAGE = 4096  # bytes that a short piece costs at least


@dataclass(frozen=True, slots=True)
class _Part:
    """What is read of a tensor, seen as a matrix of so many columns."""

    width: int
    rows: Ints  # ascending
    first: int  # column
    stop: int


def read_view(model: Model, axis: Axis, place: Place, plan: Plan, run: Run) -> Floats:
    """Read one view: a row for each unit of a run.

    Parameters
    ----------
    model : Model
        The model.
    axis : Axis
        Units.
    place : Place
        A view of them.
    plan : Plan
        How much is read.
    run : Run
        Which units.

    Returns
    -------
    ndarray
        ``(n_units, n_features)``; fewer units where the place ends before the run does.
    """
    n = min(run.n, n_held(axis, place) - run.start)
    at = positions(axis, place, run.start, max(0, n))[:, :MAX_COPIES]  # (n, copies)
    if not at.size:
        return np.zeros((0, 0), dtype=np.float32)
    shape = shape_of(model, place)
    if _is_row(shape, place):
        part = _rows(shape, place, plan, at)
        read = _read(model, place, part)  # (n_rows, n_columns)
        return np.ascontiguousarray(read[np.searchsorted(part.rows, at)].reshape(len(at), -1))
    part = _columns(shape, place, plan, at)
    after = math.prod(shape[place.dim + 1 :])
    is_single = place.dim == 1
    size = (part.stop - part.first) // after if is_single else shape[place.dim]
    entries = _read(model, place, part).reshape(len(part.rows), -1, size, after)
    own = entries[:, :, at - part.first // after if is_single else at]  # (m, before, n, c, after)
    return np.ascontiguousarray(own.transpose(2, 3, 0, 1, 4).reshape(len(at), -1))


def view_cost(model: Model, axis: Axis, place: Place, plan: Plan, n_units: int) -> int:
    """Bytes that one view costs, short pieces by their pages.

    Parameters
    ----------
    model : Model
        The model.
    axis : Axis
        Units.
    place : Place
        A view of them.
    plan : Plan
        How much is read.
    n_units : int
        Units that are read.

    Returns
    -------
    int
        Bytes.
    """
    info, shape = model.tensors[place.tensor], shape_of(model, place)
    item = info.n_bytes / max(1, math.prod(info.shape))
    n, copies = min(n_units, n_held(axis, place)), min(n_copies(place), MAX_COPIES)
    if _is_row(shape, place):
        n_rows, width = n * copies, math.prod(shape[place.dim + 1 :])
        piece = _row_length(shape, place, plan, copies)
    else:
        ends = positions(axis, place, 0, n)[[0, -1]] if n else np.zeros((1, 1), np.int64)
        part = _columns(shape, place, plan, ends[:, :MAX_COPIES])
        n_rows, width, piece = part.rows.size, part.width, part.stop - part.first
    return math.ceil(n_rows * min(width * item, piece * item + PAGE))


def n_features(model: Model, place: Place) -> int:
    """Entries of a tensor that belong to one unit of a place."""
    shape = shape_of(model, place)
    return math.prod(shape) // max(1, shape[place.dim]) * n_copies(place)


def shape_of(model: Model, place: Place) -> tuple[int, ...]:
    """Shape of the tensor of a place; of one expert where it stacks them all."""
    shape = model.tensors[place.tensor].shape
    return shape if place.index is None else shape[1:]


def _is_row(shape: tuple[int, ...], place: Place) -> bool:
    return place.dim == 0 or math.prod(shape[place.dim + 1 :]) >= LONG_ROW


def _rows(shape: tuple[int, ...], place: Place, plan: Plan, at: Ints) -> _Part:
    """Rows of the units, of the first index of all dimensions before."""
    width = math.prod(shape[place.dim + 1 :])
    return _Part(width, np.unique(at), 0, _row_length(shape, place, plan, at.shape[1]))


def _row_length(shape: tuple[int, ...], place: Place, plan: Plan, copies: int) -> int:
    """How much is read of each row: whole kernels."""
    width, taps = (math.prod(shape[place.dim + i :]) for i in (1, 2))
    most = max(1, plan.share.n_features // copies)
    return min(width, max(taps, most // taps * taps))


def _columns(shape: tuple[int, ...], place: Place, plan: Plan, at: Ints) -> _Part:
    """A few rows, as far as the units stand in them."""
    width, after = math.prod(shape[1:]), math.prod(shape[place.dim + 1 :])
    before = math.prod(shape[1 : place.dim])
    most = max(1, plan.share.n_features // (at.shape[1] * after))  # pairs of a row and one before
    if place.dim == 1:
        least = -(-MIN_COORDINATES // (at.shape[1] * after))
        rows = np.arange(min(shape[0], most, max(plan.n_coordinates, least)))
        return _Part(width, rows, int(at.min()) * after, (int(at.max()) + 1) * after)
    rows = np.arange(min(shape[0], max(1, most // before)))
    return _Part(width, rows, 0, min(before, most) * shape[place.dim] * after)


def _read(model: Model, place: Place, part: _Part) -> Floats:
    """Some columns of some rows."""
    offset = 0 if place.index is None else place.index * math.prod(shape_of(model, place))
    begins = part.rows * part.width + offset
    if part.stop - part.first == part.width:  # whole rows: neighbours are one piece
        breaks = np.flatnonzero(np.diff(part.rows) != 1)
        first = begins[np.concatenate(([0], breaks + 1))]
        stop = begins[np.concatenate((breaks, [len(begins) - 1]))] + part.width
    else:
        first, stop = begins + part.first, begins + part.stop
    spans = list(zip(first.tolist(), stop.tolist(), strict=True))
    raw = to_float32(model.storage.read_runs(place.tensor, spans))
    return raw.reshape(len(part.rows), part.stop - part.first)
