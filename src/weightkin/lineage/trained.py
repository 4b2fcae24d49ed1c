"""Parents of members that training made, weighed without what only repeats or mixes others.

A cast of a member and an average of two lie where no training leads: beside them the way from a
parent to its children looks bent, and all else far. So pairs of all other members are measured as
if those were not there. What comes of it is shared with them after: a child of a member may be one
of its copies, in the proportions that all members together show, and a child of a mixture stays one
as far as these say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.arrays import Bools, Doubles
from weightkin.lineage.forests import parent_marginals
from weightkin.lineage.groups import Groups
from weightkin.lineage.images import IMAGE
from weightkin.lineage.member_measures import REPLACED, Measured, distances
from weightkin.lineage.missing import average
from weightkin.lineage.pair_features import SOME_ZEROS, pair_features
from weightkin.lineage.pair_measures import PairMeasures, of_part
from weightkin.lineage.posterior import Mixed, Pass, Posterior, fitted, levelled, weighed

LEAST_MIXTURE = 0.5  # probability from which a member is drawn as a mixture
NEVER = 1e-12
ROUNDED = 1e-9  # difference of shares that are one
PAST_MASK = 0.05  # of the weight of a pair; zeroed tokens, say, can be the same in two trainings
NEARER = 0.01  # squared distance of a copy to its source, over the median to all others


@dataclass(frozen=True, slots=True)
class Beside:
    """Members that say nothing of the others: copies with what they are copies of, and mixtures."""

    sources: dict[int, int]
    mixtures: frozenset[int]

    def trained(self, n: int) -> list[int]:
        """All others of n members."""
        return [i for i in range(n) if i not in self.sources and i not in self.mixtures]

    def copies(self, u: int) -> Iterator[int]:
        """Copies of a member, and copies of these."""
        for v, source in self.sources.items():
            if source == u:
                yield v
                yield from self.copies(v)


def posterior(
    measured: Measured,
    pairs: PairMeasures,
    merged: Sequence[Mixed] = (),
    orders: Doubles | None = None,
) -> Posterior:
    """Probabilities of all parents in a family.

    Parameters
    ----------
    measured, pairs : Measured, PairMeasures
        Of its members and candidate pairs; all other pairs have no weight.
    merged : sequence of Mixed
        Members that are mixtures.
    orders : (n, n) array, optional
        Factors of the weights of pairs whose units stand in unlike orders.

    Returns
    -------
    Posterior
        Of the family as a whole, stated as often as it was right.
    """
    return levelled(before_levels(measured, pairs, merged, orders), fitted().levels)


def before_levels(
    measured: Measured,
    pairs: PairMeasures,
    merged: Sequence[Mixed] = (),
    orders: Doubles | None = None,
    passes: tuple[Pass, Pass] | None = None,
) -> Posterior:
    """The same before what is stated is compared with how often it was right.

    With ``passes``, by these instead of those that are kept beside the library.
    """
    n = measured.n
    orders = past_masks(measured, pairs) * (1.0 if orders is None else orders)
    around, features = pair_features(measured, pairs)
    found = weighed(around, features, n, merged, orders, passes)
    beside = beside_of(measured, pairs, merged)
    trained = np.array(beside.trained(n))
    if 1 < len(trained) < n and _are_one(distances(measured)[np.ix_(trained, trained)]):
        own = of_part(measured, pairs, trained)
        if len(own[1].parents):
            of_own = orders[np.ix_(trained, trained)]
            alone = weighed(*pair_features(*own), len(trained), (), of_own, passes)
            found = joined_with(found, alone, beside, told_by_distance(measured, beside))
    return found


def _are_one(far: Doubles) -> bool:
    """Whether members are one family by themselves: bases that a mixture alone joins are not."""
    groups = Groups(range(len(far)))
    for u, v in np.argwhere(far < REPLACED).tolist():
        groups.join(u, v)
    return len(groups.all()) == 1


def beside_of(measured: Measured, pairs: PairMeasures, merged: Sequence[Mixed]) -> Beside:
    """Near copies of members, and mixtures that are drawn as such."""
    mixtures = frozenset(x.child for x in merged if x.share >= LEAST_MIXTURE)
    far = distances(measured)
    found = Beside({}, mixtures)
    for k in np.argsort(-pairs.images, kind="stable"):
        u, v = int(pairs.parents[k]), int(pairs.children[k])
        if pairs.images[k] < IMAGE:
            break
        others = np.delete(far[v], [u, v])
        is_near = not len(others) or far[u, v] < NEARER * np.median(others)
        if is_near and v not in mixtures and u not in found.copies(v):
            found.sources.setdefault(v, u)
    return found


def past_masks(measured: Measured, pairs: PairMeasures) -> Doubles:
    """Factors of the weights of pairs, parent by child: ``(n, n)``.

    What has exactly the zeros of a pruned copy was hardly made from the original: training may
    keep zeros, but two prunings by size leave the same ones only where nothing else has changed.
    """
    factors = np.ones((measured.n, measured.n))
    u, v, zeros, both = pairs.parents, pairs.children, measured.zeros, pairs.zeros_both
    taken = zeros[:, v] - both  # (t, m), by pruning the parent alone
    left = 1.0 - taken - pairs.equal
    own = average(zeros)
    is_pruned = np.zeros(factors.shape, dtype=bool)
    is_pruned[u, v] = _all_small(left) & (own[v] > own[u] + SOME_ZEROS)
    have_same = _all_small(taken) & _all_small(zeros[:, u] - both)
    for copy, child in zip(u[have_same].tolist(), v[have_same].tolist(), strict=True):
        factors[is_pruned[:, copy] & ~is_pruned[:, child], child] = PAST_MASK
    return factors


def _all_small(x: Doubles) -> Bools:
    """Whether what is known of a column is zero, but for rounding."""
    is_known = np.isfinite(x)
    return np.asarray(is_known.any(axis=0) & (~is_known | (np.abs(x) < ROUNDED)).all(axis=0))


def told_by_distance(measured: Measured, beside: Beside) -> dict[tuple[int, int], Doubles]:
    """Shares of a member and its coarser copies as the parent of a finer one, by distances alone.

    What was learned from a copy has nothing to do with what rounding took from it: of equally
    likely parents one is the nearer by that much. Entries of a matrix are taken to have moved by
    independent normal changes of one size. Of children as coarse as a copy nothing is said here.
    """
    found = {}
    for u in set(beside.sources.values()) - beside.sources.keys():
        known = [u, *beside.copies(u)]
        for v in beside.trained(measured.n):
            if v == u or measured.digits[known[1:]].max() >= measured.digits[v]:
                continue
            far = measured.squares[:, known, v]  # (t, candidates)
            is_told = (far > 0).all(axis=1)  # which no matrix is that one lacks
            half = 0.5 * measured.sizes[is_told]
            likely = -half @ np.log(far[is_told])
            share = np.exp(likely - likely.max())
            found[u, v] = share / share.sum()
    return found


def joined_with(
    whole: Posterior,
    alone: Posterior,
    beside: Beside,
    told: Mapping[tuple[int, int], Doubles],
) -> Posterior:
    """What all members show of copies and mixtures, and the others alone of each other.

    Parameters
    ----------
    whole : Posterior
        Of all n members.
    alone : Posterior
        Of those that training made, in their order.
    beside : Beside
        All others.
    told : mapping
        Shares of a member and its copies as the parent of another, where distances tell.

    Returns
    -------
    Posterior
        Of all n members.
    """
    trained = beside.trained(len(whole.roots))
    weights, roots = (x.copy() for x in whole.weights)
    held = whole.held.copy()
    held[np.ix_(trained, trained)] = alone.held
    known = {u: [u, *beside.copies(u)] for u in trained}
    kept = [i for i in range(len(roots)) if not any(i in those for those in known.values())]
    for b, v in enumerate(trained):
        before = weights[:, v].copy()
        rest = max(1.0 - before[kept].sum(), NEVER)
        weights[known[v], v] = 0.0
        for a, u in enumerate(trained):
            if u != v:
                share = told.get((u, v), before[known[u]] + NEVER)
                weights[known[u], v] = rest * alone.weights[0][a, b] * share / share.sum()
        roots[v] = rest * alone.weights[1][b]
    edges, first = parent_marginals(weights, roots)
    return replace(whole, edges=edges, roots=first, weights=(weights, roots), held=held)
