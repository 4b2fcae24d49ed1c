"""The page of `tree`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode, rests_on_values
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.clues import evidence_line
from weightkin.report.html.build import Html, h
from weightkin.report.html.graph import graph_view, node_link, static_view
from weightkin.report.html.graph_model import family_drawing
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
        skipped_section(graph.skipped, incomplete=graph.incomplete),
        _models(graph),
    ]


def _proven(graph: FamilyGraph) -> Html | None:
    """On how many edges relatedness is proven, and on how many it rests on weaker grounds."""
    if not graph.edges:
        return None
    n_equal = sum(rests_on_values(edge, graph.alpha) for edge in graph.edges)
    n_open = sum(10**edge.log10_pvalue > graph.alpha for edge in graph.edges) - n_equal
    tested = [e.log10_pvalue for e in graph.edges if not rests_on_values(e, graph.alpha)]
    if not n_open:
        where = "every edge" if not n_equal else f"{len(tested)} of {len(graph.edges)} edges"
        weakest = f" ({pvalue_words(max(tested))})" if tested else ""
        words = f"Independence is rejected on {where}{weakest}."
    else:
        words = (
            f"On {n_open} of {len(graph.edges)} edges no exact test rejects independence at the "
        )
        words += f"level of {graph.alpha:g}; their evidence says what they rest on."
    if n_equal:
        words += f" On {n_equal} the values are equal."
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
    if ways := [BEHIND[x] for x in BEHIND if x in units]:
        caption += f" Second best: how far the next parent is behind, in {' or '.join(ways)}."
    evidence = [
        (
            labels[edge.child],
            labels[edge.parent],
            h("ul", [h("li", evidence_line(x)) for x in edge.evidence]),
        )
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
    untested = graph.untested
    alone = [x[0] for x in graph.components if len(x) == 1 and x[0] not in untested]
    found = []
    if alone:
        words = "Nothing relates these to any other model here. That is no evidence, not "
        words += "independence."
        found += [h("h3", "Without relatives here"), h("p", words), _list(alone)]
    if untested:
        words = "No test of these with any other model here is known, and their values are not "
        words += "equal to those of one: nothing was found and nothing excluded."
        found += [h("h3", "Not testable"), h("p", words), _list(untested)]
    return section("alone", "Models on their own", *found) if found else None


def _list(names: Sequence[str]) -> Html:
    return h("ul", [h("li", x) for x in names])


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
