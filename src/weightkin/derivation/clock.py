"""Rows of token tables that training never used: decay alone shrinks them, all by one factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.sketch.overlap import common, overlap_tail
from weightkin.sketch.types import Sketch, SketchedTensor

COLLINEAR = 1e-9  # squared residual of a row, relative to its squared norm
ONE_FACTOR = 1e-5  # relative spread of the factors of rows that share one
MIN_CLOCK_ROWS, MIN_COLUMNS = 3, 8
STILL = 1e-6  # nearer to 1 than this, nothing decayed


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Rows of b are ``c`` times rows of a: under 1, decay went on from a's moment to b's."""

    c: float
    n_rows: int
    residual: float  # largest squared residual of those rows, relative


@dataclass(frozen=True, slots=True)
class CollinearRows:
    """Which sampled token rows of two models are proportional by one common factor."""

    c: float
    rows: tuple[tuple[str, int], ...]  # tensor and row
    n_sampled: int  # rows looked at
    residual: float

    @property
    def n_rows(self) -> int:
        """How many rows share the factor."""
        return len(self.rows)


def clock(a: Sketch, b: Sketch) -> ClockReading | None:
    """Read how much decay lies between two models; None where no rows show it.

    Rows without gradient are multiplied by one factor a step (decoupled weight decay), so that rows
    unused between both models are collinear, with one factor. It orders two models in time, also
    two siblings: that one is older does not make it the other's parent.
    """
    found = collinear_rows(a, b)
    if found.n_rows < MIN_CLOCK_ROWS:
        return None
    return ClockReading(found.c, found.n_rows, found.residual)


def collinear_rows(a: Sketch, b: Sketch) -> CollinearRows:
    """Token rows of b that are exactly one common multiple of the same rows of a.

    A child keeps (shrunk) the rows that its data never used, so that their number counts what has
    not been used on the whole way between the two.
    """
    factors, residuals, rows = [], [], []
    for name, x in a.tensors.items():
        y = b.tensors.get(name)
        if y is None or "embed" not in (x.role, y.role) or len(x.shape) != 2:
            continue
        if x.shape[1] != y.shape[1]:
            continue
        for index, p, q in _samples(x, y):
            factor, residual = _fit(p, q)
            factors.append(factor)
            residuals.append(residual)
            rows += [(name, int(i)) for i in index]
    if not factors:
        return CollinearRows(1.0, (), 0, 0.0)
    factor, residual = np.concatenate(factors), np.concatenate(residuals)
    is_line = residual < COLLINEAR
    if not is_line.any():
        return CollinearRows(1.0, (), len(rows), 0.0)
    c = _common_factor(factor[is_line])
    is_common = is_line & (np.abs(factor - c) <= ONE_FACTOR * c)
    kept = tuple(row for row, keep in zip(rows, is_common, strict=True) if keep)
    return CollinearRows(c, kept, len(rows), float(residual[is_common].max()))


def _samples(
    x: SketchedTensor, y: SketchedTensor
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Common rows of the sample, then those of the tail that the sample has not."""
    both = common(x, y)
    index = np.intersect1d(x.rows, y.rows, assume_unique=True)
    samples = [(index, both.values_a, both.values_b)]
    if len(x.tail_rows) and len(y.tail_rows):
        tail = np.intersect1d(x.tail_rows, y.tail_rows, assume_unique=True)
        is_new = ~np.isin(tail, index)
        p, q = overlap_tail(x, y)
        samples.append((tail[is_new], p[is_new], q[is_new]))
    wide = [(i, p.astype(np.float64), q.astype(np.float64)) for i, p, q in samples]
    return [s for s in wide if len(s[0]) and s[1].shape[1] >= MIN_COLUMNS]


def _fit(
    p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Factor of every row of q on that of p, and the relative squared residual (inf for zeros)."""
    with np.errstate(all="ignore"):
        squares, others = np.sum(p * p, axis=1), np.sum(q * q, axis=1)
        factor = np.sum(p * q, axis=1) / squares
        residual = np.sum((q - factor[:, None] * p) ** 2, axis=1) / others
    is_bad = ~np.isfinite(factor) | ~np.isfinite(residual) | (factor <= 0)
    return np.where(is_bad, 1.0, factor), np.where(is_bad, np.inf, residual)


def _common_factor(factors: npt.NDArray[np.float64]) -> float:
    """Centre of the densest narrow window of the factors."""
    ordered = np.sort(factors)
    ends = np.searchsorted(ordered, ordered * (1 + ONE_FACTOR), side="right")
    start = int(np.argmax(ends - np.arange(len(ordered))))
    return float(np.median(ordered[start : ends[start]]))
