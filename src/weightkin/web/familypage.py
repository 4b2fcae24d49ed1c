"""The newest family graph as a drawing and a table, kept until there is a newer one."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from markupsafe import Markup

from weightkin.records import Skipped
from weightkin.records.family import FamilyGraph
from weightkin.report.components import shared_components
from weightkin.report.html.graph import graph_view
from weightkin.report.html.graph_model import (
    DrawnEdge,
    DrawnNode,
    drawing,
    family_drawing,
    is_above,
)
from weightkin.web.job_service import JobService
from weightkin.web.jobs import Job

EDGES_ON_PAGE = 200
SURE = (0.8, 0.95, 0.99)
MOST_DECLARED = 100_000  # registered models whose declarations are drawn


@dataclass(frozen=True, slots=True)
class DrawnFamily:
    """A family graph that was asked for: the sentence, the drawing, its edges with links."""

    job: Job
    sentence: str
    view: Markup
    nodes: dict[str, DrawnNode]
    edges: tuple[DrawnEdge, ...]
    skipped: tuple[Skipped, ...]
    components: tuple[str, ...]  # which parts of diffusion models are equal in several


@dataclass(frozen=True, slots=True)
class Row:
    """One edge of the table."""

    number: int
    edge: DrawnEdge
    parent: DrawnNode
    child: DrawnNode
    job: int


@dataclass(frozen=True, slots=True)
class Table:
    """One page of the edges that were asked for."""

    rows: tuple[Row, ...]
    kinds: tuple[str, ...]
    kind: str
    sure: str
    page: int
    n_pages: int
    n_found: int


class Families:
    """The drawings of a registry's family. Drawing 5,000 models takes about a second, once."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._known: DrawnFamily | None = None

    def latest(self) -> DrawnFamily | None:
        """The newest drawing, if a graph was ever asked for."""
        found = self._service.answered("family")
        return None if found is None else self._drawn(*found)

    def edge(self, job: Job, number: int) -> Row | None:
        """One edge of a graph."""
        if job.kind != "family" or job.state != "done":
            return None
        drawn = self._drawn(job, self._service.record(job.id))
        return _row(drawn, number) if number < len(drawn.edges) else None

    def table(self, drawn: DrawnFamily, kind: str, sure: str, page: int) -> Table:
        """The edges of a kind that are as probable as wanted, one page of them."""
        least = float(sure) if sure in map(str, SURE) else 0.0
        found = [
            i
            for i, edge in enumerate(drawn.edges)
            if (not kind or edge.kind == kind) and (not least or edge.probability >= least)
        ]
        start = (page - 1) * EDGES_ON_PAGE
        return Table(
            rows=tuple(_row(drawn, i) for i in found[start : start + EDGES_ON_PAGE]),
            kinds=tuple(sorted({edge.kind for edge in drawn.edges})),
            kind=kind,
            sure=sure,
            page=page,
            n_pages=max(1, math.ceil(len(found) / EDGES_ON_PAGE)),
            n_found=len(found),
        )

    def _drawn(self, job: Job, record: str) -> DrawnFamily:
        with self._lock:
            if self._known is None or self._known.job.id != job.id:
                self._known = self._draw(job, record)
            return self._known

    def _draw(self, job: Job, record: str) -> DrawnFamily:
        graph = FamilyGraph.from_json(record)
        links = {n.id: f"/models/{n.registered[0]}" for n in graph.nodes if n.registered}
        inferred = family_drawing(graph, links)
        edges = (*inferred.edges, *self._declared(graph, inferred.edges))
        whole = drawing(inferred.nodes, edges)
        return DrawnFamily(
            job=job,
            sentence=graph.sentence,
            view=graph_view(whole, "Family graph of the registry"),
            nodes={node.id: node for node in whole.nodes},
            edges=whole.edges,
            skipped=graph.skipped,
            components=tuple(shared_components(graph.nodes)),
        )

    def _declared(self, graph: FamilyGraph, inferred: tuple[DrawnEdge, ...]) -> list[DrawnEdge]:
        """What models say of themselves, where it names another node and closes no circle."""
        at = {k: node.id for node in graph.nodes for k in node.registered}
        page = self._service.models("", start=0, most=MOST_DECLARED)
        by_name: dict[str, str] = {}
        for model in page.models:
            if model.id in at:
                by_name.setdefault(model.source, at[model.id])
                by_name.setdefault(model.name, at[model.id])
        home = {x: i for i, members in enumerate(graph.components) for x in members}
        known = {(edge.parent, edge.child) for edge in inferred}
        above: dict[str, set[str]] = {}
        for parent, child in known:
            above.setdefault(child, set()).add(parent)
        found = []
        for model in page.models:
            for name in model.declared_parents:
                parent, child = by_name.get(name, ""), at.get(model.id, "")
                if not parent or not child or parent == child or (parent, child) in known:
                    continue
                if not is_above(child, parent, above):
                    known.add((parent, child))
                    above.setdefault(child, set()).add(parent)
                    found.append(_said(parent, child, is_kin=home[parent] == home[child]))
        return found


def _said(parent: str, child: str, *, is_kin: bool) -> DrawnEdge:
    shown = "place it below another one" if is_kin else "join the two in no family"
    why = f"the model declares this parent; its weights {shown}"
    return DrawnEdge(
        parent=parent,
        child=child,
        kind="declared",
        label="declared",
        style="declared",
        probability=0.5,
        weight=0.0,
        facts=(("Declared", why),),
    )


def _row(drawn: DrawnFamily, number: int) -> Row:
    edge = drawn.edges[number]
    ends = drawn.nodes[edge.parent], drawn.nodes[edge.child]
    return Row(number, edge, *ends, drawn.job.id)
