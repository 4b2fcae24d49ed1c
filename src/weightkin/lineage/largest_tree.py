"""The model that a family is called after: the one on top of its largest tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def top_of_largest_tree(above: Mapping[int, int], is_counted: Sequence[bool]) -> int:
    """The node with the most nodes below it, of several such the first. Linear.

    Parameters
    ----------
    above : mapping of int to int
        The parent of each node that has one. Of a cycle, any node is its top.
    is_counted : sequence of bool
        Of every node, whether it may be a top; a tree below one that may not falls apart.

    Returns
    -------
    int
        Its number.
    """
    under = {child: parent for child, parent in above.items() if is_counted[parent]}
    tops: dict[int, int] = {}
    for node in range(len(is_counted)):
        path, last = {node: None}, node
        while last in under and last not in tops and under[last] not in path:
            last = under[last]
            path[last] = None
        tops |= dict.fromkeys(path, tops.get(last, last))
    counts = [0] * len(is_counted)
    for top in tops.values():
        counts[top] += is_counted[top]
    return max(range(len(counts)), key=lambda x: (counts[x], -x))


def heaviest_parents(edges: Sequence[tuple[int, int, float]]) -> dict[int, int]:
    """Of each child the parent with the largest weight, of several such the first.

    Parameters
    ----------
    edges : sequence of (int, int, float)
        Parent, child and weight.

    Returns
    -------
    dict of int to int
        The parent of each node that has one.
    """
    found: dict[int, tuple[int, float]] = {}
    for parent, child, weight in edges:
        if child not in found or abs(weight) > abs(found[child][1]):
            found[child] = parent, weight
    return {child: parent for child, (parent, _) in found.items()}
