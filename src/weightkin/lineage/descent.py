"""What a family graph says of two of its models: who descends from whom, and how else they relate.

Only edges whose direction is determined count. Whatever hangs on another edge may lie anywhere in
its family.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.registry import Relation

EdgePath = tuple[FamilyEdge, ...]
Onward = Callable[[str], Iterable[tuple[str, FamilyEdge]]]  # the next nodes, and the edges there


def chance_of_all(path: EdgePath) -> float:
    """Probability of every step of a path, taken as independent."""
    return prod(edge.probability for edge in path)


@dataclass(frozen=True)
class Descent:
    """A family graph, by the edges around each of its nodes."""

    graph: FamilyGraph
    _into: dict[str, list[FamilyEdge]] = field(default_factory=dict)
    _out_of: dict[str, list[FamilyEdge]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for edge in self.graph.edges:
            self._into.setdefault(edge.child, []).append(edge)
            self._out_of.setdefault(edge.parent, []).append(edge)

    @cached_property
    def _family(self) -> Mapping[str, tuple[str, ...]]:
        return {x: members for members in self.graph.components for x in members}

    def below(self, node: str) -> dict[str, EdgePath]:
        """All descendants, each with the shortest path down to it."""
        return _walk(node, lambda x: ((e.child, e) for e in _sure(self._out_of.get(x, ()))))

    def above(self, node: str) -> dict[str, EdgePath]:
        """All ancestors, each with the shortest path from it down to the node."""
        up = _walk(node, lambda x: ((e.parent, e) for e in _sure(self._into.get(x, ()))))
        return {x: path[::-1] for x, path in up.items()}

    def may_descend(self, node: str) -> dict[str, EdgePath]:
        """Members of the family that may descend from a node, each with the edges between the two.

        A model whose place is open may have any of its family as a parent, but for those below it;
        so may what is below such a model.
        """
        below, above = self.below(node), self.above(node)
        open_ = [x for x in self._family.get(node, ()) if x != node and self._is_open(x)]
        found = {y for x in open_ for y in (x, *self.below(x))} - {node} - below.keys()
        between = _walk(node, self._around)
        return {x: between[x] for x in between if x in found and x not in above}

    def relation(self, own: str, other: str) -> tuple[Relation, int]:
        """What another node is to a node, and how many steps an ancestor or descendant is away."""
        if own == other:
            return "identical", 0
        above, below = self.above(own), self.below(own)
        if other in above:
            n = len(above[other])
            several = len(self._into[own]) > 1
            return ("ancestor" if n > 1 else "merged-into" if several else "parent"), n
        if other in below:
            n = len(below[other])
            return ("descendant" if n > 1 else "child"), n
        theirs = self.above(other)
        shared = above.keys() & theirs.keys()
        if any(len(above[x]) == len(theirs[x]) == 1 for x in shared):
            return "sibling", 0
        return ("relative" if shared else "unknown"), 0

    def _is_open(self, node: str) -> bool:
        """Whether it is not known which models a node was made from, or that it was from none."""
        edges = self._into.get(node) or self._out_of.get(node) or []
        return any(e.direction != "determined" for e in edges)

    def _around(self, node: str) -> Iterable[tuple[str, FamilyEdge]]:
        yield from ((e.child, e) for e in self._out_of.get(node, ()))
        yield from ((e.parent, e) for e in self._into.get(node, ()))


def _sure(edges: Iterable[FamilyEdge]) -> Iterable[FamilyEdge]:
    return (edge for edge in edges if edge.direction == "determined")


def _walk(start: str, onward: Onward) -> dict[str, EdgePath]:
    """Every node that is reached, by the fewest steps; of equally short paths the first."""
    found: dict[str, EdgePath] = {start: ()}
    waiting = deque([start])
    while waiting:
        at = waiting.popleft()
        for node, edge in onward(at):
            if node not in found:
                found[node] = (*found[at], edge)
                waiting.append(node)
    del found[start]
    return found
