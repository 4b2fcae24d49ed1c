"""The MoTHer recipe: model trees from distances, kurtosis and a spanning tree.

Horwitz, Shul, Hoshen, "Unsupervised Model Tree Heritage Recovery" (ICLR 2025), and its released
code. It is here for whoever reproduces the paper and for comparison. It has no null hypothesis: it
returns a tree of unrelated models too. Ours is `weightkin.family_graph`.

Where the released code differs from the paper, or surprises, the code is followed and the other
reading has a name of its own:

=================  ===============================================================================
``l_FT``           As released: entries of the difference are min-max normalised for each matrix
                   over all pairs of the tree, then comes the largest SIGNED entry of any matrix.
                   So the distance depends on the order in which the models are given, one outlying
                   entry decides it, and one more model in the tree changes all distances.
``l_FT written``   As written: the same with the absolute difference; no order matters.
``l2``             Root of the summed squares of all differences: ours, robust to outliers.
``l_LoRA``         As released: summed ``numpy.linalg.matrix_rank`` of the differences at its
                   default tolerance. A LoRA that was merged and rounded to 16 bits has full rank
                   there.
=================  ===============================================================================

Trees are told apart by Ward's linkage, which supposes Euclidean distances, on distances that are
not (the mean absolute difference, or the rank), cut into a number of trees that must be known. The
mean distance that scales the penalty counts the zeros of the diagonal. Only square matrices count.
The stage decides the sign of kurtosis and must be known. Ties between trees of one cost may be
broken differently than by the released code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage  # type: ignore[import-untyped,unused-ignore]
from scipy.spatial.distance import squareform  # type: ignore[import-untyped,unused-ignore]
from scipy.stats import kurtosis  # type: ignore[import-untyped,unused-ignore]

from weightkin.arrays import Doubles, Ints
from weightkin.lineage.arborescence import ROOT, arborescence

Stage = Literal["specialisation", "generalisation"]
DistanceName = Literal["l_FT", "l_FT written", "l2", "l_LoRA"]
Matrices = Mapping[str, npt.NDArray[Any]]

LAMBDA = 0.3  # of all released runs


def mother(
    square_matrices: Sequence[Matrices],
    trees: int | Sequence[int] = 1,
    *,
    stage: Stage = "specialisation",
    distance: DistanceName = "l_FT",
    lam: float = LAMBDA,
    within: tuple[str, str] = ("", ""),
) -> Ints:
    """Parent of every model by the MoTHer recipe; -1 for the root of each tree.

    Parameters
    ----------
    square_matrices : sequence of mappings
        For each model its matrices by name. Those that every model has, square and of one shape,
        are compared; a mapping may load them when asked.
    trees : int or sequence of int
        The number of trees (K), or the known tree of each model.
    stage : str
        Kurtosis falls from parent to child in specialisation (fine-tuning), rises in
        generalisation (pre-training). The paper supplies it.
    distance : str
        ``l_FT``, ``l_FT written``, ``l2`` or ``l_LoRA``: see the head of this module.
    lam : float
        What an edge against the direction of kurtosis costs, in mean distances.
    within : tuple of str
        Parts of names: only such matrices count, in distances and in kurtosis. Released: all of
        attention and ``output.dense`` for full fine-tuning, ``value`` and ``value`` for LoRA,
        everything and ``self_attn.o_proj`` for Llama, everything for Stable Diffusion.

    Returns
    -------
    (n,) array of int
        Parents.

    Raises
    ------
    ValueError
        No square matrix is common to all models, or an argument cannot be meant.
    """
    if distance not in get_args(DistanceName) or stage not in get_args(Stage):
        raise ValueError(f"distance {distance!r} or stage {stage!r} is unknown")
    names = common_square(square_matrices)
    if not names:
        raise ValueError(f"{len(square_matrices)} models have no square matrix in common")
    near, peaked = (_those_with(part, names) for part in within)
    labels = _labels(square_matrices, names, trees, distance)
    scores = kurtoses(square_matrices, peaked)
    parents = np.full(len(square_matrices), ROOT, dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        apart = distances([square_matrices[int(i)] for i in members], near, distance)
        found = spanning_tree(apart, scores[members], stage=stage, lam=lam)
        parents[members] = np.where(found == ROOT, ROOT, members[found])
    return parents


def spanning_tree(
    distance: Doubles, scores: Doubles, *, stage: Stage = "specialisation", lam: float = LAMBDA
) -> Ints:
    """Minimum directed spanning tree of M = D + lambda mean(D) T; T marks edges against kurtosis.

    ``T[parent, child]`` is 1 where kurtosis rises from parent to child (specialisation) or falls
    (generalisation), and 0 where the two are equal.

    Parameters
    ----------
    distance : (n, n) array
        D, symmetric.
    scores : (n,) array
        Kurtosis of each model.
    stage : str
        ``specialisation`` or ``generalisation``.
    lam : float
        What an edge against kurtosis costs, in mean distances.

    Returns
    -------
    (n,) array of int
        Parents, -1 for the root.
    """
    rises = scores[None, :] > scores[:, None]  # (parent, child)
    falls = scores[None, :] < scores[:, None]
    against = rises if stage == "specialisation" else falls
    return arborescence(distance + lam * distance.mean() * against)


def clusters(distance: Doubles, n_trees: int) -> Ints:
    """Tree of each model: Ward's linkage cut into ``n_trees``, numbered from 0."""
    n = len(distance)
    if not 1 <= n_trees <= n:
        raise ValueError(f"{n_trees} trees of {n} models, not 1 to {n}")
    if n == 1:
        return np.zeros(1, dtype=np.int64)
    steps = linkage(squareform(distance, checks=False), method="ward")
    return np.asarray(fcluster(steps, n_trees, criterion="maxclust"), dtype=np.int64) - 1


def common_square(models: Sequence[Matrices]) -> list[str]:
    """Names of the square matrices that all models have in one shape."""
    first = models[0] if models else {}
    shapes = {name: x.shape for name, x in first.items() if x.ndim == 2}
    return sorted(
        name
        for name, shape in shapes.items()
        if shape[0] == shape[1] and all(name in m and m[name].shape == shape for m in models)
    )


def kurtoses(models: Sequence[Matrices], names: Sequence[str]) -> Doubles:
    """Excess kurtosis of every matrix's entries, summed over the matrices."""
    return np.array(
        [sum(float(kurtosis(np.ravel(_real(m[name])))) for name in names) for m in models]
    )


def distances(models: Sequence[Matrices], names: Sequence[str], distance: str) -> Doubles:
    """Distances of all pairs of models.

    Parameters
    ----------
    models : sequence of mappings
        Matrices of each model by name.
    names : sequence of str
        Matrices that count; of one shape in all models.
    distance : str
        One of `DistanceName`, or ``mean absolute``, by which the released code clusters.

    Returns
    -------
    (n, n) array
        Symmetric, zeros on the diagonal.
    """
    parts = [_of_matrix([_real(m[name]) for m in models], distance) for name in names]
    stack = np.stack(parts)  # (n_matrices, n, n)
    if distance.startswith("l_FT"):
        return np.asarray(stack.max(axis=0))
    total = stack.sum(axis=0)
    return np.asarray(np.sqrt(total) if distance == "l2" else total)


def _of_matrix(matrices: list[npt.NDArray[Any]], distance: str) -> Doubles:
    n = len(matrices)
    values, lowest, highest = np.zeros((n, n)), np.inf, -np.inf
    for i, j in combinations(range(n), 2):
        difference = matrices[i] - matrices[j]
        if distance == "l_LoRA":
            value = float(np.linalg.matrix_rank(difference))
        elif distance == "l2":
            value = float(np.square(difference, dtype=np.float64).sum())
        elif distance == "mean absolute":
            value = float(np.abs(difference).mean(dtype=np.float64))
        else:
            difference = np.abs(difference) if distance == "l_FT written" else difference
            value = float(difference.max())
            lowest, highest = min(lowest, float(difference.min())), max(highest, value)
        values[i, j] = values[j, i] = value
    if not distance.startswith("l_FT"):
        return values
    width = highest - lowest
    if not 0.0 < width < np.inf:  # one model, or all equal in this matrix
        return np.zeros((n, n))
    return np.where(np.eye(n, dtype=bool), 0.0, (values - lowest) / width)


def _labels(
    models: Sequence[Matrices], names: Sequence[str], trees: int | Sequence[int], distance: str
) -> Ints:
    if not isinstance(trees, int):
        labels = np.asarray(trees, dtype=np.int64)
        if labels.shape != (len(models),):
            raise ValueError(f"{len(labels)} known trees of {len(models)} models")
        return labels
    if trees == 1:
        return np.zeros(len(models), dtype=np.int64)
    by = "l_LoRA" if distance == "l_LoRA" else "mean absolute"
    return clusters(distances(models, names, by), trees)


def _those_with(part: str, names: Sequence[str]) -> list[str]:
    chosen = [name for name in names if part in name]
    if not chosen:
        raise ValueError(f"no square matrix has {part!r} in its name")
    return chosen


def _real(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As stored where numpy can compute with it (ranks depend on the type), else as float32."""
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)
