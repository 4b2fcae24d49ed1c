"""Speed of the spanning arborescence: as a ratio to networkx, and in seconds at larger sizes.

`python -m benchmarks.claims.arborescence [N]`: networkx runs once on N nodes (300), which takes
minutes.
"""

from __future__ import annotations

import sys
import time

import networkx
import numpy as np

from benchmarks.lib.tables import markdown
from weightkin.arrays import Doubles
from weightkin.lineage.arborescence import ROOT, arborescence


class Costs:
    """Distances between points, plus a penalty on one direction of each pair, as in `mother`."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.points = rng.normal(size=(n, 8))
        self.rank = rng.permutation(n)

    def of(self, children: slice) -> Doubles:
        """Costs of all parents of some children; infinity on the diagonal."""
        x, y = self.points, self.points[children]
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
        against = self.rank[:, None] > self.rank[children]
        costs = np.sqrt(np.maximum(squares, 0.0)) + 1.2 * against  # 0.3 mean distances
        places = np.arange(len(x))[children]
        costs[places, places - (children.start or 0)] = np.inf
        return costs


def by_networkx(costs: Doubles) -> float:
    """Total cost of networkx's minimum spanning arborescence."""
    graph = networkx.DiGraph()
    n = len(costs)
    graph.add_weighted_edges_from(
        (i, j, float(costs[i, j])) for i in range(n) for j in range(n) if i != j
    )
    tree = networkx.minimum_spanning_arborescence(graph)
    return float(sum(data["weight"] for _, _, data in tree.edges(data=True)))


def main(n_slow: int) -> None:
    """Print a table. Nothing is asserted: CPU times depend on the machine, ratios much less."""
    rng = np.random.default_rng(0)
    costs = Costs(n_slow, rng).of(slice(None))
    started = time.process_time()
    wanted = by_networkx(costs)
    slow = time.process_time() - started
    rows: list[tuple[object, ...]] = [(n_slow, "networkx", f"{slow:.2f}", "1", "")]
    started = time.process_time()
    parents = arborescence(costs)
    seconds = time.process_time() - started
    children = np.flatnonzero(parents != ROOT)
    off = costs[parents[children], children].sum() / wanted - 1
    rows.append((n_slow, "dense", f"{seconds:.3f}", f"{slow / seconds:.0f}", f"{off:.0e}"))
    for n in (1000, 3000):
        costs = Costs(n, rng).of(slice(None))
        started = time.process_time()
        arborescence(costs)
        rows.append((n, "dense", f"{time.process_time() - started:.3f}", "", ""))
    header = ("nodes", "way", "CPU seconds", "times faster than networkx", "cost off by")
    print("\n".join(markdown(header, rows)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
