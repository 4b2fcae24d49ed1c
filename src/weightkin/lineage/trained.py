"""Edges among trained models: orientation inside each family, unobserved ancestors, kinds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from weightkin.derivation.inheritance import Inheritance
from weightkin.derivation.shared import grams, shared_tensors
from weightkin.lineage.candidates import CandidateEdge, first_kind
from weightkin.lineage.inherited import layout_of
from weightkin.lineage.measured import REPLACED_DISTANCE, Group, distances, measure
from weightkin.lineage.orient import Orientation, descendants, orient
from weightkin.lineage.relatives import Relatives
from weightkin.lineage.trained_edges import (
    MERELY_OLDER,
    beside,
    came_through,
    pairwise,
    trained_edge,
)
from weightkin.lineage.twins import twin_edges, twins_of
from weightkin.records import clue
from weightkin.records.kinds import KINDS
from weightkin.sketch import Sketch

KEPT_LEAST = 0.6  # of a parent's weights, below which both only began together
SHARED_LEAST = 0.25  # of the bulk of every change from a root that has itself moved since
MAX_AMBIGUOUS_CHILDREN = 2  # of a root, which cannot be told from one of them without a clock


@dataclass(frozen=True, slots=True)
class Tree:
    """Edges of one family of trained models, its root, and the ancestors nobody has."""

    edges: tuple[CandidateEdge, ...]
    root: int
    members: tuple[int, ...]
    n_unobserved: int


def tree_below(
    sketches: Sequence[Sketch], relatives: Relatives, root: int, members: Sequence[int], seed: int
) -> Tree:
    """The tree of models that were all made from a known one, directly or through each other.

    Parameters
    ----------
    sketches, relatives : sequence of Sketch, Relatives
        All models and the tests of their pairs.
    root, members : int, sequence of int
        Positions of the known model and of those made from it.
    seed : int
        Of the resamples.

    Returns
    -------
    Tree
        With the root among its members.
    """
    return _oriented(sketches, relatives, [root, *members], seed, 0, root=root)


def left_open(sketches: Sequence[Sketch], tree: Tree, coarse: Set[int], original: int) -> Tree:
    """A tree below a copy, its own children open where they are stored as coarsely as it is.

    Parameters
    ----------
    sketches, tree : sequence of Sketch, Tree
        All models, and a tree of some.
    coarse : set of int
        Models that are stored coarsely.
    original : int
        The model that the root is a copy of.

    Returns
    -------
    Tree
        With directions of one half where either model may be the parent.
    """
    said = clue("coarse", model=sketches[original].name)
    edges = [
        replace(e, direction=0.5, evidence=(*e.evidence[:-1], said), runner_up=original, behind=0.0)
        if e.parent == tree.root and e.child in coarse
        else e
        for e in tree.edges
    ]
    return replace(tree, edges=tuple(edges))


def trained_trees(
    sketches: Sequence[Sketch],
    relatives: Relatives,
    families: Sequence[Sequence[int]],
    seed: int,
    n_unobserved: int,
) -> list[Tree]:
    """Orient every family; one of several layouts is oriented layout by layout, then joined.

    Parameters
    ----------
    sketches, relatives : sequence of Sketch, Relatives
        All models and the tests of their pairs.
    families : sequence of sequence of int
        Positions of the members of each.
    seed : int
        Of the resamples.
    n_unobserved : int
        Unobserved ancestors found before, whose numbers are taken.

    Returns
    -------
    list of Tree
        One for each layout of each family.
    """
    trees: list[Tree] = []
    for family in families:
        layouts = by_layout(sketches, family)
        roots = []
        for members in layouts:
            tree = _oriented(sketches, relatives, members, seed, n_unobserved)
            n_unobserved += tree.n_unobserved
            trees.append(tree)
            roots.append(tree.root)
        for k in range(1, len(layouts)):
            others = [u for layout in layouts[:k] for u in layout]
            here = len(trees) - len(layouts) + k
            edges = (*trees[here].edges, *_joined(relatives, others, roots[k]))
            trees[here] = replace(trees[here], edges=edges)
    return trees


def by_layout(sketches: Sequence[Sketch], family: Sequence[int]) -> list[list[int]]:
    """Members whose tensors inside blocks have equal names and shapes, largest group first."""
    groups: dict[frozenset[tuple[str, tuple[int, ...]]], list[int]] = defaultdict(list)
    for i in family:
        groups[layout_of(sketches[i])].append(i)
    return sorted(groups.values(), key=lambda g: (-len(g), g))


def _oriented(
    sketches: Sequence[Sketch],
    relatives: Relatives,
    everyone: Sequence[int],
    seed: int,
    n_before: int,
    root: int | None = None,
) -> Tree:
    """One layout: its members of different matrices, then those whose matrices are theirs."""
    if len(everyone) == 1:
        return Tree((), everyone[0], tuple(everyone), 0)
    twins = twins_of(sketches, everyone, root)
    tree = _of_different(sketches, relatives, sorted(twins), seed, n_before, root)
    edges = tuple(twin_edges(relatives, twins, tree.edges))
    return replace(tree, edges=edges, members=tuple(everyone))


def _of_different(
    sketches: Sequence[Sketch],
    relatives: Relatives,
    members: Sequence[int],
    seed: int,
    n_before: int,
    known_root: int | None,
) -> Tree:
    if len(members) == 1:
        return Tree((), members[0], tuple(members), 0)
    own = [sketches[i] for i in members]
    tensors = shared_tensors(own)
    group = measure(tensors, pairwise(own))
    found = orient(group, seed, None if known_root is None else members.index(known_root))
    far, root = np.sqrt(distances(group)), int(np.flatnonzero(found.parents < 0)[0])
    edges = [
        trained_edge(relatives, members, found, int(v), float(far[found.parents[v], v]), known_root)
        for v in np.flatnonzero(found.parents >= 0)
    ]  # fmt: skip
    if known_root is not None:
        came = clue("came-through", model=own[root].name)
        through = tuple(came_through(e, known_root, came) for e in edges)
        return Tree(through, known_root, tuple(members), 0)
    products = grams(tensors).sum(axis=0)
    place = {i: k for k, i in enumerate(members)}
    near: list[CandidateEdge] = []
    distant: list[CandidateEdge] = []
    lacking: list[CandidateEdge] = []
    for edge in edges:
        u, v = place[edge.parent], place[edge.child]
        if u == root:
            edge = _from_root(edge, relatives, group, found, (u, v))
        if _lacks_new_part(group, u, v):
            edge = replace(edge, direction=min(edge.direction, MERELY_OLDER))
            if u == root:
                lacking.append(edge)
        kept = max(products[u, v] / products[u, u], products[u, v] / products[v, v])
        is_distant = kept < KEPT_LEAST and not KINDS[edge.kind].may_replace_parts
        (distant if is_distant else near).append(edge)
    leaving, code = list[CandidateEdge](), ""
    if distant:
        leaving, code = distant, "distant"
    elif len(lacking) > 1:
        leaving, code = lacking, "new-part"
    elif _has_moved(group.inheritance, found, root):
        leaving, code = [edge for edge in near if edge.parent == members[root]], "has-moved"
    near = [edge for edge in near if edge not in leaving]
    if leaving:
        near += beside(leaving, members[root], -1 - n_before, code)
    return Tree(tuple(near), members[root], tuple(members), len(leaving) > 0)


def _from_root(
    edge: CandidateEdge,
    relatives: Relatives,
    group: Group,
    found: Orientation,
    ends: tuple[int, int],
) -> CandidateEdge:
    """An edge from the root, no surer than what tells that from a sibling of its child."""
    root, child = ends
    codes = []
    if _may_be_sibling(group.inheritance, found, root, child):
        codes.append("older-sibling")
    is_timed = bool(group.pairwise.direction[ends])
    are_few = (found.parents == root).sum() <= MAX_AMBIGUOUS_CHILDREN
    if are_few and not is_timed and not relatives.undone(edge.parent, edge.child):
        codes.append("few-children")
    if not codes:
        return edge
    evidence = (*edge.evidence, *map(clue, codes))
    return replace(edge, direction=min(edge.direction, MERELY_OLDER), evidence=evidence)


def _lacks_new_part(group: Group, u: int, v: int) -> bool:
    """Whether u alone replaced a matrix that v shares with others: v was hardly made from u."""
    related = group.squares <= REPLACED_DISTANCE  # (n_tensors, n, n)
    n_u, n_v = (related[:, x].sum(axis=1) - 1 for x in (u, v))
    return bool(((n_u == 0) & (n_v > 0) & ~related[:, u, v]).any())


def _may_be_sibling(inheritance: Inheritance, found: Orientation, root: int, child: int) -> bool:
    """Whether nothing tells that the root is the parent of a child and not its older sibling.

    A model outside the child's branch tells it, when it holds next to nothing of the bulk of the
    child's change: had the root moved since their common ancestor, it would.
    """
    below = descendants(found.parents, child)
    others = [z for z in range(len(found.parents)) if z != root and z not in below]
    held = inheritance.held(root, child)[others]
    is_telling = np.abs(held) > 1e-9  # a copy of the root, rearranged or not, has not moved either
    return not (is_telling & (held < SHARED_LEAST)).any()


def _has_moved(inheritance: Inheritance, found: Orientation, root: int) -> bool:
    """Whether all changes from the root share a part of their bulk: it has moved since they left.

    With an unobserved ancestor ``o`` in the place of the root, every change ``x - root`` holds
    ``o - root``, which is the share ``|root - o|^2 / (|root - o|^2 + |x - o|^2)`` of it, whichever
    two are looked at and in both directions. Drift that siblings share is not in the bulk.
    """
    children = [int(x) for x in np.flatnonzero(found.parents == root)]
    shares = [float(inheritance.held(root, x)[y]) for x in children for y in children if x != y]
    return len(children) > 1 and min(shares) > SHARED_LEAST


def _joined(relatives: Relatives, others: Sequence[int], root: int) -> list[CandidateEdge]:
    """The edge between a model and its nearest relative of another layout, if one is related."""
    choices = []
    for other in others:
        log10_p, is_related = relatives.test(other, root)
        if is_related:
            derivation, relation = relatives.derive(other, root)
            choices.append((relation.relative_distance, other, log10_p, derivation))
    if not choices:
        return []
    distance, other, log10_p, derivation = min(choices, key=lambda c: c[:2])
    forward = derivation.parent != "b"
    edge = CandidateEdge(
        parent=other if forward else root,
        child=root if forward else other,
        kind=first_kind(derivation.kind),
        details=derivation.details,
        log10_pvalue=log10_p,
        direction=derivation.probability if derivation.parent != "undetermined" else 0.5,
        distance=distance,
        evidence=derivation.evidence,
    )
    return [edge]
