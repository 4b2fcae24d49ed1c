"""The cheapest way to give every node one parent: minimum spanning arborescences and forests.

Chu-Liu/Edmonds as a growing path: follow the cheapest edge backwards from a node, contract the
cycle it runs into, stop at what already hangs on the artificial root. Dense costs take O(n^2) in
vectorised rows.

References
----------
.. [1] Chu and Liu, On the shortest arborescence of a directed graph, Scientia Sinica 14 (1965).
.. [2] Edmonds, Optimum branchings, J. Res. NBS 71B (1967).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles, Ints

ROOT = -1
MAX_NODES = 46_340  # nodes: pairs of them are numbered in 32 bits


def arborescence(costs: npt.ArrayLike, root_prices: npt.ArrayLike | None = None) -> Ints:
    """Parent of every node at the smallest total cost; -1 for roots.

    Parameters
    ----------
    costs : (n, n) array
        ``costs[parent, child]``, of any sign; infinity forbids the edge. The diagonal is not read.
    root_prices : (n,) array or float, optional
        What it costs to be a root, infinity to forbid it. A price common to all makes a forest that
        splits wherever no edge is worth it. By default roots cost nothing but are as few as the
        edges that are allowed permit, normally one.

    Returns
    -------
    (n,) array of int
        Parents. The same input gives the same tree, also among trees of one total cost.

    Raises
    ------
    ValueError
        Shapes do not fit, a cost is not a number, or some node can be reached by nothing.
    """
    weights = np.array(costs, dtype=np.float64)
    n = len(weights)
    if weights.shape != (n, n) or n > MAX_NODES:
        raise ValueError(f"costs have shape {weights.shape}, not (n, n) with n <= {MAX_NODES}")
    np.fill_diagonal(weights, np.inf)
    prices, are_roots_few = _checked(weights, root_prices, n)
    return _grow(_Matrix(weights, prices, are_roots_few=are_roots_few), n)


def _checked(
    weights: Doubles, root_prices: npt.ArrayLike | None, n_nodes: int
) -> tuple[Doubles, bool]:
    values = 0.0 if root_prices is None else root_prices
    prices = np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), n_nodes))
    for name, x in (("costs", weights), ("root prices", prices)):
        if np.isnan(x).any() or np.isneginf(x).any():
            raise ValueError(f"{name} hold NaN or minus infinity")
    return prices, root_prices is None


def _grow(pool: _Matrix, n: int) -> Ints:
    """Grow paths backwards until everything hangs on the root, then undo the contractions."""
    inside = [ROOT] * n  # the contracted cycle each node went into
    entry: list[tuple[int, int]] = [(ROOT, ROOT)] * n  # the edge chosen into each node
    paid = [0.0] * n
    is_on_path, is_attached = [False] * n, [False] * n
    for start in range(n):
        if is_on_path[start] or is_attached[start] or inside[start] != ROOT:
            continue
        path = [start]
        is_on_path[start] = True
        while True:
            node = path[-1]
            source, paid[node], parent, child = pool.cheapest(node)
            entry[node] = (parent, child)
            if source == ROOT or is_attached[source]:
                break
            if is_on_path[source]:
                cycle = [path.pop()]
                while cycle[-1] != source:
                    cycle.append(path.pop())
                new = len(inside)
                pool.contract(cycle, [paid[x] for x in cycle], new)
                for x in cycle:
                    inside[x] = new
                inside.append(ROOT)
                entry.append((ROOT, ROOT))
                paid.append(0.0)
                is_on_path.append(True)
                is_attached.append(False)
                path.append(new)
            else:
                is_on_path[source] = True
                path.append(source)
        for x in path:
            is_attached[x] = True
    return _expanded(inside, entry, n)


def _expanded(inside: Sequence[int], entry: Sequence[tuple[int, int]], n: int) -> Ints:
    """Open the cycles, outermost first: the edge into a cycle replaces one of the cycle's own."""
    parents = np.full(n, ROOT, dtype=np.int64)
    is_open = [False] * len(inside)
    for node in range(len(inside) - 1, -1, -1):
        if is_open[node]:
            continue
        parent, child = entry[node]
        parents[child] = parent
        is_open[node] = True
        while child != node:
            is_open[child] = True
            child = inside[child]
    return parents


class _Matrix:
    """All edges as a dense matrix, a row for each child; a cycle takes over its first row."""

    def __init__(self, weights: Doubles, prices: Doubles, *, are_roots_few: bool) -> None:
        n = len(weights)
        self.n = n
        self.weights = np.ascontiguousarray(weights.T)  # (child, parent)
        self.edges = np.arange(n * n, dtype=np.int32).reshape(n, n)  # child * n + parent
        self.prices = prices
        self.entered = np.arange(n)  # the node that the root's edge into a row enters
        self.are_roots_few = are_roots_few
        self.row = list(range(n))  # of a node
        self.node = list(range(n))  # in a row

    def cheapest(self, node: int) -> tuple[int, float, int, int]:
        row = self.row[node]
        column = int(self.weights[row].argmin())
        cost, price = float(self.weights[row, column]), float(self.prices[row])
        if cost == np.inf or (price <= cost and not self.are_roots_few):
            return ROOT, _finite(price, int(self.entered[row])), ROOT, int(self.entered[row])
        child, parent = divmod(int(self.edges[row, column]), self.n)
        return self.node[column], cost, parent, child

    def contract(self, cycle: Sequence[int], costs: Sequence[float], new: int) -> None:
        rows = np.array([self.row[x] for x in cycle])
        keep, rest = rows[0], rows[1:]
        paid = np.array(costs)
        every = np.arange(self.n)
        into = self.weights[rows] - paid[:, None]  # (k, n): changing to this edge costs so much
        best = into.argmin(axis=0)
        self.weights[keep], self.edges[keep] = into[best, every], self.edges[rows[best], every]
        roots = self.prices[rows] - paid
        first = int(roots.argmin())
        self.prices[keep], self.entered[keep] = roots[first], self.entered[rows[first]]
        out = self.weights[:, rows]  # (n, k)
        best = out.argmin(axis=1)
        self.weights[:, keep], self.edges[:, keep] = out[every, best], self.edges[every, rows[best]]
        self.weights[:, rest] = np.inf
        self.weights[keep, keep] = np.inf
        self.row.append(int(keep))
        self.node[keep] = new


def _finite(price: float, node: int) -> float:
    if price == np.inf:
        raise ValueError(f"node {node} has no edge from outside and may not be a root")
    return price
