"""The reasons for one model's parent, and who else it may be."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

from weightkin.errors import UsageError
from weightkin.records.family import CLAIMED, FamilyEdge, FamilyGraph, FamilyNode
from weightkin.records.form import probability_words
from weightkin.report.clues import evidence_line
from weightkin.report.nodes import (
    called,
    is_shown,
    kind_words,
    number_words,
    related_words,
    shortened,
    signs,
    titled,
)
from weightkin.report.parent_words import (
    behind_words,
    is_support_known,
    others_of,
    rival_words,
    support_words,
)
from weightkin.report.terminal import MAX_SKIPPED, printable


def explain(graph: FamilyGraph, child: str, *, is_unicode: bool = True) -> list[str]:
    """Why this parent: the evidence of the relation and of the parent, and who else it may be.

    Raises
    ------
    UsageError
        No model, or more than one, has that id, name or source.
    """
    drawn = signs(is_unicode=is_unicode)
    nodes = {node.id: node for node in graph.nodes}
    node = _wanted(graph, child)
    lines = [titled(node, drawn)]
    edges = graph.parents_of(node.id)
    if not edges:
        lines.append("  no parent found among these models")
    for edge in edges:
        tie = _tie(edge, graph.alpha, "derived from")
        lines += ["", f"  {tie} {called(nodes[edge.parent], drawn)}: {kind_words(edge)}"]
        related = related_words(edge, graph.alpha)
        distance = f"overall distance {number_words(edge.distance)}"
        lines.append(f"    related    {related}, {distance}")
        lines += [f"    {line}" for line in _why_parent(edge, lambda x: called(nodes[x], drawn))]
        if is_support_known(edge):
            lines.append(f"    support    {support_words(edge)}")
        lines += [
            f"    evidence   {shortened(printable(evidence_line(x)), 200, drawn)}"
            for x in edge.evidence
            if x.code != "relative-distance"
        ]
        if not others_of(edge):  # they say who comes next, models that are not here too
            next_ = edge.runner_up
            second = (
                f"{called(nodes[next_.parent], drawn)} ({behind_words(next_)})" if next_ else "none"
            )
            lines.append(f"    runner-up  {second}")
    children = [edge for edge in graph.edges if edge.parent == node.id]
    lines += [""] if children else []
    for edge in children:
        tie = _tie(edge, graph.alpha, "parent of")
        lines.append(f"  {tie} {called(nodes[edge.child], drawn)}: {kind_words(edge)}")
    return [drawn.text(line) for line in lines]


def _tie(edge: FamilyEdge, alpha: float, sure: str) -> str:
    """What joins the two models of an edge, and no more than was shown."""
    if edge.direction == "determined":
        return sure
    return "related to" if is_shown(edge, alpha) else f"possibly {sure}"


def _why_parent(edge: FamilyEdge, named: Callable[[str], str]) -> Iterator[str]:
    """How probable the parent is, who else it may be, and which of the two is older."""
    older = probability_words(edge.direction_probability)
    if edge.parent_probability is None:
        yield f"direction  {edge.direction} (estimate {older})"
        return
    sure = probability_words(edge.parent_probability)
    is_below = edge.parent_probability < CLAIMED
    yield f"parent     {edge.direction} ({sure}{f', at least {CLAIMED} is needed' * is_below})"
    if others_of(edge):
        yield f"others     {rival_words(edge, named)}"
    yield f"direction  probability {older} that the parent is the older of the two"


def _wanted(graph: FamilyGraph, child: str) -> FamilyNode:
    ways = (
        lambda node: node.id == child,
        lambda node: child in (node.name, node.source) and child != "",
        lambda node: child in node.duplicates,
    )
    for is_meant in ways:
        found = [node for node in graph.nodes if is_meant(node)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(printable(node.id) for node in found[:MAX_SKIPPED])
            raise UsageError(f"{printable(child)!r} names {len(found)} models: {ids}")
    near = difflib.get_close_matches(child, [node.id for node in graph.nodes], n=3)
    hint = f"; did you mean {', '.join(map(printable, near))}?" if near else ""
    raise UsageError(f"no model here is called {printable(child)!r}{hint}")
