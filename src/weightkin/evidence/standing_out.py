"""How far matched units stand out on one view, clones of a partner left out.

A unit (gate g, up u, down d) may be split into (g, v, d) and (g, u - v, d), whatever v is: then its
up row is what somebody wanted, and its gate is what it was. So what is asked of matched units is
asked on the gate, or on the up row of a plain MLP, where both pieces are alike.
"""

from __future__ import annotations

import numpy as np

from weightkin.arrays import Floats, Ints
from weightkin.stats.matching import unit_rows

MIN_COSINE_GATE = 0.98  # gates so alike are one unit, whatever became of up and down
LEAST_OTHER = 0.01  # cosine of the best other match, at least


def beside_clones(x: Floats, y: Floats, units_a: Ints, units_b: Ints) -> tuple[Floats, Floats]:
    """Cosines of matched units, and of their best other matches that are no clones of either.

    Parameters
    ----------
    x, y : ndarray
        Rows of one view of both models, ``(n_a, n_features)`` and ``(n_b, n_features)``.
    units_a, units_b : ndarray of int
        ``(n,)``, matched units.

    Returns
    -------
    tuple of ndarray
        ``(n,)`` each. Cost: ``n (n_a + n_b)`` cosines, twice.
    """
    a, b = unit_rows(x), unit_rows(y)
    found: Floats = (a[units_a] * b[units_b]).sum(axis=1)
    of_a, of_b = a[units_a] @ b.T, b[units_b] @ a.T
    of_a[b[units_b] @ b.T >= MIN_COSINE_GATE] = -1.0
    of_b[a[units_a] @ a.T >= MIN_COSINE_GATE] = -1.0
    both = of_a.max(axis=1, initial=-1.0) + of_b.max(axis=1, initial=-1.0)
    return found, np.asarray(0.5 * both, dtype=np.float32)
