"""The place of a model among its relatives: its parents, its children, the path to its root.

Read from the family graph of the registry if there is one. Else the graph of its whole family is
computed, or, if that is too large, of its nearest relatives, without directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from weightkin.formats import Model
from weightkin.lineage.family import find_family
from weightkin.lineage.growing import (
    MOST_AGAIN,
    N_NEAR,
    Proposed,
    are_related,
    insert_model,
    opened,
)
from weightkin.records import Clue, Skipped
from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.registry import Among, Step
from weightkin.registry.family import proposals
from weightkin.registry.prepared import Prepared, held_whole, weights_at_hand
from weightkin.registry.sealed import SealedStore
from weightkin.registry.searching import Compared
from weightkin.registry.slots import Sketches, Slot, unused
from weightkin.sketch import Sketch

MOST_PLACED = 14  # relatives that are laid out where the family is too large, the nearest
QUERY_NODE = "query"


@dataclass(frozen=True, slots=True)
class Placement:
    """Edges around a model."""

    parents: tuple[Step, ...] = ()
    children: tuple[Step, ...] = ()
    path: tuple[Step, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    among: Among = ""
    below: frozenset[int] = frozenset()  # made from the model, by edges of determined direction


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node stands for: its name, its number in the registry (0: none), its digest."""

    name: str
    id: int
    digest: str


def place_in_graph(
    graph: FamilyGraph,
    sketches: Sketches,
    query: Prepared,
    slot: int | None,
    found: Compared,
) -> Placement:
    """Find a model in the graph of the registry, or insert it there near its relatives.

    Parameters
    ----------
    graph, sketches : FamilyGraph, Sketches
        The graph, and the sketches of its nodes.
    query : Prepared
        The model.
    slot : int or None
        Where its contents are registered.
    found : Compared
        What its search found.

    Returns
    -------
    Placement
        Empty where it is no node and has no relatives.
    """
    number = found.request.number
    at = next((x.id for x in graph.nodes if number and number in x.registered), None)
    at = at or next((node for node, held in sketches.held.items() if held.slot == slot), None)
    among: Among = "registry"
    near = [x for x in found.relatives if x.verdict == "dependent"]
    if at is None and not near:
        return Placement(among=among)
    if at is None:
        node_of = {held.slot: node for node, held in sketches.held.items()}
        slots = {x.model.id: found.candidates[x.model.id].slot for x in near}
        nodes = {k: node_of[at] for k, at in slots.items() if at in node_of}
        at = unused(QUERY_NODE, (node.id for node in graph.nodes))
        before = graph
        close, hidden = (
            [nodes[x.model.id] for x in near if x.looked_at == how and x.model.id in nodes]
            for how in ("sketch", "weights")
        )
        graph = insert_model(
            graph,
            sketches,
            replace(query.sketch, name=at),
            Proposed(close, hidden),
            lambda node: weights_at_hand(query.sketch if node == at else sketches[node]),
        )
        if graph.parameters.get(N_NEAR) != before.parameters.get(N_NEAR):
            among = "nearest"
        at = next((x.id for x in graph.nodes if at in x.duplicates), at)
    facts = {
        node.id: NodeFacts(node.name, node.registered[0] if node.registered else 0, node.digest)
        for node in graph.nodes
        if node.observed
    }
    facts[at] = NodeFacts(query.sketch.name, number, query.sketch.digest)
    return _place(graph, at, facts, among)


def place_among_nearest(
    store: SealedStore,
    held: Mapping[int, Slot],
    query: Prepared,
    found: Compared,
) -> Placement:
    """Lay out the family of a model.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The store of an open registry, and its slots by number.
    query, found : Prepared, Compared
        The model, and its relatives.

    Returns
    -------
    Placement
        Empty where it has no relatives; the nearest of a family that is too large.
    """
    number, alpha = found.request.number, found.request.alpha
    near = [x for x in found.relatives if x.verdict == "dependent"]
    if not near:
        return Placement()
    slots = {found.candidates[x.model.id].slot: x.looked_at == "weights" for x in near}
    own = next((x.slot for x in held.values() if number in x.ids), None)
    family = relatives_of(store, held, slots, own, found.n_scanned, alpha)
    among: Among = "nearest" if family is None else "registry"
    chosen = family or dict(list(slots.items())[:MOST_PLACED])
    is_hidden = any(chosen.values())
    sources: list[Sketch | Model] = [_source(query.sketch, QUERY_NODE, is_hidden=is_hidden)]
    facts = {QUERY_NODE: NodeFacts(query.sketch.name, number, query.sketch.digest)}
    for slot, with_weights in ((s, w) for s, w in chosen.items() if s != own):
        first = held[slot].models[0]
        sketch = sketch_of(store, held[slot])
        sources.append(_source(sketch, f"#{first.id}", is_hidden=with_weights or is_hidden))
        facts[f"#{first.id}"] = NodeFacts(first.name, first.id, first.digest)
    n, m = max(2, found.n_scanned + (own is None)), len(sources)
    share = min(1.0, m * (m - 1) / (n * (n - 1)))  # the level is paid for all pairs there are
    graph = find_family(sources, alpha=alpha * share, seed=found.request.seed)
    return _place(opened(graph) if family is None else graph, QUERY_NODE, facts, among)


def relatives_of(
    store: SealedStore,
    held: Mapping[int, Slot],
    start: Mapping[int, bool],
    own: int | None,
    n: int,
    alpha: float,
) -> dict[int, bool] | None:
    """Slots of a whole family, from some of its members on; None where it is too large.

    Vectors propose and a test concludes, member by member, until nobody new is found. The values
    say which of them must be looked at by their weights: those that only those show related.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The vectors and sketches, and what every slot holds.
    start : mapping
        Slots to begin with: whether only their weights show them related.
    own : int or None
        Slot of the model that is searched for; left out.
    n, alpha : int, float
        Registered contents, and the level that all their pairs share.

    Returns
    -------
    dict or None
        Like ``start``.
    """
    paid = alpha / max(1, n * (n + 1) // 2)
    found = dict(start)
    names = {f"#{slot}": x for slot, x in held.items()}
    waiting = [slot for slot, is_hidden in start.items() if not is_hidden]
    while waiting:
        slot = waiting.pop()
        sketch = sketch_of(store, held[slot])
        near = proposals(store, names, slot)
        for other in (int(x[1:]) for x in near.close):
            is_new = other not in found and other != own
            if is_new and are_related(sketch, sketch_of(store, held[other]), paid):
                found[other] = False
                waiting.append(other)
        found |= {s: True for x in near.hidden if (s := int(x[1:])) not in found and s != own}
        if len(found) > MOST_AGAIN:
            return None
    return found


def sketch_of(store: SealedStore, held: Slot) -> Sketch:
    """The sketch in a slot, under the name of the model that was registered first."""
    return Sketches(store, {"": held})[""]


def _place(graph: FamilyGraph, own: str, facts: Mapping[str, NodeFacts], among: Among) -> Placement:
    """What a graph says about one of its nodes."""
    path: list[Step] = []
    at = own
    while into := graph.parents_of(at):  # ends: a graph has no cycle
        path.append(_step(into[0], facts, own))
        at = into[0].parent
    around = {own, *(e.parent for e in graph.parents_of(own))}
    return Placement(
        parents=tuple(_step(e, facts, own) for e in graph.parents_of(own)),
        children=tuple(_step(e, facts, own) for e in graph.edges if e.parent == own),
        path=tuple(path),
        skipped=tuple(
            replace(x, what=facts[x.what].name if x.what in facts else x.what)
            for x in graph.skipped
            if among == "nearest" or x.what in around
        ),
        among=among,
        below=frozenset(facts[x].id for x in _below(graph, own) if x in facts),
    )


def _below(graph: FamilyGraph, own: str) -> set[str]:
    """Nodes that were made from one, over edges whose direction is determined."""
    made: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.direction == "determined":
            made.setdefault(edge.parent, []).append(edge.child)
    found, left = set[str](), [own]
    while left:
        new = [x for x in made.get(left.pop(), ()) if x not in found]
        found.update(new)
        left += new
    return found


def _source(sketch: Sketch, name: str, *, is_hidden: bool) -> Sketch | Model:
    """What is laid out: everything there is of a small model, the weights of a hidden one."""
    model = weights_at_hand(sketch) if is_hidden else held_whole(sketch)
    return replace(sketch if model is None else model, name=name)


def _renamed(found: Clue, old: str, new: str) -> Clue:
    """A piece of evidence with the name of a model in place of its node."""

    def name(x: Any) -> Any:
        return [*map(name, x)] if isinstance(x, list | tuple) else new if x == old else x

    return replace(found, data={k: name(x) for k, x in found.data.items()})


def _step(edge: FamilyEdge, facts: Mapping[str, NodeFacts], own: str) -> Step:
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
        evidence=tuple(_renamed(x, own, facts[own].name) for x in edge.evidence),
    )
