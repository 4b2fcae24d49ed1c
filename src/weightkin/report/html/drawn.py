"""What can be drawn of a family or of a path: nodes, edges, and what to read about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.form import pvalue_words
from weightkin.records.registry import Step, Trace
from weightkin.report.html.layout import COLUMN, Link, layout
from weightkin.report.tree import UNOBSERVED, behind_words, kind_words

Style = Literal["inferred", "undetermined", "declared"]
Facts = tuple[tuple[str, str], ...]
NAME, KIND = 27, 24  # characters that are shown
LEAST_BOX, MOST_BOX = 96, 204


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnNode:
    """A model, or an ancestor that was inferred; ``href`` is a page about it, if there is one."""

    id: str
    label: str
    is_observed: bool = True
    href: str = ""
    facts: Facts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEdge:
    """``child`` was made from ``parent``; a declared edge is what a model says of itself."""

    parent: str
    child: str
    kind: str
    label: str
    style: Style
    probability: float  # of the direction
    weight: float = 1.0
    facts: Facts = ()


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
    """Lay out nodes and edges; edges must have no directed cycle. Linear but for one sort."""
    index = {node.id: i for i, node in enumerate(nodes)}
    links = [Link(index[e.parent], index[e.child], e.weight) for e in edges]
    heaviest: dict[int, int] = {}
    for i, link in enumerate(links):
        best = heaviest.get(link.child)
        if best is None or abs(link.weight) > abs(links[best].weight):
            heaviest[link.child] = i
    name = max((min(len(node.label), NAME) for node in nodes), default=0)
    kind = max((min(len(edge.label), KIND) for edge in edges), default=0)
    box = min(MOST_BOX, max(LEAST_BOX, round(name * 6.9) + 22))
    column = box + max(64, round(kind * 5.4) + 38)
    places = ((x * column / COLUMN, y) for x, y in layout(len(nodes), links))
    return Drawing(
        tuple(nodes), tuple(edges), tuple(places), frozenset(heaviest.values()), box, column
    )


def family_drawing(graph: FamilyGraph, links: Mapping[str, str] | None = None) -> Drawing:
    """A family; ``links`` gives the page of a node by its id."""
    links = links or {}
    nodes = [
        DrawnNode(
            id=node.id,
            label=node.id if node.observed else UNOBSERVED,
            is_observed=node.observed,
            href=links.get(node.id, ""),
            facts=_node_facts(node.source, node.digest, node.duplicates),
        )
        for node in graph.nodes
    ]
    labels = {node.id: node.label for node in nodes}
    return drawing(nodes, [_family_edge(edge, labels) for edge in graph.edges])


def trace_drawing(record: Trace) -> Drawing:
    """The way to the root, other parents, children; declared parents beside them are dotted."""
    search = record.search
    near = {(x.parent, x.child): x for x in (*search.path, *search.parents, *search.children)}
    steps = [_step_edge(step) for step in near.values()]
    names = dict.fromkeys([search.name, *(x for s in steps for x in (s.child, s.parent))])
    known = {(edge.parent, edge.child) for edge in steps}
    said = []
    for declared in record.declared:
        ends = (declared.name, search.name)
        if declared.state == "undeclared" or ends in known or declared.name == search.name:
            continue
        names[declared.name] = None
        facts = (("Declared", declared.state), ("Why", declared.why))
        said.append(
            DrawnEdge(parent=ends[0], child=ends[1], kind="declared", label="declared",
                      style="declared", probability=0.5, weight=0.0, facts=facts)
        )  # fmt: skip
    hidden = {x.parent for x in near.values() if not x.parent_id and x.parent.startswith("unobs")}
    nodes = [DrawnNode(id=x, label=x, is_observed=x not in hidden) for x in names]
    return drawing(nodes, [*steps, *said])


def edge_facts(edge: FamilyEdge | Step) -> Facts:
    """What an edge rests on, as pairs of a word and a text."""
    is_known = edge.direction == "determined"
    said = "" if is_known else "undetermined, "
    facts = [
        ("Related", pvalue_words(edge.log10_pvalue)),
        ("Direction", f"{said}probability {edge.direction_probability:.2f}"),
        ("Support", f"{edge.support:.2f} of the resamples have this parent"),
    ]
    facts += [("Weight", f"{edge.weight:.2f} of the child")] if edge.weight != 1.0 else []
    facts += [("Evidence", line) for line in edge.evidence]
    return tuple(facts)


def second_words(edge: FamilyEdge, labels: Mapping[str, str]) -> str:
    """The parent that would have been next."""
    if edge.runner_up is None:
        return "none in question"
    return f"{labels[edge.runner_up.parent]}, {behind_words(edge.runner_up)}"


def _family_edge(edge: FamilyEdge, labels: Mapping[str, str]) -> DrawnEdge:
    facts = [("Kind", kind_words(edge)), *edge_facts(edge)]
    facts += [("Distance", f"{edge.distance:.3g}"), ("Second best", second_words(edge, labels))]
    label, also = kind_words(edge), edge.kind_details.get("also")
    n_more = len(also) if isinstance(also, list) else 0
    cut = f"{edge.kind} and {n_more} more" if n_more else edge.kind
    return DrawnEdge(
        parent=edge.parent,
        child=edge.child,
        kind=edge.kind,
        label=label if len(label) <= KIND else cut,
        style="inferred" if edge.direction == "determined" else "undetermined",
        probability=edge.direction_probability,
        weight=edge.weight,
        facts=tuple(facts),
    )


def _step_edge(step: Step) -> DrawnEdge:
    return DrawnEdge(
        parent=step.parent,
        child=step.child,
        kind=step.kind,
        label=step.kind,
        style="inferred" if step.direction == "determined" else "undetermined",
        probability=step.direction_probability,
        weight=step.weight,
        facts=(("Kind", step.kind), *edge_facts(step)),
    )


def _node_facts(source: str, digest: str, duplicates: Sequence[str]) -> Facts:
    facts = [("Source", source), ("Digest", digest)]
    facts += [("Same contents", x) for x in duplicates]
    return tuple(fact for fact in facts if fact[1])
