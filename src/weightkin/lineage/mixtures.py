"""Merges in the family: models that are mixtures of two or more others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.distances import relate
from weightkin.derivation.merge_blocks import block_weights
from weightkin.derivation.merge_methods import explain_merge
from weightkin.derivation.merges import Merge, NamedArrays, gram_matrices
from weightkin.lineage.candidates import CandidateEdge, support_of
from weightkin.lineage.relatives import Relatives
from weightkin.sketch import Sketch

KIND_OF_METHOD = {"stacked": "stacked", "hybrid": "hybrid"}  # all other methods are merges proper
MIN_POOL = 3  # a child and two parents
N_NEAREST = 24  # models that a mixture is looked for among
LEAST_LEFT = 1e-4  # of what a mixture leaves unexplained: below, rounding is all there is
GENERIC = "mixture"  # the method where no recipe explains the child


def merge_edges(relatives: Relatives, pool: Sequence[int]) -> list[CandidateEdge]:
    """Edges from the parents of every model of a pool that is a mixture of others in it.

    Mixtures are nobody's parent here where they can be left out: the pool shrinks by each that is
    found, the most certain first.

    Parameters
    ----------
    relatives : Relatives
        All models and the tests of their pairs.
    pool : sequence of int
        Positions of the models looked at.

    Returns
    -------
    list of CandidateEdge
        One for each parent of a mixture, with its weight.
    """
    if len(pool) < MIN_POOL:
        return []
    sketches = {i: relatives.sketch(i) for i in pool}
    by_scheme: dict[str, list[int]] = {}
    for i in pool:
        by_scheme.setdefault(sketches[i].scheme.name, []).append(i)
    edges = []
    for members in by_scheme.values():
        values = [_values(sketches[i]) for i in members]
        grams = gram_matrices(values)
        ids = [sketches[i].name for i in members]
        found: dict[int, Merge] = {}
        everyone = range(len(members))
        near = _nearest(grams[1])
        explained = partial(explain_merge, models=values, labels=ids, grams=grams, known={})
        first = {k: explained(k, near[k]) for k in everyone}
        for k in sorted((k for k in first if first[k]), key=lambda k: _certainty(first[k])):
            others = [x for x in near[k] if x not in found]
            merge = first[k]
            if merge is None or set(merge.parents) & set(found):
                merge = explained(k, others)
            if merge is not None:
                found[k] = merge
        for merge in found.values():
            support = _support(merge, grams[1], relatives.seed)
            edges += _edges(relatives, members, merge, support)
    return edges


def merges_by_child(relatives: Relatives, pool: Sequence[int]) -> dict[int, list[CandidateEdge]]:
    """The same, the edges into each mixture together."""
    found: dict[int, list[CandidateEdge]] = {}
    for edge in merge_edges(relatives, pool):
        found.setdefault(edge.child, []).append(edge)
    return found


def _nearest(inner: Doubles) -> list[list[int]]:
    """Of each model the nearest others, in ascending order: parents of a mixture are near it."""
    norms = np.einsum("tii->ti", inner)
    squares = norms[:, :, None] + norms[:, None, :] - 2.0 * inner
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(squares / (norms[:, :, None] + norms[:, None, :]), 0.0, 1.0)
        apart = np.nansum(share, axis=0) / np.isfinite(share).sum(axis=0)  # NaN: nothing shared
    order = np.argsort(apart, axis=1, kind="stable")
    return [sorted(int(x) for x in row[: N_NEAREST + 1] if x != k) for k, row in enumerate(order)]


def mixture_features(edges: Sequence[CandidateEdge]) -> Doubles:
    """What speaks for each parent of one mixture, and a one: ``(n_edges, 7)``."""
    first = edges[0]
    left = -np.log10(max(1.0 - first.details["gain"], LEAST_LEFT))
    odds = np.log(first.direction / max(1.0 - first.direction, LEAST_LEFT))
    is_generic = float(first.details["method"] == GENERIC)
    shared = [1.0, left, odds, is_generic, first.support, len(edges)]
    return np.array([[*shared, abs(edge.weight)] for edge in edges])


def _support(merge: Merge, inner: Doubles, seed: int) -> float:
    """Share of resamples of the tensors in which the mixture is nearer than any single model.

    Where whole tensors were taken, the nearest parent of each stands for the mixture.
    """
    child, parents = merge.child, list(merge.parents)
    used = np.isfinite(inner[:, [child, *parents], :][:, :, [child, *parents]]).all(axis=(1, 2))
    part = inner[used]
    norms = np.einsum("tii->ti", part)
    apart = norms + norms[:, [child]] - 2.0 * part[:, child]  # (n_tensors, n_models)
    if merge.method in KIND_OF_METHOD:
        mixed = apart[:, parents].min(axis=1)
    else:
        w = np.array(merge.weights)
        between = part[:, parents][:, :, parents]
        mixed = norms[:, child] - 2.0 * part[:, child][:, parents] @ w
        mixed = mixed + np.einsum("i,tij,j->t", w, between, w)
    others = [k for k in range(apart.shape[1]) if k != child and np.isfinite(apart[:, k]).all()]
    return support_of(np.maximum(mixed, 0.0), np.maximum(apart[:, others].T, 0.0), seed)


def _edges(
    relatives: Relatives,
    members: Sequence[int],
    merge: Merge,
    support: float,
) -> list[CandidateEdge]:
    sketches = {i: relatives.sketch(i) for i in members}
    child = members[merge.child]
    details: dict[str, Any] = {
        "method": merge.method,
        "gain": round(merge.gain, 4),
        "curve": block_weights(merge, sketches[child]),
    }
    if merge.base is not None:
        details["base"] = sketches[members[merge.base]].name
    drawn = []
    for k, weight in zip(merge.parents, merge.weights, strict=True):
        parent = members[k]
        drawn.append(
            CandidateEdge(
                parent=parent,
                child=child,
                kind=KIND_OF_METHOD.get(merge.method, "merged"),
                details=details,
                weight=weight,
                log10_pvalue=relatives.test(parent, child)[0],
                direction=merge.direction,
                support=support,
                distance=relate(sketches[parent], sketches[child]).relative_distance,
                evidence=merge.evidence,
            )
        )
    return drawn


def _certainty(merge: Merge | None) -> float:
    return 1.0 if merge is None else -merge.direction


def _values(sketch: Sketch) -> NamedArrays:
    return {name: tensor.values for name, tensor in sketch.tensors.items()}
