"""How alike two unrelated models can be made by an arrangement that changes no output.

Whoever holds a reference may turn the residual stream of another model by one orthogonal map R, put
the units of every block in any order, and aim at the units of his choice. Null hypothesis of the
bound: rows of the other model are independent of the reference and uniform in direction. For k
fixed pairs of rows of d features the mean cosine after the best R is at most sqrt(d / k) in
expectation (the nuclear norm of a sum of k rank-one matrices of length 1; 8 / (3 pi) = 0.849 of
that for large d, which no k exceeds), and its deviation t has a probability of at most
exp(-k (d - 1) t^2 / 2): it is Lipschitz in the rows, on a product of spheres. There are at most
exp(k E) choices of k pairs out of N in blocks of n, with `entropy` E. So no choice reaches more
than `TURN` sqrt(d / k) + sqrt(2 E / (d - 1)), up to a probability that vanishes with k.

In narrow models this sum exceeds one and says nothing. Used is what it is to first order: the
choice by the law of a cosine itself, ``sqrt(1 - exp(-2 E / (d - 1)))``, of what the turn leaves.
And where rows have something in common, d - 1 is replaced by what the best other partner shows
(`Level.chance`). Both are measured (`benchmarks.claims.framing`), not proven, and so is what
mixing values inside their heads adds (`reached_inside`).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from weightkin.arrays import Doubles

TURN = 0.85
MIXED = 2 / 3  # of what a map inside a head fits in one view, lost where it has to fit the other


def reached_by(
    n_rows: Doubles,
    n_all: float,
    *,
    n_features: int,
    n_partners: int,
    chance: float = 0.0,
    n_views: int = 1,
    is_signed: bool = False,
) -> Doubles:
    """The mean cosine that one turn and any choice of units and partners can reach.

    Parameters
    ----------
    n_rows : (m,) array
        Rows that are chosen.
    n_all : float
        Rows of all units.
    n_features : int
        Of a row, at least 2.
    n_partners : int
        Units of which any may stand for one.
    chance : float
        Median cosine of the best other partner: what rows have in common raises it.
    n_views : int
        Rows of one unit.
    is_signed : bool
        Whether a unit may have either sign.

    Returns
    -------
    (m,) array
    """
    n = max(n_partners, 2)
    spread = spread_of(n_features, n, chance)
    choices = entropy(2 * n if is_signed else n, np.minimum(n_rows / n_all, 1.0)) / n_views
    chosen = np.sqrt(1.0 - np.exp(-2.0 * spread**2 * choices))
    turned = TURN * np.sqrt(n_features / n_rows)
    return np.asarray(turned + chosen * np.maximum(1.0 - turned, 0.0))


def reached_inside(
    n_rows: Doubles,
    n_all: float,
    *,
    n_features: int,
    inside: float,
    spread: float,
    n_views: int = 1,
    n_each: int = 1,
) -> Doubles:
    """The same for rows that an invertible map of each head mixes, and its inverse the other view.

    Such a map puts a row at the nearest vector of the space of its head, at a cosine of
    ``sqrt(inside)`` from one in any direction. Where all rows are to fit in V and in O, one map has
    to serve both. The turn adds an angle of ``arcsin(sqrt(d / k))``, the choice of rows that of
    their law. Measured, not proven: an attacker who climbs by gradient reaches 0.95 of it.

    Parameters
    ----------
    n_rows, n_all, n_features, n_views
        As of `reached_by`.
    inside : float
        Share of the features that the rows of a head span.
    spread : float
        Standard deviation of a cosine of unlike rows.
    n_each : int
        Rows of one unit in one view: where they are many, all rows of a chosen head have to fit.

    Returns
    -------
    (m,) array
        Above one where nothing is out of reach.
    """
    share = np.minimum(n_rows / n_all, 1.0)
    used = share if n_each == 1 else np.ones_like(share)
    mixed = np.sqrt(np.minimum(inside * (1.0 - MIXED * used * (1.0 - 1.0 / n_views)), 1.0))
    turned = np.sqrt(np.minimum(n_features / n_rows, 1.0))
    rest = np.maximum(1.0 - share, 1e-300)
    choices = -(np.log(share) + rest / share * np.log(rest)) / (n_views * n_each)
    chosen = np.sqrt(1.0 - np.exp(-2.0 * spread**2 * choices))
    angle = np.arcsin(mixed) + np.arcsin(turned) + np.arcsin(chosen)
    beyond = np.maximum(angle - 0.5 * np.pi, 0.0)
    return np.asarray(np.where(beyond > 0, 1.0 + beyond, np.sin(angle)))


def spread_of(n_features: int, n: int, chance: float) -> float:
    """Standard deviation of a cosine: of uniform rows, or what the best of n others shows."""
    most = NormalDist().inv_cdf((n - 0.375) / (n + 0.25))  # of n normal numbers, on average
    return max(1.0 / math.sqrt(max(n_features - 1, 1)), chance / most)


def entropy(n: int, share: Doubles) -> Doubles:
    """Log of the number of ways to choose a share of all units and partners among n, for each one.

    The limit for large n of (log of the ways to choose f n of n, and as many different partners) /
    (f n) is ``log(n / f) - 1 - 2 (1 - f) / f log(1 - f)``.
    """
    rest = np.maximum(1.0 - share, 1e-300)
    return np.asarray(np.log(n / share) - 1.0 - 2.0 * rest / share * np.log(rest))
