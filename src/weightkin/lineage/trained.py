"""Edges among trained models: orientation inside each family, unobserved ancestors, kinds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.derivation.clock import MIN_ROWS, STILL, collinear_rows
from weightkin.derivation.direction import ASK
from weightkin.derivation.inheritance import Inheritance
from weightkin.derivation.shared import grams, shared_tensors
from weightkin.lineage.draft import Draft, first_kind
from weightkin.lineage.orient import Orientation, Pairwise, descendants, distances, measure, orient
from weightkin.lineage.relatives import Relatives
from weightkin.sketch import Sketch

KEPT_LEAST = 0.6  # of a parent's weights, below which both only began together
MERELY_OLDER = 0.75  # probability of a direction that only says who is older
SIBLING = "nothing here tells a parent from an older sibling: add more relatives"
CLOCK = 6.0  # log-odds that the model whose unused rows shrank less came first
SHARED_LEAST = 0.25  # of the bulk of every change from a root that has itself moved since
MAY_CHANGE_MUCH = ("lora", "fine-tuned")  # and still come from the parent: parts made anew
DISTANT = "both hold less than 0.6 of each other: a common initialisation or early ancestor"
MOVED = "the changes from here to all its relatives share a part: it has moved since they left"


@dataclass(frozen=True, slots=True)
class Tree:
    """Edges of one family of trained models, its root, and the ancestors nobody has."""

    edges: tuple[Draft, ...]
    root: int
    members: tuple[int, ...]
    n_unobserved: int

    @property
    def oldest_first(self) -> list[int]:
        """Members in order of their depth in the tree."""
        parents = {edge.child: edge.parent for edge in self.edges}

        def depth(i: int) -> int:
            return 1 + depth(parents[i]) if i in parents else 0

        return sorted(self.members, key=lambda i: (depth(i), i))


def trained_trees(
    sketches: Sequence[Sketch],
    relatives: Relatives,
    families: Sequence[Sequence[int]],
    seed: int,
    n_unobserved: int,
) -> list[Tree]:
    """Orient every family; one of several layouts is oriented layout by layout, then joined."""
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
            edges = (*trees[here].edges, *_joined(sketches, relatives, others, roots[k]))
            trees[here] = replace(trees[here], edges=edges)
    return trees


def by_layout(sketches: Sequence[Sketch], family: Sequence[int]) -> list[list[int]]:
    """Members whose tensors inside blocks have equal names and shapes, largest group first."""
    groups: dict[frozenset[tuple[str, tuple[int, ...]]], list[int]] = defaultdict(list)
    for i in family:
        tensors = sketches[i].tensors.values()
        inside = frozenset((t.name, t.shape) for t in tensors if t.block >= 0)
        groups[inside or frozenset((t.name, t.shape) for t in tensors)].append(i)
    return sorted(groups.values(), key=lambda g: (-len(g), g))


def _oriented(
    sketches: Sequence[Sketch],
    relatives: Relatives,
    members: Sequence[int],
    seed: int,
    n_before: int,
) -> Tree:
    if len(members) == 1:
        return Tree((), members[0], tuple(members), 0)
    own = [sketches[i] for i in members]
    tensors = shared_tensors(own)
    group = measure(tensors, _pairwise(own))
    found = orient(group, seed)
    far = np.sqrt(distances(group))
    products = grams(tensors).sum(axis=0)
    root = int(np.flatnonzero(found.parents < 0)[0])
    edges: list[Draft] = []
    distant: list[Draft] = []
    for child in np.flatnonzero(found.parents >= 0):
        v, u = int(child), int(found.parents[child])
        edge = _edge(own, relatives, members, found, u, v, float(far[u, v]))
        if u == root and _may_be_sibling(group.inheritance, found, root, v):
            said = (*edge.evidence, SIBLING)
            edge = replace(edge, direction=min(edge.direction, MERELY_OLDER), evidence=said)
        kept = max(products[u, v] / products[u, u], products[u, v] / products[v, v])
        is_distant = kept < KEPT_LEAST and edge.kind not in MAY_CHANGE_MUCH
        (distant if is_distant else edges).append(edge)
    unobserved = -1 - n_before
    if distant:
        edges += _beside(distant, members[root], unobserved, DISTANT)
    elif _has_moved(group.inheritance, found, root):
        leaving = [edge for edge in edges if edge.parent == members[root]]
        edges = [edge for edge in edges if edge.parent != members[root]]
        edges += _beside(leaving, members[root], unobserved, MOVED)
    else:
        return Tree(tuple(edges), members[root], tuple(members), 0)
    return Tree(tuple(edges), members[root], tuple(members), 1)


def _edge(
    own: Sequence[Sketch],
    relatives: Relatives,
    members: Sequence[int],
    found: Orientation,
    u: int,
    v: int,
    distance: float,
) -> Draft:
    derivation, _ = relatives.derive(
        members[u], members[v], relatives.undone(members[u], members[v])
    )
    evidence = [f"relative distance {distance:.4f}"]
    if not np.isnan(found.held[v]):
        held = float(found.held[v])
        evidence.append(f"holds {held:.2f} of what its parent learned (siblings: under 0.5)")
    evidence += _clock_words(own[u], own[v])
    second = int(found.runner_up[v])
    return Draft(
        parent=members[u],
        child=members[v],
        kind=first_kind(derivation.kind),
        details=derivation.details,
        log10_pvalue=relatives.test(members[u], members[v])[0],
        direction=round(float(found.direction[v]), 4),
        distance=distance,
        support=float(found.support[v]),
        evidence=(*evidence, *(x for x in derivation.evidence if x != ASK and not _is_clock(x))),
        runner_up=members[second] if second >= 0 else None,
        behind=round(float(found.margin[v]), 3),
        unit="log-odds",
    )


def _is_clock(line: str) -> bool:
    """What a pair alone says of its clock; among relatives it counts, and is said again."""
    return line.startswith("clock: ")


def _clock_words(parent: Sketch, child: Sketch) -> list[str]:
    found = collinear_rows(parent, child)
    if found.n_rows < MIN_ROWS or abs(found.c - 1.0) <= STILL:
        return []
    is_for = found.c < 1.0
    said = f"{found.n_rows} token rows that training never used are {found.c:.6f} times as large as"
    said += f" in the parent, by decay: counted {'for' if is_for else 'against'} this direction"
    return [f"clock: {said} (log-odds {CLOCK if is_for else -CLOCK:+.1f})"]


def _pairwise(own: Sequence[Sketch]) -> Pairwise:
    """What the clock of unused token rows says about pairs, and how many rows they share."""
    n = len(own)
    odds, rows = np.zeros((n, n)), np.full((n, n), np.nan)
    for i in range(n):
        for j in range(i):
            found = collinear_rows(own[i], own[j])
            if found.n_sampled:
                rows[i, j] = rows[j, i] = found.n_rows
            if found.n_rows >= MIN_ROWS and abs(found.c - 1.0) > STILL:
                odds[i, j] = CLOCK if found.c < 1.0 else -CLOCK
                odds[j, i] = -odds[i, j]
    return Pairwise(odds, rows)


def _beside(leaving: Sequence[Draft], root: int, unobserved: int, why: str) -> list[Draft]:
    """Hang children and the root itself from an ancestor that nobody has."""
    ends = [*leaving, replace(leaving[0], child=root)]
    return [
        replace(
            edge,
            parent=unobserved,
            kind="unknown",
            details={},
            direction=1.0,
            evidence=(why,),
            runner_up=None,
            behind=0.0,
        )
        for edge in ends
    ]


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


def _joined(
    sketches: Sequence[Sketch], relatives: Relatives, others: Sequence[int], root: int
) -> list[Draft]:
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
    edge = Draft(
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
