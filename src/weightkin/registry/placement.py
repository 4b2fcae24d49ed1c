"""What a family graph says about one model: its parents, its children, the path to its root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from weightkin.lineage.descent import Descent
from weightkin.records import Clue, Skipped
from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.registry import Among, Registered, Relation, Relative, Step


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node stands for: its name, its number in the registry (0: none), its digest."""

    name: str
    id: int
    digest: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Edges around a model."""

    parents: tuple[Step, ...] = ()
    children: tuple[Step, ...] = ()
    path: tuple[Step, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    among: Among = ""
    below: frozenset[int] = frozenset()  # made from the model, by edges of determined direction


@dataclass(frozen=True)
class Placed:
    """A graph with a model in it, at the node ``own``; "" where it is none.

    ``models`` are the registered ones that each node stands for.
    """

    graph: FamilyGraph | None = None
    own: str = ""
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    models: Mapping[str, tuple[Registered, ...]] = field(default_factory=dict)
    among: Among = ""

    @cached_property
    def descent(self) -> Descent | None:
        """Who descends from whom in the graph; None where the model is no node."""
        return Descent(self.graph) if self.graph is not None and self.own else None

    @cached_property
    def _node_of(self) -> Mapping[int, str]:
        return {model.id: node for node, models in self.models.items() for model in models}

    def placement(self) -> Placement:
        """The edges around the model."""
        graph, own, descent = self.graph, self.own, self.descent
        if graph is None or descent is None:
            return Placement(among=self.among)
        path: list[FamilyEdge] = []
        at = own
        while into := graph.parents_of(at):  # ends: a graph has no cycle
            path.append(into[0])
            at = into[0].parent
        parents = graph.parents_of(own)
        around = {own, *(e.parent for e in parents)}
        below = (self.models.get(x, ()) for x in descent.below(own))
        return Placement(
            parents=self.steps(parents),
            children=self.steps(e for e in graph.edges if e.parent == own),
            path=self.steps(path),
            skipped=tuple(
                replace(x, what=self.facts[x.what].name if x.what in self.facts else x.what)
                for x in graph.skipped
                if self.among == "nearest" or x.what in around
            ),
            among=self.among,
            below=frozenset(model.id for models in below for model in models),
        )

    def related(self, x: Relative) -> Relative:
        """A relative with what it is to the model."""
        relation, n_steps = self._relation(x)
        return replace(x, relation=relation, steps=n_steps)

    def steps(self, edges: Iterable[FamilyEdge]) -> tuple[Step, ...]:
        """Edges with what the registry knows about their ends."""
        found = (step_of(e, self.facts) for e in edges)
        return tuple(replace(x, evidence=tuple(map(self._renamed, x.evidence))) for x in found)

    def _renamed(self, found: Clue) -> Clue:
        """A piece of evidence with the name of the model in place of its node."""
        return _renamed(found, self.own, self.facts[self.own].name)

    def _relation(self, x: Relative) -> tuple[Relation, int]:
        if x.summary.is_same:
            return "identical", 0
        node = self._node_of.get(x.model.id)
        if node is None or self.descent is None:
            return "unknown", 0
        return self.descent.relation(self.own, node)


def step_of(edge: FamilyEdge, facts: Mapping[str, NodeFacts]) -> Step:
    """An edge with what the registry knows about its ends."""
    parent, child = (facts.get(x, NodeFacts(x, 0, "")) for x in (edge.parent, edge.child))
    return Step(
        parent=parent.name,
        child=child.name,
        parent_id=parent.id,
        child_id=child.id,
        parent_digest=parent.digest,
        child_digest=child.digest,
        kind=edge.kind,
        weight=edge.weight,
        log10_pvalue=edge.log10_pvalue,
        direction=edge.direction,
        direction_probability=edge.direction_probability,
        support=edge.support,
        evidence=edge.evidence,
        parent_probability=edge.parent_probability,
    )


def _renamed(found: Clue, old: str, new: str) -> Clue:
    """A piece of evidence with the name of a model in place of its node."""

    def name(x: Any) -> Any:
        return [*map(name, x)] if isinstance(x, list | tuple) else new if x == old else x

    return replace(found, data={k: name(x) for k, x in found.data.items()})
