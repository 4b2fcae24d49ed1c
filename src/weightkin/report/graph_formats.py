"""A family in the formats of graph tools: DOT, Mermaid, GraphML, GEXF, Newick.

Names come from files: each format escapes them in its own way, after control characters and
bidirectional marks were spelled out. Nodes are numbered n0, n1, ...; what they are called are
attributes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.report.nodes import UNOBSERVED, kind_words, related_words
from weightkin.report.parent_words import is_support_known, parent_words
from weightkin.report.terminal import printable

GRAPHML = "http://graphml.graphdrawing.org/xmlns"
GEXF = "http://www.gexf.net/1.2draft"
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
XML_TYPES = {"bool": "boolean", "float": "double", "str": "string"}
LONGEST_LABEL = 200  # characters of a label that is drawn
SAFE_CHARACTERS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.,()="
)


def dot(graph: FamilyGraph) -> str:
    """Graphviz. Undetermined edges have no arrow head, unobserved ancestors are dashed."""
    lines = ["digraph family {", "  rankdir=TB;", "  node [shape=box];"]
    for number, node in _numbered(graph):
        style = "" if node.observed else ", style=dashed"
        lines.append(f"  {number} [label={_dot_text(_label(node))}{style}];")
    numbers = _numbers(graph)
    for edge in graph.edges:
        style = "" if edge.direction == "determined" else ", dir=none"
        ends = f"{numbers[edge.parent]} -> {numbers[edge.child]}"
        lines.append(f"  {ends} [label={_dot_text(*_edge_lines(edge, graph.alpha))}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(graph: FamilyGraph) -> str:
    """Mermaid flowchart. Undetermined edges have no arrow head, unobserved ancestors are dashed."""
    lines = ["flowchart TD", "  classDef unobserved stroke-dasharray: 5 5"]
    for number, node in _numbered(graph):
        style = "" if node.observed else ":::unobserved"
        lines.append(f'  {number}["{_mermaid_text(_label(node))}"]{style}')
    numbers = _numbers(graph)
    for edge in graph.edges:
        line = "-->" if edge.direction == "determined" else "---"
        label = "<br/>".join(map(_mermaid_text, _edge_lines(edge, graph.alpha)))
        lines.append(f'  {numbers[edge.parent]} {line}|"{label}"| {numbers[edge.child]}')
    return "\n".join(lines) + "\n"


def graphml(graph: FamilyGraph) -> str:
    """GraphML with every field of nodes and edges as typed data.

    All edges are directed, since common readers refuse graphs that mix both; the attribute
    ``direction`` says where it is undetermined.
    """
    root = ET.Element("graphml", {"xmlns": GRAPHML})
    attributes = _attributes(graph)
    for place, names in attributes.items():
        for name, kind in names.items():
            key = {"id": f"{place}_{name}", "for": place, "attr.name": name, "attr.type": kind}
            ET.SubElement(root, "key", key)
    drawn = ET.SubElement(root, "graph", {"id": "family", "edgedefault": "directed"})
    numbers = _numbers(graph)
    for number, node in _numbered(graph):
        _data(ET.SubElement(drawn, "node", {"id": number}), "node", _node_values(node))
    for i, edge in enumerate(graph.edges):
        ends = {"id": f"e{i}", "source": numbers[edge.parent], "target": numbers[edge.child]}
        _data(ET.SubElement(drawn, "edge", ends), "edge", _edge_values(edge))
    return _xml(root)


def gexf(graph: FamilyGraph) -> str:
    """GEXF 1.2 (Gephi). All edges are directed; label and attribute say if that is not known."""
    root = ET.Element("gexf", {"xmlns": GEXF, "version": "1.2"})
    drawn = ET.SubElement(root, "graph", {"mode": "static", "defaultedgetype": "directed"})
    for place, names in _attributes(graph).items():
        listed = ET.SubElement(drawn, "attributes", {"class": place, "mode": "static"})
        for name, kind in names.items():
            key = {"id": f"{place}_{name}", "title": name, "type": kind}
            ET.SubElement(listed, "attribute", key)
    numbers = _numbers(graph)
    nodes = ET.SubElement(drawn, "nodes")
    for number, node in _numbered(graph):
        made = ET.SubElement(nodes, "node", {"id": number, "label": _label(node)})
        _att_values(made, "node", _node_values(node))
    edges = ET.SubElement(drawn, "edges")
    for i, edge in enumerate(graph.edges):
        ends = {"id": f"e{i}", "source": numbers[edge.parent], "target": numbers[edge.child]}
        is_open = edge.direction != "determined"
        label = _edge_label(edge) + (", undetermined" if is_open else "")
        made = ET.SubElement(edges, "edge", {**ends, "label": label})
        _att_values(made, "edge", _edge_values(edge))
    return _xml(root)


def newick(graph: FamilyGraph) -> str:
    """Newick, a tree a line, distances as lengths. A tree has no merges: comments name the rest."""
    above: dict[str, FamilyEdge] = {}
    lines = []
    for child in [node.id for node in graph.nodes]:
        edges = graph.parents_of(child)
        if edges:
            above[child] = edges[0]
        for edge in edges[1:]:
            said = f"dropped: {edge.parent} -> {edge.child}, {kind_words(edge)}"
            comment = printable(f"{said}, weight {edge.weight:g}")
            lines.append(f"[{comment.replace('[', '(').replace(']', ')')}]")
    below: dict[str, list[str]] = {}
    for child, edge in above.items():
        below.setdefault(edge.parent, []).append(child)
    nodes = {node.id: node for node in graph.nodes}
    for node in graph.nodes:
        if node.id not in above:
            lines.append("".join(_newick_tree(node.id, nodes, above, below)) + ";")
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, Callable[[FamilyGraph], str]] = {
    "dot": dot,
    "mermaid": mermaid,
    "graphml": graphml,
    "gexf": gexf,
    "newick": newick,
}


def _newick_tree(
    root: str,
    nodes: Mapping[str, FamilyNode],
    above: Mapping[str, FamilyEdge],
    below: Mapping[str, list[str]],
) -> Iterator[str]:
    """Depth first with a stack of nodes to open and of texts to write."""
    stack: list[tuple[str, bool]] = [(root, True)]
    while stack:
        item, is_node = stack.pop()
        if not is_node:
            yield item
            continue
        name = printable(item) if nodes[item].observed else ""
        length = f":{above[item].distance:.6g}" if item in above else ""
        quoted = "'" + name.replace("'", "''") + "'" if name else ""
        stack.append((quoted + length, False))
        children = below.get(item, [])
        if children:
            stack.append((")", False))
        for i, child in enumerate(reversed(children)):
            stack.append((child, True))
            stack.append((",", False) if i + 1 < len(children) else ("(", False))


def _numbered(graph: FamilyGraph) -> Iterator[tuple[str, FamilyNode]]:
    return ((f"n{i}", node) for i, node in enumerate(graph.nodes))


def _numbers(graph: FamilyGraph) -> dict[str, str]:
    return {node.id: number for number, node in _numbered(graph)}


def _label(node: FamilyNode) -> str:
    return printable(node.id) if node.observed else UNOBSERVED


def _edge_label(edge: FamilyEdge) -> str:
    weight = f", weight {edge.weight:.2f}" if edge.weight != 1.0 else ""
    return kind_words(edge) + weight


def _edge_lines(edge: FamilyEdge, alpha: float) -> list[str]:
    """How the child was made; that the two are related; how sure the parent is."""
    return [
        _edge_label(edge),
        related_words(edge, alpha),
        parent_words(edge, most=0),
        *([f"support {edge.support:.2f}"] if is_support_known(edge) else []),
    ]


def _dot_text(*lines: str) -> str:
    r"""Quoted text, a line each; ``\n`` between them is the line end of DOT."""
    quoted = [x.replace("\\", "\\\\").replace('"', '\\"') for x in map(_cut, lines)]
    return '"' + "\\n".join(quoted) + '"'


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _mermaid_text(text: str) -> str:
    """Everything that could be syntax, Markdown or HTML as an entity code."""
    return "".join(c if c in SAFE_CHARACTERS else f"#{ord(c)};" for c in _cut(text))


def _attributes(graph: FamilyGraph) -> dict[str, dict[str, str]]:
    """Name and XML type of every attribute, for nodes and for edges."""
    node = _node_values(graph.nodes[0] if graph.nodes else FamilyNode(id="n"))
    edge = _edge_values(FamilyEdge(parent="a", child="b", parent_probability=1.0))
    return {
        place: {name: XML_TYPES[type(value).__name__] for name, value in values.items()}
        for place, values in (("node", node), ("edge", edge))
    }


def _node_values(node: FamilyNode) -> dict[str, Any]:
    return {
        "model": node.id,
        "name": node.name,
        "origin": node.source,
        "digest": node.digest,
        "observed": node.observed,
        "duplicates": json.dumps(node.duplicates),
    }


def _edge_values(edge: FamilyEdge) -> dict[str, Any]:
    known = edge.parent_probability
    return {
        "kind": edge.kind,
        "kind_details": json.dumps(edge.kind_details),
        "weight": float(edge.weight),
        "log10_pvalue": float(edge.log10_pvalue),
        "direction": edge.direction,
        "direction_probability": float(edge.direction_probability),
        "distance": float(edge.distance),
        "support": float(edge.support),
        **({} if known is None else {"parent_probability": float(known)}),
        "parents": json.dumps([[x.parent, x.probability] for x in edge.parents or ()]),
    }


def _data(parent: ET.Element, place: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        ET.SubElement(parent, "data", {"key": f"{place}_{name}"}).text = _xml_text(value)


def _att_values(parent: ET.Element, place: str, values: Mapping[str, Any]) -> None:
    listed = ET.SubElement(parent, "attvalues")
    for name, value in values.items():
        entry = {"for": f"{place}_{name}", "value": _xml_text(value)}
        ET.SubElement(listed, "attvalue", entry)


def _xml_text(value: object) -> str:
    """Numbers in full; text without the characters that XML cannot hold."""
    return str(value).lower() if isinstance(value, bool) else printable(str(value))


def _xml(root: ET.Element) -> str:
    ET.indent(root)
    return HEADER + ET.tostring(root, encoding="unicode") + "\n"
