"""A drawing as the templates write it: what the script needs, and the same as plain SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from weightkin.report.html.environment import cut, environment, short
from weightkin.report.html.graph_model import KIND_LENGTH, Drawing, DrawnEdge

WIDE_DRAWING = 960  # pixels from which a drawing takes more than the column of text
NODE_HEIGHT = 26  # of a node, in pixels
MOST_STATIC = 600  # nodes that are also drawn as SVG


def graph_view(drawn: Drawing, name: str) -> Markup:
    """The drawing alone with pan, zoom, filters and a panel, for a page of the server."""
    text = '{% from "graph.html" import view %}{{ view(drawn, name) }}'
    template = environment(is_served=True).from_string(text)
    return Markup(template.render(drawn=graph_values(drawn), name=name))


def graph_values(drawn: Drawing) -> dict[str, Any]:
    """What templates need of a drawing."""
    is_small = len(drawn.nodes) <= MOST_STATIC
    return {
        "nodes": drawn.nodes,
        "edges": drawn.edges,
        "box": drawn.box,
        "is_wide": max((x for x, _ in drawn.places), default=0.0) > WIDE_DRAWING,
        "payload": _payload(drawn),
        "pictures": [_picture(drawn, x) for x in _families(drawn)] if is_small else None,
    }


def _payload(drawn: Drawing) -> dict[str, Any]:
    index = drawn.index()
    nodes = []
    for node, (x, y) in zip(drawn.nodes, drawn.places, strict=True):
        values: dict[str, Any] = {"name": cut(node.label), "label": node.shown}
        values |= {"x": round(x), "y": round(y), "facts": _cut(node.facts)}
        values |= {"unobserved": True} if not node.is_observed else {}
        values |= {"also": [cut(x) for x in node.also]} if node.also else {}
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
            "facts": _cut(edge.facts),
        }
        for i, edge in enumerate(drawn.edges)
    ]
    half_gap = round((drawn.column - drawn.box - 14) / 2)
    return {"box": drawn.box, "offset": half_gap, "nodes": nodes, "edges": edges}


def _cut(facts: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(word, cut(text)) for word, text in facts]


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


def _picture(drawn: Drawing, members: list[int]) -> dict[str, Any]:
    """One family, its upper left corner moved to the origin."""
    half = drawn.box / 2
    left = min(drawn.places[i][0] for i in members) - half - 4
    top = min(drawn.places[i][1] for i in members) - NODE_HEIGHT / 2 - 6
    width = max(drawn.places[i][0] for i in members) + half + 4 - left
    height = max(drawn.places[i][1] for i in members) + NODE_HEIGHT / 2 + 6 - top
    spot = {drawn.nodes[i].id: (drawn.places[i][0] - left, drawn.places[i][1] - top)
            for i in members}  # fmt: skip
    boxes = []
    for i in members:
        x, y = spot[drawn.nodes[i].id]
        boxes.append((drawn.nodes[i], round(x - half), round(y - NODE_HEIGHT / 2)))
    edges = [(e, i in drawn.carrying) for i, e in enumerate(drawn.edges) if e.child in spot]
    return {
        "width": round(width),
        "height": round(height),
        "boxes": boxes,
        "lines": [_line(drawn, e, spot, is_main=is_main) for e, is_main in edges],
    }


def _line(
    drawn: Drawing, edge: DrawnEdge, spot: Mapping[str, tuple[float, float]], *, is_main: bool
) -> dict[str, Any]:
    """An elbow for the edge a node hangs from, a curve for every other."""
    start, end, half = spot[edge.parent], spot[edge.child], drawn.box / 2
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
    label = short(edge.label, KIND_LENGTH) if is_main else ""
    return {"style": edge.style, "path": path, "end": (x1, y1), "label": label}
