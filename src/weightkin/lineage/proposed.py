"""Which pairs of models may be related: all pairs of some, the nearest by vector of many.

Up to `MAX_DENSE` models all inner products are taken. Above, search vectors name the nearest of
each model, and only these pairs are measured, one after the other; memory stays linear.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from weightkin.arrays import Doubles, Floats, Ints
from weightkin.derivation.shared import common_values
from weightkin.sketch import Sketch
from weightkin.sketch.types import SketchedTensor
from weightkin.sketch.vectors import nearest, search_vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LikenessMatrix: TypeAlias = "Doubles | csr_array"
MAX_DENSE = 2000  # models of which all pairs are looked at
N_NEAREST = 64  # by vector, of each of more models
PAIRS_AT_ONCE = 4096  # pairs measured at a time
LEAST_COSINE = 0.125  # of two vectors: four deviations of unrelated ones


def proposed(sketches: Sequence[Sketch], max_dense: int = MAX_DENSE) -> LikenessMatrix:
    """Cosines of pairs in deviations of unrelated pairs: ``(n, n)``, 0 where not taken.

    Over tensors inside blocks of equal name and shape, which unrelated models share only by chance;
    each weighs by its entries, so that no tensor that grew by a hundred hides the others.
    """
    if len(sketches) <= max_dense:
        return likeness(sketches)
    from scipy.sparse import coo_array, csr_array  # for many models alone: much to load

    rows, columns = [], []
    for start, near, cosine in nearest(search_vectors(sketches), N_NEAREST):
        for i, k in np.argwhere(cosine >= LEAST_COSINE).tolist():
            u, v = start + i, int(near[i, k])
            rows.append(min(u, v))
            columns.append(max(u, v))
    pairs = np.unique(np.array([rows, columns], dtype=np.int64).reshape(2, -1), axis=1)
    n = len(sketches)
    values = _of_pairs(sketches, pairs[0], pairs[1])
    upper = coo_array((values, (pairs[0], pairs[1])), shape=(n, n)).tocsr()
    return csr_array(upper + upper.T)


def pairs_above(
    z: LikenessMatrix, index: Sequence[int], least: float
) -> tuple[Ints, Ints, Doubles]:
    """Pairs of some models that are alike.

    Parameters
    ----------
    z : (n, n) array
        Likeness of all pairs, dense or sparse.
    index : sequence of int
        Positions of the models looked at.
    least : float
        Pairs are more alike than this, in standard deviations of unrelated pairs.

    Returns
    -------
    rows, columns : (n_pairs,) array of int
        Positions in ``index``, the row's the smaller.
    likeness : (n_pairs,) array
        In the same order, by row, then by column.
    """
    if isinstance(z, np.ndarray):
        part = z[np.ix_(index, index)]
        rows, columns = np.nonzero(np.triu(part, 1) > least)
        return rows, columns, part[rows, columns]
    from scipy.sparse import coo_array

    some = coo_array(z[list(index), :][:, list(index)])
    row, column = np.asarray(some.row, dtype=np.int64), np.asarray(some.col, dtype=np.int64)
    kept = np.flatnonzero((row < column) & (some.data > least))
    kept = kept[np.lexsort((column[kept], row[kept]))]
    return row[kept], column[kept], np.asarray(some.data[kept], dtype=np.float64)


def _of_pairs(sketches: Sequence[Sketch], rows: Ints, columns: Ints) -> Doubles:
    """The same for some pairs, ``(n_pairs,)``. Cost: one pass over the samples of each tensor."""
    total, variance = np.zeros(len(rows)), np.zeros(len(rows))
    for tensors, those in _held(sketches):
        place = np.full(len(sketches), -1)
        place[those] = np.arange(len(those))
        flat = _directions(tensors)
        both = np.flatnonzero((place[rows] >= 0) & (place[columns] >= 0))
        for start in range(0, len(both), PAIRS_AT_ONCE):
            some = both[start : start + PAIRS_AT_ONCE]
            i, j = place[rows[some]], place[columns[some]]
            total[some] += np.einsum("ij,ij->i", flat[i], flat[j]) * flat.shape[1]
            variance[some] += flat.shape[1]
    return _deviations(total, variance)


def _held(sketches: Sequence[Sketch]) -> Iterator[tuple[list[SketchedTensor], list[int]]]:
    """Tensors inside blocks of equal name and shape that two models or more have, and who has."""
    holders: dict[tuple[str, tuple[int, int]], list[int]] = defaultdict(list)
    for i, sketch in enumerate(sketches):
        for name, tensor in sketch.tensors.items():
            if tensor.block >= 0 and len(tensor.shape) >= 2:
                holders[name, tensor.matrix_shape].append(i)
    for (name, _), those in sorted(holders.items()):
        if len(those) > 1:
            yield [sketches[i].tensors[name] for i in those], those


def _directions(tensors: Sequence[SketchedTensor]) -> Floats:
    """What a tensor holds in each model, as vectors of unit length: ``(n, entries)``."""
    values = common_values(tensors)
    flat = np.where(np.isfinite(values), values, np.float32(0)).reshape(len(values), -1)
    largest = np.abs(flat).max(axis=1, initial=0.0, keepdims=True)  # or squares overflow
    scaled = np.divide(flat, largest, out=np.zeros_like(flat), where=largest > 0)
    length = np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    found: Floats = np.divide(scaled, length, out=scaled, where=length > 0)
    return found


def _deviations(total: Doubles, variance: Doubles) -> Doubles:
    z: Doubles = total / np.sqrt(np.maximum(variance, 1.0))
    return z


def likeness(sketches: Sequence[Sketch]) -> Doubles:
    """All pairs at once. Cost: one matrix product for each tensor."""
    n = len(sketches)
    total, variance = np.zeros((n, n)), np.zeros((n, n))
    for tensors, those in _held(sketches):
        flat = _directions(tensors)
        at = np.ix_(those, those)
        total[at] += (flat @ flat.T).astype(np.float64) * flat.shape[1]
        variance[at] += flat.shape[1]
    z = _deviations(total, variance)
    np.fill_diagonal(z, 0.0)
    return z
