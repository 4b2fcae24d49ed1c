"""A drawing as an element of a page: toolbar, stage, what to read, and the same as plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weightkin.report.html.build import Html, data_script, h, short, shown
from weightkin.report.html.graph_model import KIND_LENGTH, Drawing, DrawnEdge, DrawnNode

WIDE_DRAWING = 960  # pixels from which a drawing takes more than the column of text
NODE_HEIGHT = 26  # of a node, in pixels
MOST_STATIC = 600  # nodes that are also drawn as SVG
LEGEND = (
    ("inferred", "parent to child"),
    ("undetermined", "which came first is undetermined"),
    ("declared", "declared by the model, not by its weights"),
)


def graph_view(drawn: Drawing, *, name: str = "Family graph") -> Html:
    """The drawing with pan, zoom, filters and a panel; needs graph.js and cytoscape beside it."""
    width = max((x for x, _ in drawn.places), default=0.0)
    kinds = sorted({edge.kind for edge in drawn.edges})
    styles = {edge.style for edge in drawn.edges}
    return h(
        "div",
        _toolbar(kinds),
        h(
            "div",
            h("div", class_="stage", tabindex="0", role="application", aria_label=f"{name}: arrow "
              "keys move, plus and minus zoom; the table below says the same in words"),
            h("aside", class_="panel", aria_live="polite", hidden=True),
            class_="stage-frame",
        ),
        _legend(styles, drawn.nodes),
        data_script(_payload(drawn), class_="graph-data"),
        class_="graph wide" if width > WIDE_DRAWING else "graph",
        hidden=True,
    )  # fmt: skip


def static_view(drawn: Drawing, *, name: str = "Family graph") -> Html:
    """The same as SVG, one figure for each family: for paper, and for readers without scripts."""
    if len(drawn.nodes) > MOST_STATIC:
        words = f"{len(drawn.nodes):,} models are too many for a drawing on paper: see the table."
        return h("div", h("p", words, class_="note"), class_="static")
    figures = []
    for i, members in enumerate(_families(drawn)):
        label = f"{name}, family {i + 1}: {len(members)} models"
        figures.append(h("figure", _svg(drawn, members, label)))
    styles = {edge.style for edge in drawn.edges}
    return h("div", figures, _legend(styles, drawn.nodes), class_="static")


def node_link(label: str, at: int) -> Html:
    """A name that shows its node in the drawing above."""
    return h("a", label, href="#graph", data_node=at)


def _toolbar(kinds: list[str]) -> Html:
    options = [h("option", "every kind", value="")]
    options += [h("option", kind, value=kind) for kind in kinds]
    sure = [("0", "any direction"), ("0.8", "at least 0.80"), ("0.95", "at least 0.95"),
            ("0.99", "at least 0.99")]  # fmt: skip
    return h(
        "div",
        h("label", "Find ", h("input", type="search", class_="find", autocomplete="off",
                              placeholder="name of a model")),
        h("label", "Kind ", h("select", options, class_="kind")),
        h("label", "Direction ", h("select", [h("option", t, value=v) for v, t in sure],
                                   class_="sure")),
        h("span", class_="count", role="status"),
        h(
            "span",
            h("button", "−", type="button", class_="out", aria_label="Zoom out"),
            h("button", "+", type="button", class_="in", aria_label="Zoom in"),
            h("button", "Fit", type="button", class_="fit"),
            class_="zoom",
        ),
        class_="toolbar",
    )  # fmt: skip


def _legend(styles: set[Any], nodes: Sequence[DrawnNode]) -> Html:
    rows = [
        h(
            "li",
            h("svg", _line(style, "M2 8H40", 40, 8), width=46, height=16, aria_hidden="true"),
            words,
        )
        for style, words in LEGEND
        if style in styles
    ]
    if not all(node.is_observed for node in nodes):
        box = h("rect", x=1, y=2, width=40, height=12, rx=3, class_="box unobserved")
        words = "an ancestor that is not among these models"
        rows.append(h("li", h("svg", box, width=46, height=16, aria_hidden="true"), words))
    if any(node.also for node in nodes):
        rows.append(h("li", h("b", "+1"), "one more model with the same contents"))
    return h("ul", rows, class_="legend")


def _payload(drawn: Drawing) -> dict[str, Any]:
    index = drawn.index()
    nodes = []
    for node, (x, y) in zip(drawn.nodes, drawn.places, strict=True):
        values: dict[str, Any] = {"name": shown(node.label), "label": node.shown}
        values |= {"x": round(x), "y": round(y), "facts": _shown(node.facts)}
        values |= {"unobserved": True} if not node.is_observed else {}
        values |= {"also": [shown(x) for x in node.also]} if node.also else {}
        nodes.append(values | ({"href": node.href} if node.href else {}))
    edges = [
        {
            "s": index[edge.parent],
            "t": index[edge.child],
            "kind": edge.kind,
            "label": short(edge.label, KIND_LENGTH),
            "style": edge.style,
            "p": round(edge.probability, 4),
            "proven": edge.is_proven,
            "main": i in drawn.carrying,
            "facts": _shown(edge.facts),
        }
        for i, edge in enumerate(drawn.edges)
    ]
    half_gap = round((drawn.column - drawn.box - 14) / 2)
    return {"box": drawn.box, "offset": half_gap, "nodes": nodes, "edges": edges}


def _shown(facts: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(word, shown(text)) for word, text in facts]


def _families(drawn: Drawing) -> list[list[int]]:
    """Nodes that edges hold together, the largest family first; nodes without edges come last."""
    index = drawn.index()
    near: dict[int, list[int]] = {i: [] for i in range(len(drawn.nodes))}
    for edge in drawn.edges:
        near[index[edge.parent]].append(index[edge.child])
        near[index[edge.child]].append(index[edge.parent])
    seen: set[int] = set()
    found: list[list[int]] = []
    for start in near:
        if start in seen:
            continue
        seen.add(start)
        members = [start]
        for node in members:
            new = [x for x in near[node] if x not in seen]
            seen.update(new)
            members += dict.fromkeys(new)
        found.append(members)
    families = sorted((x for x in found if len(x) > 1), key=len, reverse=True)
    alone = [x[0] for x in found if len(x) == 1]
    return [*families, alone] if alone else families


def _svg(drawn: Drawing, members: list[int], label: str) -> Html:
    """One family, its upper left corner moved to the origin."""
    half = drawn.box / 2
    left = min(drawn.places[i][0] for i in members) - half - 4
    top = min(drawn.places[i][1] for i in members) - NODE_HEIGHT / 2 - 6
    width = max(drawn.places[i][0] for i in members) + half + 4 - left
    height = max(drawn.places[i][1] for i in members) + NODE_HEIGHT / 2 + 6 - top
    spot = {drawn.nodes[i].id: (drawn.places[i][0] - left, drawn.places[i][1] - top)
            for i in members}  # fmt: skip
    inside = [(i, e) for i, e in enumerate(drawn.edges) if e.child in spot]
    lines = [_edge(drawn, i, e, spot[e.parent], spot[e.child]) for i, e in inside]
    boxes = [_node(drawn, i, *spot[drawn.nodes[i].id]) for i in members]
    view = f"0 0 {width:.0f} {height:.0f}"
    return h("svg", h("title", label), lines, boxes, viewBox=view, role="img",
             width=round(width), height=round(height), class_="family")  # fmt: skip


def _node(drawn: Drawing, i: int, x: float, y: float) -> Html:
    node = drawn.nodes[i]
    left, top = round(x - drawn.box / 2), round(y - NODE_HEIGHT / 2)
    look = "box" if node.is_observed else "box unobserved"
    shape = h("rect", x=left, y=top, width=drawn.box, height=NODE_HEIGHT, rx=5, class_=look)
    whole = ", ".join([node.label, *node.also])
    title = h("title", whole) if node.shown != whole else None
    text = h("text", node.shown, x=left + 10, y=round(y + 4), class_="name")
    return h("g", title, shape, text)


def _edge(
    drawn: Drawing, i: int, edge: DrawnEdge, start: tuple[float, float], end: tuple[float, float]
) -> Html:
    """An elbow for the edge a node hangs from, a curve for every other."""
    half, is_main = drawn.box / 2, i in drawn.carrying
    x0, y0, x1, y1 = (round(v) for v in (start[0] + half, start[1], end[0] - half, end[1]))
    bend = x0 + 14
    if is_main and end[0] - start[0] <= drawn.column + 1:
        turn = min(6, abs(y1 - y0) // 2)
        sign = 1 if y1 > y0 else -1
        corner = f"H{bend - turn}Q{bend} {y0} {bend} {y0 + sign * turn}V{y1 - sign * turn}"
        corner += f"Q{bend} {y1} {bend + turn} {y1}" if turn else ""
        path = f"M{x0} {y0}{corner if turn else ''}H{x1}"
    else:
        path = f"M{x0} {y0}C{x0 + 70} {y0} {x1 - 70} {y1} {x1} {y1}"
    label = h("text", short(edge.label, KIND_LENGTH), x=x1 - 10, y=y1 - 5, class_="kind")
    return h("g", _line(edge.style, path, x1, y1), label if is_main else None)


def _line(style: str, path: str, x: int, y: int) -> Html:
    """The line, and an arrow head at its end (x, y) unless the direction is open."""
    line = h("path", d=path, class_=f"edge {style}")
    if style == "undetermined":
        return line
    return Html(line + h("path", d=f"M{x} {y}l-8 -4v8z", class_=f"head {style}"))
