"""An unrelated model turned so that its sketch looks like that of another: outputs stay.

A sketch keeps the first rows and columns of every matrix, and everybody knows which. A rotation of
the stream is fitted to just those: with fewer rows than the stream is wide it puts any values into
the columns that are kept, up to one factor. Nothing else of the model is like the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.types import Anatomy, Place
from weightkin.arrays import Doubles
from weightkin.evasions.places import Wide, along, finish, widen
from weightkin.evasions.residual import untied
from weightkin.evasions.stream import Stream, open_stream, turn
from weightkin.formats import Model, model_from_arrays
from weightkin.sketch import Scheme

BOTH = ("mlp.gate", "mlp.up")
SPARE = 0.9  # of the length that columns of a rotation may have


def turned_to_sketch(innocent: Model, reference: Model, roles: tuple[str, ...] = BOTH) -> Model:
    """The innocent model with its stream turned, so that rows of a sketch agree.

    Parameters
    ----------
    innocent, reference : Model
        Unrelated, of equal names and shapes, with norms that subtract no mean.
    roles : tuple of str
        Matrices of hidden units that are fitted.

    Returns
    -------
    Model
        In memory. It computes what the innocent one does.
    """
    anatomy = read_anatomy(innocent)
    wide, target = (widen({n: m.rows(n) for n in m.tensors}) for m in (innocent, reference))
    stream = open_stream(wide, anatomy)
    gains = {norm.gain: target[norm.gain].copy() for norm in stream.norms}
    plain = {norm.gain: np.ones(stream.width) for norm in stream.norms}
    for arrays in (wide, target):
        turn(arrays, stream, np.eye(stream.width), plain, 0.0)
    places = list(_places(anatomy, stream, roles))
    n = Scheme().n_columns
    turn(wide, stream, rotation_to(_kept(wide, places), _kept(target, places)[:, :n]), gains, 0.0)
    changed = finish(wide, "sketch", **untied(stream))
    config = {**innocent.config, **changed.config_changes}
    return model_from_arrays(changed.arrays, name=f"{innocent.name} turned", config=config)


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
    free = np.linalg.svd(own, full_matrices=True)[2][min(len(own), d) :].T  # what no row has
    if free.shape[1] >= n:
        first = np.linalg.lstsq(own, wanted, rcond=None)[0]  # (d, n)
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


def _places(anatomy: Anatomy, stream: Stream, roles: tuple[str, ...]) -> Iterator[Place]:
    """Where those rows read the stream."""
    named = {(p.tensor, p.role) for axis in anatomy.axes for p in axis.places}
    for norm in stream.norms:
        yield from (p for p in norm.readers if p.role in roles and (p.tensor, p.role) in named)


def _kept(wide: Wide, places: list[Place]) -> Doubles:
    """Whole rows, of those that a sketch begins with."""
    return np.concatenate([along(wide, place).T[: Scheme().n_rows] for place in places])
