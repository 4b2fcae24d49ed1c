"""A family graph as a tree in characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode, is_unconfirmed
from weightkin.records.form import pvalue_words
from weightkin.report.components import shared_components
from weightkin.report.line import Line, Part, Style
from weightkin.report.nodes import (
    NO_PROOF,
    UNCONFIRMED,
    UNOBSERVED,
    Signs,
    called,
    is_shown,
    kind_words,
    number_words,
    related_words,
    shortened,
    signs,
    titled,
)
from weightkin.report.parent_words import is_support_known, open_words, parent_words
from weightkin.report.reasons import why
from weightkin.report.terminal import MAX_SKIPPED, file_size, printable
from weightkin.report.width import NARROW, WIDE, with_words

HINTS = "--explain CHILD gives the reasons for one parent, -v the figures of every edge"


@dataclass(frozen=True, slots=True)
class _Row:
    """A name in its place, and words about it."""

    head: str
    words: str = ""
    under: str = ""  # begins lines of words that stand below
    style: Style = ""


def family_lines(
    graph: FamilyGraph, *, is_unicode: bool = True, width: int = WIDE, is_full: bool = False
) -> list[str]:
    """The sentence, a tree for each family, models without relatives, and notes.

    Parameters
    ----------
    graph : FamilyGraph
        What to draw.
    is_unicode : bool
        Draw with Unicode characters, not with ASCII.
    width : int
        No line of the drawing is longer.
    is_full : bool
        All figures of every edge; without it only how a model was made, and what is open.

    Returns
    -------
    list of str
        Lines without their ends.
    """
    drawn = signs(is_unicode=is_unicode)
    notes = [drawn.text(f"  {line}") for line in _notes(graph, drawn, is_full=is_full)]
    lines: list[str] = [Line.of((drawn.text(graph.sentence), "found" if graph.edges else "strong"))]
    for rows in _families(graph, drawn, width, is_full=is_full):
        lines += ["", *_aligned(rows, width)]
    return [*lines, "", *notes]


def _families(
    graph: FamilyGraph, drawn: Signs, width: int, *, is_full: bool
) -> Iterator[list[_Row]]:
    """The rows of each family, the largest first, and those of models without relatives."""
    nodes = {node.id: node for node in graph.nodes}
    into: dict[str, list[FamilyEdge]] = {}
    for edge in graph.edges:
        into.setdefault(edge.child, []).append(edge)
    above = {child: sorted(edges, key=lambda x: -abs(x.weight)) for child, edges in into.items()}
    below: dict[str, list[FamilyEdge]] = {}
    for edges in above.values():
        below.setdefault(edges[0].parent, []).append(edges[0])
    draw = _Drawing(nodes, above, below, drawn, graph.alpha, width, is_full)
    for component in sorted(graph.families, key=len, reverse=True):
        yield [row for root in component if root not in above for row in draw.tree(root)]
    alone = [nodes[x[0]] for x in graph.components if len(x) == 1]
    open_ = dict.fromkeys(graph.untested, "not testable with any other model")
    if alone:
        yield [
            _Row(draw.titled("", node), open_.get(node.id, ""), "    ", "open") for node in alone
        ]


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What the tree of a root is drawn from."""

    nodes: Mapping[str, FamilyNode]
    above: Mapping[str, list[FamilyEdge]]
    below: Mapping[str, list[FamilyEdge]]
    drawn: Signs
    alpha: float
    width: int
    is_full: bool

    def tree(self, root: str) -> Iterator[_Row]:
        """Depth first with a stack: chains may be longer than Python recurses."""
        drawn = self.drawn
        yield _Row(self.titled("", self.nodes[root]))
        stack = [(edge, "", i == 0) for i, edge in enumerate(reversed(self.below.get(root, [])))]
        while stack:
            edge, indent, is_last = stack.pop()
            children = self.below.get(edge.child, [])
            corner = drawn.last if is_last else drawn.branch
            head = f"{indent}{corner}{drawn.solid[edge.direction != 'determined']}"
            inner = self._kept(indent + (" " if is_last else drawn.pass_by) + "   ")
            under = f"{inner}{drawn.pass_by if children else ' '} "
            yield self._row(self.titled(head, self.nodes[edge.child]), edge, under)
            for other in self.above[edge.child][1:]:
                yield self._row(
                    self.titled(f"{under}+ also from ", self.nodes[other.parent]), other, under
                )
            stack += [(x, inner, i == 0) for i, x in enumerate(reversed(children))]

    def titled(self, head: str, node: FamilyNode) -> str:
        """A name in its place, as long as there is room."""
        title = self.drawn.text(titled(node, self.drawn))
        return head + shortened(title, max(self.width - len(head), 1), self.drawn)

    def _kept(self, indent: str) -> str:
        """The end of an indent, so that names have room however deep the tree is."""
        most = max(self.width - NARROW, NARROW)
        if len(indent) <= most:
            return indent
        return self.drawn.cut + indent[len(indent) - most + len(self.drawn.cut) :]

    def _row(self, head: str, edge: FamilyEdge, under: str) -> _Row:
        words = self._all_words(edge) if self.is_full else self._words(edge)
        style: Style = "faint" if edge.direction == "determined" else "open"
        return _Row(head, self.drawn.text(words), under, style)

    def _words(self, edge: FamilyEdge) -> str:
        """How a model was made, and what is not as it should be."""
        parts = [kind_words(edge)]
        if edge.weight != 1.0:
            parts.append(f"weight {edge.weight:.2f}")
        related = related_words(edge, self.alpha)
        parts += [related] if related in NO_PROOF else []
        parts += [UNCONFIRMED] if is_unconfirmed(edge) else []
        parts += [open_words(edge, self._called)] if edge.direction != "determined" else []
        return ", ".join(parts)

    def _all_words(self, edge: FamilyEdge) -> str:
        parts = [kind_words(edge)]
        if edge.weight != 1.0:
            parts.append(f"weight {edge.weight:.2f}")
        parts.append(related_words(edge, self.alpha))
        parts += [UNCONFIRMED] if is_unconfirmed(edge) else []
        parts.append(f"overall distance {number_words(edge.distance)}")
        parts.append(parent_words(edge, self._called))
        parts += [f"support {edge.support:.2f}"] if is_support_known(edge) else []
        return ", ".join(parts)

    def _called(self, name: str) -> str:
        return called(self.nodes[name], self.drawn)


def _aligned(rows: list[_Row], width: int) -> Iterator[str]:
    """Rows with their words in one column, where there is room; else below the name."""
    fitting = [len(x.head) for x in rows if x.words and len(x.head) <= width // 2]
    column = max(fitting, default=0) + 2
    for row in rows:
        head = row.head.ljust(column) if row.words else row.head
        head = head if head.endswith("  ") or not row.words else f"{head}  "
        first, *more = with_words(head, row.words, row.under, width)
        parts: list[Part] = [head, (row.words, row.style)] if first != head.rstrip() else [first]
        yield Line.of(*parts)
        yield from (Line.of(row.under, (x.removeprefix(row.under), row.style)) for x in more)


def _unproven(graph: FamilyGraph, drawn: Signs) -> list[str]:
    """Edges on which no exact test reached alpha and the values are not equal."""
    nodes = {node.id: node for node in graph.nodes}
    unproven = [edge for edge in graph.edges if not is_shown(edge, graph.alpha)]
    if not unproven:
        return []
    said = [
        f"{called(nodes[e.parent], drawn)} {drawn.solid[e.direction != 'determined']}"
        f"{called(nodes[e.child], drawn)}"
        f" ({pvalue_words(e.log10_pvalue)})"
        for e in unproven[:MAX_SKIPPED]
    ]
    said += [f"{len(unproven) - MAX_SKIPPED} more"] if len(unproven) > MAX_SKIPPED else []
    count = f"{len(unproven)} of {len(graph.edges)} edges"
    return [f"no exact test reached alpha on {count}: {'; '.join(said)}; see --explain CHILD"]


def _notes(graph: FamilyGraph, drawn: Signs, *, is_full: bool) -> list[str]:
    lines = []
    open_ = [edge for edge in graph.edges if edge.direction == "undetermined"]
    if any(edge.parent_probability is not None for edge in open_):
        lines.append("no arrow head: the parent is undetermined; the most probable one is drawn")
    elif open_:
        lines.append("no arrow head: which of the two came first is undetermined")
    if not all(node.observed for node in graph.nodes):
        lines.append(f"{UNOBSERVED}: a model that is not among those given")
    lines += shared_components(graph.nodes)[:MAX_SKIPPED]
    lines += _unproven(graph, drawn) if is_full else []
    for skip in graph.skipped[:MAX_SKIPPED]:
        lines.append(f"skipped  {printable(skip.what)}: {printable(why(skip))}")
    if len(graph.skipped) > MAX_SKIPPED:
        lines.append(f"skipped  {len(graph.skipped) - MAX_SKIPPED} more (--json lists them)")
    lines.append(
        f"alpha {graph.alpha:g}; read {file_size(graph.bytes_read)} in {graph.seconds:.2f} s;"
        f" {printable(graph.method)}, seed {graph.seed}, weightkin {printable(graph.version)}"
    )
    return lines if is_full or not graph.edges else [*lines, HINTS]
