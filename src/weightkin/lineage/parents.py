"""The edges of one family: the most probable forest, and how probable each of its parents is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from weightkin.arrays import Doubles, Ints
from weightkin.lineage.arborescence import ROOT, arborescence
from weightkin.lineage.candidates import CandidateEdge
from weightkin.lineage.groups import Groups
from weightkin.lineage.images import IMAGE, Derivations
from weightkin.lineage.member_measures import Measured, distances
from weightkin.lineage.mixtures import merges_by_child, mixture_features
from weightkin.lineage.pair_measures import PairMeasures, measure, with_images
from weightkin.lineage.parent_edges import (
    View,
    edge_from_unobserved,
    edge_in_its_order,
    edge_of,
    edge_to_copy,
    edge_to_equal,
)
from weightkin.lineage.posterior import Mixed, Posterior, fitted
from weightkin.lineage.relatives import OnProgress, Relatives
from weightkin.lineage.trained import LEAST_MIXTURE, posterior

NEVER = 1e-12  # probability of what is taken for impossible
NOTHING_LEFT = 0.9  # squared distance over the sum of squared norms; of unrelated models one


@dataclass(frozen=True, slots=True)
class FamilyTree:
    """Edges of one family, and how many ancestors are unseen."""

    edges: tuple[CandidateEdge, ...]
    n_unobserved: int


def tree_of(
    relatives: Relatives,
    family: Sequence[int],
    n_unobserved: int,
    on_progress: OnProgress | None = None,
) -> FamilyTree:
    """The parents of all members of a family.

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
        Every member has a parent, but for the only one that has none.
    """
    copies = relatives.copies(family)
    rest = [i for i in family if i not in copies]
    tree = _tree_of(relatives, rest, n_unobserved, on_progress)
    trained = [edge_in_its_order(relatives, copies, edge) for edge in tree.edges]
    below = [edge_to_copy(relatives, copies, i, trained) for i in copies]
    return replace(tree, edges=(*trained, *below))


def _tree_of(
    relatives: Relatives,
    family: Sequence[int],
    n_unobserved: int,
    on_progress: OnProgress | None,
) -> FamilyTree:
    """The same without members that are copies of others in disguise."""
    if len(family) < 2:
        return FamilyTree((), 0)
    own = relatives.in_one_scheme(family)
    measured, pairs = measure(own)
    derivations = Derivations(relatives, family)
    pairs = with_images(pairs, derivations.images(pairs, on_progress))
    equal = derivations.equal()
    if equal:
        rest = [i for k, i in enumerate(family) if k not in equal]
        tree = _tree_of(relatives, rest, n_unobserved, on_progress)
        same = (edge_to_equal(relatives, family[u], family[v]) for v, u in equal.items())
        return replace(tree, edges=(*tree.edges, *same))
    is_image = np.zeros(measured.n, dtype=bool)
    is_image[pairs.children[pairs.images >= IMAGE]] = True
    place = {i: k for k, i in enumerate(family)}
    mixed: dict[int, list[CandidateEdge]] = {}
    for group in relatives.in_orders(family):
        mixed |= mixtures_of(relatives, [i for i in group if not is_image[place[i]]])
    merged = [_mixed(child, edges, place) for child, edges in mixed.items()]
    orders = relatives.orders(family) * _related(relatives, family, measured, pairs)
    found = posterior(measured, pairs, merged, orders)
    parents = drawn(found, merged)
    mixed = {v: e for v, e in mixed.items() if not _is_below(parents, place, e)}
    roots = [int(v) for v in np.flatnonzero(parents == ROOT)]
    above = {place[e.parent] for edges in mixed.values() for e in edges}
    parted = _related_roots(relatives, family, roots, above.union(parents.tolist()))
    origins = frozenset(group[0] for group in parted if len(group) == 1)
    view = View(relatives, tuple(family), measured, derivations, found, origins)
    edges: list[CandidateEdge] = []
    for v, u in enumerate(parents.tolist()):
        if family[v] in mixed:
            edges += _of_mixture(mixed[family[v]])
        elif u != ROOT:
            edges.append(edge_of(view, u, v))
    unseen = [group for group in parted if len(group) > 1]
    for k, group in enumerate(unseen):
        edges += (edge_from_unobserved(view, v, group, -1 - n_unobserved - k) for v in group)
    return FamilyTree(tuple(edges), len(unseen))


def _related(
    relatives: Relatives, family: Sequence[int], measured: Measured, pairs: PairMeasures
) -> Doubles:
    """Factors of the weights of pairs ``(n, n)``.

    Two that share nothing and that no test joins, as two bases of a merge, are no parent and child.
    """
    far = distances(measured)
    factors = np.ones_like(far)
    ends = np.stack([pairs.parents, pairs.children], axis=1)
    is_far = far[pairs.parents, pairs.children] >= NOTHING_LEFT
    for u, v in ends[is_far & (ends[:, 0] < ends[:, 1])].tolist():
        if not relatives.test(family[u], family[v])[1]:
            factors[u, v] = factors[v, u] = NEVER
    return factors


def _related_roots(
    relatives: Relatives, family: Sequence[int], roots: Sequence[int], parents: Set[int]
) -> list[list[int]]:
    """Members without a parent, those together that a test shows to be related.

    Two bases that only their mixtures join have no common ancestor. One without any child, which
    would be left alone though a test joins it to the family, stays with the largest of them.
    """
    groups = Groups(roots)
    for k, v in enumerate(roots):
        for u in roots[:k]:
            if not groups.are_one(u, v) and relatives.test(family[u], family[v])[1]:
                groups.join(u, v)
    parted = sorted(groups.all(), key=lambda group: -len(group))
    alone = [group for group in parted[1:] if len(group) == 1 and group[0] not in parents]
    kept = [group for group in parted if group not in alone]
    return [kept[0] + [v for group in alone for v in group], *kept[1:]] if kept else []


def most_probable(edges: Doubles, none: Doubles) -> Ints:
    """Parent of every member in the forest of the largest product; -1 for those without one."""
    costs = -np.log(np.maximum(edges, NEVER))
    return arborescence(costs, -np.log(np.maximum(none, NEVER)))


def mixtures_of(relatives: Relatives, pool: Sequence[int]) -> dict[int, list[CandidateEdge]]:
    """Edges into the members of a pool that are mixtures, with the probability of each."""
    found = {}
    for child, edges in merges_by_child(relatives, pool).items():
        odds = mixture_features(edges) @ np.array(fitted().merged)
        sure = [float(p) for p in 1.0 / (1.0 + np.exp(-odds))]
        if min(sure) >= LEAST_MIXTURE:
            found[child] = [replace(e, probability=p) for e, p in zip(edges, sure, strict=True)]
    return found


def _mixed(child: int, edges: Sequence[CandidateEdge], place: dict[int, int]) -> Mixed:
    first = sorted(edges, key=lambda e: -abs(e.weight))
    share = min(e.probability or 0.0 for e in edges)
    return Mixed(place[child], tuple(place[e.parent] for e in first), share)


def drawn(found: Posterior, merged: Sequence[Mixed]) -> Ints:
    """The most probable parents where no mixture is above what it was made of.

    Where the two contradict each other, what is less probable is not drawn. What counts against a
    parent is the likelier of the two ways to have none here.
    """
    edges = found.edges.copy()
    none = np.maximum(found.sole, found.roots - found.sole)
    while True:
        parents = most_probable(edges, none)
        weak = []
        for one in merged:
            ways = [_way(parents, one.child, below) for below in one.parents]
            least = [min(way, key=lambda e: found.edges[e]) for way in ways if way]
            weak += [e for e in least if found.edges[e] < one.share]
        if not weak:
            return parents
        edges[min(weak, key=lambda e: found.edges[e])] = 0.0


def _way(parents: Ints, top: int, below: int) -> list[tuple[int, int]]:
    """Edges that lead from one member down to another; none where it is not below."""
    found = []
    while below not in (top, ROOT):
        found.append((int(parents[below]), below))
        below = int(parents[below])
    return found if below == top else []


def _is_below(parents: Ints, place: dict[int, int], edges: Sequence[CandidateEdge]) -> bool:
    """Whether a parent of a mixture descends from it, or the mixture hangs elsewhere."""
    child, above = place[edges[0].child], [place[e.parent] for e in edges]
    return parents[child] not in above or any(_way(parents, child, u) for u in above)


def _of_mixture(edges: Sequence[CandidateEdge]) -> Iterator[CandidateEdge]:
    first = sorted(edges, key=lambda e: -abs(e.weight))
    listed = tuple((e.parent, e.probability or 0.0) for e in first)
    for edge in edges:
        yield replace(edge, parents=listed)
