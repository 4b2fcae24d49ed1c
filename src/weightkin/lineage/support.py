"""Support: how often a choice comes back when the matrices (or blocks) are drawn again."""

from __future__ import annotations

import numpy as np

from weightkin.derivation.shared import Doubles

N_RESAMPLES = 50


def support_of(chosen: Doubles, others: Doubles, seed: int) -> float:
    """Share of resamples of the parts in which the chosen parent is as near as any other.

    Parameters
    ----------
    chosen : (n_parts,) array
        Squared distance of the child to the chosen parent (or mixture) in every part.
    others : (n_others, n_parts) array
        The same for the other candidates. Without any there is nothing to lose against: 1.
    seed : int
        Of the resamples.
    """
    n_parts = len(chosen)
    if not len(others) or not n_parts:
        return 1.0
    rng = np.random.default_rng([seed, n_parts])
    drawn = rng.integers(n_parts, size=(N_RESAMPLES, n_parts))
    counts = np.stack([np.bincount(row, minlength=n_parts) for row in drawn])
    own = counts @ chosen  # (N_RESAMPLES,)
    best = (counts @ others.T).min(axis=1)
    return float(np.mean(own <= best * (1 + 1e-9)))
