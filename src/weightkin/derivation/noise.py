"""Additive white noise: every matrix differs by one without structure, of one relative size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.distances import PairRelation

MAX_EQUAL = 0.01  # share of equal entries above which nothing was added everywhere
NOISE_EDGE = 1.15  # of the spectrum of white noise: (sqrt m + sqrt n) sigma
MAX_NOISE_SPREAD = 0.15  # of the relative size over matrices
HEAVY = 0.3  # excess kurtosis of the difference
DEPENDENT = 4.5  # standard deviations of the correlation of squares
MIN_REFUTED = 6.0  # standard deviations by which one direction must be refuted
MAX_SIZE = 0.3  # relative
MIN_SIDE = 16


@dataclass(frozen=True, slots=True)
class Noise:
    """White noise between two models; ``child`` is the one that holds it, where that shows."""

    share: float  # of each tensor's standard deviation, median
    child: str  # "a", "b" or "" (not told)
    z_a: float  # correlation of the difference with a, in standard deviations
    z_b: float


def white_noise(relation: PairRelation) -> Noise | None:
    """Tell whether b - a is white in every matrix, or return None.

    White: no entry kept, largest singular value at the edge of random matrices, light tails, size
    independent of the entries. Noise is uncorrelated with what it was added to, and correlated with
    the sum: that tells the direction, by a normal deviate.
    """
    if relation.only_a or relation.only_b or relation.share_equal > MAX_EQUAL:
        return None
    shares, z_a, z_b, weights = [], [], [], []
    for pair in relation.pairs:
        if not pair.is_same_shape:
            return None
        x, y = (v.astype(np.float64) for v in (pair.both.values_a, pair.both.values_b))
        if min(x.shape) < MIN_SIDE:
            continue
        if not is_white(x, y):
            return None
        d = y - x
        sigma = float(d.std())
        shares.append(sigma / float(x.std()))
        z_a.append(float(np.sum(x * d)) / sigma**2)
        z_b.append(float(np.sum(y * d)) / sigma**2)
        weights.append(float(np.sum(x * x)) / sigma**2)
    if not shares or np.std(shares) > MAX_NOISE_SPREAD * np.mean(shares):
        return None
    size = np.sqrt(np.sum(weights))
    at_a, at_b = float(np.sum(z_a) / size), float(np.sum(z_b) / size)
    child = ""
    if abs(at_a) < MIN_REFUTED / 2 and at_b > MIN_REFUTED:
        child = "b"
    elif abs(at_b) < MIN_REFUTED / 2 and at_a < -MIN_REFUTED:
        child = "a"
    return Noise(float(np.median(shares)), child, at_a, at_b)


def is_white(x: Doubles, y: Doubles) -> bool:
    """Whether the difference of two matrices is white, small noise."""
    d = y - x
    sigma = float(d.std())
    if not 0 < sigma < MAX_SIZE * max(float(x.std()), 1e-300):
        return False
    if abs(float(np.mean(d**4)) / sigma**4 - 3) > HEAVY + 15 / np.sqrt(d.size):
        return False
    if abs(_correlation(x * x, d * d)) * np.sqrt(d.size) > DEPENDENT:
        return False
    edge = sigma * (np.sqrt(x.shape[0]) + np.sqrt(x.shape[1]))
    return bool(np.linalg.norm(d, 2) <= NOISE_EDGE * edge)


def _correlation(
    x: Doubles,
    y: Doubles,
) -> float:
    p, q = x.ravel() - x.mean(), y.ravel() - y.mean()
    return float(p @ q / max(np.sqrt((p @ p) * (q @ q)), 1e-300))
