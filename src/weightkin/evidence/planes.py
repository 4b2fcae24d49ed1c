"""Rotary planes of key heads and the queries that read them, as complex numbers.

A plane of a head is two rows, x and y, seen as x + iy in every token. Turning it by a quarter
multiplies it by i, in the keys and in all queries that read them, and changes nothing else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.queries import QueryKeys
from weightkin.anatomy.types import Place
from weightkin.arrays import Floats
from weightkin.evidence.views import TokenRows, unit_rows_of
from weightkin.formats.model import Model
from weightkin.stats.copies import fixed_signs
from weightkin.stats.matching import centred, unit_rows

Planes = npt.NDArray[np.complex64]

# Training keeps what keys are larger than queries by in a plane, not in a row: log lengths of the
# two rows, queries less keys, move against each other (-.75 to -.93 in small trained models) where
# positions turn them together, and not otherwise (-.20 to .21). Of few planes more is asked: rows
# of a layout that is none do so by chance with a deviation of one over the root of their number.
MAX_CORRELATION, N_DEVIATIONS = -0.6, 3.0
COPY_PLANES, COPY_FEATURES = 16, 64  # of a head, by which copies are told


def read_planes(
    model: Model, held: QueryKeys, frame: TokenRows | None, *, with_queries: bool = True
) -> Planes | None:
    """Planes of all key heads, seen through tokens or as weights, each role at length one.

    Parameters
    ----------
    model : Model
        The model.
    held : QueryKeys
        Queries and keys of one attention.
    frame : TokenRows or None
        Tokens that they are seen through; None: the weights.
    with_queries : bool
        Whether queries are read beside keys.

    Returns
    -------
    ndarray or None
        ``(n_heads, 1 or 1 + repeat, n_planes, n_features)``, keys first; None where a matrix is too
        large, does not fit or is not finite.
    """
    keys = _rows(model, held, held.keys, frame)
    queries = _rows(model, held, held.queries, frame) if with_queries else None
    if keys is None or (with_queries and queries is None):
        return None
    roles = [_as_planes(keys, held).reshape(held.n_heads, 1, -1, keys.shape[1])]
    if queries is not None:
        shape = (held.n_heads, held.repeat, -1, queries.shape[1])
        roles.append(_as_planes(queries, held).reshape(shape))
    planes = np.concatenate(roles, axis=1)
    return _of_length_one(planes)


def narrow_planes(model: Model, held: QueryKeys) -> Planes | None:
    """Weights of the first planes of all keys in few features, by which copies are told.

    Parameters
    ----------
    model : Model
        The model.
    held : QueryKeys
        Queries and keys of one attention.

    Returns
    -------
    ndarray or None
        ``(n_heads, n_planes, n_features)``, every plane at length one.
    """
    rows = _rows(model, held, held.keys, None)
    if rows is None:
        return None
    n_folds = -(-rows.shape[1] // COPY_FEATURES)
    folded = np.zeros((len(rows), n_folds * COPY_FEATURES), dtype=np.float32)
    folded[:, : rows.shape[1]] = rows * fixed_signs(rows.shape[1])
    few = folded.reshape(len(rows), n_folds, COPY_FEATURES).sum(axis=1, dtype=np.float32)
    return _of_length_one(_as_planes(few, held)[:, :COPY_PLANES])


def is_layout_shown(model: Model, held: list[QueryKeys]) -> bool:
    """Whether the weights show which rows positions turn together, as the config says.

    Blind to turns, which exchange the two rows of a plane in queries and keys: nothing but sums
    over the two rows of the stated planes is looked at.

    Parameters
    ----------
    model : Model
        The model.
    held : list of QueryKeys
        Its attentions.

    Returns
    -------
    bool
        Whether rows of the stated planes move against each other, and not by chance.
    """
    products, squares, n_planes = 0.0, 0.0, 0
    for x in held:
        lengths = [_lengths(model, x, place) for place in (x.queries, x.keys)]
        if any(length is None for length in lengths):
            continue
        queries, keys = (np.asarray(length) for length in lengths)
        over = np.log(queries) - np.log(keys)
        over -= over[:, : x.n_turned].mean(axis=1, keepdims=True)
        first, second = (over[:, rows] for rows in x.planes())
        products += 2 * float((first * second).sum())
        squares += float((first**2 + second**2).sum())
        n_planes += first.size
    least = min(MAX_CORRELATION, -N_DEVIATIONS / max(n_planes, 1) ** 0.5)
    return squares > 0 and products <= least * squares


def _lengths(model: Model, held: QueryKeys, place: Place) -> npt.NDArray[np.float64] | None:
    """Length of every row of a head, over all queries of it: ``(n_heads, size)``."""
    rows = unit_rows_of(model, place, 0, place.size)
    if rows is None:
        return None
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    own = squares.reshape(held.n_heads, -1, held.size).sum(axis=1)
    return np.sqrt(own) if (own > 0).all() and np.isfinite(own).all() else None


def _rows(model: Model, held: QueryKeys, place: Place, frame: TokenRows | None) -> Floats | None:
    rows = unit_rows_of(model, place, 0, place.size)
    if rows is None or not np.isfinite(rows).all():
        return None
    if frame is None:
        return rows
    if rows.shape[1] != frame.inputs.shape[1]:
        return None
    gain = gain_before(model, held.axis.stack, place)
    return centred(np.asarray((rows * gain) @ unit_rows(frame.inputs).T, dtype=np.float32))


def _as_planes(rows: Floats, held: QueryKeys) -> Planes:
    """``(n_heads or more, n_planes, n_features)``."""
    heads = rows.reshape(-1, held.size, rows.shape[1])
    first, second = held.planes()
    return np.asarray(heads[:, first] + 1j * heads[:, second], dtype=np.complex64)


def _of_length_one(planes: Planes) -> Planes:
    length = np.sqrt((np.abs(planes) ** 2).sum(axis=-1, keepdims=True))
    return np.asarray(planes / np.maximum(length, 1e-12), dtype=np.complex64)
