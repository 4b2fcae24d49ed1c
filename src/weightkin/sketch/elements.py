"""Some rows and columns of one matrix, read in as few pieces as there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Ints
from weightkin.formats import Model, TensorInfo
from weightkin.sketch.facts import empty
from weightkin.sketch.types import matrix_shape


def read_submatrix(
    model: Model,
    info: TensorInfo,
    shape: tuple[int, ...],
    offset: int,
    rows: Ints,
    columns: Ints,
) -> npt.NDArray[Any]:
    """Elements of a submatrix, as stored.

    Parameters
    ----------
    model : Model
        An open model.
    info : TensorInfo
        The tensor that holds the matrix.
    shape : tuple of int
        Of the matrix; more than two dimensions are seen as ``shape[0]`` rows.
    offset : int
        Elements of the tensor before the matrix.
    rows, columns : ndarray of int
        Indices, in any order and ascending.

    Returns
    -------
    ndarray
        ``(len(rows), len(columns))``, in the dtype of the tensor.
    """
    if not rows.size or not columns.size:
        return np.zeros((len(rows), len(columns)), dtype=empty(info.dtype).dtype)
    width = matrix_shape(shape)[1]
    order = np.argsort(rows, kind="stable")
    if len(columns) == width:  # whole rows: neighbours are one piece
        first, stop = _pieces(rows[order])
        spans = offset + np.stack([first * width, stop * width], axis=-1)
    else:
        first, stop = _pieces(columns)
        begins = offset + rows[order, None] * width  # (n_rows, 1)
        spans = np.stack([begins + first, begins + stop], axis=-1).reshape(-1, 2)
    raw = model.storage.read_runs(info.name, [(a, b) for a, b in spans.tolist()])
    read = np.empty((len(rows), len(columns)), dtype=raw.dtype)
    read[order] = raw.reshape(len(rows), len(columns))
    return read


def _pieces(index: Ints) -> tuple[Ints, Ints]:
    """First and end of every run without gap in ascending indices."""
    breaks = np.flatnonzero(np.diff(index) != 1)
    first = index[np.concatenate(([0], breaks + 1))]
    return first, index[np.concatenate((breaks, [len(index) - 1]))] + 1
