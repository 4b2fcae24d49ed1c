"""A family graph as a tree in characters, and the reasons for one model's parent."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from weightkin.errors import UsageError
from weightkin.records.family import CLAIMED, FamilyEdge, FamilyGraph, FamilyNode, rests_on_values
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.clues import evidence_line
from weightkin.report.components import shared_components
from weightkin.report.parent_words import (
    behind_words,
    candidate_words,
    others_of,
    parent_words,
    support_words,
)
from weightkin.report.reasons import why
from weightkin.report.terminal import MAX_SKIPPED, file_size, printable
from weightkin.report.width import with_words

LONGEST_NODE_NAME = 60  # characters of a name
WIDE = 1 << 30  # columns: no line is too long
UNOBSERVED = "(unobserved ancestor)"
MAIN_NUMBER = {  # of a kind, in words
    "bits": "{} bits",
    "rank": "rank {}",
    "dtype": "{}",
    "share": "share {}",
    "n_units": "{} units",
    "kept_layers": "{} blocks",
    "n_rows": "{} rows",
    "n_experts": "{} experts",
    "method": "{}",
}


@dataclass(frozen=True, slots=True)
class _Lines:
    """Characters to draw with."""

    branch: str
    last: str
    pass_by: str
    solid: tuple[str, str]  # determined, undetermined
    cut: str
    width: int = WIDE


UNICODE = _Lines("├", "└", "│", ("─▶ ", "── "), "…")
ASCII_LINES = _Lines("|", "`", "|", ("-> ", "-- "), "...")


def family_lines(graph: FamilyGraph, *, is_unicode: bool = True, width: int = WIDE) -> list[str]:
    """The drawing, then what its signs mean, unproven edges and what was skipped.

    Lines of the drawing are no longer than ``width``, as far as names allow.
    """
    drawn = UNICODE if is_unicode else ASCII_LINES
    notes = [f"  {line}" for line in _notes(graph, drawn)]
    notes = notes if is_unicode else [_ascii(line) for line in notes]
    return [*drawing_lines(graph, is_unicode=is_unicode, width=width), "", *notes]


def drawing_lines(graph: FamilyGraph, *, is_unicode: bool = True, width: int = WIDE) -> list[str]:
    """The sentence, a tree for each family, models without relatives."""
    drawn = replace(UNICODE if is_unicode else ASCII_LINES, width=width)
    nodes = {node.id: node for node in graph.nodes}
    into: dict[str, list[FamilyEdge]] = {}
    for edge in graph.edges:
        into.setdefault(edge.child, []).append(edge)
    above = {child: sorted(edges, key=lambda x: -abs(x.weight)) for child, edges in into.items()}
    below: dict[str, list[FamilyEdge]] = {}
    for edges in above.values():
        below.setdefault(edges[0].parent, []).append(edges[0])
    lines = [graph.sentence]
    for component in sorted(graph.families, key=len, reverse=True):
        lines.append("")
        for root in [x for x in component if x not in above]:
            lines += _tree(root, nodes, above, below, drawn, graph.alpha)
    alone = [nodes[x[0]] for x in graph.components if len(x) == 1]
    open_ = dict.fromkeys(graph.untested, "  not testable with any other model")
    titles = [_title(node, drawn) + open_.get(node.id, "") for node in alone]
    lines += ["", *titles] if alone else []
    return lines if is_unicode else [_ascii(line) for line in lines]


def explain(graph: FamilyGraph, child: str, *, is_unicode: bool = True) -> list[str]:
    """Why this parent: the evidence of the relation and of the parent, and who else it may be.

    Raises
    ------
    UsageError
        No model, or more than one, has that id, name or source.
    """
    drawn = UNICODE if is_unicode else ASCII_LINES
    nodes = {node.id: node for node in graph.nodes}
    node = _wanted(graph, child)
    lines = [_title(node, drawn)]
    edges = graph.parents_of(node.id)
    if not edges:
        lines.append("  no parent found among these models")
    for edge in edges:
        tie = "derived from" if edge.direction == "determined" else "related to"
        lines += ["", f"  {tie} {_name(nodes[edge.parent], drawn)}: {kind_words(edge)}"]
        is_equal = rests_on_values(edge, graph.alpha)
        related = "equal values" if is_equal else pvalue_words(edge.log10_pvalue)
        distance = f"relative distance of all tensors {_number(edge.distance)}"
        lines.append(f"    related    {related}, {distance}")
        lines += [f"    {line}" for line in _why_parent(edge, lambda x: _name(nodes[x], drawn))]
        lines.append(f"    support    {support_words(edge)}")
        lines += [
            f"    evidence   {_cut(printable(evidence_line(x)), 200, drawn)}"
            for x in edge.evidence
            if x.code != "relative-distance"
        ]
        next_ = edge.runner_up
        second = f"{_name(nodes[next_.parent], drawn)} ({behind_words(next_)})" if next_ else "none"
        lines.append(f"    runner-up  {second}")
    children = [edge for edge in graph.edges if edge.parent == node.id]
    lines += [""] if children else []
    for edge in children:
        tie = "parent of" if edge.direction == "determined" else "related to"
        lines.append(f"  {tie} {_name(nodes[edge.child], drawn)}: {kind_words(edge)}")
    return lines if is_unicode else [_ascii(line) for line in lines]


def kind_words(edge: FamilyEdge) -> str:
    """How the child was made, with its main number: ``quantised (4 bits)``."""
    number = _main_number(edge.kind_details)
    number = "" if number == edge.kind else number  # a merge by the method of that name
    also = edge.kind_details.get("also")
    others = [printable(x) for x in also if isinstance(x, str)] if isinstance(also, list) else []
    return " and ".join([printable(edge.kind), *others]) + (f" ({number})" if number else "")


def _tree(
    root: str,
    nodes: Mapping[str, FamilyNode],
    above: Mapping[str, list[FamilyEdge]],
    below: Mapping[str, list[FamilyEdge]],
    drawn: _Lines,
    alpha: float,
) -> Iterator[str]:
    """Depth first with a stack: chains may be longer than Python recurses."""
    yield _title(nodes[root], drawn)
    stack = [(edge, "", i == 0) for i, edge in enumerate(reversed(below.get(root, [])))]
    while stack:
        edge, indent, is_last = stack.pop()
        children = below.get(edge.child, [])
        line = drawn.solid[edge.direction != "determined"]
        corner = drawn.last if is_last else drawn.branch
        title = _title(nodes[edge.child], drawn)
        inner = indent + (" " if is_last else drawn.pass_by) + "   "
        bar = drawn.pass_by if children else " "
        under = f"{inner}{bar} "
        yield from with_words(
            f"{indent}{corner}{line}{title}  ",
            _words(edge, nodes, drawn, alpha),
            under,
            drawn.width,
        )
        for other in above[edge.child][1:]:
            head = f"{inner}{bar} + also from {_name(nodes[other.parent], drawn)}  "
            yield from with_words(head, _words(other, nodes, drawn, alpha), under, drawn.width)
        stack += [(x, inner, i == 0) for i, x in enumerate(reversed(children))]


def _words(edge: FamilyEdge, nodes: Mapping[str, FamilyNode], drawn: _Lines, alpha: float) -> str:
    parts = [kind_words(edge)]
    if edge.weight != 1.0:
        parts.append(f"weight {edge.weight:.2f}")
    parts += [_related(edge, alpha), f"distance {_number(edge.distance)}"]
    figures = parent_words(edge, lambda x: _name(nodes[x], drawn))
    return ", ".join([*parts, figures, f"support {edge.support:.2f}"])


def _related(edge: FamilyEdge, alpha: float) -> str:
    """The p-value of an edge, or its other evidence where no exact test reached alpha."""
    if 10**edge.log10_pvalue <= alpha:
        return pvalue_words(edge.log10_pvalue)
    if rests_on_values(edge, alpha):
        return "equal values"
    compared = [x.data["summary"] for x in edge.evidence if x.code == "compared"]
    is_calibrated = any(x["basis"] == "calibrated" for x in compared)
    return "calibrated evidence" if is_calibrated else "no exact test"


def _why_parent(edge: FamilyEdge, named: Callable[[str], str]) -> Iterator[str]:
    """How probable the parent is, who else it may be, and which of the two is older."""
    older = probability_words(edge.direction_probability)
    if edge.parent_probability is None:
        yield f"direction  {edge.direction} (estimate {older})"
        return
    sure = probability_words(edge.parent_probability)
    is_below = edge.parent_probability < CLAIMED
    yield f"parent     {edge.direction} ({sure}{f', at least {CLAIMED} is needed' * is_below})"
    if others := [candidate_words(x, named) for x in others_of(edge)]:
        yield f"others     {', '.join(others)}"
    yield f"direction  probability {older} that the parent is the older of the two"


def _title(node: FamilyNode, drawn: _Lines) -> str:
    same = ", ".join(_cut(printable(x), LONGEST_NODE_NAME, drawn) for x in node.duplicates)
    return _name(node, drawn) + (f" = {same}" if same else "")


def _name(node: FamilyNode, drawn: _Lines) -> str:
    return _cut(printable(node.id), LONGEST_NODE_NAME, drawn) if node.observed else UNOBSERVED


def _unproven(graph: FamilyGraph, drawn: _Lines) -> list[str]:
    """Edges on which no exact test reached alpha and the values are not equal."""
    nodes = {node.id: node for node in graph.nodes}
    unproven = [
        edge
        for edge in graph.edges
        if 10**edge.log10_pvalue > graph.alpha and not rests_on_values(edge, graph.alpha)
    ]
    if not unproven:
        return []
    said = [
        f"{_name(nodes[e.parent], drawn)} {drawn.solid[0]}{_name(nodes[e.child], drawn)}"
        f" ({pvalue_words(e.log10_pvalue)})"
        for e in unproven[:MAX_SKIPPED]
    ]
    said += [f"{len(unproven) - MAX_SKIPPED} more"] if len(unproven) > MAX_SKIPPED else []
    count = f"{len(unproven)} of {len(graph.edges)} edges"
    return [f"no exact test reached alpha on {count}: {'; '.join(said)}; see --explain CHILD"]


def _notes(graph: FamilyGraph, drawn: _Lines) -> list[str]:
    lines = []
    open_ = [edge for edge in graph.edges if edge.direction == "undetermined"]
    if any(edge.parent_probability is not None for edge in open_):
        lines.append("no arrow head: the parent is undetermined; the most probable one is drawn")
    elif open_:
        lines.append("no arrow head: which of the two came first is undetermined")
    if not all(node.observed for node in graph.nodes):
        lines.append(f"{UNOBSERVED}: a model that is not among those given")
    lines += shared_components(graph.nodes)[:MAX_SKIPPED]
    lines += _unproven(graph, drawn)
    for skip in graph.skipped[:MAX_SKIPPED]:
        lines.append(f"skipped  {printable(skip.what)}: {printable(why(skip))}")
    if len(graph.skipped) > MAX_SKIPPED:
        lines.append(f"skipped  {len(graph.skipped) - MAX_SKIPPED} more (--json lists them)")
    lines.append(
        f"alpha {graph.alpha:g}; read {file_size(graph.bytes_read)} in {graph.seconds:.2f} s;"
        f" {printable(graph.method)}, seed {graph.seed}, weightkin {printable(graph.version)}"
    )
    return lines


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


def _main_number(details: Mapping[str, Any]) -> str:
    for key, words in MAIN_NUMBER.items():
        value = details.get(key)
        if isinstance(value, float):
            return words.format(_number(value))
        if isinstance(value, int | str) and not isinstance(value, bool):
            return words.format(printable(str(value))[:LONGEST_NODE_NAME])
        if isinstance(value, list | tuple):
            return words.format(len(value))
    return ""


def _number(value: float) -> str:
    return f"{value:.3g}"


def _cut(text: str, length: int, drawn: _Lines) -> str:
    return text if len(text) <= length else text[: length - len(drawn.cut)] + drawn.cut


def _ascii(line: str) -> str:
    return line.encode("ascii", "backslashreplace").decode("ascii")
