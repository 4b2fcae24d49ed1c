"""The opposite attack: make an innocent model look like a reference without changing its function.

Whoever may relabel a model may do so with the reference in hand. Its labels then depend on the
reference, and every test that takes them as random is void; what framing cannot forge is how alike
matched units are. These functions say how far it gets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import scipy

from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.catalogue import entries
from weightkin.errors import UsageError
from weightkin.evasions.attention import change_values
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Ints,
    Rewritten,
    Wide,
    along,
    by_labels,
    finish,
    movable_units,
    relabel,
    reorder,
    units_along,
    widen,
)
from weightkin.evasions.residual import centred_basis, fixing_ones, untied
from weightkin.evasions.stream import TABLES, Stream, open_stream, turn
from weightkin.evasions.units import multiply_units
from weightkin.stats.matching import unit_rows

_LABELLED = (*TABLES, "unembed", "head")  # both models share their rows: tokens, patches, classes
_MATCHED = ("mlp.gate", "mlp.up", "mlp.gate_up", "mlp.down", "attn.v", "attn.o")


def frame(
    innocent: Arrays,
    anatomy: Anatomy,
    reference: Arrays,
    *,
    rounds: int = 3,
    with_rotation: bool = True,
    blocks: Collection[int] | None = None,
    views: Collection[str] = (),
) -> Rewritten:
    """Line an innocent model up with a reference of the same shape as well as symmetry allows.

    Each round first moves the residual stream to agree with the reference: in round one on the
    tables and heads whose rows both models share, later also on all matrices that units or values
    index. It then assigns units to the reference's units by the sum of the cosines of their views,
    in every block; units of gated MLPs get the signs that agree. Heads and experts stay where they
    are.

    Preserves the function of ``innocent``, under the conditions of `permute_residual`, or of
    `rotate_residual` with rotation. Deterministic: nothing is drawn.

    Parameters
    ----------
    innocent : mapping of str to ndarray
        Tensors of the model that is moved.
    anatomy : Anatomy
        Where the axes of both lie.
    reference : mapping of str to ndarray
        Tensors of the model to agree with: equal names and shapes.
    rounds : int
        At least 1.
    with_rotation : bool
        Turn the stream by orthogonal Procrustes, give the norms the reference's own gains, and turn
        V/O of each head by Procrustes too. Without, stream and value dimensions are only permuted
        (by assignment), the latter with signs; this soon reaches a fixed point.
    blocks : collection of int, optional
        Fit the stream to the MLPs of these blocks alone, which then agree more and the others less.
    views : collection of str
        Fit stream and units to matrices of these roles alone (``mlp.gate``, ``attn.v``): the fewer
        rows one rotation has to serve, the more they agree. All, and the tables, without.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        ``rounds`` is under 1, the model has none of ``blocks``, shapes differ, or a symmetry is not
        known.
    """
    if rounds < 1:
        raise UsageError(f"rounds must be at least 1, not {rounds}")
    if blocks is not None and not set(blocks) & {axis.block for axis in anatomy.axes}:
        raise UsageError(f"blocks {sorted(blocks)} to fit: the model has none of them")
    _check_shapes(innocent, reference)
    wide, target = widen(innocent), widen(reference)
    stream, vectors = None, {}
    if with_rotation:
        stream = open_stream(wide, anatomy)
        vectors = _norm_vectors(target, open_stream(target, anatomy))
        for arrays in (wide, target):
            turn(arrays, stream, np.eye(stream.width), _plain_vectors(stream), 0.0)
    for n in range(rounds):
        used = _fitted(anatomy, n, blocks, views)
        if stream is not None and used:
            _turn_stream(wide, target, stream, used)
        elif used:
            _permute_stream(wide, target, anatomy, used)
        for axis, places in by_labels(movable_units(anatomy)):
            _match_units(wide, target, axis, places, views)
        for axis in (a for a in anatomy.axes if a.kind == "vo"):
            _match_values(wide, target, axis, with_rotation=with_rotation)
    if stream is None:
        return finish(wide, "frame")
    turn(wide, stream, np.eye(stream.width), vectors, 0.0)
    return finish(wide, "frame", **untied(stream))


def _check_shapes(innocent: Arrays, reference: Arrays) -> None:
    for name in sorted(innocent.keys() | reference.keys()):
        a = innocent[name].shape if name in innocent else None
        b = reference[name].shape if name in reference else None
        if a != b:
            raise UsageError(f"{name}: the models have the shapes {a} and {b}, not the same")


def _norm_vectors(target: Wide, stream: Stream) -> dict[str, Floats]:
    """Gains and biases of the reference's norms, for the innocent to wear."""
    vectors = {}
    for norm in stream.norms:
        vectors[norm.gain] = target[norm.gain].copy()
        if not vectors[norm.gain].all():
            raise UsageError(f"{norm.gain}: the reference has a zero gain, which cannot be worn")
        if norm.bias is not None:
            vectors[norm.bias] = target[norm.bias].copy()
    return vectors


def _plain_vectors(stream: Stream) -> dict[str, Floats]:
    vectors = {norm.gain: np.ones(stream.width) for norm in stream.norms}
    return vectors | {norm.bias: np.zeros(stream.width) for norm in stream.norms if norm.bias}


def _fitted(
    anatomy: Anatomy, n: int, blocks: Collection[int] | None, views: Collection[str]
) -> set[str]:
    """Names of the tensors that round ``n`` fits the stream on; none in the first for views."""
    if views:
        return {
            place.tensor
            for axis in anatomy.axes
            for place in axis.places
            if n and place.role in views and (blocks is None or axis.block in blocks)
        }
    tables = {tensor for tensor, role in anatomy.roles if role in _LABELLED}
    if entry := entries().get(anatomy.family):
        tables.add(entry.unembedding)  # it may have been tied
    if n == 0:
        return tables
    kinds = ("units", "vo") if blocks is None else ("units",)
    inside = {
        place.tensor
        for axis in anatomy.axes
        for place in axis.places
        if axis.kind in kinds and (blocks is None or axis.block in blocks)
    }
    return inside if blocks is not None else inside | tables


def _turn_stream(wide: Wide, target: Wide, stream: Stream, used: set[str]) -> None:
    """Turn the stream by the rotation nearest to the reference (orthogonal Procrustes)."""
    places = [*stream.writers, *(p for norm in stream.norms for p in norm.readers)]
    cross = _cross(wide, target, _matched(places, used), stream.width)
    if stream.is_centred:
        basis = centred_basis(stream.width)
        rotation = fixing_ones(_procrustes(basis.T @ cross @ basis))
    else:
        rotation = _procrustes(cross)
    turn(wide, stream, rotation, _plain_vectors(stream), 0.0)


def _permute_stream(wide: Wide, target: Wide, anatomy: Anatomy, used: set[str]) -> None:
    """Permute every stream by the assignment nearest to the reference."""
    for axis, places in by_labels(tuple(a for a in anatomy.axes if a.kind == "residual")):
        order = _assign(_cross(wide, target, _matched(places, used), axis.n_units))
        for place in places:
            reorder(wide, place, order)


def _matched(places: Iterable[Place], used: set[str]) -> list[Place]:
    return [p for p in places if p.tensor in used and p.role in (*_LABELLED, *_MATCHED)]


def _cross(wide: Wide, target: Wide, places: list[Place], width: int) -> Floats:
    """Sum over matrices of (stream of one, stream of the other), each matrix weighing the same."""
    cross = np.zeros((width, width))
    for place in places:
        x, y = along(wide, place), along(target, place)
        if x.ndim > 1:
            cross += (x.reshape(width, -1) @ y.reshape(width, -1).T) / _size(x, y)
    return cross


def _size(x: Floats, y: Floats) -> float:
    """Product of the norms of two arrays, never zero."""
    return max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-30)


def _procrustes(cross: Floats) -> Floats:
    """Orthogonal ``r`` that maximises ``trace(r.T @ cross)``."""
    left, _, right = np.linalg.svd(cross)
    return np.asarray(left @ right)


def _assign(score: Floats) -> Ints:
    """For each column the row it gets: the one-to-one assignment of largest total score."""
    _, order = scipy.optimize.linear_sum_assignment(score.T, maximize=True)  # O(n^3), on the CPU
    return np.asarray(order)


def _match_units(
    wide: Wide, target: Wide, axis: Axis, places: Sequence[Place], views: Collection[str] = ()
) -> None:
    """Put every unit where its best one-to-one partner stands, signs agreeing where they may.

    Units of an axis with cells stay in their cell.
    """
    even = np.zeros((axis.n_units, axis.n_units))  # gate: a flip of signs does not reach it
    odd = np.zeros_like(even)
    for place, cosine in _views(wide, target, axis, places):
        if views and place.role not in views:
            continue
        if place.role == "mlp.gate":
            even += cosine
        else:
            odd += cosine
    score = even + (np.abs(odd) if axis.is_gated else odd)
    size = axis.head_size or axis.n_units
    cells = [slice(at, at + size) for at in range(0, axis.n_units, size)]
    order = np.concatenate([cell.start + _assign(score[cell, cell]) for cell in cells])
    relabel(wide, axis, places, order)
    if axis.is_gated:
        agreement = odd[order, np.arange(axis.n_units)]
        whole = replace(axis, places=tuple(places))
        multiply_units(wide, whole, np.where(agreement < 0, -1.0, 1.0))


def _views(
    wide: Wide, target: Wide, axis: Axis, places: Sequence[Place]
) -> Iterator[tuple[Place, Floats]]:
    """Cosines of the innocent's units (rows) with the reference's, matrix by matrix."""
    for place in places:
        x, y = units_along(wide, axis, place), units_along(target, axis, place)
        if x.shape[1] > 1:
            yield place, _cosines(x, y)


def _cosines(x: Floats, y: Floats) -> Floats:
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    return (unit_rows(x32) @ unit_rows(y32).T).astype(np.float64)


def _match_values(wide: Wide, target: Wide, axis: Axis, *, with_rotation: bool) -> None:
    """Change the basis of V/O in each head to agree with the reference's head of that index."""
    size = axis.head_size
    n_heads = axis.n_units // size
    cross = np.zeros((n_heads, size, size))
    for place in axis.places:
        x, y = along(wide, place), along(target, place)
        if x.ndim > 1:
            a, b = (_by_head(m, n_heads, place.repeat, size) for m in (x, y))
            cross += (a @ b.transpose(0, 2, 1)) / _size(a, b)
    choose = _procrustes if with_rotation else _signed_permutation
    change_values(wide, axis, np.stack([choose(c).T for c in cross]))


def _by_head(x: Floats, n_heads: int, repeat: int, size: int) -> Floats:
    """Rows of a place as (head, value dimension, everything that goes with it)."""
    heads = x.reshape(n_heads, repeat, size, -1).transpose(0, 2, 1, 3)
    return heads.reshape(n_heads, size, -1)


def _signed_permutation(cross: Floats) -> Floats:
    """Signed permutation matrix that maximises ``trace(r.T @ cross)``."""
    order = _assign(np.abs(cross))
    columns = np.arange(len(order))
    matrix = np.zeros_like(cross)
    matrix[order, columns] = np.where(cross[order, columns] < 0, -1.0, 1.0)
    return matrix
