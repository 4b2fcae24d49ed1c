"""Sums of small decision trees, fitted elsewhere and kept as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightkin.arrays import Bools, Doubles, Ints

AT_ONCE = 256  # rows, which with all trees lie in the cache


@dataclass(frozen=True)
class Boosted:
    """T trees on named features. Nodes of all trees lie one after the other.

    ``left`` and ``right`` are nodes, or ``-1 - k`` for the k-th leaf; a row goes left where its
    feature is at most the threshold, and where it is missing if ``missing_left``.
    """

    names: tuple[str, ...]
    roots: Ints  # (T,)
    feature: Ints  # (nodes,)
    threshold: Doubles
    left: Ints
    right: Ints
    missing_left: Bools
    leaves: Doubles

    def sums(self, features: Mapping[str, Doubles]) -> Doubles:
        """What all trees say of every row, from its features: ``(m,)`` each."""
        x = np.stack([features[name] for name in self.names], axis=1)
        parts = (x[start : start + AT_ONCE] for start in range(0, len(x), AT_ONCE))
        return np.concatenate([self._of(part) for part in parts]) if len(x) else np.zeros(0)

    def _of(self, x: Doubles) -> Doubles:
        n_trees = len(self.roots)
        at = np.tile(self.roots, len(x))  # by row, then by tree; what is below zero is a leaf
        open_ = np.flatnonzero(at >= 0)
        while len(open_):
            node = at[open_]
            value = x[open_ // n_trees, self.feature[node]]
            is_left = np.where(
                np.isnan(value), self.missing_left[node], value <= self.threshold[node]
            )
            after = np.where(is_left, self.left[node], self.right[node])
            at[open_] = after
            open_ = open_[after >= 0]
        at = at.reshape(len(x), n_trees)
        total: Doubles = self.leaves[-1 - at].sum(axis=1)
        return total


def boosted(said: Mapping[str, Sequence[Any]]) -> Boosted:
    """From the numbers as they are kept."""
    return Boosted(
        names=tuple(said["names"]),
        roots=np.array(said["roots"]),
        feature=np.array(said["feature"]),
        threshold=np.array(said["threshold"]),
        left=np.array(said["left"]),
        right=np.array(said["right"]),
        missing_left=np.array(said["missing_left"], dtype=bool),
        leaves=np.array(said["leaves"]),
    )
