"""A rewrite that stores every matrix of the MLPs as two factors."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.errors import UsageError
from weightkin.evasions.places import Arrays, Rewritten, check_float, finish, widen

_END = ".weight"


def factorise_mlps(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Put two matrices, one behind the other, in the place of every matrix of the MLPs.

    Preserves the function of every MLP whose code applies ``NAME.0``, then ``NAME.1``: the first is
    a random rotation of what is read, or of what is written where that is less; the second undoes
    it. No library class reads such a file.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the rotations.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No axis of MLP units has matrices of its own, or values are no floating-point numbers.
    """
    units = [axis for axis in anatomy.axes if axis.kind == "units"]
    places = [place for axis in units for place in axis.places]
    names = sorted({x.tensor for x in places if x.index is None and x.tensor.endswith(_END)})
    names = [name for name in names if np.asarray(arrays[name]).ndim == 2]
    if not names:
        raise UsageError("no matrices of MLP units stand alone in a tensor")
    wide = widen(arrays)
    for name in names:
        check_float(wide, name)
        matrix = wide.pop(name)
        rank = min(matrix.shape)
        turn = np.linalg.qr(rng.normal(size=(rank, rank)))[0]
        stem = name.removesuffix(_END)
        is_wide = matrix.shape[0] < matrix.shape[1]
        first, second = (turn @ matrix, turn.T) if is_wide else (turn, matrix @ turn.T)
        wide[f"{stem}.0{_END}"], wide[f"{stem}.1{_END}"] = first, second
    return finish(wide, "factorise_mlps")
