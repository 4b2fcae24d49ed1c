"""The page of one model: where it stands, beside what it declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from weightkin.records.kinds import KINDS
from weightkin.records.registry import Registered, Step, Trace
from weightkin.registry.declarations import parent_figures
from weightkin.report.clues import possible_words
from weightkin.report.nodes import UNOBSERVED, is_shown, related_words
from weightkin.report.parent_words import other_words
from weightkin.web.job_service import JobService
from weightkin.web.overviews import Glance, Row

MOST_LISTED = 50  # children, and merges
WORDS = {  # what the family graph says of a declared parent
    "confirmed": "related by its weights",
    "contradicted": "no shared weights were found, or it was derived from this model",
    "unverifiable": "not registered, or not testable",
    "": "not compared yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A parent, declared or inferred, and what speaks for it."""

    state: str
    name: str
    id: int
    words: str
    is_declared: bool
    licence: str = ""  # that it declares
    rivals: str = ""  # who else may be the parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Edges around a model, of its newest search or else of the family graph."""

    is_known: bool
    alpha: float
    path: tuple[Step, ...]
    parents: tuple[Step, ...]
    children: tuple[Step, ...]
    merges: tuple[Step, ...]  # children with other parents too
    stated: tuple[Stated, ...]

    @property
    def n_children(self) -> int:
        """Models made from it, alone or with others."""
        return len(self.children) + len(self.merges)

    @property
    def by_kind(self) -> list[tuple[str, int]]:
        """How many of them were made in each way, most first."""
        return Counter(x.kind for x in (*self.children, *self.merges)).most_common()

    @property
    def n_determined(self) -> int:
        """Of these, the ones that have it as a determined parent."""
        return sum(x.direction == "determined" for x in (*self.children, *self.merges))

    @property
    def n_undetermined(self) -> int:
        """Of these, the ones of which it is only the most probable parent."""
        return self.n_children - self.n_determined


def place(service: JobService, glance: Glance, row: Row, trace: Trace | None) -> Place:
    """Where a model stands.

    Parameters
    ----------
    service : JobService
        The registry as this visitor may see it.
    glance, row : Glance, Row
        All models, and this one as it may be seen.
    trace : Trace, optional
        Its newest search.

    Returns
    -------
    Place
        From the graph where it was never searched for; of nothing where it is not in the graph.
    """
    found = trace.search if trace else glance.placement(row.model.id)
    parents, path, below = (_seen(service, x) for x in (found.parents, found.path, found.children))
    rivals = _rivals(service, glance, row)
    declared = _of_trace(trace) if trace else _of_graph(row)
    known = {x.id for x in declared} - {0}
    models = glance.overview.models
    is_merge = [KINDS[x.kind].hub == "merge" for x in below]
    alpha = trace.search.alpha if trace else glance.overview.placing.graph.alpha
    return Place(
        is_known=trace is not None or row.standing.is_placed,
        alpha=alpha,
        path=path,
        parents=parents,
        children=tuple(x for x, merged in zip(below, is_merge, strict=True) if not merged),
        merges=tuple(x for x, merged in zip(below, is_merge, strict=True) if merged),
        stated=tuple(
            replace(
                x,
                name=models[x.id].name
                if x.id in models and models[x.id].source == x.name
                else x.name,
                licence=models[x.id].licence if x.id in models else "",
                rivals=rivals.get(x.id, "") if x.state == "possible" else "",
            )
            for x in (
                *declared,
                *(
                    _inferred(x, models.get(x.parent_id), models[row.model.id], alpha)
                    for x in parents
                    if x.parent_id not in known
                ),
            )
        ),
    )


def _rivals(service: JobService, glance: Glance, row: Row) -> dict[int, str]:
    """Who else the graph takes for the parent of a model, by the number of the one it draws."""
    placing = glance.overview.placing
    facts = placing.facts

    def named(node: str) -> str:
        return service.said(facts[node].name) if node in facts else UNOBSERVED

    return {
        facts[edge.parent].id: other_words(edge, named)
        for edge in placing.into(placing.nodes.get(row.model.id, ""))
        if edge.parent in facts
    }


def _seen(service: JobService, steps: Iterable[Step]) -> tuple[Step, ...]:
    """Edges without folders of this machine, where the visitor may not see them."""
    if not service.has_visitors:
        return tuple(steps)
    said = service.said
    return tuple(
        replace(
            x,
            parent=said(x.parent),
            child=said(x.child),
            evidence=tuple(y for y in x.evidence if y.code == "relative-distance"),  # a number
        )
        for x in steps
    )


def _of_trace(trace: Trace) -> list[Stated]:
    """What a search found of every declared parent, and of those that are not declared."""
    return [
        Stated(
            state="possible" if x.is_possible else x.state,
            name=x.name,
            id=x.id,
            words=x.sentence,
            is_declared=x.is_declared,
        )
        for x in trace.declared
    ]


def _of_graph(row: Row) -> list[Stated]:
    """What the graph says of every declared parent."""
    return [
        Stated(
            state=x.state or "open", name=x.name, id=x.id, words=WORDS[x.state], is_declared=True
        )
        for x in row.standing.declared
    ]


def _inferred(x: Step, parent: Registered | None, own: Registered, alpha: float) -> Stated:
    state = "possible"
    if x.direction == "determined":
        state = "undeclared" if x.parent_id else "inferred"
    name = x.parent if x.parent_id else "a model that is not here"
    figures = possible_words(parent_figures(x, parent, own))
    words = "; ".join([*figures, *([] if is_shown(x, alpha) else [related_words(x, alpha)])])
    return Stated(state=state, name=name, id=x.parent_id, words=words, is_declared=False)
