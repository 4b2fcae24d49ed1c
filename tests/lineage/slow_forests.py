"""Slow twins of the sums over forests: all forests one by one, random ones, exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np

from tests.naive import reaches_root


def all_forests(weights, roots):
    """Every spanning forest, -1 for a root, and its weight: all products of edges and roots."""
    n = len(roots)
    for parents in product(range(-1, n), repeat=n):
        if all(reaches_root(parents, x) for x in range(n)):
            ways = (roots[x] if p < 0 else weights[p][x] for x, p in enumerate(parents))
            yield parents, math.prod(ways)


def random_forest(weights, roots, rng):
    """A forest drawn by its weight: every model walks up, and loops are dropped (Wilson 1996)."""
    n = len(roots)
    ways = np.vstack([weights * (1 - np.eye(n)), roots])
    ways = np.cumsum(ways / ways.sum(axis=0), axis=0)
    parents, placed = [-1] * n, {n}
    for start in range(n):
        x = start
        while x not in placed:
            parents[x] = min(n, int(np.searchsorted(ways[:, x], rng.random(), side="right")))
            x = parents[x]  # where it went last is all that counts
        x = start
        while x not in placed:
            placed.add(x)
            x = parents[x]
    return [-1 if p == n else p for p in parents]


def exact_marginals(weights, roots):
    """Probabilities of edges and roots by the matrix-tree theorem, in fractions."""
    n = len(roots)
    w = [[Fraction(float(weights[i][j])) * (i != j) for j in range(n)] for i in range(n)]
    r = [Fraction(float(x)) for x in roots]
    laplacian = [[-w[i][j] for j in range(n)] for i in range(n)]
    for v in range(n):
        laplacian[v][v] = r[v] + sum(w[u][v] for u in range(n))
    inv = inverse(laplacian)
    edges = [[float(w[u][v] * (inv[v][v] - inv[v][u])) for v in range(n)] for u in range(n)]
    return np.array(edges), np.array([float(r[v] * inv[v][v]) for v in range(n)])


def inverse(matrix):
    """Gauss and Jordan, in whatever numbers the matrix holds."""
    n = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix)]
    for k in range(n):
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[n:] for row in rows]
