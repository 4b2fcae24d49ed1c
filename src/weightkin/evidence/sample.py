"""Which rows of which tensors are read: fixed by the shapes of the two models before reading any.

A view is one tensor seen from one axis: one row a unit. Where units are rows, a run of whole rows
is read; where they are columns, a few whole rows are read and turned, so that every unit is seen in
a few coordinates of the other dimension. Where a run starts is drawn (`evidence.draws`); of
sketches, and wherever nothing is drawn, it is the first unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import STREAM_VIEWS, tested_axes
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Floats
from weightkin.evidence.plan import MAX_UNITS, MIN_UNITS, SHARES, Plan, Run
from weightkin.evidence.submatrix import n_features, read_view, view_cost
from weightkin.evidence.token_draws import token_runs
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Model, Rows
from weightkin.records import Skipped, left_out
from weightkin.sketch.stand_in import sketch_behind

SHARE_OF_BYTES, MIN_BYTES = 0.006, 16 << 20
FEW_FEATURES = 16  # of a view, which is read only where there is no better one

TABLES = ("embed", "unembed")  # of tokens
VIEW_ROLES = {
    "units": ("mlp.gate", "mlp.up", "mlp.in0", "mlp.in1", "mlp.down", "conv"),
    "vo": ("attn.v", "attn.o"),
    "heads": ("attn.o",),
    "qk": ("attn.q", "attn.k"),
    "residual": STREAM_VIEWS,
}


def n_sampled(axis: Axis, plan: Plan) -> int:
    """How many units of an axis the sample holds."""
    most = {"vo": plan.n_head_rows, "residual": MAX_UNITS, "heads": axis.n_units}
    n_units = plan.n_units
    if any(map(is_view, axis.places)):
        n_units = min(n_units, plan.share.n_units)
    return min(most.get(axis.kind, n_units), axis.n_units)


def run_of(axis: Axis, plan: Plan) -> Run:
    """Units of an axis that the sample holds, and where they start."""
    return start_of(axis, plan, n_sampled(axis, plan))


def start_of(axis: Axis, plan: Plan, n: int) -> Run:
    """The first run of about n units of an axis: where the draw says."""
    if plan.draws is None or n >= axis.n_units:
        return Run(0, n)
    return plan.draws.first(axis, n)


def make_plan(a: tuple[Model, Anatomy], b: tuple[Model, Anatomy]) -> Plan:
    """Return the largest sample that keeps both models under their byte budget.

    The budget is 0.6 % of a model's bytes or 16 MiB, whichever is more; the sample is a power of
    two between 64 and 1024 units a block. Only shapes enter. Of two sketches all rows are used.
    Where even the smallest is too much, less is read of axes that come from a graph.
    """
    held = [sketch for model, _ in (a, b) if (sketch := sketch_behind(model)) is not None]
    if held:
        return Plan(n_units=min(sketch.scheme.n_rows or MAX_UNITS for sketch in held))
    plans = [_largest_sample(*side) for side in (a, b)]
    return Plan(min(plan.n_units for plan in plans), max(plan.thrift for plan in plans))


def read_views(
    model: Model, axis: Axis, plan: Plan, n_vocabulary: int = 0, run: Run | None = None
) -> tuple[dict[str, Floats], list[Skipped]]:
    """Read the views of one axis: role to matrix, one row a unit; and what had to be left out.

    Parameters
    ----------
    model : Model
        The model.
    axis : Axis
        The axis.
    plan : Plan
        How much is read.
    n_vocabulary : int
        Embedding rows that the two models can be compared on.
    run : Run, optional
        Other units than those of the sample.

    Returns
    -------
    tuple
        Role to ``(n_units, n_features)``, float32; and a reason for each tensor that is zero or not
        finite.
    """
    run = run or run_of(axis, plan)
    views: dict[str, Floats] = {}
    problems = []
    for place in read_places(model, axis, plan):
        view = (
            read_view(model, axis, place, plan, run)
            if is_view(place)
            else _read_place(model, axis, place, plan, n_vocabulary, run)
        )
        if view.size and not np.isfinite(view).all():
            problems.append(left_out(place.tensor, "non-finite-rows"))
        elif view.size and not view.any():
            problems.append(left_out(place.tensor, "zero-rows"))
        elif view.size:
            views[place.role] = view
    return views, problems


def read_sample(model: Model, anatomy: Anatomy, plan: Plan, n_vocabulary: int) -> None:
    """Read all views that the aligned tests look at, and drop them: to rehearse it.

    Parameters
    ----------
    model : Model
        The model.
    anatomy : Anatomy
        Its anatomy.
    plan : Plan
        How much is read.
    n_vocabulary : int
        Embedding rows that the two models can be compared on.
    """
    for axis in tested_axes(anatomy):
        read_views(model, axis, plan, n_vocabulary if axis.kind == "residual" else 0)


def n_shared_rows(a: tuple[Model, Anatomy], b: tuple[Model, Anatomy]) -> int:
    """Embedding rows that two models can be compared on; 0 when there are none."""
    tables = [
        n_embedding_rows(model, axis)
        for model, anatomy in (a, b)
        for axis in anatomy.axes
        if axis.kind == "residual"
    ]
    return min((n for n in tables if n), default=0)


def is_part(a: tuple[Model, Anatomy], b: tuple[Model, Anatomy], plan: Plan) -> bool:
    """Whether the sample is less than the tested axes, and the tables along them, of two models."""
    n_vocabulary = n_shared_rows(a, b)
    return any(
        axis.n_units > n_sampled(axis, plan)
        or _n_token_rows(model, axis, n_vocabulary) > plan.n_tokens
        for model, anatomy in (a, b)
        for axis in tested_axes(anatomy)
    )


def view_places(model: Model, axis: Axis) -> Iterator[Place]:
    """Places of an axis that can be looked at: matrices in a role that carries units."""
    seen = set()
    for place in axis.places:
        is_matrix = len(_matrix_shape(model, place)) >= 2
        is_known = place.role in VIEW_ROLES[axis.kind] or (axis.kind == "units" and is_view(place))
        if is_known and is_matrix and place.role not in seen:
            seen.add(place.role)
            yield place


def read_places(model: Model, axis: Axis, plan: Plan) -> list[Place]:
    """Those of `view_places` that are read; of views that come from a graph, the cheapest.

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
    list of Place
        In the order of the axis.
    """
    places = list(view_places(model, axis))
    views = [place for place in places if is_view(place)]
    n = min(axis.n_units, plan.n_units)

    def worth(place: Place) -> tuple[bool, int]:
        return n_features(model, place) < FEW_FEATURES, view_cost(model, axis, place, plan, n)

    if len(views) > plan.share.n_views:
        kept = sorted(views, key=worth)[: plan.share.n_views]
        places = [place for place in places if place in kept or not is_view(place)]
    return places


def n_embedding_rows(model: Model, axis: Axis) -> int:
    """Rows of the smallest token table on a residual axis; 0 when there is none."""
    tables = [p for p in view_places(model, axis) if p.role in TABLES and p.dim == 1]
    return min((model.tensors[p.tensor].shape[0] for p in tables), default=0)


def _read_place(
    model: Model, axis: Axis, place: Place, plan: Plan, n_vocabulary: int, run: Run
) -> Floats:
    n_rows = _matrix_shape(model, place)[0]
    units = slice(place.start + run.start, place.start + run.start + run.n)
    if axis.kind == "residual" and place.dim > 0:
        is_table = place.role in TABLES
        tokens = token_runs(min(n_rows, n_vocabulary) if is_table else n_rows, plan)
        return _flat(np.moveaxis(_rows(model, place, tokens), place.dim, 0)[units])
    if place.dim == 0:
        return _flat(_rows(model, place, units))
    rows = _rows(
        model, place, slice(0, min(plan.n_coordinates, n_rows))
    )  # (n_coordinates, columns)
    if axis.kind == "units":
        return np.ascontiguousarray(rows[:, units].T)
    columns = rows[:, place.start : place.start + place.size]
    per_head = columns.reshape(len(rows), -1, place.repeat, axis.head_size)
    if axis.kind == "heads":  # a head is everything its columns do
        return _flat(per_head.transpose(1, 0, 2, 3))
    dims = per_head.transpose(1, 3, 0, 2).reshape(per_head.shape[1] * axis.head_size, -1)
    return np.ascontiguousarray(dims[run.start : run.start + run.n])


def _n_token_rows(model: Model, axis: Axis, n_vocabulary: int) -> int:
    """Rows of the longest table through which dimensions of a stream are seen."""
    if axis.kind != "residual":
        return 0
    sizes = [
        (p.role in TABLES, _matrix_shape(model, p)[0]) for p in view_places(model, axis) if p.dim
    ]
    return max((min(n, n_vocabulary) if is_table else n for is_table, n in sizes), default=0)


def _matrix_shape(model: Model, place: Place) -> tuple[int, ...]:
    shape = model.tensors[place.tensor].shape
    return shape if place.index is None else shape[1:]


def _rows(model: Model, place: Place, rows: Rows) -> Floats:
    """Rows of the matrix of a place; of one expert where a tensor stacks them all."""
    if place.index is None:
        return model.rows(place.tensor, rows)
    shape = _matrix_shape(model, place)
    width = math.prod(shape[1:])
    wanted = range(shape[0])[rows] if isinstance(rows, slice) else rows
    first, last = int(wanted[0]), int(wanted[-1]) + 1
    start = (place.index * shape[0] + first) * width
    stop = start + (last - first) * width
    block = to_float32(model.storage.read(place.tensor, start, stop))
    block = block.reshape(last - first, *shape[1:])
    return block if isinstance(rows, slice) else block[np.asarray(rows) - first]


def _flat(rows: Floats) -> Floats:
    return np.ascontiguousarray(rows.reshape(len(rows), -1))


def _largest_sample(model: Model, anatomy: Anatomy) -> Plan:
    budget = max(MIN_BYTES, SHARE_OF_BYTES * model.n_bytes)
    axes = tested_axes(anatomy)
    plan = Plan(MAX_UNITS)
    while sum(_cost(model, axis, plan) for axis in axes) > budget:
        if plan.n_units > MIN_UNITS:
            plan = replace(plan, n_units=plan.n_units // 2)
        elif plan.thrift < len(SHARES) - 1 and any(is_view(p) for x in axes for p in x.places):
            plan = replace(plan, thrift=plan.thrift + 1)
        else:
            break
    return plan


def _cost(model: Model, axis: Axis, plan: Plan) -> int:
    """Bytes that one axis costs under a plan."""
    total = 0
    for place in read_places(model, axis, plan):
        info = model.tensors[place.tensor]
        shape = _matrix_shape(model, place)
        row_bytes = info.n_bytes // max(1, math.prod(info.shape)) * math.prod(shape[1:])
        if is_view(place):
            total += view_cost(model, axis, place, plan, n_sampled(axis, plan))
        elif axis.kind == "residual" and place.dim > 0:
            total += min(plan.n_tokens, shape[0]) * row_bytes
        elif place.dim == 0:
            total += min(plan.n_units, axis.n_units) * row_bytes
        else:
            total += min(plan.n_coordinates, shape[0]) * row_bytes
    return total
