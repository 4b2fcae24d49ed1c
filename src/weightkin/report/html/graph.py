"""A drawing as the templates write it: what the script needs, and the same as plain SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from weightkin.report.html.environment import cut, environment
from weightkin.report.html.graph_model import Drawing, DrawnEdge
from weightkin.report.html.one_family import by_family, n_models, named_after
from weightkin.report.html.outline import outline
from weightkin.report.kind_groups import GLYPHS, glyph_path, group_of, legend

NODE_HEIGHT = 26  # of a node, in pixels
MOST_STATIC = 600  # nodes that are also drawn as SVG
PAPER = 860, 980  # pixels of a drawing that is readable on a sheet of A4


def graph_view(drawn: Drawing, name: str) -> Markup:
    """The drawing with its tools and its outline, for a page of the server."""
    text = '{% import "graph.html" as graph %}{{ graph.view(drawn, name) }}'
    text += "{{ graph.still(drawn, name) }}"
    template = environment(is_served=True).from_string(text)
    return Markup(template.render(drawn=graph_values(drawn), name=name))


def graph_values(drawn: Drawing) -> dict[str, Any]:
    """What templates need of a drawing."""
    families = by_family(drawn)
    joined = [x for x in families if x.edges]
    is_small = len(drawn.nodes) <= MOST_STATIC
    return {
        "nodes": drawn.nodes,
        "edges": drawn.edges,
        "box": drawn.box,
        "legend": legend(edge.kind for edge in drawn.edges),
        "payload": _payload(drawn),
        "pictures": [_picture(x) for x in families] if is_small else None,
        "families": [_family(x, is_small=is_small) for x in joined],
    }


def _family(drawn: Drawing, *, is_small: bool) -> dict[str, Any]:
    """One family for a list, and for paper: a drawing where it is readable there, an outline."""
    picture = _picture(drawn) if is_small else None
    fits = picture is not None and picture["width"] <= PAPER[0] and picture["height"] <= PAPER[1]
    return {
        "name": named_after(drawn).label,
        "n": n_models(drawn.nodes),
        "picture": picture if fits else None,
        "lines": outline(drawn),
    }


def _payload(drawn: Drawing) -> dict[str, Any]:
    index = drawn.index()
    nodes = []
    for node in drawn.nodes:
        values: dict[str, Any] = {"name": cut(node.label), "label": node.shown}
        values |= {"facts": _cut(node.facts)}
        values |= {"unobserved": True} if not node.is_observed else {}
        values |= {"also": [cut(x) for x in node.also]} if node.also else {}
        nodes.append(values | ({"href": node.href} if node.href else {}))
    edges = [
        {
            "s": index[edge.parent],
            "t": index[edge.child],
            "kind": edge.kind,
            "group": group_of(edge.kind),
            "label": edge.caption,
            "style": edge.style,
            "p": round(edge.probability, 4),
            "proven": edge.is_proven,
            "main": i in drawn.carrying,
            "facts": _cut(edge.facts),
        }
        for i, edge in enumerate(drawn.edges)
    ]
    shape = {"box": drawn.box, "column": drawn.column, "glyphs": GLYPHS}
    return {**shape, "nodes": nodes, "edges": edges}


def _cut(facts: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(word, cut(text)) for word, text in facts]


def _picture(drawn: Drawing) -> dict[str, Any]:
    """One family, its upper left corner moved to the origin."""
    half = drawn.box / 2
    xs, ys = zip(*drawn.places, strict=True)
    left, top = min(xs) - half - 4, min(ys) - NODE_HEIGHT / 2 - 6
    places = [(x - left, y - top) for x, y in drawn.places]
    spot = {node.id: place for node, place in zip(drawn.nodes, places, strict=True)}
    made = {drawn.edges[i].child: group_of(drawn.edges[i].kind) for i in drawn.carrying}
    boxes = []
    for node, (x, y) in zip(drawn.nodes, places, strict=True):
        group = made.get(node.id, "")
        corner = round(x - half), round(y - NODE_HEIGHT / 2)
        glyph = glyph_path(group, corner[0] + 14, corner[1] + NODE_HEIGHT // 2) if group else ""
        boxes.append((node, *corner, group, glyph))
    edges = [(e, i in drawn.carrying) for i, e in enumerate(drawn.edges)]
    return {
        "width": round(max(xs) + half + 4 - left),
        "height": round(max(ys) + NODE_HEIGHT / 2 + 6 - top),
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
    label = edge.caption if is_main else ""
    return {"style": edge.style, "path": path, "end": (x1, y1), "label": label}
