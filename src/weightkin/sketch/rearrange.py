"""Samples of tensors cut, turned and put in order: nothing more is read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.roles import Piece, RoleKey
from weightkin.arrays import Ints
from weightkin.sketch.facts import empty, sketched_tensor
from weightkin.sketch.overlap import common
from weightkin.sketch.types import Sketch, SketchedTensor, matrix_shape

KNOWN = (  # what a part has from the whole
    *("key", "stored_name", "role", "stack", "block", "dtype", "packed"),
    *("rows", "columns", "n_run", "is_cut", "is_turned"),
)
Pieces = Mapping[str, Mapping[RoleKey, Piece]]  # by the stored name of the tensor


def flattened(sketches: list[Sketch]) -> list[Sketch]:
    """Convolutions of 1 x 1 become matrices where another model stores the matrix."""
    shapes: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for sketch in sketches:
        for name, tensor in sketch.tensors.items():
            shapes[name].add(tensor.shape)
    flat = {
        name for name, own in shapes.items() if len(own) == 2 and len(set(map(_flat, own))) == 1
    }
    return [with_changed(x, {n: _as_matrix for n in flat & x.tensors.keys()}) for x in sketches]


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if len(shape) > 2 and set(shape[2:]) == {1} else shape


def _as_matrix(tensor: SketchedTensor) -> SketchedTensor:
    is_flat = _flat(tensor.shape) == tensor.shape
    return tensor if is_flat else _made(tensor, tensor.stored, shape=_flat(tensor.shape))


def in_order(sketch: Sketch, pieces: Pieces, others: Sequence[Sketch]) -> Sketch:
    """Put rows of a tensor in the order in which it is nearest to one of the other models.

    Publishers store the two halves of some matrices in either order; some converters forget it.
    """
    changes: dict[str, Callable[[SketchedTensor], SketchedTensor]] = {}
    for name, tensor in sketch.tensors.items():
        piece = pieces.get(tensor.stored_name, {}).get(tensor.key)
        if piece is None or len(piece.spans) < 2 or tensor.is_cut:
            continue
        moved = cut_part(tensor, tensor.key, piece)
        there = [x.tensors[name] for x in others if name in x.tensors]
        if moved is None or not there:
            continue
        nearest = [max(_likeness(x, y) for y in there) for x in (tensor, moved)]
        if nearest[1] > nearest[0]:
            changes[name] = partial(_instead, other=moved)
    return with_changed(sketch, changes)


def _instead(tensor: SketchedTensor, other: SketchedTensor) -> SketchedTensor:
    return other if other.name == tensor.name else tensor


def _likeness(x: SketchedTensor, y: SketchedTensor) -> float:
    both = common(x, y) if x.shape == y.shape else None
    if both is None or not both.values_a.size:
        return 0.0
    p, q = (np.nan_to_num(v.astype(np.float64)) for v in (both.values_a, both.values_b))
    return float((p * q).sum()) / max(float(np.sqrt((p * p).sum() * (q * q).sum())), 1e-300)


def cut_part(tensor: SketchedTensor, key: RoleKey, piece: Piece) -> SketchedTensor | None:
    """What a sample holds of one part of its tensor; None where it does not tell parts apart."""
    stored, shape, rows, n_run = tensor.stored, tensor.shape, tensor.rows, tensor.n_run
    columns = tensor.columns
    if piece.index is not None and tensor.stored_name == piece.tensor:  # one of stacked experts
        if stored.size != math.prod(shape):
            return None
        shape = shape[1:]
        n_run, n_columns = matrix_shape(shape)
        stored = stored[piece.index].reshape(n_run, n_columns)
        rows, columns = np.arange(n_run), np.arange(n_columns)
    if piece.dim and len(shape) != 2:
        return None
    size = sum(stop - start for start, stop in piece.spans)
    at, new = _inside(columns if piece.dim else rows, piece.spans)
    if piece.dim:
        stored, columns = stored[:, at], new
    else:
        is_scattered = at >= n_run
        order = np.lexsort((new, is_scattered))  # spans may stand in another order than before
        stored, rows, n_run = stored[at[order]], new[order], int((~is_scattered).sum())
    return _made(
        tensor,
        stored,
        key=key,
        role=piece.role,
        shape=tuple(size if d == piece.dim else n for d, n in enumerate(shape)),
        rows=rows,
        columns=columns,
        n_run=n_run,
        is_cut=True,
    )


def _inside(index: Ints, spans: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Positions of the indices that lie in a part, and their numbers there."""
    begins, ends = np.array(spans, dtype=np.int64).T
    before = np.concatenate([[0], np.cumsum(ends - begins)])
    order = np.argsort(begins)
    span = order[np.searchsorted(begins[order], index, side="right") - 1]
    at = np.flatnonzero((index >= begins[span]) & (index < ends[span]))
    return at, index[at] - begins[span[at]] + before[span[at]]


def transposed(tensor: SketchedTensor) -> SketchedTensor:
    """The sample of a matrix with rows as columns: its runs alone, of which both are."""
    order = np.argsort(tensor.rows[: tensor.n_run], kind="stable")
    return _made(
        tensor,
        np.ascontiguousarray(tensor.stored[order].T),
        shape=tensor.shape[::-1],
        rows=tensor.columns,
        columns=tensor.rows[order],
        n_run=len(tensor.columns),
        is_turned=True,
    )


def _made(tensor: SketchedTensor, stored: npt.NDArray[Any], **changed: Any) -> SketchedTensor:
    """A tensor with another sample of the same numbers, and what follows from it."""
    known = {name: getattr(tensor, name) for name in KNOWN} | changed
    none = tensor.rows[:0]
    tail = {"tail_rows": none, "tail_columns": none}
    starts = {"row_starts": (0,), "column_starts": (0,)}
    return sketched_tensor(stored, empty(tensor.dtype), **known | tail | starts)


def with_changed(
    sketch: Sketch, changes: Mapping[str, Callable[[SketchedTensor], SketchedTensor]]
) -> Sketch:
    """The sketch with some tensors changed; the one it was made of is remembered."""
    if not changes:
        return sketch
    tensors = {n: changes[n](t) if n in changes else t for n, t in sketch.tensors.items()}
    return replace(sketch, tensors=tensors, before=sketch.as_stored)
