"""What the matrices of a family say about its members: distances, norms, zeros, starts.

Tensors are paired by role; where members hold one role in several shapes, each shape is a measure
of its own, for those that have it (token tables apart, which grow at the end: they are compared on
the rows that all hold).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Bools, Doubles, Ints
from weightkin.derivation.pairing import TOKEN_TABLES
from weightkin.derivation.shared import common_values
from weightkin.sketch import Sketch
from weightkin.sketch.types import SketchedTensor

MOST_MATRICES = 32  # looked at, spread evenly over the roles of a family
MOST_VECTORS = 64
LEAST_ENTRIES = 64  # of the sample of a matrix
REPLACED = 0.6  # squared distance over the sum of squared norms beyond which nothing is shared
PRUNED = 0.02, 0.9  # shares of zeros between which a matrix counts as pruned
MOSTLY = 0.75  # share of the members that have to be, for zeros to say nothing
MOST_CORNERS = 16  # matrices of which a corner is kept, spread evenly
CORNER = 32  # rows and columns of it
LEAST_SIDE = 16  # rows and columns that a matrix has to have
NEAR_ONE = 0.2  # mean squared distance to one up to which a vector is a gain


@dataclass(frozen=True, slots=True)
class Role:
    """One role in one shape: who has it, and their samples stacked: ``(k, rows, columns)``."""

    who: Ints
    values: npt.NDArray[np.float32]
    is_table: bool


def roles(sketches: Sequence[Sketch]) -> tuple[list[Role], list[Role]]:
    """Matrices and vectors that at least two members have, evenly spread where there are many."""
    groups: dict[tuple[object, ...], list[tuple[int, SketchedTensor]]] = defaultdict(list)
    for i, sketch in enumerate(sketches):
        for name, x in sketch.tensors.items():
            shape = x.matrix_shape
            is_table = x.role in TOKEN_TABLES and len(x.shape) == 2
            fit = (-1, shape[1]) if is_table else shape
            groups[(name, fit, len(x.shape) > 1)].append((i, x))
    matrices: list[Role] = []
    vectors: list[Role] = []
    shared = sorted((key for key, g in groups.items() if len(g) > 1), key=repr)
    for is_big, most, found in ((True, MOST_MATRICES, matrices), (False, MOST_VECTORS, vectors)):
        keys = [key for key in shared if key[2] == is_big]
        for one in _read(keys, groups):
            if not is_big or one.values[0].size > LEAST_ENTRIES:
                found.append(one)
        found[:] = [found[k] for k in evenly(len(found), most)]
    return matrices, vectors


def evenly(n: int, most: int) -> list[int]:
    """Places of n, at most so many of them, spread evenly from the first to the last."""
    places: list[int] = np.unique(np.linspace(0, n - 1, most).astype(np.int64))[:n].tolist()
    return places


def _read(
    keys: Sequence[tuple[object, ...]],
    groups: dict[tuple[object, ...], list[tuple[int, SketchedTensor]]],
) -> Iterator[Role]:
    for key in keys:
        who, tensors = zip(*groups[key], strict=True)
        values = common_values(tensors)
        if values.size and np.isfinite(values).all():
            is_table = tensors[0].role in TOKEN_TABLES and bool(key[2])
            yield Role(np.array(who), values, is_table)


@dataclass(frozen=True)
class Measured:
    """Measures of n members by t matrices; NaN where a member has no such matrix.

    ``squares``: squared distances over the typical squared norm of the matrix, ``(t, n, n)``;
    ``norms``: squared norms in the same unit, ``(t, n)``; ``apart``: squared distances over the
    sum of both squared norms, ``(t, n, n)``. ``zeros``: shares of zeros, ``tails``: log of the
    kurtosis, ``(t, n)``. ``gains``, ``biases``: squared distance of vectors to where they start,
    one and zero, ``(vectors, n)``. ``n_rows``: of the token table, 0 without one. ``digits``: bits
    that the values use, in the median. ``sizes``: entries of the matrices. ``corners``: first rows
    and columns of some of them, filled up with zeros, ``(c, n, 32, 32)``.
    """

    sizes: Ints
    squares: Doubles
    norms: Doubles
    apart: Doubles
    zeros: Doubles
    tails: Doubles
    gains: Doubles
    biases: Doubles
    n_parameters: Doubles
    n_rows: Ints
    digits: Doubles
    corners: npt.NDArray[np.float32]

    @property
    def n(self) -> int:
        """Number of members."""
        return len(self.n_parameters)


def measure_members(
    sketches: Sequence[Sketch], matrices: Sequence[Role], vectors: Sequence[Role]
) -> Measured:
    """Measure the members of a family.

    Parameters
    ----------
    sketches : sequence of Sketch
        Of the members, in one layout.
    matrices, vectors : sequence of Role
        As `roles` found them.

    Returns
    -------
    Measured
        Cost: one product of samples for each matrix.
    """
    n = len(sketches)
    t = len(matrices)
    squares, apart = (np.full((t, n, n), np.nan) for _ in range(2))
    norms, zeros, tails = (np.full((t, n), np.nan) for _ in range(3))
    for k, one in enumerate(matrices):
        at = np.ix_(one.who, one.who)
        flat = one.values.reshape(len(one.values), -1).astype(np.float64)
        far, both, own = squares_apart(flat)
        unit = max(float(np.median(own)), 1e-300)
        squares[k][at], norms[k, one.who] = far / unit, own / unit
        apart[k][at] = far / np.maximum(both, 1e-300)
        zeros[k, one.who], tails[k, one.who] = (flat == 0).mean(axis=1), _log_kurtosis(flat)
    gains, biases = _starts(vectors, n)
    return Measured(
        sizes=np.array([one.values[0].size for one in matrices], dtype=np.int64),
        squares=squares,
        norms=norms,
        apart=apart,
        zeros=zeros,
        tails=tails,
        gains=gains,
        biases=biases,
        n_parameters=np.array([float(s.n_parameters) for s in sketches]),
        n_rows=np.array([_n_rows(s) for s in sketches], dtype=np.int64),
        digits=np.array([_digits(s) for s in sketches]),
        corners=_corners(matrices, n),
    )


def _corners(matrices: Sequence[Role], n: int) -> npt.NDArray[np.float32]:
    wide = [one for one in matrices if min(one.values.shape[1:]) >= LEAST_SIDE]
    taken = [wide[k] for k in evenly(len(wide), MOST_CORNERS)]
    corners = np.full((len(taken), n, CORNER, CORNER), np.nan, dtype=np.float32)
    for k, one in enumerate(taken):
        corner = _filled(one.values[:, :CORNER, :CORNER])
        missing = [(0, CORNER - side) for side in corner.shape[1:]]
        corners[k, one.who] = np.pad(corner, [(0, 0), *missing])
    return corners


def _filled(corner: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where most were pruned, each for itself, zeros become what the others have there."""
    gone = corner == 0
    is_pruned = _is_pruned(gone.mean(axis=(1, 2)))
    if is_pruned.mean() < MOSTLY:
        return corner
    gone &= is_pruned[:, None, None]
    count = np.maximum((~gone).sum(axis=0), 1)
    return np.where(gone, np.where(gone, 0, corner).sum(axis=0) / count, corner)


def _is_pruned(share: Doubles) -> Bools:
    """Which shares of zeros are those of a pruned matrix."""
    return (share > PRUNED[0]) & (share < PRUNED[1])


def squares_apart(flat: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Squared distance of every two rows, the sum of their squared norms, and their own.

    Where most were pruned, each for itself, the entries that pruning set to zero are left out, and
    what remains stands for all: so they are as far apart as before. Where few were, the zeros say
    who was made from whom, and count like other values.
    """
    own = (flat**2).sum(axis=1)
    share = (flat == 0).mean(axis=1)
    is_pruned = _is_pruned(share)
    if is_pruned.mean() >= MOSTLY:
        kept = np.where(is_pruned[:, None], flat != 0, True).astype(np.float64)
        part = (flat**2) @ kept.T  # of each row, where the other one keeps its entries
        whole = flat.shape[1] / np.maximum(kept @ kept.T, 1.0)
        both, products = (part + part.T) * whole, (flat @ flat.T) * whole
    else:
        both, products = own[:, None] + own[None, :], flat @ flat.T
    far = np.maximum(both - 2.0 * products, 0.0)
    np.fill_diagonal(far, 0.0)
    return far, both, own


def _log_kurtosis(flat: Doubles) -> Doubles:
    squares = (flat - flat.mean(axis=1, keepdims=True)) ** 2
    variance = squares.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.einsum("ij,ij->i", squares, squares) / flat.shape[1] / variance**2)
    return np.where(variance > 0, logs, np.nan)


def _starts(vectors: Sequence[Role], n: int) -> tuple[Doubles, Doubles]:
    """Squared distances of vectors to one (gains) and to zero (biases), whichever they start at."""
    gains: list[Doubles] = []
    biases: list[Doubles] = []
    for one in vectors:
        flat = one.values.reshape(len(one.values), -1).astype(np.float64)
        to_one, to_zero = ((flat - c) ** 2 for c in (1.0, 0.0))
        near = [float(d.mean(axis=1).min()) for d in (to_one, to_zero)]
        if min(near) >= NEAR_ONE:
            continue
        row = np.full(n, np.nan)
        row[one.who] = (to_one if near[0] <= near[1] else to_zero).sum(axis=1)
        (gains if near[0] <= near[1] else biases).append(row)
    found = [np.stack(x) if x else np.empty((0, n)) for x in (gains, biases)]
    return found[0], found[1]


def distances(measured: Measured) -> Doubles:
    """Squared distance of every two members, matrices weighed by their entries: ``(n, n)``."""
    return mean_apart(measured.apart, measured.sizes)


def mean_apart(apart: Doubles, sizes: npt.ArrayLike) -> Doubles:
    """Weighted mean of squared distances ``(t, n, n)`` over the sum of both squared norms.

    At least 1e-12 and at most one, which is what two members without a common matrix are apart;
    infinite on the diagonal.
    """
    weights = np.asarray(sizes)[:, None, None] * np.isfinite(apart)
    capped = np.minimum(np.nan_to_num(apart), 1.0)
    total = weights.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(total > 0, (weights * capped).sum(axis=0) / total, 1.0)
    far: Doubles = np.maximum(mean, 1e-12)
    np.fill_diagonal(far, np.inf)
    return far


def _n_rows(sketch: Sketch) -> int:
    return max((x.shape[0] for x in sketch.tensors.values() if x.role in TOKEN_TABLES), default=0)


_BITS = {"fp8_e4m3": 4.0, "fp8_e5m2": 3.0, "fp16&bf16": 8.0, "bf16": 8.0, "fp16": 11.0}


def _digits(sketch: Sketch) -> float:
    bits = [_BITS.get(x.lattice, 24.0) for x in sketch.tensors.values() if len(x.shape) > 1]
    return float(np.median(bits)) if bits else 24.0
