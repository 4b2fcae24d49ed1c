"""Probabilities of parents over all forests: the directed matrix-tree theorem.

Every spanning forest of rooted trees has as weight the product of the weights of its edges and of
its roots. From a child, walk to a parent with odds by weight, or leave by the root, and so on: the
edge ``u -> v`` is as probable as ``weight * (chance that a walk from u leaves before it meets v)``,
the root of ``v`` as its weight, both over their sum. Models are eliminated one by one, and nothing
is ever subtracted (Grassmann, Taksar, Heyman 1985), so that weights over many orders keep their
digits, as two models that are nearly sure to be each other's parent do.
"""

from __future__ import annotations

import numpy as np

from weightkin.arrays import Doubles

RARE = 1e-100  # roots as rare as this leave forests of a single tree


def parent_marginals(weights: Doubles, roots: Doubles) -> tuple[Doubles, Doubles]:
    """Probability of every edge, and of every root, over all spanning forests.

    Parameters
    ----------
    weights : (n, n) array
        Of the edge from row to column, >= 0; the diagonal counts nothing.
    roots : (n,) array
        Of each model without a parent, > 0.

    Returns
    -------
    tuple
        ``(n, n)`` probabilities of edges and ``(n,)`` of roots: every column and its root sum to 1.
    """
    edges = weights * _leaves_before(weights, roots).T
    np.fill_diagonal(edges, 0.0)
    sums = edges.sum(axis=0) + roots
    return edges / sums, roots / sums


def sole_roots(weights: Doubles, roots: Doubles) -> Doubles:
    """Probability that a model is the only root of the forest, ``(n,)``; weights as above."""
    rare = RARE * roots
    log_share = _log_forests(weights, rare) - np.log(RARE) - _log_forests(weights, roots)
    return np.asarray(parent_marginals(weights, rare)[1] * np.exp(min(0.0, log_share)))


def _log_forests(weights: Doubles, roots: Doubles) -> float:
    """Logarithm of the sum of all forests: the determinant, as the product of all pivots."""
    w, r = weights.copy(), roots.copy()
    totals = _eliminate(w, r, 1)
    return float(np.log(totals).sum() + np.log(r[0]))


def _leaves_before(weights: Doubles, roots: Doubles) -> Doubles:
    """Chance that a walk from the column leaves by a root before it meets the row, ``(n, n)``.

    Each half is eliminated for the sake of the targets in the other one: O(n³) in all.
    """
    n = len(roots)
    found = np.zeros((n, n))
    halves = np.arange(n // 2), np.arange(n // 2, n)
    for kept, gone in (halves, halves[::-1]) if n > 1 else ():
        order, m = np.concatenate((kept, gone)), len(kept)
        w, r = weights[np.ix_(order, order)], roots[order]
        _eliminate(w, r, m)
        leaves = np.empty((m, n))
        leaves[:, :m] = _leaves_before(w[:m, :m], r[:m])
        for x in range(m, n):
            leaves[:, x] = r[x] + leaves[:, :x] @ w[:x, x]
        found[np.ix_(kept, order)] = leaves
    return found


def _eliminate(w: Doubles, r: Doubles, m: int) -> Doubles:
    """Walk past all but the first m models, in place; returns the weight out of each, last first.

    Columns of eliminated models, and their roots, become shares of the ways out of them.
    """
    totals = []
    for x in range(len(r) - 1, m - 1, -1):
        totals.append(w[:x, x].sum() + r[x])
        w[:x, x] /= totals[-1]
        r[x] /= totals[-1]
        w[:x, :x] += np.outer(w[:x, x], w[x, :x])  # the diagonal is never read
        r[:x] += r[x] * w[x, :x]
    return np.array(totals)
