"""Search vectors that no relabelling changes: for copies that the aligned vector cannot see.

Two parts, each standardised, then projected by fixed random signs to 512 numbers: the cosines
between the embeddings of 64 anchor tokens (or patch pixels), without the direction that most share,
which permuting, rotating and flipping the residual stream leaves as they are; and the sorted
singular values of V O at a few relative depths, the gain of the norm before them folded in, which
relabelling V/O dimensions leaves too (values that have a bias are left out).

Blind to a retrained embedding; patch pixels tell fine-tuned copies badly from unrelated ones. Those
trained on one corpus with one vocabulary have cosines up to 0.5, with tied tables 0.8. A vector
proposes, it never concludes. Needs the weights, or a sketch that holds everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.arrays import Doubles, Floats
from weightkin.sketch.scheme import hashed
from weightkin.stats.matching import unit_rows

if TYPE_CHECKING:
    from weightkin.anatomy.types import Anatomy, Axis, Place
    from weightkin.formats import Model
    from weightkin.sketch.types import Sketch

N_INVARIANT = 512
INVARIANT_VERSION = "wi1-invariant-512-t64-d4"  # version, what it sees, its size, anchors, depths
N_ANCHORS = 64  # tokens whose likeness to each other is looked at
MOST_TOKENS = 512  # anchors lie among the first so many, which larger vocabularies share
N_DEPTHS = 4
N_SINGULAR_VALUES = 32  # singular values at each depth, by relative rank
MAX_INVARIANT_BYTES = 1 << 24  # V and O above this size are left out: they would be read whole
SHARE_SPECTRA = 0.25  # of the squared length


def invariant_vector(model: Model, anatomy: Anatomy, sketch: Sketch) -> Floats | None:
    """Vector of unit length, ``(512,)``; None where no table of tokens or pixels is at hand.

    Parameters
    ----------
    model : Model
        Read for V, O and norms of a few blocks, and a few embedding rows.
    anatomy : Anatomy
        Its anatomy.
    sketch : Sketch
        Its sketch.

    Returns
    -------
    ndarray or None
        ``(512,)``, float32, unit length; None where no table of tokens or pixels is at hand.
    """
    tokens = token_likeness(model, sketch)
    if tokens is None or not np.ptp(tokens):
        return None
    total = np.sqrt(1 - SHARE_SPECTRA) * _projected(_standard(_without_common(tokens)), 1)
    spectra = _spectra(model, anatomy)
    if spectra is not None:
        total += np.sqrt(SHARE_SPECTRA) * _projected(_standard(spectra), 2)
    length = float(np.sqrt(total @ total))
    return np.asarray(total / length, dtype=np.float32) if length else None


def token_likeness(model: Model, sketch: Sketch, n_tokens: int = MOST_TOKENS) -> Doubles | None:
    """Cosines between the embeddings of some tokens (or patch pixels): blind to all relabelling.

    Parameters
    ----------
    model : Model
        Read for a few embedding rows.
    sketch : Sketch
        Its sketch.
    n_tokens : int
        Tokens among which anchors lie: vocabularies that are as large share all of them.

    Returns
    -------
    ndarray or None
        Cosines of all pairs of anchors; None where no such table is known.
    """
    tables = (t for t in sketch.tensors.values() if t.role == "embed" and len(t.shape) > 1)
    table = next(tables, None)
    if table is None or table.stored_name not in model.tensors:
        return None
    if model.tensors[table.stored_name].shape != table.shape:  # a sketch that holds a part of it
        return None
    if len(table.shape) > 2:  # a patch projection: its columns are pixels
        x = model.rows(table.stored_name).reshape(table.shape[0], -1).T
        x = x[:N_ANCHORS]
    else:
        n = min(table.shape[0], n_tokens, MOST_TOKENS)
        rows = np.unique(np.linspace(0, n - 1, N_ANCHORS).astype(np.int64))
        x = model.rows(table.stored_name, rows)
    if not np.isfinite(x).all():
        return None
    centred = x.astype(np.float32) - x.mean(axis=0)
    cosine = unit_rows(centred) @ unit_rows(centred).T
    upper: Doubles = cosine[np.triu_indices(len(cosine), 1)].astype(np.float64)
    return upper if np.isfinite(upper).all() else None


def _spectra(model: Model, anatomy: Anatomy) -> Doubles | None:
    """Logarithms of the singular values of V O at a few depths, by rank: ``(depths, values)``."""
    axes = [x for x in anatomy.axes if x.kind == "vo"]
    if not axes:
        return None
    last = max(x.block for x in axes)
    found = []
    for depth in np.linspace(0, last, N_DEPTHS).round().astype(int).tolist():
        axis = next((x for x in axes if x.block == depth), None)
        values = None if axis is None else singular_values(model, axis)
        if values is None:
            return None
        at = np.linspace(0, len(values) - 1, N_SINGULAR_VALUES)
        found.append(np.interp(at, np.arange(len(values)), np.log(values)))
    return np.stack(found)


def singular_values(model: Model, axis: Axis) -> Doubles | None:
    """Those of the product of V and O over all dimensions of an axis, in descending order."""
    places = {p.role: p for p in axis.places if p.index is None}
    if "attn.v" not in places or "attn.o" not in places:
        return None
    v, o = (_units(model, places[role]) for role in ("attn.v", "attn.o"))
    if v is None or o is None:
        return None
    gain = gain_before(model, axis.stack, places["attn.v"])
    repeat = places["attn.o"].repeat
    if repeat > 1:  # one V dimension is written by several heads: their O rows add up in the Gram
        size = axis.head_size
        o = o.reshape(len(v) // size, repeat, size, -1).transpose(0, 2, 1, 3)
        o = o.reshape(len(v), -1)
    if len(o) != len(v):
        return None
    v = v * gain
    with np.errstate(all="ignore"):  # products of large numbers, which are no longer finite
        gram_v, gram_o = ((x @ x.T).astype(np.float64) for x in (v, o))
        if not (np.isfinite(gram_v).all() and np.isfinite(gram_o).all()):
            return None
        sizes, directions = np.linalg.eigh(gram_v)
        root = directions * np.sqrt(np.maximum(sizes, 0.0))
        product = root.T @ gram_o @ root  # symmetric, with the eigenvalues of the product of both
    squared = np.linalg.eigvalsh(product)
    values: Doubles = np.sqrt(np.maximum(squared[::-1], 1e-12))
    return values


def _units(model: Model, place: Place) -> Floats | None:
    """Dimensions of a place as rows in residual coordinates."""
    info = model.tensors.get(place.tensor)
    if info is None or len(info.shape) != 2 or info.n_bytes > MAX_INVARIANT_BYTES:
        return None
    stop = place.start + place.size
    if place.dim == 0:
        rows = model.rows(place.tensor, slice(place.start, stop))
    else:
        rows = model.rows(place.tensor)[:, place.start : stop].T
    return rows if rows.shape[0] == place.size else None


def _without_common(cosines: Doubles) -> Doubles:
    """Leave out the one direction that most tokens share: models trained alike agree on it."""
    n = int(round((1 + np.sqrt(1 + 8 * len(cosines))) / 2))
    square = np.eye(n)
    upper = np.triu_indices(n, 1)
    square[upper] = square.T[upper] = cosines
    values, vectors = np.linalg.eigh(square)
    square -= values[-1] * np.outer(vectors[:, -1], vectors[:, -1])
    left: Doubles = square[upper]
    return left


def _standard(x: Doubles) -> Doubles:
    """Mean 0 over all entries, length 1."""
    centred: Doubles = (x - x.mean()).ravel()
    length = float(np.sqrt(centred @ centred))
    return centred / (length or 1.0)


def _projected(x: Doubles, part: int) -> Doubles:
    """Project to fewer numbers by signs that depend on the part and the position alone."""
    bits = hashed((np.int64(part) << 40) + np.arange(len(x), dtype=np.int64))
    signs = np.where(bits >> np.uint64(63), 1.0, -1.0)
    at = (bits % np.uint64(N_INVARIANT)).astype(np.int64)
    sums: Doubles = np.bincount(at, weights=signs * x, minlength=N_INVARIANT).astype(np.float64)
    return sums
