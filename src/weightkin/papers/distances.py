"""The two distances of MoTHer (Horwitz et al. 2025), listed for whoever reproduces the paper.

References
----------
.. [1] Horwitz, Shul and Hoshen, Unsupervised Model Tree Heritage Recovery, ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weightkin.derivation.distances import PairRelation
from weightkin.derivation.pairing import TensorPair
from weightkin.derivation.rank import rank_of_difference


def largest_change(relation: PairRelation) -> float:
    """l_FT: largest entry of a difference of square matrices, over the largest of both matrices.

    The paper normalises over its tree; absolute values are taken, which the released code leaves
    out.
    """
    largest = 0.0
    for pair in _square(relation):
        x, y = pair.both.values_a, pair.both.values_b
        top = max(np.abs(x).max(), np.abs(y).max(), 1e-300)
        largest = max(largest, float(np.abs(x - y).max() / top))
    return largest


def plain_distance(relation: PairRelation) -> float:
    """The plain Euclidean distance, the paper's other choice of l_FT."""
    return float(np.sqrt(sum(t.squared_distance for t in relation.tensors)))


def summed_rank(relation: PairRelation) -> int:
    """l_LoRA: summed numerical rank of the differences of square matrices.

    Rank counts singular values above the rounding floor (`rank_of_difference`), not above the
    default tolerance, which one rounding to bfloat16 makes full. What is not resolved counts zero.
    """
    ranks = (
        rank_of_difference(p.both.values_a, p.both.values_b, p.a.lattice, p.b.lattice)
        for p in _square(relation)
    )
    return sum(r.rank or 0 for r in ranks)


def _square(relation: PairRelation) -> Iterator[TensorPair]:
    for pair in relation.pairs:
        shape = pair.a.shape
        if len(shape) == 2 and shape[0] == shape[1] and pair.is_same_shape:
            yield pair
