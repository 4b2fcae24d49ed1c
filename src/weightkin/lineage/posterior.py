"""How probable every member of a family is as the parent of every other.

Models weigh what pairs and members show (`pair_features`, `root_features`), the matrix-tree theorem
makes probabilities over all forests of it (`forests`), and a second pass measures against the
relatives that the first one favours (`second_look`). The models were grown for the probability of
the true forests of families that nobody looked at by hand; they stand in ``parents.json.xz``.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files

import numpy as np

from weightkin.arrays import Doubles
from weightkin.lineage.boosted import Boosted, boosted
from weightkin.lineage.forests import parent_marginals, sole_roots
from weightkin.lineage.root_features import root_features
from weightkin.lineage.second_look import descent, second_look
from weightkin.lineage.triples import Around

FITTED = "parents.json.xz"
NEVER = 1e-12
MOST = np.log(1e5)  # logarithm of the weight of a pair or a root, at most, either way


@dataclass(frozen=True, slots=True)
class Mixed:
    """A member that is a mixture: its parents, the one that counts most first, how probable."""

    child: int
    parents: tuple[int, ...]
    share: float


@dataclass(frozen=True)
class Pass:
    """Models of pairs and of members, grown together: what they say is a logarithm of weights."""

    pairs: Boosted
    roots: Boosted

    def says(
        self, around: Around, features: Mapping[str, Doubles], edges: Doubles
    ) -> tuple[Doubles, Doubles]:
        """Logarithms of the weights of every candidate pair, and of every member as a root.

        ``edges``: probabilities of an earlier pass ``(n, n)``, zeros where there is none.
        """
        own = self.roots.sums(root_features(around, features, edges))
        return np.clip(self.pairs.sums(features), -MOST, MOST), np.clip(own, -MOST, MOST)


@dataclass(frozen=True, slots=True)
class Levels:
    """How often the most probable candidate was right, in families of at most so many members."""

    most: int
    said: tuple[float, ...]
    right: tuple[float, ...]


@dataclass(frozen=True)
class Fitted:
    """Two passes, weights of mixtures, the least probability of a set of 95 %."""

    passes: tuple[Pass, Pass]
    levels: tuple[Levels, ...]  # of small families first
    least: float
    merged: tuple[float, ...]  # of the features of an edge into a mixture


@dataclass(frozen=True)
class Posterior:
    """Probabilities: ``edges`` from row to column ``(n, n)``, ``roots`` ``(n,)`` of no parent here.

    Each column of the edges and its root sum to one; ``weights`` are those of edges and roots by
    themselves. ``held``: share of the change from its own parent to u that v holds, ``(n, n)``, NaN
    where that is unknown.
    """

    edges: Doubles
    roots: Doubles
    weights: tuple[Doubles, Doubles]
    held: Doubles

    @cached_property
    def below(self) -> Doubles:
        """Share in which the column descends from the row, by any number of steps: ``(n, n)``."""
        return np.minimum(descent(self.edges), 1.0)

    @cached_property
    def sole(self) -> Doubles:
        """The part of the roots in which no other member is without a parent, ``(n,)``."""
        share = sole_roots(*self.weights) / np.maximum(parent_marginals(*self.weights)[1], NEVER)
        return np.asarray(np.minimum(share, 1.0) * self.roots)


def weighed(
    around: Around,
    features: Mapping[str, Doubles],
    n: int,
    merged: Sequence[Mixed] = (),
    orders: Doubles | float = 1.0,
    passes: tuple[Pass, Pass] | None = None,
) -> Posterior:
    """Both passes, before what was stated is compared with how often it was right."""
    first, second = passes or fitted().passes
    found = joined(around, first.says(around, features, np.zeros((n, n))), merged, orders)
    again = {**features, **second_look(around, features, found.edges, found.roots)}
    found = joined(around, second.says(around, again, found.edges), merged, orders)
    found.held[around.parents, around.children] = again["held_since_parent"]
    return found


def levelled(found: Posterior, levels: Sequence[Levels]) -> Posterior:
    """Probabilities in which the most probable candidate of a member is as sure as it was right.

    Those of its other candidates keep their proportions.
    """
    n = len(found.roots)
    own = next(x for x in levels if n <= x.most)
    every = np.vstack([found.edges, found.roots])
    most = every.max(axis=0)
    sure = np.interp(most, own.said, own.right)
    is_most = np.arange(n + 1)[:, None] == every.argmax(axis=0)
    rest = every * ((1.0 - sure) / np.maximum(1.0 - most, NEVER))
    every = np.where(is_most, sure, rest)
    every /= every.sum(axis=0)
    return replace(found, edges=every[:-1], roots=every[-1])


def joined(
    around: Around,
    said: tuple[Doubles, Doubles],
    merged: Sequence[Mixed] = (),
    orders: Doubles | float = 1.0,
) -> Posterior:
    """Marginals over all forests of what pairs ``(m,)`` and members ``(n,)`` say by themselves.

    The weights of a child, its root among them, sum to one before mixtures; nothing is known of
    what is held.
    """
    n = len(said[1])
    weights = np.zeros((n, n))
    weights[around.parents, around.children] = np.exp(said[0])
    weights *= orders
    roots = np.exp(said[1])
    total = weights.sum(axis=0) + roots
    weights, roots = weights / total, roots / total
    for one in merged:
        rest = 1.0 - one.share
        weights[:, one.child] *= rest
        roots[one.child] *= rest
        weights[one.parents[0], one.child] += one.share
        above = list(one.parents)  # what a mixture was made of was not made from it
        back = weights[one.child, above]
        others = (1.0 - rest * back) / np.maximum(1.0 - back, NEVER)
        weights[:, above] *= others
        roots[above] *= others
        weights[one.child, above] = rest * back
    edges, first = parent_marginals(weights, roots)
    return Posterior(edges, first, (weights, roots), np.full_like(edges, np.nan))


@cache
def fitted() -> Fitted:
    """What was fitted, as it is kept beside this module."""
    kept = json.loads(lzma.decompress(files("weightkin.lineage").joinpath(FITTED).read_bytes()))
    first, second = (Pass(boosted(x["pairs"]), boosted(x["roots"])) for x in kept["passes"])
    levels = tuple(Levels(most, tuple(p), tuple(q)) for most, p, q in kept["levels"])
    return Fitted((first, second), levels, kept["least"], tuple(kept["merged"]))
