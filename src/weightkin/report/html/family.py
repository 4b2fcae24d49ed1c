"""The page of `tree`."""

from __future__ import annotations

from collections.abc import Mapping

from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.html.build import Html, h
from weightkin.report.html.drawn import family_drawing
from weightkin.report.html.graph import graph_view, node_link, static_view
from weightkin.report.html.sections import opening, section, skipped_section
from weightkin.report.html.tables import table
from weightkin.report.html.words import (
    NO_EVIDENCE,
    NULL_WORDS,
    PROBABILITIES,
    SAMPLED,
    log10_words,
    source_name,
)
from weightkin.report.tree import BEHIND, UNOBSERVED, kind_words

MOST_SAME = 1  # names of equal models in one cell: the list of models has all
LEAD = (
    "A line joins two models whose weights were found to be related. An arrow points from a model "
    "to one made from it; a line without an arrow head says that which of the two came first is "
    "undetermined. Nothing but weights was used: no names, dates or cards."
)
HOW = (
    "Relatedness is tested: a pair joins a family only where independent random initialisations "
    "are rejected at a level corrected for all pairs. Who is whose parent is inferred, and has its "
    "own probability; under 0.80, or where another parent is as likely, it is not claimed, and the "
    "line has no arrow head.",
    PROBABILITIES,
    "Support is the share of resamples of the matrices in which the same parent comes back. "
    "Distance is that between parent and child, relative to their size.",
)
LIMITS = (
    NO_EVIDENCE,
    "An ancestor that was not given can only be inferred, and a parent that was not given is "
    "replaced by its nearest relative among these models.",
    "A line does not say that anything was improper. Licences permit most of these ways.",
    "Whoever holds two models can arrange one to look like a relative of the other; weights alone "
    "cannot date that.",
)


def family_body(graph: FamilyGraph) -> list[Html | None]:
    """All sections but the last."""
    drawn = family_drawing(graph)
    lead = [h("p", LEAD, class_="lead"), _proven(graph)]
    pictures = [graph_view(drawn), static_view(drawn)] if graph.edges else []
    return [
        opening("Family of many models", graph.sentence, lead),
        section("graph", "The family graph", pictures) if pictures else None,
        _edges(graph, drawn.index()),
        _alone(graph),
        section("null", "What was tested", [h("p", x) for x in (*HOW, NULL_WORDS[0])]),
        section("limits", "What this does not show", h("ul", [h("li", x) for x in LIMITS])),
        skipped_section(graph.skipped, graph.incomplete),
        _models(graph),
    ]


def _proven(graph: FamilyGraph) -> Html | None:
    """On how many edges relatedness is proven, and on how many it rests on weaker grounds."""
    if not graph.edges:
        return None
    n_open = sum(10**edge.log10_pvalue > graph.alpha for edge in graph.edges)
    weakest = max(edge.log10_pvalue for edge in graph.edges)
    if not n_open:
        words = f"Independence is rejected on every edge ({pvalue_words(weakest)})."
    else:
        words = (
            f"On {n_open} of {len(graph.edges)} edges no exact test rejects independence at the "
        )
        words += f"level of {graph.alpha:g}; their evidence says what they rest on."
    return h("p", words)


def _edges(graph: FamilyGraph, index: Mapping[str, int]) -> Html | None:
    if not graph.edges:
        return None
    labels = {node.id: node.id if node.observed else UNOBSERVED for node in graph.nodes}
    same = {node.id: _same(node) for node in graph.nodes}
    units = {edge.runner_up.unit for edge in graph.edges if edge.runner_up}
    rows = [
        (
            (node_link(labels[edge.child], index[edge.child]), same[edge.child]),
            (node_link(labels[edge.parent], index[edge.parent]), same[edge.parent]),
            _how(edge),
            log10_words(edge.log10_pvalue),
            _direction(edge),
            f"{edge.support:.2f}",
            f"{edge.distance:.3g}",
            _second(edge, labels, with_unit=len(units) > 1),
        )
        for edge in graph.edges
    ]
    head = ("Child", "Parent", "Kind", "log10 p", "Direction", "Support", "Distance", "Second best")
    caption = "Every edge with what it rests on. A name shows the model in the graph."
    if ways := [BEHIND[x].removeprefix("{} behind, ") for x in BEHIND if x in units]:
        caption += f" Second best: how far the next parent is behind, {' or '.join(ways)}."
    evidence = [
        (labels[edge.child], labels[edge.parent], h("ul", [h("li", x) for x in edge.evidence]))
        for edge in graph.edges
        if edge.evidence
    ]
    reasons = table("What tells kind and direction", ("Child", "Parent", "Evidence"), evidence)
    return section(
        "edges", "All edges", table(caption, head, rows, numbers="...nnnn"),
        h("details", h("summary", "Evidence for each edge"), reasons) if evidence else None,
    )  # fmt: skip


def _same(node: FamilyNode) -> str:
    """Names of models with the same contents."""
    names = [source_name(x) for x in node.duplicates[:MOST_SAME]]
    left = len(node.duplicates) - len(names)
    more = f" and {left} more" if left else ""
    return f" = {', '.join(names)}{more}" if names else ""


def _second(edge: FamilyEdge, labels: Mapping[str, str], *, with_unit: bool) -> str:
    """The parent that would have been next, and the number alone: the caption says of what."""
    second = edge.runner_up
    if second is None:
        return "–"
    unit = f" ({second.unit})" if with_unit and second.unit else ""
    behind = f"{second.behind:.3g}{unit}" if second.behind > 0 else "tied"
    return f"{labels[second.parent]}, {behind}"


def _how(edge: FamilyEdge) -> str:
    weight = f", weight {edge.weight:.2f}" if edge.weight != 1.0 else ""
    return kind_words(edge) + weight


def _direction(edge: FamilyEdge) -> str:
    sure = probability_words(edge.direction_probability)
    return sure if edge.direction == "determined" else f"open ({sure})"


def _alone(graph: FamilyGraph) -> Html | None:
    alone = [x[0] for x in graph.components if len(x) == 1]
    if not alone:
        return None
    words = "Nothing relates these to any other model here. That is no evidence, not independence."
    return section("alone", "Without relatives here", h("p", words),
                   h("ul", [h("li", x) for x in alone]))  # fmt: skip


def _models(graph: FamilyGraph) -> Html:
    rows = [
        (x.id, h("code", x.source), h("span", x.digest, class_="digest"), ", ".join(x.duplicates))
        for x in graph.nodes
        if x.observed
    ]
    head = ("Model", "Source", "Digest", "Same contents")
    n_same = sum(len(x.duplicates) for x in graph.nodes)
    same = f" of different contents; {n_same} more hold the same as one of them" if n_same else ""
    return section("models", "The models", table(f"{len(rows)} models{same}", head, rows),
                   h("p", SAMPLED, class_="note"))  # fmt: skip
