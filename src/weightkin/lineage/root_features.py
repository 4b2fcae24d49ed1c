"""What speaks for a member having no parent among the others: numbers for a fitted model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weightkin.arrays import Doubles
from weightkin.lineage.triples import Around

TAKEN = (
    *("grown", "gains", "biases", "norms", "tails", "larger"),
    *("gain_sign", "grown_sign", "multiples"),
)


def root_features(
    around: Around, features: Mapping[str, Doubles], edges: Doubles
) -> dict[str, Doubles]:
    """Features of every member: ``(n,)`` each.

    Parameters
    ----------
    around : Around
        The candidate pairs.
    features : mapping
        Of the pairs, ``(m,)`` each.
    edges : (n, n) array
        Probabilities of all edges as far as they are known.

    Returns
    -------
    dict of str to (n,) array
        NaN where nothing is known.
    """
    u, v = around.parents, around.children
    n = len(edges)
    into, out = np.sort(edges, axis=0), np.sort(edges, axis=1)
    ahead = np.where(np.eye(n) > 0, np.nan, edges - edges.T)
    found = {
        "first": into[-1],
        "second": into[-2] if n > 1 else into[-1],
        "into": edges.sum(axis=0),
        "best_child": out[:, -1],
        "out_of": edges.sum(axis=1),
        "ahead_least": np.nanmin(ahead, axis=1),
        "ahead_most": np.nanmax(ahead, axis=1),
        "ahead": np.nanmean(ahead, axis=1),
    }
    for name in TAKEN:
        x = np.full((n, n), np.nan)
        x[u, v] = features[name]
        found |= {f"{name}_{key}": value for key, value in _along(x).items()}
    own = np.full((n, n), np.nan)
    own[u, v] = features["zeros_u"]
    found["zeros"] = _along(own)["mean"]
    return found


def _along(x: Doubles) -> dict[str, Doubles]:
    """Mean, least and most of each row, NaN where it is empty."""
    is_told = np.isfinite(x)
    n = is_told.sum(axis=1)
    some = n > 0
    mean = np.where(is_told, x, 0.0).sum(axis=1) / np.maximum(n, 1)
    least = np.where(is_told, x, np.inf).min(axis=1)
    most = np.where(is_told, x, -np.inf).max(axis=1)
    return {
        key: np.where(some, value, np.nan)
        for key, value in (("mean", mean), ("least", least), ("most", most))
    }
