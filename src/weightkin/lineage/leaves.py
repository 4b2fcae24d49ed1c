"""Lossy children: casts, quantised, pruned, extended and upcycled copies are leaves of the tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightkin.derivation.distances import PairRelation
from weightkin.derivation.kinds import Derivation
from weightkin.lineage.draft import DETERMINED, LOSSY, Draft, first_kind
from weightkin.lineage.proposed import Likeness, square
from weightkin.lineage.relatives import Relatives, Told
from weightkin.lineage.support import support_of

NEAREST = 8  # possible parents looked at for each model, the most alike first


def lossy_edges(
    relatives: Relatives, z: Likeness, family: Sequence[int], told: Told | None = None
) -> list[Draft]:
    """Edges to models that a deterministic map made from another, nearest parent first.

    A model that was itself made so is nobody's parent where another parent is to be had. ``told``
    hears before each model how many were looked at.
    """
    found: dict[int, list[tuple[float, int, Derivation, PairRelation]]] = {}
    alike = dict(zip(family, square(z, family).T, strict=True))
    place = {u: k for k, u in enumerate(family)}
    for n_done, child in enumerate(family):
        if told is not None:
            told(n_done, len(family))
        others = [u for u in family if u != child]
        for parent in sorted(others, key=lambda u: -alike[child][place[u]])[:NEAREST]:
            if not relatives.may_be_made(parent, child):
                continue
            derivation, relation = relatives.derive(parent, child)
            if _is_lossy(derivation):
                choice = relation.relative_distance, parent, derivation, relation
                found.setdefault(child, []).append(choice)
    edges = []
    for child, choices in sorted(found.items()):
        originals = [c for c in choices if c[1] not in found] or choices
        ordered = sorted(originals, key=lambda c: (c[0], c[1]))
        distance, parent, derivation, _ = ordered[0]
        second = ordered[1] if len(ordered) > 1 else None
        edges.append(
            Draft(
                parent=parent,
                child=child,
                kind=first_kind(derivation.kind),
                details=derivation.details,
                log10_pvalue=relatives.test(parent, child)[0],
                direction=derivation.probability,
                distance=distance,
                support=_support([relation for _, _, _, relation in ordered], relatives.seed),
                evidence=derivation.evidence,
                runner_up=second[1] if second else None,
                behind=float(np.log(max(second[0], 1e-12) / max(distance, 1e-12)))
                if second
                else 0.0,
                unit="log distance",
            )
        )
    return _without_loops(edges)


def _support(relations: Sequence[PairRelation], seed: int) -> float:
    """Support of the first of several parents, over the tensors that all share with the child."""
    squares = [{t.name_b: t.squared_distance for t in r.tensors} for r in relations]
    names = sorted(set(squares[0]).intersection(*squares[1:]))
    rows = np.array([[own[name] for name in names] for own in squares])
    return support_of(rows[0], rows[1:], seed)


def _is_lossy(derivation: Derivation) -> bool:
    return (
        derivation.parent == "a"
        and derivation.probability >= DETERMINED
        and bool(LOSSY.intersection(derivation.kind))
    )


def _without_loops(edges: Sequence[Draft]) -> list[Draft]:
    """Drop edges that would close a loop of lossy maps, which can only be misread ones."""
    parents = {edge.child: edge.parent for edge in edges}
    kept = []
    for edge in edges:
        seen, here = {edge.child}, edge.parent
        while here in parents and here not in seen:
            seen.add(here)
            here = parents[here]
        if here in seen:
            del parents[edge.child]
        else:
            kept.append(edge)
    return kept
