"""Keys by which equal matrices are found among those of many models, whatever their names are.

A key is made of the first few values of the first row of a matrix, or of its first column,
rounded: a copy under another prefix, inside a larger file, cast, transposed or fused behind another
matrix keeps most of its keys. A model keeps those of the smallest number, so that two models that
share a part of their matrices share about that part of their keys. Keys propose, they never
conclude.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import ml_dtypes
import numpy as np

from weightkin.sketch.types import Sketch, SketchedTensor

N_KEYS = 64  # that are kept of a model
N_VALUES = 8  # of a row or column
LEAST_DISTINCT = 6  # of these: constants and small counts say nothing
Key = int  # of 63 bits


def row_keys(sketch: Sketch) -> tuple[Key, ...]:
    """The keys of a model, ascending."""
    found = {key for tensor in sketch.as_stored.values() for key in _keys(tensor)}
    return tuple(sorted(found)[:N_KEYS])


def _keys(tensor: SketchedTensor) -> Iterator[Key]:
    if len(tensor.shape) < 2 or tensor.lattice == "integer" or not tensor.stored.size:
        return
    with np.errstate(all="ignore"):
        values = tensor.values.astype(ml_dtypes.bfloat16)
    if tensor.is_table:
        return  # the same in models that share nothing
    row, column = (int(np.argmin(index)) for index in (tensor.rows, tensor.columns))
    if tensor.rows[row] or tensor.columns[column]:
        return  # the sample does not begin where the matrix does
    for line, order in ((values[row], tensor.columns), (values[:, column], tensor.rows)):
        first = line[np.argsort(order, kind="stable")[:N_VALUES]]
        if len(first) == N_VALUES and len(np.unique(first.astype(np.float32))) >= LEAST_DISTINCT:
            yield int.from_bytes(hashlib.sha256(first.tobytes()).digest()[:8], "little") >> 1
