"""What is known of the family graph of a registry: family by family, each read when it is needed.

A question about one model touches its own family. The others are names and numbers here, so that
neither a question nor an addition costs more than its family in a registry of many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from weightkin.errors import UnusableRegistry
from weightkin.records.family import FamilyGraph, FamilyNode
from weightkin.registry.members import Groups
from weightkin.registry.slots import Slot

X = TypeVar("X")
Nodes = tuple[tuple[str, tuple[int, ...]], ...]  # ids of nodes, each with the models it stands for


@dataclass(frozen=True, slots=True)
class KnownFamilies:
    """Families by number. Those computed since they were read have numbers below 0.

    ``head`` is the graph without its nodes; ``texts`` are the records of those in the file, and
    ``stamp`` says which state of the file this is, empty where it is none.
    """

    head: FamilyGraph
    nodes: Mapping[int, Nodes] = field(default_factory=dict)
    new: Mapping[int, FamilyGraph] = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)
    stamp: str = ""

    @property
    def ids(self) -> set[str]:
        """Ids of all nodes."""
        return {x for nodes in self.nodes.values() for x, _ in nodes}

    def groups(self, held: Mapping[int, Slot]) -> Groups:
        """Slots in the graph, each with all of its family."""
        slot_of = {m.id: x.slot for x in held.values() for m in x.models}
        found: dict[int, frozenset[int]] = {}
        for nodes in self.nodes.values():
            slots = frozenset(slot_of[i] for _, ids in nodes for i in ids if i in slot_of)
            found |= dict.fromkeys(slots, slots)
        return found

    def part(self, held: Mapping[int, Slot], slots: Collection[int]) -> FamilyGraph:
        """The families of some slots alone, as one graph."""
        numbers = self._families_of(held, slots)
        return joined(self.head, [self._family(k) for k in numbers])

    def whole(self) -> FamilyGraph:
        """All families as one graph."""
        return joined(self.head, [self._family(k) for k in self.nodes])

    def lost(self, held: Mapping[int, Slot]) -> set[int]:
        """Families of which a model is not registered any more, by their numbers."""
        first = {x.models[0].id for x in held.values()}
        return {
            k
            for k, nodes in self.nodes.items()
            if any(ids and ids[0] not in first for _, ids in nodes)
        }

    def without(self, lost: Collection[int]) -> KnownFamilies:
        """All but some families, by their numbers."""
        nodes = {k: x for k, x in self.nodes.items() if k not in lost}
        return replace(self, nodes=nodes, new={k: x for k, x in self.new.items() if k in nodes})

    def replaced(
        self, held: Mapping[int, Slot], slots: Collection[int], part: FamilyGraph
    ) -> KnownFamilies:
        """All families, those of some slots as they are in a part that was computed again.

        Parameters
        ----------
        held : mapping
            What every slot holds.
        slots : collection of int
            What was computed.
        part : FamilyGraph
            What `part` gave for these slots, with what was found since.

        Returns
        -------
        KnownFamilies
            With new numbers for the families of the part.
        """
        kept = self.without(self._families_of(held, slots))
        least = min((0, *kept.new))
        head, parts = split(part)
        fresh = {least - 1 - k: x for k, x in enumerate(parts)}
        nodes = {**kept.nodes, **{k: nodes_of(x) for k, x in fresh.items()}}
        return replace(kept, head=head, nodes=nodes, new={**kept.new, **fresh})

    def _families_of(self, held: Mapping[int, Slot], slots: Collection[int]) -> list[int]:
        models = {i for slot in slots for i in held[slot].ids}
        return [
            k
            for k, nodes in self.nodes.items()
            if any(i in models for _, ids in nodes for i in ids)
        ]

    def _family(self, number: int) -> FamilyGraph:
        if number in self.new:
            return self.new[number]
        where = f"family {number} in the file"
        found = FamilyGraph.from_json(self.texts[number], where)
        if nodes_of(found) != self.nodes[number]:
            raise UnusableRegistry(f"{where}: has other nodes than it lists")
        return found


def known_of(graph: FamilyGraph) -> KnownFamilies:
    """A graph of everything, family by family."""
    head, parts = split(graph)
    new = {-1 - k: part for k, part in enumerate(parts)}
    return KnownFamilies(head, {k: nodes_of(x) for k, x in new.items()}, new)


def nodes_of(graph: FamilyGraph) -> Nodes:
    """The nodes of a graph with their models."""
    return tuple((node.id, node.registered) for node in graph.nodes)


def split(graph: FamilyGraph) -> tuple[FamilyGraph, list[FamilyGraph]]:
    """A graph as its head, without a node, and its families."""
    place = {x: k for k, members in enumerate(graph.components) for x in members}
    n = len(graph.components)
    nodes: list[list[FamilyNode]] = [[] for _ in range(n)]
    for node in graph.nodes:
        nodes[place[node.id]].append(node)
    edges = _by_family((place[e.child], e) for e in graph.edges)
    skipped = _by_family((place.get(x.what, -1), x) for x in graph.skipped)
    untested = _by_family((place[x], x) for x in graph.not_testable)
    head = replace(graph, nodes=(), edges=(), components=(), not_testable=(),
                   skipped=tuple(skipped.get(-1, ())))  # fmt: skip
    parts = [
        replace(
            head,
            nodes=tuple(nodes[k]),
            edges=tuple(edges.get(k, ())),
            components=(members,),
            skipped=tuple(skipped.get(k, ())),
            not_testable=tuple(untested.get(k, ())),
        )
        for k, members in enumerate(graph.components)
    ]
    return head, parts


def joined(head: FamilyGraph, parts: Iterable[FamilyGraph]) -> FamilyGraph:
    """Families as one graph, in the order of their models."""
    some = list(parts)
    nodes = sorted((node for part in some for node in part.nodes), key=_order)
    n = sum(node.observed for node in nodes)
    groups = (group for part in some for group in part.components)
    return replace(
        head,
        nodes=tuple(nodes),
        edges=tuple(edge for part in some for edge in part.edges),
        components=tuple(sorted(groups, key=lambda group: (-len(group), group))),
        parameters={**head.parameters, "n_pairs": n * (n - 1) // 2},
        skipped=(*head.skipped, *(x for part in some for x in part.skipped)),
        not_testable=tuple(x for part in some for x in part.not_testable),
    )


def _order(node: FamilyNode) -> tuple[bool, tuple[int, ...], int, str]:
    return not node.observed, node.registered[:1], len(node.id), node.id


def _by_family(pairs: Iterable[tuple[int, X]]) -> dict[int, list[X]]:
    found: dict[int, list[X]] = {}
    for k, x in pairs:
        found.setdefault(k, []).append(x)
    return found
