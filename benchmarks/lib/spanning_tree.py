"""The plainest way to lay out a family: a minimum spanning tree of distances between weights.

It is told what a script on somebody's models would have to be told: who belongs together, the names
of tensors in one convention, and the root of each family.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from zoo.genealogies.kept import Kept, KeptFamily, Tensors

from benchmarks.lib.genealogy_nodes import lines

LEAST = 1e-9  # distance of two copies: a zero would be no edge


def spanning_edges(family: KeptFamily) -> list[tuple[str, str]]:
    """Parents and children: the spanning tree of each family, away from its topmost member."""
    made, groups = family.truth["members"], lines(family.truth["members"])
    edges = []
    for first in sorted(set(groups.values())):
        names = [name for name in family.members if groups[name] == first]
        if len(names) < 2:
            continue
        tensors = [canonical(family.members[x], made[x]["naming"]) for x in names]
        top = min(range(len(names)), key=lambda k: (made[names[k]]["depth"], k))
        tree = minimum_spanning_tree(distances(tensors))
        _, above = breadth_first_order(tree, top, directed=False)
        edges += [(names[u], names[v]) for v, u in enumerate(above) if u >= 0]
    return edges


def canonical(kept: Kept, naming: str) -> Tensors:
    """Tensors under names without any prefix."""
    prefix = "" if naming == "strip" else naming
    plain = {name.removeprefix(prefix): x for name, x in kept.tensors.items()}
    return {re.sub(r"^(model|transformer|bert|vit)\.", "", name): x for name, x in plain.items()}


def distances(models: list[Tensors]) -> npt.NDArray[np.float64]:
    """Relative distances ``(n, n)``; a tensor that one of two lacks counts as all different."""
    norms = [{name: squares(x) for name, x in model.items()} for model in models]
    found = np.zeros((len(models), len(models)))
    for i, j in combinations(range(len(models)), 2):
        a, b = models[i], models[j]
        common = {name for name in a.keys() & b.keys() if a[name].shape == b[name].shape}
        total = sum(norms[i].values()) + sum(norms[j].values())
        shared = sum(norms[i][name] + norms[j][name] for name in common)
        apart = sum(squares(full(a[name]) - full(b[name])) for name in common)
        found[i, j] = found[j, i] = LEAST + (total - shared + apart) / total
    return found


def full(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """In double precision."""
    return x.astype(np.float64)


def squares(x: npt.NDArray[Any]) -> float:
    """Sum of squares."""
    return float(np.square(full(x)).sum())
