"""What is measured of a group of trained models before its edges are oriented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.derivation.inheritance import Inheritance
from weightkin.derivation.shared import SharedTensor, grams, squared_distances, without_zeros

REPLACED_DISTANCE = 0.6  # over the sum of squared norms: beyond, a tensor was replaced


@dataclass(frozen=True, slots=True)
class Pairwise:
    """What pairs of models say by themselves. All ``(n, n)``."""

    direction: Doubles  # log-odds that the row is the older of the two; antisymmetric
    untouched: Doubles  # token rows of the column that are multiples of the row's; NaN: unknown


@dataclass
class Group:
    """Measures of one group of models, computed once."""

    squares: Doubles  # (n_tensors, n, n): squared distance over the sum of squared norms
    weights: Doubles  # (n_tensors,): typical squared norm
    log_norms: Doubles  # (n_tensors, n)
    inheritance: Inheritance
    pairwise: Pairwise
    is_replaced: npt.NDArray[np.bool_]  # (n, n): in some matrix the two share nothing

    @property
    def n(self) -> int:
        """Number of models."""
        return len(self.pairwise.direction)


def measure(tensors: Sequence[SharedTensor], pairwise: Pairwise) -> Group:
    """Measure distances and norms of every tensor; inheritance is read when it is asked for."""
    tensors = [without_zeros(t) for t in tensors]
    products = grams(tensors)
    norms = np.maximum(np.einsum("tii->ti", products), np.finfo(np.float64).tiny)
    squares = squared_distances(products) / (norms[:, :, None] + norms[:, None, :])
    return Group(
        squares=squares,
        weights=np.median(norms, axis=1),
        log_norms=np.log(norms) / 2,
        inheritance=Inheritance(tensors, squares > REPLACED_DISTANCE),
        pairwise=pairwise,
        is_replaced=(squares > REPLACED_DISTANCE).any(axis=0),
    )


def distances(group: Group, counts: Doubles | None = None) -> Doubles:
    """Relative squared distance of all pairs: a replaced tensor counts one, however large."""
    weights = group.weights if counts is None else group.weights * counts
    capped = np.where(group.squares > REPLACED_DISTANCE, 1.0, group.squares)
    pooled: Doubles = np.einsum("tij,t->ij", capped, weights) / weights.sum()
    return np.maximum(pooled, 1e-12)
