"""The tree of a family that equal values join: a model, and a file that holds it under a prefix.

Nothing that goes by roles sees the two side by side. So what tests join has a tree of its own, and
the trees are joined where one model holds all values of another: that edge is a `part`.
"""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.lineage.candidates import CandidateEdge
from weightkin.lineage.groups import Groups
from weightkin.lineage.parent_edges import edge_to_equal
from weightkin.lineage.parents import FamilyTree, tree_of
from weightkin.lineage.relatives import OnProgress, Relatives


def family_tree(
    relatives: Relatives,
    family: Sequence[int],
    n_unobserved: int,
    on_progress: OnProgress | None = None,
) -> FamilyTree:
    """The parents of all members of a family, also across equal values under other names.

    Parameters
    ----------
    relatives : Relatives
        All models and the tests of their pairs.
    family : sequence of int
        Positions of the members, at least two.
    n_unobserved : int
        Unobserved ancestors found before, whose numbers are taken.
    on_progress : callable, optional
        Called before each member.

    Returns
    -------
    FamilyTree
        Where the trees cannot be joined at a member without a parent, that of all together.
    """
    held = [x for x in sorted(relatives.equal) if {*x} <= {*family} and _is_part(relatives, *x)]
    groups = _joined_otherwise(relatives, family, set(held))
    parts = groups.all()
    if len(parts) < 2:
        return tree_of(relatives, family, n_unobserved, on_progress)
    edges: list[CandidateEdge] = []
    n = 0
    for part in parts:
        if len(part) > 1:
            tree = tree_of(relatives, sorted(part), n_unobserved + n, on_progress)
            edges += tree.edges
            n += tree.n_unobserved
    below = {edge.child for edge in edges}
    for pair in held:
        parent, child = sorted(pair, key=lambda i: relatives.sketches[i].n_parameters)
        if child in below:
            parent, child = child, parent
        if child not in below and not groups.are_one(parent, child):
            groups.join(parent, child)
            below.add(child)
            edges.append(edge_to_equal(relatives, parent, child))
    if len(groups.all()) > 1:
        return tree_of(relatives, family, n_unobserved, on_progress)
    return FamilyTree(tuple(edges), n)


def _is_part(relatives: Relatives, i: int, j: int) -> bool:
    return relatives.derive(i, j)[0].kind == ("part",)


def _joined_otherwise(
    relatives: Relatives, family: Sequence[int], held: set[tuple[int, int]]
) -> Groups[int]:
    """Members that something else joins than that one holds all of another."""
    groups = Groups(family)
    inside = set(family)
    pairs = [(group[0], i) for group in relatives.by_tests for i in group[1:]]
    pairs += [(i, framed.reference) for i, framed in relatives.framed.items()]
    pairs += [pair for pair in relatives.equal if pair not in held]
    for i, j in pairs:
        if i in inside and j in inside:
            groups.join(i, j)
    return groups
