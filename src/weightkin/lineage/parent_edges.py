"""Edges of a family, each with how probable its parent is and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.clock import MIN_CLOCK_ROWS, STILL, collinear_rows
from weightkin.lineage.candidates import CandidateEdge, first_kind, support_of
from weightkin.lineage.images import Derivations, Made
from weightkin.lineage.member_measures import Measured
from weightkin.lineage.posterior import Posterior, fitted
from weightkin.lineage.relatives import Relatives
from weightkin.records import Clue, clue
from weightkin.records.family import NOT_HERE
from weightkin.records.form import written
from weightkin.records.kinds import KINDS

# share of disguised copies that were made from the model they equal: where a parent shows the order
# in which that was made, and where it is the first here (23 of 23 and 20 of 24 in random families)
COPIED, FIRST_COPIED = 0.95, 0.82
NEVER = 1e-12  # probability of what is taken for impossible
OF_PAIRS = ("ask-relatives", "unused-rows")  # clues of a pair alone, which relatives replace
TIED = 0.05  # difference of two probabilities below which two parents are as good
ELSEWHERE, HERE = NOT_HERE


@dataclass(frozen=True, slots=True)
class View:
    """A family, what was measured of it, and how probable its edges are."""

    relatives: Relatives
    family: tuple[int, ...]
    measured: Measured
    derivations: Derivations
    found: Posterior
    origins: frozenset[int]  # without a parent here, and unrelated to the others without one

    def candidates(self, v: int) -> list[tuple[int | str, float]]:
        """Members and the two kinds of none, the most probable first."""
        found = self.found
        sole = float(found.roots[v] if v in self.origins else found.sole[v])
        every: list[tuple[int | str, float]] = [
            (self.family[u], float(p)) for u, p in enumerate(found.edges[:, v]) if p > 0
        ]
        every += [(HERE, sole), (ELSEWHERE, max(0.0, float(found.roots[v]) - sole))]
        return sorted(every, key=lambda x: -x[1])

    def likely(self, v: int) -> tuple[tuple[int | str, float], ...]:
        """Those of them that the 95 % set holds: the first, and all that are probable enough."""
        every = self.candidates(v)
        return tuple(x for k, x in enumerate(every) if k == 0 or x[1] >= fitted().least)

    def next_member(self, v: int, but: int | None = None) -> tuple[int, float] | None:
        """The most probable member of the candidates, but for one."""
        members = ((x, p) for x, p in self.candidates(v) if not isinstance(x, str) and x != but)
        return next(members, None)


def _behind(probability: float, second: tuple[int, float] | None) -> float:
    """By how much the next member is less probable, in natural logarithms."""
    if second is None:
        return 0.0
    return round(max(0.0, float(np.log(max(probability, NEVER) / max(second[1], NEVER)))), 3)


def edge_of(view: View, u: int, v: int) -> CandidateEdge:
    """The edge from a member to another one, and what it rests on."""
    relatives, found = view.relatives, view.found
    i, j = view.family[u], view.family[v]
    made = view.derivations.of(u, v)
    probability = float(found.edges[u, v])
    forward, back = float(found.below[u, v]), float(found.below[v, u])
    second = view.next_member(v, i)
    evidence = [*_how_related(relatives, i, j, made)]
    held = float(found.held[u, v])
    if not np.isnan(held) and found.roots[u] < 0.5:
        evidence.append(clue("inherits", share=round(held, 4)))
    evidence += _clock_clues(relatives, i, j)
    evidence += [x for x in made.derivation.evidence if x.code not in OF_PAIRS]
    is_tied = second is not None and probability - second[1] < TIED
    return CandidateEdge(
        parent=i,
        child=j,
        kind=first_kind(made.derivation.kind),
        details=_details(made),
        log10_pvalue=relatives.test(i, j)[0],
        direction=forward / max(forward + back, NEVER),
        probability=probability,
        parents=view.likely(v),
        distance=made.distance,
        support=_support(view.measured, u, v, relatives.seed),
        evidence=tuple(evidence),
        runner_up=None if second is None else second[0],
        behind=0.0 if is_tied else _behind(probability, second),
        unit="log-odds",
    )


def edge_from_unobserved(view: View, v: int, roots: Sequence[int], ancestor: int) -> CandidateEdge:
    """One of several members without a parent here hangs below an ancestor that nobody has."""
    nearest = min((r for r in roots if r != v), key=lambda r: view.derivations.of(r, v).distance)
    probability = max(0.0, float(view.found.roots[v] - view.found.sole[v]))
    second = view.next_member(v)
    return CandidateEdge(
        parent=ancestor,
        child=view.family[v],
        kind="unknown",
        log10_pvalue=view.relatives.test(view.family[nearest], view.family[v])[0],
        direction=1.0,
        probability=probability,
        parents=view.likely(v),
        distance=view.derivations.of(nearest, v).distance,
        evidence=(clue("several-roots", n=len(roots)),),
        runner_up=None if second is None else second[0],
        behind=_behind(probability, second),
        unit="log-odds",
    )


def edge_in_its_order(
    relatives: Relatives, copies: Mapping[int, int], edge: CandidateEdge
) -> CandidateEdge:
    """The edge from, or to, the disguised copy of one end where the other has the order of that."""
    parent = _in_order(relatives, copies, edge.parent, edge.child)
    child = _in_order(relatives, copies, edge.child, edge.parent)
    if parent != edge.parent:
        child = edge.child
    if (parent, child) == (edge.parent, edge.child):
        return edge
    derivation, relation = relatives.derive(parent, child, relatives.undone(parent, child))
    made = Made(derivation, relation.relative_distance)
    return replace(
        edge,
        parent=parent,
        child=child,
        kind=first_kind(derivation.kind),
        details=_details(made),
        log10_pvalue=relatives.test(parent, child)[0],
        parents=tuple((parent if x == edge.parent else x, p) for x, p in edge.parents),
    )


def _in_order(relatives: Relatives, copies: Mapping[int, int], i: int, other: int) -> int:
    """The only copy of a model that stands in the order of another one; else the model."""
    own = [x for x, u in copies.items() if u == i and relatives.one_order(x, other)]
    return own[0] if len(own) == 1 else i


def edge_to_copy(
    relatives: Relatives, copies: Mapping[int, int], i: int, edges: Sequence[CandidateEdge]
) -> CandidateEdge:
    """The edge to a disguised copy: of several copies of one model each may be of another.

    Or from it, if among the other edges is one to the copy, which was there first then.
    """
    original = copies[i]
    kinds = {x: set(relatives.framed[x].kinds) for x in copies}
    others = [
        x for x, u in copies.items() if u == original and x != i and kinds[x] <= kinds[i]
    ]  # a disguise that it does not wear itself would have had to be undone
    placed = {edge.child for edge in edges if edge.parent >= 0}
    below = [edge.direction or 0.0 for edge in edges if edge.parent == i]  # or above, perhaps
    sure = COPIED if {i, original} & placed else FIRST_COPIED * min(below, default=1.0)
    share = sure / (1 + len(others))
    parent, child = (i, original) if i in placed else (original, i)
    derivation, relation = relatives.derive(parent, child, relatives.undone(parent, child))
    made = Made(derivation, relation.relative_distance)
    return CandidateEdge(
        parent=parent,
        child=child,
        kind=first_kind(derivation.kind),
        details=_details(made),
        log10_pvalue=relatives.test(parent, child)[0],
        direction=share,
        probability=share,
        parents=((parent, share), *((x, share) for x in others)),
        distance=made.distance,
        evidence=tuple(_how_related(relatives, parent, child, made)),
        runner_up=others[0] if others else None,
        unit="log-odds",
    )


def _how_related(relatives: Relatives, i: int, j: int, made: Made) -> Iterator[Clue]:
    yield clue("relative-distance", distance=round(made.distance, 6))
    if (record := relatives.shown_by(i, j)) is not None:
        yield clue("compared", summary=written(record.summary))


def edge_to_equal(relatives: Relatives, first: int, other: int) -> CandidateEdge:
    """The edge between two members of equal values: either may have been made from the other."""
    derivation, relation = relatives.derive(first, other)
    return CandidateEdge(
        parent=first,
        child=other,
        kind=first_kind(derivation.kind),
        details=derivation.details,
        log10_pvalue=relatives.test(first, other)[0],
        probability=0.5,
        parents=((first, 0.5),),
        distance=relation.relative_distance,
        evidence=derivation.evidence,
    )


def _details(made: Made) -> dict[str, Any]:
    """What is known of the kind, with the disguises beside the one that names it."""
    kind = first_kind(made.derivation.kind)
    also = [x for x in made.derivation.kind if x != kind]
    is_disguise = bool(KINDS[kind].disguise)
    return {**made.derivation.details, **({"also": also} if also and is_disguise else {})}


def _support(measured: Measured, u: int, v: int, seed: int) -> float:
    """Share of resamples of the matrices in which no other member is nearer to the child."""
    capped = np.minimum(measured.apart[:, :, v], 1.0) * measured.sizes[:, None]  # (t, n)
    told: Doubles = np.isfinite(capped)
    rows = told[:, u]
    others = [k for k in range(measured.n) if k not in (u, v) and told[rows, k].all()]
    return support_of(capped[rows, u], capped[rows][:, others].T, seed)


def _clock_clues(relatives: Relatives, parent: int, child: int) -> list[Clue]:
    found = collinear_rows(*relatives.pair(parent, child))
    if found.n_rows < MIN_CLOCK_ROWS or abs(found.c - 1.0) <= STILL:
        return []
    return [clue("unused-rows-shrank", n_rows=found.n_rows, c=found.c)]
