"""Lossy children: casts, quantised, pruned, extended and upcycled copies are leaves of the tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightkin.derivation.kinds import Derivation
from weightkin.lineage.draft import DETERMINED, LOSSY, Draft, first_kind
from weightkin.lineage.proposed import Likeness, square
from weightkin.lineage.relatives import Relatives

NEAREST = 8  # possible parents looked at for each model, the most alike first


def lossy_edges(relatives: Relatives, z: Likeness, family: Sequence[int]) -> list[Draft]:
    """Edges to models that a deterministic map made from another, nearest parent first.

    A model that was itself made so is nobody's parent where another parent is to be had.
    """
    found: dict[int, list[tuple[float, int, Derivation]]] = {}
    alike = dict(zip(family, square(z, family).T, strict=True))
    place = {u: k for k, u in enumerate(family)}
    for child in family:
        others = [u for u in family if u != child]
        for parent in sorted(others, key=lambda u: -alike[child][place[u]])[:NEAREST]:
            if not relatives.may_be_made(parent, child):
                continue
            derivation, distance = relatives.derive(parent, child)
            if _is_lossy(derivation):
                found.setdefault(child, []).append((distance, parent, derivation))
    edges = []
    for child, choices in sorted(found.items()):
        originals = [c for c in choices if c[1] not in found] or choices
        ordered = sorted(originals, key=lambda c: (c[0], c[1]))
        distance, parent, derivation = ordered[0]
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
                evidence=derivation.evidence,
                runner_up=second[1] if second else None,
                behind=float(np.log(max(second[0], 1e-12) / max(distance, 1e-12)))
                if second
                else 0.0,
            )
        )
    return _without_loops(edges)


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
