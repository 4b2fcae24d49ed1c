"""Slopes of the probability of the true forests of families, for the fit of parents.

The directed matrix-tree theorem gives every edge its probability over all forests; the slope of the
log-probability of the true forest by the logarithm of a weight is what is true of the edge, less
that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_ROOT = 1e-7  # of the largest weight into a child, so that no family is without a root
FLATTEST = 1e-4  # least curvature of what is all but certain


@dataclass(frozen=True)
class Rows:
    """A family as the fit sees it, m candidate pairs among n members."""

    parents: np.ndarray  # (m,)
    children: np.ndarray
    pairs: np.ndarray  # (m, features)
    members: np.ndarray  # (n, features)
    orders: np.ndarray  # (n, n) factors of weights
    true: np.ndarray  # (n, n)
    is_root: np.ndarray  # (n,)


@dataclass(frozen=True)
class Alike:
    """Families of one size, one behind another: where their rows stand, and the truth."""

    at: tuple[np.ndarray, ...]  # family, parent, child of every candidate pair
    rows: np.ndarray  # of all pairs of all families
    members: np.ndarray  # (families, n), of all members of all families
    orders: np.ndarray  # logarithms
    true: np.ndarray
    is_root: np.ndarray


def by_size(found: Sequence[Rows]) -> list[Alike]:
    """Families of equal size together, so that their forests are summed at once."""
    pairs = np.cumsum([0, *(len(r.parents) for r in found)])
    members = np.cumsum([0, *(len(r.is_root) for r in found)])
    sizes = np.array([len(r.is_root) for r in found])
    groups = []
    for n in np.unique(sizes):
        some = np.flatnonzero(sizes == n)
        own = [found[i] for i in some]
        of = np.repeat(np.arange(len(own)), [len(r.parents) for r in own])
        at = (of, *(np.concatenate([getattr(r, k) for r in own]) for k in ("parents", "children")))
        groups.append(
            Alike(
                at,
                np.concatenate([np.arange(pairs[i], pairs[i + 1]) for i in some]),
                np.array([np.arange(members[i], members[i + 1]) for i in some]),
                np.log(np.array([r.orders for r in own])),
                np.array([r.true for r in own]),
                np.array([r.is_root for r in own]),
            )
        )
    return groups


def slopes(
    groups: Sequence[Alike], pairs: np.ndarray, members: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """First and second derivatives of minus the log-probability of the true forests.

    By what pairs and members say, the logarithms of their weights. Of several true parents of a
    child, as a merge has them, any will do.
    """
    ways = [(np.zeros(len(x)), np.zeros(len(x))) for x in (pairs, members)]
    for g in groups:
        n = g.true.shape[1]
        logs = np.full((len(g.true), n + 1, n), -np.inf)
        logs[g.at[0], g.at[1], g.at[2]] = pairs[g.rows]
        logs[:, :n] += g.orders
        logs[:, n] = members[g.members]
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        edges, roots = _marginals(weights[:, :n], weights[:, n] + LEAST_ROOT)
        share = g.true * weights[:, :n]
        share /= np.maximum(share.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        for way, place, p, wanted in (
            (ways[0], g.rows, edges[g.at], share[g.at]),
            (ways[1], g.members, roots, g.is_root),
        ):
            way[0][place] = p - wanted
            way[1][place] = np.maximum(p * (1 - p), FLATTEST)
    return ways


def _marginals(weights: np.ndarray, roots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`forests.parent_marginals` of many families of one size, by inverses: fast, not as exact."""
    i = np.arange(weights.shape[1])
    laplacian = -weights
    laplacian[:, i, i] = 0.0
    laplacian[:, i, i] = roots - laplacian.sum(axis=1)
    inverse = np.linalg.inv(laplacian)
    own = inverse[:, i, i]
    edges = weights * (own[:, None, :] - inverse.transpose(0, 2, 1))
    return np.clip(edges, 0, 1), np.clip(roots * own, 0, 1)
