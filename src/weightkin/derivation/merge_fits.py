"""Weighted sums that come nearest to a model, from squared distances alone: least squares.

Distances are ``to_child``, from each of n candidates, ``(n_tensors, n)``, and ``between`` them,
``(n_tensors, n, n)``, all squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.arrays import Doubles


@dataclass(frozen=True, slots=True)
class Fit:
    """Least squares in each tensor with weights that sum to one."""

    parents: tuple[int, ...]  # positions among the candidates
    by_tensor: Doubles  # (n_tensors, n_parents)
    weights: Doubles  # (n_parents,), tensors weighted by how much the parents differ there
    rss: float
    closure: float


def segments(to_child: Doubles, between: Doubles) -> tuple[Doubles, Doubles]:
    """RSS of the best point of every segment, and the share of its end ``j``, both (n, n)."""
    n = to_child.shape[1]
    rss, moved, spread = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for near, apart in zip(to_child, between, strict=True):
        along = 0.5 * (near[:, None] + apart - near[None, :])  # <M - P_i, P_j - P_i>
        t = np.clip(np.divide(along, apart, out=np.zeros((n, n)), where=apart > 0), 0.0, 1.0)
        rss += near[:, None] - 2 * t * along + t * t * apart
        moved += t * apart
        spread += apart
    return rss, np.divide(moved, spread, out=np.zeros((n, n)), where=spread > 0)


def fit_of(parents: tuple[int, ...], to_child: Doubles, between: Doubles) -> Fit:
    """Sum-to-one least squares on differences from the first parent, tensor by tensor."""
    return fits_of([parents], to_child, between)[0]


def fits_of(every: Sequence[tuple[int, ...]], to_child: Doubles, between: Doubles) -> list[Fit]:
    """The same for m sets of k parents each, at once."""
    if not every:
        return []
    index = np.array(every)  # (m, k)
    near = to_child[:, index].swapaxes(0, 1)  # (m, n_tensors, k)
    apart = between[:, index[:, :, None], index[:, None, :]].swapaxes(0, 1)
    pivot = apart[:, :, 0, 1:]
    gram = 0.5 * (pivot[..., :, None] + pivot[..., None, :] - apart[:, :, 1:, 1:])
    along = 0.5 * (near[..., [0]] + pivot - near[..., 1:])  # <M - P_0, P_j - P_0>
    inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    slopes = np.einsum("mtij,mtj->mti", inverse, along)
    by_tensor = np.concatenate([1 - slopes.sum(axis=-1, keepdims=True), slopes], axis=-1)
    # |sum w (P - M)|^2 from distances alone: sum w d^2(P, M) - sum_{i<j} w w d^2(P_i, P_j)
    crossed = 0.5 * np.einsum("mti,mtj,mtij->mt", by_tensor, by_tensor, apart)
    left = np.maximum(np.einsum("mti,mti->mt", by_tensor, near) - crossed, 0.0)
    rss = left.sum(axis=1)
    alone = (by_tensor**2 * near).sum(axis=(1, 2))
    energy = apart.sum(axis=(2, 3))
    pooled = np.einsum("mt,mti->mi", energy, by_tensor)
    total = energy.sum(axis=1)
    even = by_tensor.mean(axis=1)  # where parents are equal in all tensors
    weights = np.divide(pooled, total[:, None], out=even, where=total[:, None] > 0)
    closure = np.divide(rss, alone, out=np.zeros(len(rss)), where=alone != 0)
    return [
        Fit(parents, by_tensor[k], weights[k], float(rss[k]), float(closure[k]))
        for k, parents in enumerate(every)
    ]
