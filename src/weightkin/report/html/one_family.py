"""A drawing taken apart into its families, and the model that each is called after."""

from __future__ import annotations

from weightkin.report.html.graph_model import Drawing


def by_family(drawn: Drawing) -> list[Drawing]:
    """The families of a drawing, the largest first; models without edges are one, the last.

    Parameters
    ----------
    drawn : Drawing
        All nodes and edges.

    Returns
    -------
    list of Drawing
        Nodes that edges hold together, whether inferred or declared, with their places.
    """
    index = drawn.index()
    near: list[list[int]] = [[] for _ in drawn.nodes]
    for edge in drawn.edges:
        near[index[edge.parent]].append(index[edge.child])
        near[index[edge.child]].append(index[edge.parent])
    home = [-1] * len(drawn.nodes)
    found: list[list[int]] = []
    alone = [i for i, x in enumerate(near) if not x]
    for start, neighbours in enumerate(near):
        if home[start] >= 0 or not neighbours:
            continue
        home[start] = len(found)
        members = [start]
        for node in members:
            new = [x for x in near[node] if home[x] < 0]
            for x in new:
                home[x] = len(found)
            members += dict.fromkeys(new)
        found.append(members)
    edges: list[list[int]] = [[] for _ in found]
    for i, edge in enumerate(drawn.edges):
        edges[home[index[edge.child]]].append(i)
    whole = sorted(zip(found, edges, strict=True), key=lambda x: -len(x[0]))
    return [_part(drawn, *x) for x in [*whole, *([(alone, [])] if alone else [])]]


def top_of(family: Drawing) -> int:
    """Place of the model on top of a family that has the most models below it."""
    index = family.index()
    above = {index[family.edges[i].child]: index[family.edges[i].parent] for i in family.carrying}
    tops: dict[int, int] = {}
    for node in range(len(family.nodes)):
        way = [node]
        while way[-1] in above and way[-1] not in tops:
            way.append(above[way[-1]])
        tops |= dict.fromkeys(way, tops.get(way[-1], way[-1]))
    counts = [0] * len(family.nodes)
    for top in tops.values():
        counts[top] += 1
    return max(range(len(counts)), key=lambda x: (counts[x], -x))


def _part(drawn: Drawing, members: list[int], edges: list[int]) -> Drawing:
    return Drawing(
        tuple(drawn.nodes[i] for i in members),
        tuple(drawn.edges[i] for i in edges),
        tuple(drawn.places[i] for i in members),
        frozenset(k for k, i in enumerate(edges) if i in drawn.carrying),
        drawn.box,
        drawn.column,
    )
