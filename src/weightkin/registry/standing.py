"""Where each registered model stands in a family graph, and whether that is what it declares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from weightkin.lineage.descent import Descent, EdgePath
from weightkin.lineage.largest_tree import heaviest_parents, top_of_largest_tree
from weightkin.records.evidence import Verdict
from weightkin.records.family import FamilyEdge, FamilyGraph, is_related
from weightkin.records.registry import Registered, State, Step
from weightkin.registry.declarations import Named
from weightkin.registry.placement import NodeFacts, Placed, Placement, step_of

Pair = tuple[int, int]
Found = Literal["above", "related", "below", "open", "untestable", "unrelated"]
STATES: Mapping[Found, State | Literal[""]] = {  # of several models of one name the first of these
    "above": "confirmed",
    "related": "confirmed",
    "below": "contradicted",
    "open": "",
    "untestable": "unverifiable",
    "unrelated": "contradicted",
}
VERDICTS: Mapping[Verdict, Found] = {"dependent": "related", "not-testable": "untestable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A declared parent beside the graph; ``state`` is empty where that does not show it."""

    name: str
    state: State | Literal[""]
    id: int = 0  # in the registry; 0: not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one model stands."""

    family: str = ""  # what its family is called
    first: int = 0  # number of the model of its family that was registered first; 0: it is alone
    is_placed: bool = False  # in the graph
    parents: tuple[Step, ...] = ()
    ancestors: tuple[int, ...] = ()  # by edges of determined direction
    declared: tuple[Stated, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One family: its place in the graph, its name, the number of its first model (0: alone)."""

    place: int = -1
    name: str = ""
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Registered models and the graph in which they are looked up.

    ``slots`` say which models have equal contents, and ``untestable`` which contents no test
    reaches.
    """

    models: Mapping[int, Registered]
    slots: Mapping[int, int]
    graph: FamilyGraph
    untestable: Collection[int] = ()

    @cached_property
    def nodes(self) -> Mapping[int, str]:
        """The node of each model that is in the graph."""
        at = {
            self.slots[k]: x.id for x in self.graph.nodes for k in x.registered if k in self.slots
        }
        return {k: at[slot] for k, slot in self.slots.items() if slot in at}

    @cached_property
    def members(self) -> Mapping[str, Sequence[Registered]]:
        """The models that each node stands for, in the order they were added."""
        found: defaultdict[str, list[Registered]] = defaultdict(list)
        for number, node in self.nodes.items():
            found[node].append(self.models[number])
        return found

    @cached_property
    def facts(self) -> Mapping[str, NodeFacts]:
        """What each node stands for."""
        return {x: NodeFacts(m[0].name, m[0].id, m[0].digest) for x, m in self.members.items()}

    @cached_property
    def families(self) -> Mapping[str, Family]:
        """The family of each node."""
        place = {node.id: i for i, node in enumerate(self.graph.nodes)}
        found: dict[str, Family] = {}
        for members in self.graph.components:
            numbers = [m.id for x in members for m in self.members.get(x, ())]
            is_alone = len(numbers) < 2
            name = "" if is_alone else self._called(sorted(members, key=place.__getitem__))
            family = Family(len(found), name, 0 if is_alone else min(numbers))
            found |= dict.fromkeys(members, family)
        return found

    def _called(self, members: Sequence[str]) -> str:
        """What a family is called, on every page: after the model on top of its largest tree."""
        index = {x: i for i, x in enumerate(members)}
        edges = [(index[e.parent], index[e.child], e.weight) for x in members for e in self.into(x)]
        is_observed = [x in self.facts for x in members]
        return members[top_of_largest_tree(heaviest_parents(edges), is_observed)]

    def standings(self, recalled: Mapping[Pair, Verdict]) -> dict[int, Standing]:
        """Every model, with verdicts of earlier comparisons of pairs that were `asked`."""
        found = {}
        for model in self.models.values():
            node = self.nodes.get(model.id, "")
            family = self.families[node] if node else Family()
            found[model.id] = Standing(
                family=family.name,
                first=family.first,
                is_placed=bool(node),
                parents=tuple(step_of(e, self.facts) for e in self.into(node)),
                ancestors=tuple(self.facts[x].id for x in self.above(node) if x in self.facts),
                declared=tuple(self._stated(model, x, recalled) for x in model.declared_parents),
            )
        return found

    def asked(self) -> Iterator[Pair]:
        """A model and one that it declares, of which the graph does not say who is above."""
        for model in self.models.values():
            for name in model.declared_parents:
                for other in self._named(name):
                    if other != model.id and self._in_graph(model.id, other) not in (
                        "above",
                        "below",
                    ):
                        yield model.id, other

    def placement(self, number: int) -> Placement:
        """The edges around one model, and its path to the root; none where it is no node."""
        node, model = self.nodes.get(number, ""), self.models[number]
        facts = {**self.facts, node: NodeFacts(model.name, number, model.digest)}
        behind = {x: tuple(models) for x, models in self.members.items()}
        return Placed(self.graph, node, facts, behind, "registry").placement()

    def into(self, node: str) -> Sequence[FamilyEdge]:
        """The edges to the parents of a node; none of what is no node."""
        return self._into.get(node, ())

    def shown_parents(self, node: str) -> list[str]:
        """Its parents in the graph that are determined, or at least shown to be related to it."""
        return [
            edge.parent
            for edge in self.into(node)
            if edge.direction == "determined" or is_related(edge, self.graph.alpha)
        ]

    def above(self, node: str) -> Mapping[str, EdgePath]:
        """The ancestors of a node by edges of determined direction, with the path from each."""
        return self._descent.above(node) if node else {}

    @cached_property
    def _into(self) -> Mapping[str, Sequence[FamilyEdge]]:
        found: defaultdict[str, list[FamilyEdge]] = defaultdict(list)
        for edge in self.graph.edges:
            found[edge.child].append(edge)
        return found

    @cached_property
    def _named(self) -> Named:
        return Named(self.models.values())

    @cached_property
    def _descent(self) -> Descent:
        return Descent(self.graph)

    def _stated(self, model: Registered, name: str, recalled: Mapping[Pair, Verdict]) -> Stated:
        ids = self._named(name)
        others = [k for k in ids if k != model.id]
        if not others:
            return Stated(name=name, state="confirmed" if ids else "unverifiable", id=sum(ids))
        found = {k: self._found(model.id, k, recalled.get((model.id, k))) for k in others}
        first = min(found, key=lambda k: list(STATES).index(found[k]))
        meant = self.models[first]
        called = meant.name if name == meant.source else name  # an adapter names a folder
        return Stated(name=called, state=STATES[found[first]], id=first)

    def _found(self, own: int, other: int, recalled: Verdict | None) -> Found:
        """What the graph states of the two, else an earlier comparison, else their families."""
        in_graph = self._in_graph(own, other)
        if in_graph in ("above", "below"):
            return in_graph
        if recalled is not None:
            return VERDICTS.get(recalled, "unrelated")
        is_tested = not {self.slots[own], self.slots[other]} & set(self.untestable)
        return "untestable" if in_graph == "unrelated" and not is_tested else in_graph

    def _in_graph(self, own: int, other: int) -> Found:
        a, b = self.nodes.get(own, ""), self.nodes.get(other, "")
        if not a or not b:
            return "open"
        if a != b and b in self.above(a):
            return "above"
        if a != b and a in self.above(b):
            return "below"
        if self._origins(a) & self._origins(b):
            return "related"
        return "open" if self.families[a] is self.families[b] else "unrelated"

    def _origins(self, node: str) -> set[str]:
        """A node and all above it, whether or not the direction of an edge is determined.

        Two that share none may be unrelated: a merge joins them in one family, in which the graph
        may draw one of two unrelated models below the other.
        """
        found, waiting = {node}, [node]
        while waiting:
            new = {*self.shown_parents(waiting.pop())} - found
            found |= new
            waiting += new
        return found
