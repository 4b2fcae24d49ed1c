"""A drawing taken apart into its families, and the model that each is called after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weightkin.lineage.largest_tree import heaviest_parents, top_of_largest_tree
from weightkin.report.html.environment import short
from weightkin.report.html.graph_model import Drawing, DrawnNode
from weightkin.text import counted

LONGEST_NAME = 80


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
        found.append(sorted(members))
    edges: list[list[int]] = [[] for _ in found]
    for i, edge in enumerate(drawn.edges):
        edges[home[index[edge.child]]].append(i)
    whole = sorted(zip(found, edges, strict=True), key=lambda x: -len(x[0]))
    return [_part(drawn, *x) for x in [*whole, *([(alone, [])] if alone else [])]]


def named_after(family: Drawing) -> DrawnNode:
    """The model that a family is called after: that on top of its largest tree.

    Below an ancestor that nobody has, the largest tree whose top is a model that somebody has.
    """
    return family.nodes[_top(family, lambda x: x.is_observed)]


def family_title(family: Drawing) -> str:
    """What a family is called, in words: an ancestor that is not here has no name."""
    name, n_others = short(named_after(family).label, LONGEST_NAME), n_models(family.nodes) - 1
    if family.nodes[_top(family, lambda _: True)].is_observed:
        return f"Family of {name}"
    return f"Family of {name} and {counted(n_others, 'other')}, whose common ancestor is not here"


def n_models(nodes: Sequence[DrawnNode]) -> int:
    """Models that some nodes stand for, those with the contents of another one too."""
    return sum(1 + len(x.also) for x in nodes if x.is_observed)


def _top(family: Drawing, is_counted: Callable[[DrawnNode], bool]) -> int:
    """Place of the node that has the most below it by its weights; only some may have any."""
    index = family.index()
    edges = [
        (index[x.parent], index[x.child], x.weight) for x in family.edges if x.style != "declared"
    ]
    return top_of_largest_tree(heaviest_parents(edges), [is_counted(x) for x in family.nodes])


def _part(drawn: Drawing, members: list[int], edges: list[int]) -> Drawing:
    return Drawing(
        tuple(drawn.nodes[i] for i in members),
        tuple(drawn.edges[i] for i in edges),
        tuple(drawn.places[i] for i in members),
        frozenset(k for k, i in enumerate(edges) if i in drawn.carrying),
        drawn.box,
        drawn.column,
    )
