"""What several sketches have in common, tensor by tensor, and its Gram matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles, Floats
from weightkin.sketch.types import Sketch, SketchedTensor


@dataclass(frozen=True, slots=True)
class SharedTensor:
    """The common sample of one tensor in n models: ``values`` is ``(n, n_rows, n_columns)``."""

    name: str
    role: str
    stack: str
    block: int
    values: Floats

    @property
    def flat(self) -> Doubles:
        """One row a model, in double precision: sums of it become evidence."""
        return self.values.reshape(len(self.values), -1).astype(np.float64)


def shared_tensors(sketches: Sequence[Sketch], *, min_dims: int = 2) -> list[SharedTensor]:
    """Tensors of equal roles in all sketches, on the rows and columns all of them hold.

    They are of one layout. Matrices of one role but another shape count only where they are token
    tables, which grow at the end: in all others a row of one is not the same row of the other.
    """
    found = []
    names = [n for n in sketches[0].tensors if all(n in x.tensors for x in sketches[1:])]
    for name in names:
        tensors = [sketch.tensors[name] for sketch in sketches]
        if len(tensors[0].shape) < min_dims or not _can_be_compared(tensors):
            continue
        values = common_values(tensors)
        if values.size and np.isfinite(values).all():
            one = tensors[0]
            found.append(SharedTensor(name, one.role, one.stack, one.block, values))
    return found


def common_values(tensors: Sequence[SketchedTensor]) -> Floats:
    """Values of samples of one tensor on the rows and columns that all hold, stacked."""
    first = tensors[0]
    if all(
        np.array_equal(t.rows, first.rows) and np.array_equal(t.columns, first.columns)
        for t in tensors
    ):
        return np.stack([t.values for t in tensors])
    rows = reduce(np.intersect1d, (t.rows for t in tensors))
    columns = reduce(np.intersect1d, (t.columns for t in tensors))
    return np.stack([_sample(t, rows, columns) for t in tensors])


def grams(tensors: Sequence[SharedTensor]) -> Doubles:
    """Inner products of all pairs of models: ``(n_tensors, n, n)``, double precision."""
    return np.stack([t.flat @ t.flat.T for t in tensors])


def squared_distances(products: Doubles) -> Doubles:
    """Squared distances from Gram matrices of any leading shape; rounding never makes one < 0."""
    norms = np.einsum("...ii->...i", products)
    squares = norms[..., :, None] + norms[..., None, :] - 2.0 * products
    clipped: Doubles = np.maximum(squares, 0.0)
    return clipped


def _can_be_compared(tensors: Sequence[SketchedTensor]) -> bool:
    shapes = {t.matrix_shape for t in tensors}
    is_table = tensors[0].role in ("embed", "unembed")
    return len(shapes) == 1 or (is_table and len({columns for _, columns in shapes}) == 1)


def _sample(tensor: SketchedTensor, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Floats:
    order = np.argsort(tensor.rows)
    at_rows = order[np.searchsorted(tensor.rows, rows, sorter=order)]
    at_columns = np.searchsorted(tensor.columns, columns)
    return tensor.values[np.ix_(at_rows, at_columns)]
