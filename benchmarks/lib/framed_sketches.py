"""An unrelated model turned so that its sketch looks like that of another: outputs stay.

A sketch keeps the first rows and columns of every matrix, and everybody knows which. A rotation of
the stream is fitted to just those: with fewer rows than the stream is wide it puts any values into
the columns that are kept, up to one factor. Nothing else of the model is like the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.types import Anatomy
from weightkin.evasions.places import Wide, along, finish, widen
from weightkin.evasions.residual import untied
from weightkin.evasions.stream import open_stream, turn
from weightkin.formats import Model, model_from_arrays
from weightkin.sketch import Scheme

FITTED = ("mlp.gate", "mlp.up")
SPARE = 0.9  # of the length that columns of a rotation may have
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """How much of each matrix is fitted."""

    n_rows: int = Scheme().n_rows
    n_columns: int = Scheme().n_columns
    roles: tuple[str, ...] = FITTED


def turned_to_sketch(innocent: Model, reference: Model, rows: Rows | None = None) -> Model:
    """The innocent model with its stream turned, so that rows of a sketch agree.

    Parameters
    ----------
    innocent, reference : Model
        Unrelated, of equal names and shapes, with norms that subtract no mean.
    rows : Rows, optional
        What is fitted; what the default sketch keeps of gates and up rows without it.

    Returns
    -------
    Model
        In memory. It computes what the innocent one does.
    """
    rows = rows or Rows()
    anatomy = read_anatomy(innocent)
    wide, target = (widen({n: m.rows(n) for n in m.tensors}) for m in (innocent, reference))
    stream = open_stream(wide, anatomy)
    gains = {norm.gain: target[norm.gain].copy() for norm in stream.norms}
    plain = {norm.gain: np.ones(stream.width) for norm in stream.norms}
    turn(wide, stream, np.eye(stream.width), plain, 0.0)
    own, wanted = _fitted(wide, anatomy, rows), _fitted(target, anatomy, rows)
    scale = np.concatenate([_gain_of(stream, gains, place, n) for place, n in _places(anatomy, rows)])
    wanted = wanted[:, : rows.n_columns] * scale[:, : rows.n_columns]
    turn(wide, stream, rotation_to(own, wanted), gains, 0.0)
    changed = finish(wide, "sketch", **untied(stream))
    config = {**innocent.config, **changed.config_changes}
    return model_from_arrays(changed.arrays, name=innocent.name, config=config)


def rotation_to(own: Doubles, wanted: Doubles) -> Doubles:
    """A rotation ``r`` with ``(own @ r)[:, :n]`` equal to ``wanted`` up to one factor, or near it.

    Parameters
    ----------
    own : (k, d) array
        Rows that are turned.
    wanted : (k, n) array
        What their first n columns shall be; exactly reached where k + n is at most d.

    Returns
    -------
    (d, d) array
        Orthogonal.
    """
    d, n = own.shape[1], wanted.shape[1]
    own = own / np.linalg.norm(own, axis=1, keepdims=True)
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    _, _, basis = np.linalg.svd(own, full_matrices=True)
    free = basis[min(len(own), d) :].T  # (d, d - k): directions that no row has
    first = np.linalg.lstsq(own, wanted, rcond=None)[0]
    if free.shape[1] >= n:
        gram = first.T @ first
        factor = np.sqrt(SPARE / np.linalg.eigvalsh(gram)[-1])
        values, vectors = np.linalg.eigh(np.eye(n) - factor**2 * gram)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        first = factor * first + free[:, :n] @ root
    else:
        left, _, right = np.linalg.svd(own.T @ wanted, full_matrices=False)
        first = left @ right
    rest = np.linalg.svd(first, full_matrices=True)[0][:, n:]
    return np.concatenate([first, rest], axis=1)


def _places(anatomy: Anatomy, rows: Rows):
    for axis in anatomy.axes:
        for place in axis.places:
            if place.role in rows.roles and axis.kind in ("units", "vo") and place.dim == 0:
                yield place, min(rows.n_rows, axis.n_units)


def _fitted(wide: Wide, anatomy: Anatomy, rows: Rows) -> Doubles:
    return np.concatenate([along(wide, p)[:n] for p, n in _places(anatomy, rows) if along(wide, p).ndim == 2])


def _gain_of(stream, gains, place, n):
    norm = next(x for x in stream.norms if any(r.tensor == place.tensor for r in x.readers))
    return np.tile(gains[norm.gain], (n, 1))
