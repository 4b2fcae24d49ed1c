"""Atoms: the one number at which ratios of entries pile up, if there is one."""

from __future__ import annotations

import numpy as np

from weightkin.derivation.merges import Floats

MIN_ENTRIES = 200  # precise enough to have a ratio
PRECISE = 50  # rounding units that a difference must have
MAX_RATIO = 8.0


def find_atom(change: Floats, delta: Floats, unit: Floats) -> tuple[float, float]:
    """The number where ratios pile up, and the share of entries there beyond the local level."""
    precise = np.abs(delta) > PRECISE * unit
    if precise.sum() < MIN_ENTRIES:
        return 0.0, 0.0
    error = unit[precise] / np.abs(delta[precise])
    ratio = change[precise] / delta[precise]
    width = max(1e-3, 2 * float(np.quantile(error, 0.25)))
    good = (error <= width / 2) & (ratio > 2 * width) & (ratio < MAX_RATIO)
    if good.sum() < MIN_ENTRIES // 2:
        return 0.0, 0.0
    counts = np.bincount((ratio[good] / width).astype(np.int64), minlength=64)
    double = counts[1:] + counts[:-1]  # an atom may fall on the border of two bins
    top = int(double.argmax())
    beside = np.delete(double[max(top - 20, 0) : top + 21], min(top, 20))
    excess = double[top] - np.median(beside) - 4 * np.sqrt(np.median(beside) + 1)
    near = good & (np.abs(ratio - (top + 1) * width) <= 1.5 * width)
    share = float(excess) / float((error <= width / 2).sum())
    return share, _sharpened(_mode(ratio[near]), ratio, error)


def _mode(values: Floats) -> float:
    """Half-sample mode: the shortest half, of that the shortest half, until few are left."""
    left = np.sort(values)
    while len(left) > 8:
        half = -(-len(left) // 2)
        start = int(np.argmin(left[half - 1 :] - left[: len(left) - half + 1]))
        left = left[start : start + half]
    return float(np.median(left))


def _sharpened(atom: float, ratio: Floats, error: Floats) -> float:
    """Precision-weighted mean of the ratios that agree with an atom, to the last digits."""
    for _ in range(4):
        agree = np.abs(ratio - atom) <= 2 * error
        if not agree.any():
            break
        atom = float(np.average(ratio[agree], weights=error[agree] ** -2.0))
    return atom
