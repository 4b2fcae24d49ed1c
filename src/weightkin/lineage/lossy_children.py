"""Lossy children: casts, quantised, pruned, extended and upcycled copies of other models."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.derivation.distances import PairRelation
from weightkin.derivation.kinds import Derivation
from weightkin.lineage.candidates import LIKELY, CandidateEdge, first_kind, support_of
from weightkin.lineage.proposed import LikenessMatrix, square
from weightkin.lineage.relatives import OnProgress, Relatives
from weightkin.records import clue
from weightkin.records.kinds import KINDS

N_NEAREST_PARENTS = 8  # possible parents looked at for each model, the most alike first


def lossy_edges(
    relatives: Relatives,
    z: LikenessMatrix,
    family: Sequence[int],
    on_progress: OnProgress | None = None,
) -> list[CandidateEdge]:
    """Edges to models that a deterministic map made from another, nearest parent first.

    A model that was itself made so comes after its original where both are possible; where both
    give exactly the child, they are tied.

    Parameters
    ----------
    relatives : Relatives
        All models and the tests of their pairs.
    z : (n, n) array
        Likeness of all pairs, dense or sparse.
    family : sequence of int
        Positions of the models looked at.
    on_progress : callable, optional
        Called before each model.

    Returns
    -------
    list of CandidateEdge
        By position of the child, without loops.
    """
    found: dict[int, list[_Choice]] = {}
    alike = dict(zip(family, square(z, family).T, strict=True))
    place = {u: k for k, u in enumerate(family)}
    for n_done, child in enumerate(family):
        if on_progress is not None:
            on_progress(n_done, len(family))
        others = [u for u in family if u != child]
        for parent in sorted(others, key=lambda u: -alike[child][place[u]])[:N_NEAREST_PARENTS]:
            if not relatives.may_be_made(parent, child):
                continue
            derivation, relation = relatives.derive(parent, child)
            if _is_lossy(derivation):
                found.setdefault(child, []).append(_Choice(parent, derivation, relation))
    edges = [_edge(relatives, child, choices, found) for child, choices in sorted(found.items())]
    return _without_loops(edges)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model that a child is the image of."""

    parent: int
    derivation: Derivation
    relation: PairRelation

    @property
    def in_common(self) -> tuple[int, int]:
        """Tensors of one shape, and entries that both have: a nearer relative has more."""
        n_shapes = sum(pair.is_same_shape for pair in self.relation.pairs)
        return n_shapes, sum(t.n_common for t in self.relation.tensors)

    @property
    def is_exact(self) -> bool:
        """Whether the map says every value: nothing is left to tell two such parents apart."""
        return not {"quantised", "noise"}.intersection(self.derivation.kind)


def _edge(
    relatives: Relatives, child: int, choices: Sequence[_Choice], made: Container[int]
) -> CandidateEdge:
    """The edge from the parent that has most in common, an original before a copy of it."""
    ordered = sorted(
        choices,
        key=lambda c: (
            *(-n for n in c.in_common),
            c.parent in made,
            c.relation.relative_distance,
            c.parent,
        ),
    )
    first, *others = ordered
    second = others[0] if others else None
    distance = first.relation.relative_distance
    edge = CandidateEdge(
        parent=first.parent,
        child=child,
        kind=first_kind(first.derivation.kind),
        details=first.derivation.details,
        log10_pvalue=relatives.test(first.parent, child)[0],
        direction=first.derivation.probability,
        distance=distance,
        support=_support([c.relation for c in ordered], relatives.seed),
        evidence=first.derivation.evidence,
        unit="log distance",
    )
    if second is None:
        return edge
    if first.is_exact and second.is_exact and first.in_common == second.in_common:
        said = clue("tied-map", model=relatives.sketches[second.parent].name)
        return replace(
            edge, direction=0.5, evidence=(*edge.evidence, said), runner_up=second.parent
        )
    far = second.relation.relative_distance
    behind = float(np.log(max(far, 1e-12) / max(distance, 1e-12)))
    return replace(edge, runner_up=second.parent, behind=behind)


def _support(relations: Sequence[PairRelation], seed: int) -> float:
    """Support of the first of several parents, over the tensors that all share with the child."""
    squares = [{t.name_b: t.squared_distance for t in r.tensors} for r in relations]
    stored = {p.b.name: p.b.stored_name for p in relations[0].pairs}
    names = sorted(set(squares[0]).intersection(*squares[1:]), key=stored.__getitem__)
    rows = np.array([[own[name] for name in names] for own in squares])
    return support_of(rows[0], rows[1:], seed)


def _is_lossy(derivation: Derivation) -> bool:
    return (
        derivation.parent == "a"
        and derivation.probability >= LIKELY
        and any(KINDS[kind].is_lossy for kind in derivation.kind)
    )


def _without_loops(edges: Sequence[CandidateEdge]) -> list[CandidateEdge]:
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
