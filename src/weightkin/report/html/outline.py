"""A family as an indented outline: it is read at any size, on paper and without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weightkin.records.form import probability_words
from weightkin.report.html.graph_model import Drawing, DrawnEdge, DrawnNode
from weightkin.report.kind_groups import group_of

MOST_SIBLINGS = 60  # below one parent
MOST_LINES = 1500  # of one family
MOST_LEVELS = 14  # of indentation; what lies deeper is no further in
PIPE, EMPTY, BRANCH, LAST = "│  ", "   ", "├─ ", "└─ "


@dataclass(frozen=True, slots=True)
class Line:
    """One model: the branches left of it, how it was made, and from which others too."""

    prefix: str
    node: DrawnNode | None  # None: so many more, who are not listed
    group: str = ""  # of the kind
    words: str = ""


def outline(family: Drawing) -> list[Line]:
    """The models of one family, children below their parents, large branches first.

    Parameters
    ----------
    family : Drawing
        The nodes and edges of one family.

    Returns
    -------
    list of Line
        At most `MOST_LINES` and one that says how many are left out.
    """
    index = family.index()
    above = {index[family.edges[i].child]: family.edges[i] for i in family.carrying}
    others: dict[int, list[DrawnEdge]] = {}
    for i, edge in enumerate(family.edges):
        if i not in family.carrying:
            others.setdefault(index[edge.child], []).append(edge)
    over = {child: index[edge.parent] for child, edge in above.items()}
    below: list[list[int]] = [[] for _ in family.nodes]
    for child, parent in over.items():
        below[parent].append(child)
    roots = [x for x in range(len(family.nodes)) if x not in over]
    size = _sizes(roots, over, below)
    for siblings in (roots, *below):
        siblings.sort(key=lambda x: (-size[x], x))
    lines: list[Line] = []
    for node, prefix, n_left in _walk(roots, below, size):
        if len(lines) == MOST_LINES:
            return [*lines, Line("", None, words="the rest is left out")]
        if n_left:
            lines.append(Line(prefix, None, words=f"{n_left:,} more"))
            continue
        words = [_made(above[node])] if node in above else []
        words += [_also(edge, family.nodes[index[edge.parent]]) for edge in others.get(node, ())]
        group = group_of(above[node].kind) if node in above else ""
        lines.append(Line(prefix, family.nodes[node], group, "; ".join(words)))
    return lines


def _sizes(
    roots: Sequence[int], over: Mapping[int, int], below: Sequence[Sequence[int]]
) -> list[int]:
    """How many models each branch has."""
    size = [1] * len(below)
    order = list(roots)
    for node in order:
        order += below[node]
    for node in reversed(order):
        if node in over:
            size[over[node]] += size[node]
    return size


def _walk(
    roots: Sequence[int], below: Sequence[Sequence[int]], size: Sequence[int]
) -> Iterator[tuple[int, str, int]]:
    """Nodes in reading order with what is drawn left of them; with how many are left out."""
    stack = [(root, "", "", 0) for root in reversed(roots)]
    while stack:
        node, prefix, further, n_left = stack.pop()
        yield node, prefix, n_left
        children = [] if n_left else below[node]
        cut = children[MOST_SIBLINGS:]
        listed = [(x, 0) for x in children[:MOST_SIBLINGS]]
        listed += [(node, sum(size[x] for x in cut))] if cut else []
        is_deep = len(further) >= len(PIPE) * MOST_LEVELS
        for i, (child, left) in enumerate(reversed(listed)):
            own, rest = (LAST, EMPTY) if i == 0 else (BRANCH, PIPE)
            base = further[: -len(PIPE)] if is_deep else further
            stack.append((child, base + own, base + rest, left))


def _made(edge: DrawnEdge) -> str:
    if edge.style == "declared":
        return "declared only"
    sure = probability_words(edge.probability)
    sure += " (undetermined)" if edge.style == "undetermined" else ""
    return ", ".join(x for x in (edge.label, sure, edge.doubt) if x)


def _also(edge: DrawnEdge, parent: DrawnNode) -> str:
    if edge.style == "declared":
        return f"declares {parent.label} as parent"
    return f"also from {parent.label}: {_made(edge)}"
