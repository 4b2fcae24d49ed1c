"""From values to a named merge: which models were mixed, with what weights, by which method.

Three rooms are asked in turn, the exact ones first: whole tensors (`merge_parts`), weighted sums
(`merges`), masked task vectors (`merge_masks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy

from weightkin.arrays import Doubles
from weightkin.derivation.merge_masks import find_masked_merge
from weightkin.derivation.merge_parts import Contents, find_parts
from weightkin.derivation.merges import (
    Merge,
    Method,
    NamedArrays,
    find_merge,
    gram_matrices,
)
from weightkin.records import clue

MIN_DIRECTION = 0.8
IS_CONSTANT = 0.02  # spread of the weights over tensors
IS_WHOLE = 0.999  # a weight that is one
IS_ROUNDING = 1e-5  # of the squared norm: what bfloat16 rounding may leave
SLERP_GAIN = 5.0  # how much better an arc must fit than a chord


def explain_merge(
    child: int,
    candidates: Sequence[int],
    models: Sequence[NamedArrays],
    *,
    labels: Sequence[str] | None = None,
    grams: tuple[Sequence[str], npt.ArrayLike] | None = None,
    min_direction: float = MIN_DIRECTION,
    known: Contents | None = None,
) -> Merge | None:
    """Find out whether a model is a mixture of others, and how it was mixed.

    Parameters
    ----------
    child, candidates : int
        Positions in ``models``. Exact copies of the child must not be among the candidates;
        lossy copies of parents may cost certainty about which copy was used.
    models : sequence of mappings
        Values by tensor name: the same entries of every model, whole or sampled.
    labels : sequence of str, optional
        Names of the models, for the sentences.
    grams : (names, array), optional
        What `gram_matrices` returned for these models; computed without it.
    min_direction : float
        Mixtures whose direction is less certain are not reported. 0.5 reports all.
    known : dict, optional
        As of `find_parts`: given again for other children of the same models.

    Returns
    -------
    Merge or None
        None is "no mixture of these", not "no merge".
    """
    others = [k for k in dict.fromkeys(candidates) if k != child]
    names = labels if labels is not None else [f"model {k}" for k in range(len(models))]
    tensors, inner = grams if grams is not None else gram_matrices(models)
    merge = find_parts(child, others, models, known)
    if merge is None:
        merge = find_merge(child, others, inner, names=tensors)
        merge = merge and name_method(merge, tensors, np.asarray(inner, dtype=np.float64))
        if merge is None or merge.method == "mixture":
            merge = find_masked_merge(child, others, models) or merge
    if merge is None or merge.direction < min_direction:
        return None
    return _described(merge, names)


def name_method(merge: Merge, names: Sequence[str], inner: Doubles) -> Merge:
    """Name the method of a weighted sum by how its weights vary over tensors.

    Parameters
    ----------
    merge : Merge
        A weighted sum; one with a base has its method already.
    names : sequence of str
        Names of all tensors.
    inner : array, ``(n_tensors, n_models, n_models)``
        Their inner products, as of `gram_matrices`.

    Returns
    -------
    Merge
        With its method; ``mixture`` where the sum is not exact.
    """
    if merge.base is not None:
        return merge
    index = {name: k for k, name in enumerate(names)}
    rows = [index[name] for name, _ in merge.curve]
    weights = np.array([row for _, row in merge.curve])
    apart = np.array([_spread(inner[k], merge.parents) for k in rows])
    telling = apart > 1e-9 * apart.max()
    if (weights[telling].max(axis=1) > IS_WHOLE).all():
        shared = int((~telling).sum())
        return replace(merge, method="hybrid", direction=0.5 if shared else merge.direction)
    if len(merge.parents) == 2 and (arc := _arc(merge, inner[rows], apart)) is not None:
        return _telling(arc, telling)
    mean = apart @ weights / apart.sum()
    spread = float(np.sqrt((apart @ (weights - mean) ** 2 / apart.sum()).max()))
    method: Method = "linear" if spread < IS_CONSTANT else "layer-wise"
    left = sum(
        _left(inner[k], merge.child, merge.parents, row)
        for k, (_, row) in zip(rows, merge.curve, strict=True)
    )
    is_exact = left <= IS_ROUNDING * float(inner[rows, merge.child, merge.child].sum())
    return _telling(replace(merge, method=method if is_exact else "mixture"), telling)


def _telling(merge: Merge, is_telling: npt.NDArray[np.bool_]) -> Merge:
    """The weights of those tensors alone in which the parents differ: others have none."""
    curve = zip(merge.curve, is_telling.tolist(), strict=True)
    return replace(merge, curve=tuple(row for row, is_so in curve if is_so))


def _spread(inner: Doubles, parents: Sequence[int]) -> float:
    """Sum of squared distances between parents in one tensor."""
    index = list(parents)
    norms = np.diagonal(inner)[index]
    apart = norms[:, None] + norms[None, :] - 2 * inner[np.ix_(index, index)]
    return float(np.maximum(apart, 0.0).sum())


def _arc(merge: Merge, inner: Doubles, apart: Doubles) -> Merge | None:
    """The same parents on an arc, if that leaves much less than the chord."""
    fits = [_on_arc(gram, merge.child, merge.parents) for gram in inner]
    own = float(inner[:, merge.child, merge.child].sum())
    chord = sum(
        _left(gram, merge.child, merge.parents, row)
        for gram, (_, row) in zip(inner, merge.curve, strict=True)
    )
    left = sum(rss for _, rss in fits)
    if chord < 1e-11 * own or left * SLERP_GAIN > chord:
        return None
    t = np.array([t for t, _ in fits])
    order = np.argsort(t)
    middle = int(np.searchsorted(np.cumsum(apart[order]), 0.5 * apart.sum()))
    share = float(t[order][middle])
    residual = merge.residual * max(left, 0.0) / chord
    flipped = slice(None, None, -1 if share > 0.5 else 1)  # heaviest first
    return replace(
        merge,
        method="slerp",
        parents=merge.parents[flipped],
        weights=_ends(share)[flipped],
        residual=residual,
        gain=1 - residual,
        curve=tuple(
            (name, _ends(s)[flipped]) for (name, _), s in zip(merge.curve, t.tolist(), strict=True)
        ),
    )


def _ends(t: float) -> tuple[float, ...]:
    return round(1 - t, 6), round(t, 6)


def _on_arc(inner: Doubles, child: int, parents: Sequence[int]) -> tuple[float, float]:
    """Best position on the arc between two parents, and what it leaves."""
    a, b = parents
    lengths = float(np.sqrt(inner[a, a] * inner[b, b]))
    cosine = inner[a, b] / lengths if lengths > 0 else 1.0  # from zeros no arc leads anywhere
    angle = float(np.arccos(np.clip(cosine, -1.0, 1.0)))

    def weights(t: float) -> tuple[float, float]:
        if angle < 1e-4:
            return 1 - t, t
        first, second = np.sin([(1 - t) * angle, t * angle]) / np.sin(angle)
        return float(first), float(second)

    best = scipy.optimize.minimize_scalar(
        lambda t: _left(inner, child, parents, weights(t)),
        bounds=(0.0, 1.0),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(best.x), float(best.fun)


def _left(inner: Doubles, child: int, parents: Sequence[int], weights: Sequence[float]) -> float:
    """RSS of a weighted sum, from inner products."""
    index = [child, *parents]
    signed = np.array([1.0, *(-w for w in weights)])
    return float(signed @ inner[np.ix_(index, index)] @ signed)


def _described(merge: Merge, names: Sequence[str]) -> Merge:
    """Add the evidence that any method has."""
    first = clue(
        "mixture",
        child=names[merge.child],
        parents=[names[p] for p in merge.parents],
        weights=[round(w, 4) for w in merge.weights],
        base="" if merge.base is None else names[merge.base],
        method=merge.method,
    )
    second = clue("mixture-leaves", share=round(merge.residual, 6))
    doubts = []
    if merge.method == "mixture":
        doubts.append(clue("mixture-not-exact"))
    if merge.direction < MIN_DIRECTION:
        doubts.append(clue("mixture-undetermined"))
    return replace(merge, evidence=(first, second, *merge.evidence, *doubts))
