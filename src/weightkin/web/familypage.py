"""The newest family graph, family by family, as drawings and tables."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from weightkin.records import Skipped
from weightkin.records.family import FamilyGraph
from weightkin.records.registry import Registered
from weightkin.report.components import shared_components
from weightkin.report.html.graph import graph_view
from weightkin.report.html.graph_model import (
    Drawing,
    DrawnEdge,
    DrawnNode,
    drawing,
    family_parts,
    is_above,
)
from weightkin.report.html.one_family import by_family, family_title, n_models, named_after
from weightkin.web.job_service import FamilyAnswer, JobService

EDGES_ON_PAGE = 200
SURE = (0.8, 0.95, 0.99)
MOST_DRAWN = 100_000  # registered models that are linked, and whose declarations are drawn


@dataclass(frozen=True, slots=True)
class DrawnFamily:
    """One family of a graph that was asked for: its drawing, and the models in it."""

    number: int  # from 1
    name: str
    title: str
    drawing: Drawing
    numbers: frozenset[int]  # of edges, in the whole graph
    n_by_weights: int = 1  # families of the graph in it, which declared edges join

    @property
    def n_models(self) -> int:
        """Registered models in it."""
        return n_models(self.drawing.nodes)


@dataclass(frozen=True, slots=True)
class DrawnGraph:
    """A family graph that was asked for: the sentence, its families, its edges with links."""

    answer: FamilyAnswer
    n_missing: int  # registered models that the graph in the registry lacks
    sentence: str
    graph: FamilyGraph
    nodes: dict[str, DrawnNode]
    edges: tuple[DrawnEdge, ...]
    families: tuple[DrawnFamily, ...]
    alone: tuple[DrawnNode, ...]  # models without relatives here
    untested: tuple[DrawnNode, ...]  # the same, and they could not be tested
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
    """The drawings of a registry's families, kept until there is a newer graph."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._known: DrawnGraph | None = None
        self._views: dict[int, Markup] = {}

    def latest(self) -> DrawnGraph | None:
        """The newest graph, if one was ever asked for."""
        answer = self._service.newest_family()
        return None if answer is None else self._drawn(answer)

    def view(self, drawn: DrawnGraph, family: DrawnFamily) -> Markup:
        """The drawing of one family as HTML; made once."""
        with self._lock:
            if self._known is not drawn:
                return _view(family)  # another graph came in between
            if family.number not in self._views:
                self._views[family.number] = _view(family)
            return self._views[family.number]

    def edge(self, job: int, number: int) -> Row | None:
        """One edge of the graph of a job, or of the one in the registry, which has the number 0."""
        answer = self._service.newest_family()
        if answer is None or answer.job != job:
            asked = self._service.jobs.get(job)
            answer = self._service.family_of(asked) if asked else None
        drawn = answer and self._drawn(answer)
        return _row(drawn, number) if drawn and number < len(drawn.edges) else None

    def table(
        self, drawn: DrawnGraph, family: DrawnFamily, kind: str, sure: str, page: int
    ) -> Table:
        """The edges of a family that are of a kind and as probable as wanted, one page of them."""
        least = float(sure) if sure in map(str, SURE) else 0.0
        own = [(i, drawn.edges[i]) for i in sorted(family.numbers)]
        found = [
            i
            for i, edge in own
            if (not kind or edge.kind == kind)
            and (not least or (edge.style == "inferred" and edge.probability >= least))
        ]
        start = (page - 1) * EDGES_ON_PAGE
        return Table(
            rows=tuple(_row(drawn, i) for i in found[start : start + EDGES_ON_PAGE]),
            kinds=tuple(sorted({edge.kind for _, edge in own})),
            kind=kind,
            sure=sure,
            page=page,
            n_pages=max(1, math.ceil(len(found) / EDGES_ON_PAGE)),
            n_found=len(found),
        )

    def _drawn(self, answer: FamilyAnswer) -> DrawnGraph | None:
        with self._lock:
            if self._known is None or self._known.answer != answer:
                found = self._service.family_record(answer)
                if found is None:
                    return None
                self._known, self._views = self._draw(answer, *found), {}
            return self._known

    def _draw(self, answer: FamilyAnswer, record: str, n_missing: int) -> DrawnGraph:
        graph = FamilyGraph.from_json(record)
        models = self._service.models("", start=0, most=MOST_DRAWN).models
        held = {model.id for model in models}
        there = {n.id: [k for k in n.registered if k in held] for n in graph.nodes}
        links = {node: f"/models/{numbers[0]}" for node, numbers in there.items() if numbers}
        nodes, inferred = family_parts(graph, links)
        untested = set(graph.untested)
        whole = drawing(nodes, [*inferred, *_declared(graph, inferred, models)])
        parts = by_family(whole)
        home = {x: k for k, members in enumerate(graph.components) for x in members}
        alone = [node for part in parts if not part.edges for node in part.nodes]
        at = {(edge.parent, edge.child): i for i, edge in enumerate(whole.edges)}
        return DrawnGraph(
            answer=answer,
            n_missing=n_missing,
            sentence=graph.sentence,
            graph=graph,
            nodes={node.id: node for node in whole.nodes},
            edges=whole.edges,
            families=tuple(
                DrawnFamily(
                    number=i,
                    name=named_after(part).label,
                    title=family_title(part),
                    drawing=part,
                    numbers=frozenset(at[edge.parent, edge.child] for edge in part.edges),
                    n_by_weights=len({home[x.id] for x in part.nodes}),
                )
                for i, part in enumerate((x for x in parts if x.edges), 1)
            ),
            alone=tuple(x for x in alone if x.id not in untested),
            untested=tuple(x for x in alone if x.id in untested),
            skipped=graph.skipped,
            components=tuple(shared_components(graph.nodes)),
        )


def with_name(drawn: DrawnGraph, text: str) -> DrawnFamily | None:
    """The family of a model that is called so, or whose name has the text in it."""
    wanted = text.strip().lower()
    near = None
    for family in drawn.families if wanted else ():
        names = [x.lower() for node in family.drawing.nodes for x in (node.label, *node.also)]
        if wanted in names:
            return family
        near = near or (family if any(wanted in x for x in names) else None)
    return near


def with_number(drawn: DrawnGraph, number: int) -> DrawnFamily | None:
    """The family of a number, else the largest; None where no two models are related."""
    return next(iter([*drawn.families[number - 1 : number], *drawn.families[:1]]), None)


def part_of(graph: FamilyGraph, family: DrawnFamily) -> FamilyGraph:
    """The graph of one family alone."""
    members = {node.id for node in family.drawing.nodes}
    return replace(
        graph,
        nodes=tuple(x for x in graph.nodes if x.id in members),
        edges=tuple(x for x in graph.edges if x.parent in members),
        components=tuple(x for x in graph.components if members.issuperset(x)),
    )


def _view(family: DrawnFamily) -> Markup:
    return graph_view(family.drawing, f"Family of {family.name}")


def _declared(
    graph: FamilyGraph, inferred: Sequence[DrawnEdge], models: Sequence[Registered]
) -> list[DrawnEdge]:
    """What models say of themselves, where it names another node and closes no circle."""
    at = {k: node.id for node in graph.nodes for k in node.registered}
    by_name: dict[str, str] = {}
    for model in models:
        if model.id in at:
            by_name.setdefault(model.source, at[model.id])
            by_name.setdefault(model.name, at[model.id])
    home = {x: i for i, members in enumerate(graph.components) for x in members}
    known = {(edge.parent, edge.child) for edge in inferred}
    above: dict[str, set[str]] = {}
    for parent, child in known:
        above.setdefault(child, set()).add(parent)
    found = []
    for model in models:
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


def _row(drawn: DrawnGraph, number: int) -> Row:
    edge = drawn.edges[number]
    ends = drawn.nodes[edge.parent], drawn.nodes[edge.child]
    return Row(number, edge, *ends, drawn.answer.job)
