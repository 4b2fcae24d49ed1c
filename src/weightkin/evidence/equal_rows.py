"""Rows of two embeddings that are equal up to one common factor: no loss makes them so.

A student trained on the hidden states of its teacher comes to share the teacher's residual basis,
so that the residual width alone proves nothing. It does not come to share bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats
from weightkin.catalogue import entries
from weightkin.evidence.block_pairs import pair_axes
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import n_embedding_rows, read_views, view_places
from weightkin.formats.dtypes import NUMPY
from weightkin.stats.matching import usable_rows

MIN_ROWS_EQUAL = 20
MIN_VALUES = 16  # different sizes of entries in a row, that it be no formula and no constant
# How far entries may differ that are equal in all bits that a type resolves: its own rounding and
# that of the factor, and in 32 bits that of a decay applied many times.
RESOLUTION = {"F64": 2.0**-18, "F32": 2.0**-18, "F16": 2.0**-10, "BF16": 2.0**-7}
LEAST_SPREAD = 0.01  # of gains, in parts of their median
ROUNDED_TO = ("F16", "BF16")  # before they were stored in a wider type


def has_equal_rows(a: Side, b: Side, plan: Plan, stack: str) -> bool:
    """Whether at least 20 rows of a residual axis are equal up to one factor in both models.

    Rows are those of tokens, positions or pixels in the sample. Rows that are zero, alike within
    a model up to a factor, or of few different values (constants, single entries, signs) do not
    count.

    Parameters
    ----------
    a, b : Side
        The two models.
    plan : Plan
        How much is read.
    stack : str
        Stack of the residual axis.

    Returns
    -------
    bool
        Whether there are so many. A fact, without a p-value.
    """
    axes = [[x for x in side.axes("residual") if x.stack == stack] for side in (a, b)]
    for axis_a, axis_b in pair_axes(axes[0], axes[1], {}):
        for x, y, resolution in _tables(a, b, plan, axis_a, axis_b):
            if n_equal(x, y, resolution) >= MIN_ROWS_EQUAL:
                return True
    return False


def is_basis_fixed(side: Side, stack: str) -> bool:
    """Whether a stream goes through gains that differ: no rotation leaves such a network alone.

    Elsewhere the units of a stream can be brought into the order of another model's, and rows of
    tokens that nobody uses be overwritten, without any change of what a model does.
    """
    entry = entries().get(side.anatomy.family)
    ends = tuple(f"{name}.weight" for name in entry.norms.on_stream) if entry else ()
    places = [p for axis in side.axes("residual") if axis.stack == stack for p in axis.places]
    gains = {p.tensor for p in places if p.tensor.endswith(ends)} if ends else set()
    return bool(gains) and all(_differ(side.model.rows(name, slice(None))) for name in gains)


def _differ(gains: Floats) -> bool:
    middle = float(np.median(np.abs(gains)))
    return bool(np.isfinite(gains).all() and np.std(gains) > LEAST_SPREAD * middle)


def n_equal(x: Floats, y: Floats, resolution: Floats | float) -> int:
    """Rows of y that are one common multiple of those of x.

    Parameters
    ----------
    x, y : ndarray
        ``(n_rows, n_features)``, rows of one token each.
    resolution : float or ndarray
        Largest relative difference of equal entries, ``(n_rows,)`` or one for all.

    Returns
    -------
    int
        Number of rows of the most common factor; rows of few different values do not count.
    """
    kept = np.flatnonzero(usable_rows(x) & usable_rows(y))
    least = min(MIN_VALUES, x.shape[1] // 2)
    kept = np.array([i for i in kept if len(np.unique(np.abs(x[i]))) >= least], dtype=np.int64)
    if not len(kept) or x.shape[1] < 2:
        return 0
    fine = np.broadcast_to(resolution, len(x))[kept, None]
    x, y = x[kept].astype(np.float64), y[kept].astype(np.float64)
    ratios = np.einsum("ij,ij->i", x, y) / np.einsum("ij,ij->i", x, x)
    most = 0
    for factor in (1.0, float(np.median(ratios)), *_commonest(ratios)):
        off = np.abs(y - factor * x)
        is_equal = (off <= fine * np.abs(factor * x) + np.finfo(np.float32).tiny).all(axis=1)
        most = max(most, int(is_equal.sum()) if factor else 0)
    return most


def _commonest(ratios: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Iterator[float]:
    """The middle of the densest run of ratios: unused rows share theirs, others do not."""
    if len(ratios) >= MIN_ROWS_EQUAL:
        ordered = np.sort(ratios)
        widths = ordered[MIN_ROWS_EQUAL - 1 :] - ordered[: len(ordered) - MIN_ROWS_EQUAL + 1]
        yield float(ordered[int(widths.argmin()) + MIN_ROWS_EQUAL // 2])


def _tables(
    a: Side, b: Side, plan: Plan, axis_a: Axis, axis_b: Axis
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Tables of equal shape, one row a token, position or pixel, and what each row resolves."""
    if axis_a.n_units != axis_b.n_units or axis_a.kind != "residual":
        return
    n_rows = min(n_embedding_rows(a.model, axis_a), n_embedding_rows(b.model, axis_b))
    run = Run(0, axis_a.n_units)
    views = [
        read_views(side.model, axis, plan, n_rows, run)[0]
        for side, axis in ((a, axis_a), (b, axis_b))
    ]
    for place_a in view_places(a.model, axis_a):
        role, x = place_a.role, views[0].get(place_a.role)
        y = views[1].get(role)
        place_b = next((p for p in view_places(b.model, axis_b) if p.role == role), None)
        if x is None or y is None or place_b is None or x.shape != y.shape:
            continue
        infos = a.model.tensors[place_a.tensor], b.model.tensors[place_b.tensor]
        if all(info.dtype in RESOLUTION and not info.packed for info in infos):
            found = [_resolution(i.dtype, v.T) for i, v in zip(infos, (x, y), strict=True)]
            yield x.T, y.T, np.maximum(*found)


def _resolution(dtype: str, rows: Floats) -> Floats:
    """What the type of each row resolves, or a narrower one that its values were rounded to."""
    found = np.full(len(rows), RESOLUTION[dtype], dtype=np.float32)
    for name in ROUNDED_TO:
        with np.errstate(over="ignore"):
            is_rounded = rows.astype(NUMPY[name]).astype(np.float32) == rows
        own = np.where(is_rounded.all(axis=1), np.float32(RESOLUTION[name]), np.float32(0.0))
        found = np.maximum(found, own)
    return found
