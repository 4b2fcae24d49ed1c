"""What was found of a family, as the record of it: positions become names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weightkin._version import __version__
from weightkin.lineage.candidates import CandidateEdge, Member
from weightkin.lineage.collection import Collection
from weightkin.lineage.groups import Groups
from weightkin.lineage.layouts import not_testable
from weightkin.lineage.node_components import has_components, node_components
from weightkin.records import Skipped
from weightkin.records.accounting import PossibleParent
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode, RunnerUp
from weightkin.sketch import Scheme


@dataclass(frozen=True, slots=True)
class Drawn:
    """Edges between members, by position; unobserved ancestors are -1, -2, ..."""

    edges: Sequence[CandidateEdge]
    n_unobserved: int
    skipped: Sequence[Skipped]


def graph_record(
    collection: Collection, drawn: Drawn, *, alpha: float, seed: int, method: str
) -> FamilyGraph:
    """The record of a collection and the edges found in it.

    Parameters
    ----------
    collection : Collection
        The members, and what was skipped.
    drawn : Drawn
        Edges between members, by position.
    alpha : float
        Level of the whole graph.
    seed : int
        That of the search.
    method : str
        Name of the method, without its version.

    Returns
    -------
    FamilyGraph
        Its ``seconds`` are not set.
    """
    members = collection.members
    taken = {m.id for m in members}
    unobserved = [_free(f"unobserved-{k + 1}", taken) for k in range(drawn.n_unobserved)]

    def name(i: int) -> str:
        return members[i].id if i >= 0 else unobserved[-1 - i]

    are_several = any(has_components(m.sketch) for m in members)
    nodes = [_node(m, are_several=are_several) for m in members]
    nodes += [FamilyNode(id=x, observed=False) for x in unobserved]
    edges = tuple(
        FamilyEdge(
            parent=name(e.parent),
            child=name(e.child),
            kind=e.kind,
            kind_details=e.details,
            weight=e.weight,
            log10_pvalue=e.log10_pvalue,
            direction="determined" if e.is_claimed else "undetermined",
            direction_probability=round(e.direction, 4),
            parent_probability=None if e.probability is None else round(e.probability, 4),
            parents=tuple(
                PossibleParent(parent=x, probability=round(p, 4), observed=False)
                if isinstance(x, str)
                else PossibleParent(parent=name(x), probability=round(p, 4))
                for x, p in e.parents
            )
            or None,
            distance=e.distance,
            support=e.support,
            evidence=e.evidence,
            runner_up=None
            if e.runner_up is None
            else RunnerUp(parent=name(e.runner_up), behind=max(0.0, e.behind), unit=e.unit),
        )
        for e in drawn.edges
    )
    components = _components([n.id for n in nodes], edges)
    return FamilyGraph(
        nodes=tuple(nodes),
        edges=edges,
        components=components,
        alpha=alpha,
        method=f"{method}/1",
        parameters={"scheme": Scheme().name, "n_pairs": len(members) * (len(members) - 1) // 2},
        skipped=(*collection.skipped, *drawn.skipped),
        seed=seed,
        bytes_read=collection.bytes_read,
        version=__version__,
        incomplete=collection.is_incomplete,
        not_testable=not_testable(members, {x[0] for x in components if len(x) == 1}),
    )


def _node(member: Member, *, are_several: bool) -> FamilyNode:
    sketch = member.sketch
    return FamilyNode(
        id=member.id,
        name=sketch.name,
        source=sketch.source,
        digest=sketch.digest,
        duplicates=member.duplicates,
        components=node_components(member.sketch) if are_several else (),
    )


def _components(ids: Sequence[str], edges: Sequence[FamilyEdge]) -> tuple[tuple[str, ...], ...]:
    """Nodes joined by edges, largest family first."""
    groups = Groups(ids)
    for edge in edges:
        groups.join(edge.parent, edge.child)
    return tuple(tuple(g) for g in sorted(groups.all(), key=lambda g: (-len(g), g)))


def _free(wanted: str, taken: set[str]) -> str:
    found, n = wanted, 1
    while found in taken:
        n += 1
        found = f"{wanted}~{n}"
    taken.add(found)
    return found
