"""What can be drawn of a family or of a path: nodes, edges, and what to read about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.registry import DeclaredParent, Search, Step, Trace
from weightkin.report.clues import declared_words, evidence_line
from weightkin.report.html.environment import short, source_name
from weightkin.report.html.layout import COLUMN, Link, closing_links, layout
from weightkin.report.nodes import UNOBSERVED, is_shown, kind_words, related_words
from weightkin.report.parent_words import is_support_known, parent_words, rival_words, support_words
from weightkin.report.registry import numbered

Style = Literal["inferred", "undetermined", "declared"]
Facts = tuple[tuple[str, str], ...]
NAME_LENGTH, KIND_LENGTH = 27, 24  # characters that are shown
LEAST_BOX, MOST_BOX = 96, 232
MOST_NOTES = 20  # about one model


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnNode:
    """A model, or an ancestor that was inferred; ``href`` is a page about it, if there is one."""

    id: str
    label: str
    is_observed: bool = True
    href: str = ""
    also: tuple[str, ...] = ()  # names of others with the same contents
    facts: Facts = ()

    @property
    def shown(self) -> str:
        """The label as it is drawn: cut, and with the number of others that hold the same."""
        more = f" +{len(self.also)}" if self.also else ""
        return short(self.label, NAME_LENGTH - len(more)) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEdge:
    """``child`` is placed below ``parent``; a declared edge is what a model says of itself."""

    parent: str
    child: str
    kind: str
    label: str
    style: Style
    probability: float  # of the parent, or of the direction where only that is known
    weight: float = 1.0
    is_proven: bool = True  # an exact test or equal values show that the two are related
    facts: Facts = ()

    @property
    def doubt(self) -> str:
        """What stands beside an edge that is not proven."""
        return "" if self.is_proven else dict(self.facts).get("Related", "")

    @property
    def caption(self) -> str:
        """What is drawn at the edge: how the child was made, or that nothing relates the two."""
        return short(self.kind == "unknown" and self.doubt or self.label, KIND_LENGTH)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes and edges with the places of the nodes' centres, in pixels."""

    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    places: tuple[tuple[float, float], ...]
    carrying: frozenset[int] = field(default_factory=frozenset)  # edges that nodes hang from
    box: int = MOST_BOX  # width of a node
    column: int = COLUMN  # from one node to the next

    def index(self) -> dict[str, int]:
        """Place of each node in the list, by its id."""
        return {node.id: i for i, node in enumerate(self.nodes)}


def drawing(nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge]) -> Drawing:
    """Lay out nodes and edges; one that closes a circle moves no node. Linear but for a sort."""
    index = {node.id: i for i, node in enumerate(nodes)}
    links = [Link(index[e.parent], index[e.child], e.weight) for e in edges]
    closing = closing_links(len(nodes), links)
    heaviest: dict[int, int] = {}
    for i, link in enumerate(links):
        if i in closing:
            continue
        best = heaviest.get(link.child)
        if best is None or abs(link.weight) > abs(links[best].weight):
            heaviest[link.child] = i
    name = max((len(node.shown) for node in nodes), default=0)
    kind = max((len(edge.caption) for edge in edges), default=0)
    box = min(MOST_BOX, max(LEAST_BOX, round(name * 6.9) + 46))
    column = box + max(64, round(kind * 5.4) + 38)
    places = ((x * column / COLUMN, y) for x, y in layout(len(nodes), links))
    return Drawing(
        tuple(nodes), tuple(edges), tuple(places), frozenset(heaviest.values()), box, column
    )


def family_drawing(graph: FamilyGraph) -> Drawing:
    """A family graph with its places."""
    return drawing(*family_parts(graph, {}))


def family_parts(
    graph: FamilyGraph, links: Mapping[str, str]
) -> tuple[list[DrawnNode], list[DrawnEdge]]:
    """The nodes and edges of a family graph; ``links`` gives the page of a node by its id."""
    nodes = [
        DrawnNode(
            id=node.id,
            label=node.id if node.observed else UNOBSERVED,
            is_observed=node.observed,
            href=links.get(node.id, ""),
            also=tuple(source_name(x) for x in node.duplicates),
            facts=_node_facts(node.source, node.digest, node.duplicates),
        )
        for node in graph.nodes
    ]
    labels = {node.id: node.label for node in nodes}
    return nodes, [_family_edge(edge, labels, graph.alpha) for edge in graph.edges]


def trace_drawing(record: Trace) -> Drawing:
    """The way to the root, other parents, children; declared parents beside them are dotted.

    A declared parent that was made from the model is no parent in the drawing: the model says it.
    """
    search = record.search
    steps = {(_parent(x), _child(x)): x for x in (*search.path, *search.parents, *search.children)}
    own = _own(search)
    nodes = {own: _own_node(own, record)}
    for (parent, child), step in steps.items():
        nodes.setdefault(child, _step_node(child, step.child, step.child_id, search))
        nodes.setdefault(parent, _step_node(parent, step.parent, step.parent_id, search))
    edges = [_step_edge(step, *ends, search.alpha) for ends, step in steps.items()]
    above: dict[str, set[str]] = {}
    for parent, child in steps:
        above.setdefault(child, set()).add(parent)
    for said in record.declared:
        parent = _declared(said, nodes, search)
        known = above.setdefault(own, set())
        if not said.is_declared or parent == own or parent in known:
            continue
        if not is_above(own, parent, above):
            known.add(parent)
            nodes.setdefault(parent, _step_node(parent, said.name, said.id, search))
            edges.append(_said_edge(said, parent, own))
    return drawing(list(nodes.values()), edges)


def is_above(high: str, low: str, above: Mapping[str, set[str]]) -> bool:
    """Whether one node is an ancestor of another; ``above`` are the parents of each."""
    seen, left = {low}, [low]
    while left:
        more = above.get(left.pop(), set()) - seen
        if high in more:
            return True
        seen |= more
        left += more
    return False


def edge_facts(edge: FamilyEdge | Step, alpha: float) -> Facts:
    """What an edge rests on, as pairs of a word and a text."""
    facts = [
        ("Related", related_words(edge, alpha)),
        ("Probability", parent_words(edge, most=0)),
    ]
    facts += [("Support", support_words(edge))] if is_support_known(edge) else []
    facts += [("Weight", f"{edge.weight:.2f} of the child")] if edge.weight != 1.0 else []
    facts += [("Evidence", evidence_line(x)) for x in edge.evidence]
    return tuple(facts)


def _family_edge(edge: FamilyEdge, labels: Mapping[str, str], alpha: float) -> DrawnEdge:
    told = tuple(x for x in edge.evidence if x.code != "relative-distance")  # it stands below
    facts = [("Kind", kind_words(edge)), *edge_facts(replace(edge, evidence=told), alpha)]
    rivals = rival_words(edge, labels.__getitem__)
    facts += [("Overall distance", f"{edge.distance:.3g}"), ("Other candidates", rivals)]
    label, also = kind_words(edge), edge.kind_details.get("also")
    n_more = len(also) if isinstance(also, list) else 0
    cut = f"{edge.kind} and {n_more} more" if n_more else edge.kind
    return DrawnEdge(
        parent=edge.parent,
        child=edge.child,
        kind=edge.kind,
        label=label if len(label) <= KIND_LENGTH else cut,
        style="inferred" if edge.direction == "determined" else "undetermined",
        probability=edge.probability,
        weight=edge.weight,
        is_proven=is_shown(edge, alpha),
        facts=tuple(facts),
    )


def _parent(step: Step) -> str:
    return _key(step.parent_id, step.parent_digest, step.parent)


def _child(step: Step) -> str:
    return _key(step.child_id, step.child_digest, step.child)


def _key(number: int, digest: str, name: str) -> str:
    """What tells nodes apart: many models may have one name."""
    if number:
        return f"#{number}"
    return f"digest {digest}" if digest else f"name {name}"


def _own(search: Search) -> str:
    """The node of the model itself, as its steps have it."""
    for step in (*search.parents, *search.path):
        return _child(step)
    for step in search.children:
        return _parent(step)
    return _key(0, search.digest, search.name)


def _declared(said: DeclaredParent, nodes: Mapping[str, DrawnNode], search: Search) -> str:
    """The node that a declared parent means, there or not; one stands for all equal models."""
    if not said.id:
        return f"declared {said.name}"
    models = {x.model.id: x.model for x in (*search.others, *search.relatives)}
    digest = models[said.id].digest if said.id in models else ""
    same = [f"#{k}" for k, model in models.items() if digest and model.digest == digest]
    return next((x for x in (f"#{said.id}", *same) if x in nodes), f"#{said.id}")


def _own_node(key: str, record: Trace) -> DrawnNode:
    search = record.search
    facts = _node_facts(search.source, search.digest, ())
    stated = [x for x in record.declared if x.is_declared]
    facts += tuple(("Declares", f"{x.name}: {x.state}; {declared_words(x)}") for x in stated)
    return DrawnNode(id=key, label=search.name, also=_same(search, 0, search.digest), facts=facts)


def _step_node(key: str, name: str, number: int, search: Search) -> DrawnNode:
    """Another model, or an ancestor that was inferred, with what the registry says about it."""
    if not number:
        is_observed = key != _key(0, "", name)
        return DrawnNode(id=key, label=name if is_observed else UNOBSERVED, is_observed=is_observed)
    model = next((x.model for x in search.relatives if x.model.id == number), None)
    if model is None:
        return DrawnNode(id=key, label=numbered(name, number))
    notes = tuple(("Note", note.sentence) for note in model.notes[:MOST_NOTES])
    return DrawnNode(
        id=key,
        label=numbered(name, number),
        also=_same(search, number, model.digest),
        facts=_node_facts(model.source, model.digest, ()) + notes,
    )


def _same(search: Search, number: int, digest: str) -> tuple[str, ...]:
    """Relatives with the same contents."""
    models = [x.model for x in search.relatives if x.model.id != number]
    return tuple(numbered(m.name, m.id) for m in models if digest and m.digest == digest)


def _said_edge(said: DeclaredParent, parent: str, child: str) -> DrawnEdge:
    return DrawnEdge(
        parent=parent,
        child=child,
        kind="declared",
        label=f"declared, {said.state}",
        style="declared",
        probability=0.5,
        weight=0.0,
        facts=(("Declared", said.state), ("Why", declared_words(said))),
    )


def _step_edge(step: Step, parent: str, child: str, alpha: float) -> DrawnEdge:
    return DrawnEdge(
        parent=parent,
        child=child,
        kind=step.kind,
        label=step.kind,
        style="inferred" if step.direction == "determined" else "undetermined",
        probability=step.probability,
        weight=step.weight,
        is_proven=is_shown(step, alpha),
        facts=(("Kind", step.kind), *edge_facts(step, alpha)),
    )


def _node_facts(source: str, digest: str, duplicates: Sequence[str]) -> Facts:
    facts = [("Source", source), ("Digest", digest)]
    facts += [("Same contents", x) for x in duplicates]
    return tuple(fact for fact in facts if fact[1])
