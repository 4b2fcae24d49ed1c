"""Which lossy copy a trained model was made from: whoever came through the map holds its loss.

A copy L of an original O lost ``D = L - O``. A model trained from L keeps D, whatever it learned
beside; one trained from O has nothing of it, since training does not know where a rounding or a
pruning fell. So ``held = <D, v - O> / |D|^2`` is near one below the copy and near zero elsewhere.
That says nothing where v itself lies on a grid as coarse as D, or was pruned anew: it would hold
such a D without ever having met it. Then both stay possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.distances import MIN_RELATED_COSINE, relate
from weightkin.derivation.lattice import KnownLevels
from weightkin.derivation.lossy import MIN_ZEROS
from weightkin.derivation.pairing import TOKEN_TABLES
from weightkin.derivation.shared import common_values
from weightkin.lineage.candidates import CandidateEdge
from weightkin.sketch import Sketch
from weightkin.sketch.types import Lattice, SketchedTensor

PairReading = Literal["below", "beside", "coarse", "open"]
HALF = 0.5  # of the loss: between what descendants of the copy and all others hold
ERRORS = 3.0  # standard errors that a reading must be away from it
FINER = 8.0  # times that the grid of a model must be finer than the median loss
SAME_MASK = 0.999  # share of the zeros of two models that are common where one mask was kept
MIN_REST = 32  # entries, in a row or in all, that a copy left alone: decay is read from them
LEAST_CHANGE = 0.1  # of the loss: a row that a model moved less shows no more
MIN_SAME = 8  # entries that are exactly the original's where the copy differs
MIN_COSINE_CUT = 0.5  # cosine of what one cut left, in the copy and in a model made from it
MAX_LOOKED_AT = 3  # tensors whose grid is looked at, those that lost most entries
DIGITS: Mapping[Lattice, float] = {  # half a unit in the last place, relative
    "fp8_e4m3": 2.0**-4,
    "fp8_e5m2": 2.0**-3,
    "fp16&bf16": 2.0**-8,
    "bf16": 2.0**-9,
    "fp16": 2.0**-12,
}


@dataclass
class Homes:
    """Trained models by the lossy copy they were made from, and those where that is open."""

    below: dict[int, int] = field(default_factory=dict)  # model: the copy it descends from
    coarse: set[int] = field(default_factory=set)  # of those: stored as coarsely as the copy
    tied: dict[int, list[int]] = field(default_factory=dict)  # model: copies as good as originals


def homes_of(
    sketches: Sequence[Sketch],
    edges: Sequence[CandidateEdge],
    pool: Sequence[int],
    known: KnownLevels,
) -> Homes:
    """Read for every trained model of a pool which lossy copy it came through, if any.

    Of several copies it is the one that comes last on the way: the nearest. One that is stored as
    coarsely as a copy belongs beside what was made from it, and may be the original's too. Cost:
    one pass over the samples for each model and copy.

    Parameters
    ----------
    sketches : sequence of Sketch
        All models.
    edges : sequence of CandidateEdge
        From originals to their lossy copies, by position.
    pool : sequence of int
        Positions of the trained models.
    known : KnownLevels
        Grids of tensors, found once.

    Returns
    -------
    Homes
        By position; models made from no copy are in none of its fields.
    """
    found = Homes()
    for v in pool:
        below: dict[int, PairReading] = {}
        for edge in edges:
            reading = read(sketches[edge.parent], sketches[edge.child], sketches[v], known)
            if reading in ("below", "coarse"):
                below[edge.child] = reading
            elif reading == "open":
                found.tied.setdefault(v, []).append(edge.child)
        if below:
            far = {u: relate(sketches[u], sketches[v]).relative_distance for u in below}
            copy = min(below, key=lambda u: (far[u], u))
            found.below[v] = copy
            found.coarse |= {v} if below[copy] == "coarse" else set()
    return found


def read(original: Sketch, copy: Sketch, v: Sketch, known: KnownLevels) -> PairReading:
    """Whether a model was made from a lossy copy, from its original, or nothing tells.

    Parameters
    ----------
    original, copy : Sketch
        A model and a lossy copy of it.
    v : Sketch
        The trained model.
    known : KnownLevels
        Grids of tensors, found once.

    Returns
    -------
    str
        ``below``: made from the copy, ``coarse``: the same, but stored as coarsely as the copy,
        ``beside``: not made from the copy, ``open``: nothing tells.
    """
    if layout_of(copy) != layout_of(original):
        is_same = layout_of(v) == layout_of(copy)
        return "below" if is_same and relate(copy, v).typical_cosine >= MIN_COSINE_CUT else "beside"
    if layout_of(v) != layout_of(copy) or v.scheme != copy.scheme != original.scheme:
        return "beside"
    rows = _new_rows(original, copy, v)
    return _loss(original, copy, v, known) if rows is None else rows


def layout_of(sketch: Sketch) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all tensors inside blocks; of all tensors where none is in a block."""
    tensors = sketch.tensors.values()
    inside = frozenset((t.name, t.shape) for t in tensors if t.block >= 0)
    return inside or frozenset((t.name, t.shape) for t in tensors)


def _new_rows(original: Sketch, copy: Sketch, v: Sketch) -> PairReading | None:
    """Whether a model has the token rows that a copy has beyond the original; None: no such."""
    cosines = []
    for name, x in copy.tensors.items():
        o, y = original.tensors.get(name), v.tensors.get(name)
        if o is None or x.role not in TOKEN_TABLES or x.shape[0] <= o.shape[0]:
            continue
        if y is None or y.shape[0] <= o.shape[0] or y.shape[1:] != x.shape[1:]:
            return "beside"
        rows, at_x, at_y = np.intersect1d(x.rows, y.rows, return_indices=True)
        is_new = rows >= o.shape[0]
        columns = min(len(x.columns), len(y.columns))
        p = x.values[at_x[is_new], :columns].astype(np.float64).ravel()
        q = y.values[at_y[is_new], :columns].astype(np.float64).ravel()
        cosines.append(
            float(p @ q / max(float(np.sqrt((p @ p) * (q @ q))), 1e-300)) if p.size else 0.0
        )
    if not cosines:
        return None
    return "below" if float(np.median(cosines)) >= MIN_COSINE_CUT else "beside"


@dataclass(frozen=True, slots=True)
class _Lost:
    """What a copy lost in one tensor, and what of it a model holds. Sums have one entry a row.

    They are over the variance of the model's own change in that row: rows that it hardly moved,
    such as those of rare tokens, show best whether the loss is there.
    """

    tensor: SketchedTensor  # of the model
    size: Doubles  # |D| at every entry that was lost
    values: Doubles  # of the model, there
    square: Doubles  # |D|^2
    inner: Doubles  # <D, v - O>
    n_original: int  # entries that are exactly the original's
    n_copy: int
    zeros: tuple[int, int, int]  # new ones of the copy, of the model, of both


def _loss(original: Sketch, copy: Sketch, v: Sketch, known: KnownLevels) -> PairReading:
    lost = list(_losses(original, copy, v))
    if not lost:
        return "beside"
    n_original, n_copy = sum(t.n_original for t in lost), sum(t.n_copy for t in lost)
    if n_original >= MIN_SAME and n_original > 4 * n_copy:
        return "beside"  # it has what the copy lost
    kept = [t.zeros for t in lost if t.zeros[0] and t.zeros[1] >= MIN_ZEROS * t.zeros[0]]
    zeros, own, both = (sum(z[k] for z in kept) for k in range(3))
    if kept:
        if both >= SAME_MASK * max(zeros, own):
            return "below"  # training leaves no zeros: the mask was kept
        if both >= HALF * own:
            return "open"  # pruned anew, at about the same entries
    inner = np.concatenate([t.inner for t in lost])
    square = np.concatenate([t.square for t in lost])
    held = float(inner.sum() / square.sum())
    error = float(np.sqrt(np.sum((inner - held * square) ** 2)) / square.sum())
    if held + ERRORS * error < HALF:
        return "beside"
    if held - ERRORS * error <= HALF:
        return "open"
    return "coarse" if _is_coarse(lost, known) else "below"


def _losses(original: Sketch, copy: Sketch, v: Sketch) -> Iterator[_Lost]:
    for name, x in copy.tensors.items():
        o, y = original.tensors.get(name), v.tensors.get(name)
        if o is None or y is None or not o.matrix_shape == x.matrix_shape == y.matrix_shape:
            continue
        a, b, c = (z.astype(np.float64) for z in common_values([o, x, y]))
        is_lost = a != b
        if not is_lost.any() or not np.isfinite((a, b, c)).all():
            continue
        rest = ~is_lost if (~is_lost).sum() >= MIN_REST else np.ones_like(is_lost)
        kept = float(a[rest] @ c[rest]) / max(float(a[rest] @ a[rest]), 1e-300)
        if kept < MIN_RELATED_COSINE:
            continue  # replaced: it says nothing
        products, squares = ((rest * a * z).sum(axis=1, keepdims=True) for z in (c, a))
        is_told = (rest.sum(axis=1, keepdims=True) >= MIN_REST) & (squares > 0)
        shares = np.where(is_told, products / np.where(squares > 0, squares, 1.0), kept)
        d, w = np.where(is_lost, b - a, 0.0), np.where(is_lost, c - shares * a, 0.0)
        n = is_lost.sum(axis=1)
        square, change = (d * d).sum(axis=1), (w * w).sum(axis=1)
        variance = np.where(n >= MIN_REST, change / np.maximum(n, 1), change.sum() / n.sum())
        variance = np.maximum(variance, LEAST_CHANGE * square.sum() / n.sum())
        new = [(z == 0) & (a != 0) for z in (b, c)]
        yield _Lost(
            tensor=y,
            size=np.abs(d[is_lost]),
            values=c[is_lost],
            square=square / variance,
            inner=(d * w).sum(axis=1) / variance,
            n_original=int((c == a)[is_lost].sum()),
            n_copy=int((c == b)[is_lost].sum()),
            zeros=(int(new[0].sum()), int(new[1].sum()), int((new[0] & new[1]).sum())),
        )


def _is_coarse(lost: Sequence[_Lost], known: KnownLevels) -> bool:
    """Whether a model is stored so coarsely that it could hold the loss by its own rounding."""
    for t in sorted(lost, key=lambda t: -len(t.size))[:MAX_LOOKED_AT]:
        step = 2 * np.median(np.abs(t.values)) * DIGITS.get(t.tensor.lattice, 2.0**-24)
        levels = known.levels(t.tensor) if len(t.tensor.shape) == 2 else None
        if float(np.median(t.size)) < FINER * max(step, levels.step if levels else 0.0):
            return True
    return False
