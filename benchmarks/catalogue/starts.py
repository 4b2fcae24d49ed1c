"""Weights that start from a formula: two models of one class begin with equal entries there.

Such entries tell units apart before any training, so labels that move them are not free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from benchmarks.catalogue.moves import Move, label_moves
from weightkin.anatomy.graph.ir import Graph
from weightkin.anatomy.graph.labels import Dim, Labels, labels_of

State = Mapping[str, np.ndarray]
CHANCE = 1e-4  # share of entries that may be equal without a formula


def labels_from_starts(graph: Graph, first: State, second: State) -> tuple[Graph, Labels]:
    """Return the labels of a network of which two fresh instances are known.

    Parameters
    ----------
    graph : Graph
        The network.
    first, second : Mapping[str, numpy.ndarray]
        Weights of two instances, made with different seeds.

    Returns
    -------
    tuple[Graph, Labels]
        The graph with dimensions in ``constants`` along which starting values are told apart.
    """
    rng = np.random.default_rng(0)
    equal = {name for name in graph.weights if _is_told(first[name], second[name])}
    while True:
        labels = labels_of(graph)
        constants = dict(graph.constants)
        for atom, move in label_moves(labels, rng, names=equal).items():
            for name in move:
                if _is_moved(first[name], second[name], move, name):
                    before = constants.get(name, (True,) * len(graph.shapes[name]))
                    constants[name] = tuple(
                        even and not _carries(dim, atom)
                        for even, dim in zip(before, labels.dims[name], strict=True)
                    )
        if constants == graph.constants:
            return graph, labels
        graph = replace(graph, constants=constants)


def _is_told(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two instances start with some equal entries, and not with one value everywhere."""
    same = first == second
    return bool(same.any()) and not (same.all() and bool((first == first.reshape(-1)[0]).all()))


def _is_moved(first: np.ndarray, second: np.ndarray, move: Move, name: str) -> bool:
    """Whether a relabelling changes what both instances start with."""
    is_equal = first == second
    if is_equal.sum() <= CHANCE * (is_equal.size + 1e4):  # single random numbers agree by chance
        return False
    own = np.where(is_equal, first, np.inf).reshape(-1)
    return not np.array_equal(own[move[name]], own)


def _carries(dim: Dim, atom: int) -> bool:
    return any(
        factor == atom if isinstance(factor, int) else _carries(factor, atom)
        for part in dim
        for factor in part
    )
