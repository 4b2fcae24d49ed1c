"""How probable every member of a family is as the parent of every other.

Fitted models weigh what pairs and members show (`pair_features`, `root_features`), the matrix-tree
theorem makes probabilities over all forests of it (`forests`), and a second pass measures against
the relatives that the first one favours (`second_look`). What was fitted, on families that nobody
looked at by hand, stands in ``parents.json.xz``.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np

from weightkin.arrays import Doubles
from weightkin.lineage.boosted import Boosted, boosted
from weightkin.lineage.forests import parent_marginals, sole_roots
from weightkin.lineage.root_features import root_features
from weightkin.lineage.second_look import descent, second_look
from weightkin.lineage.triples import Around

FITTED = "parents.json.xz"
NEVER = 1e-12
MOST = np.log(1e5)  # log-odds of a pair or a root, at most, either way


@dataclass(frozen=True, slots=True)
class Mixed:
    """A member that is a mixture: its parents, the one that counts most first, how probable."""

    child: int
    parents: tuple[int, ...]
    share: float


@dataclass(frozen=True)
class Powers:
    """How log-odds become weights, in families of at most so many members."""

    most: int
    pairs: float
    roots: float
    shift: float  # of the roots


@dataclass(frozen=True)
class Pass:
    """One pass: models of pairs and of roots, and how their log-odds become weights."""

    pairs: Boosted
    roots: Boosted
    powers: tuple[Powers, ...]  # of small families first

    def power(self, n: int) -> Powers:
        """What holds for a family of n members."""
        return next((x for x in self.powers if n <= x.most), self.powers[-1])

    def odds(
        self, around: Around, features: Mapping[str, Doubles], n: int
    ) -> tuple[Doubles, Doubles]:
        """Log-odds of every candidate pair and of every member as a root, by themselves."""
        pairs = np.clip(self.pairs.log_odds(features), -MOST, MOST)
        scores = 1.0 / (1.0 + np.exp(-pairs))
        own = self.roots.log_odds(root_features(around, features, scores, n))
        return pairs, np.clip(own, -MOST, MOST)


@dataclass(frozen=True, slots=True)
class Levels:
    """How often the most probable candidate was right, in families of at most so many members."""

    most: int
    said: tuple[float, ...]
    right: tuple[float, ...]


@dataclass(frozen=True)
class Fitted:
    """Experts of two passes each, weights of mixtures, the least probability of a set of 95 %."""

    experts: tuple[tuple[Pass, Pass], ...]
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
    experts: Sequence[tuple[Pass, Pass]] = (),
) -> Posterior:
    """Both passes, before what was stated is compared with how often it was right."""
    every = [
        _by(passes, around, features, n, merged, orders) for passes in experts or fitted().experts
    ]
    found = _summed(*_pooled([weights for weights, _ in every]))
    found.held[around.parents, around.children] = np.mean([held for _, held in every], axis=0)
    return found


def _by(
    passes: tuple[Pass, Pass],
    around: Around,
    features: Mapping[str, Doubles],
    n: int,
    merged: Sequence[Mixed],
    orders: Doubles | float,
) -> tuple[tuple[Doubles, Doubles], Doubles]:
    """Weights that one expert gives after both of its passes, and shares held of all pairs."""
    first, second = passes
    found = joined(around, first.odds(around, features, n), first.power(n), merged, orders)
    again = {**features, **second_look(around, features, found.edges, found.roots)}
    odds = second.odds(around, again, n)
    return _weights(around, odds, second.power(n), merged, orders), again["held_since_parent"]


def _pooled(weights: Sequence[tuple[Doubles, Doubles]]) -> tuple[Doubles, Doubles]:
    """Geometric means of the weights of edges and roots, so that those of a child sum to one."""
    every = np.array([np.vstack(x) for x in weights])
    pooled = np.exp(np.log(every + NEVER).mean(axis=0))
    pooled[~(every > 0).any(axis=0)] = 0.0
    pooled /= pooled.sum(axis=0)
    return pooled[:-1], pooled[-1]


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
    odds: tuple[Doubles, Doubles],
    powers: Powers,
    merged: Sequence[Mixed] = (),
    orders: Doubles | float = 1.0,
) -> Posterior:
    """Marginals over all forests of what pairs and members say by themselves."""
    return _summed(*_weights(around, odds, powers, merged, orders))


def _weights(
    around: Around,
    odds: tuple[Doubles, Doubles],
    powers: Powers,
    merged: Sequence[Mixed],
    orders: Doubles | float,
) -> tuple[Doubles, Doubles]:
    """Weights of edges and roots, of which those of a child sum to one before mixtures."""
    n = len(odds[1])
    weights = np.zeros((n, n))
    weights[around.parents, around.children] = np.exp(powers.pairs * odds[0])
    weights *= orders
    roots = np.exp(powers.roots * odds[1] + powers.shift)
    total = weights.sum(axis=0) + roots
    weights, roots = weights / total, roots / total
    for one in merged:
        weights[:, one.child] *= 1.0 - one.share
        roots[one.child] *= 1.0 - one.share
        weights[one.parents[0], one.child] += one.share
        weights[one.child, list(one.parents)] *= 1.0 - one.share
    return weights, roots


def _summed(weights: Doubles, roots: Doubles) -> Posterior:
    """Marginals over all forests; nothing is known of what is held."""
    edges, first = parent_marginals(weights, roots)
    return Posterior(edges, first, (weights, roots), np.full_like(edges, np.nan))


@cache
def fitted() -> Fitted:
    """What was fitted, as it is kept beside this module."""
    kept = json.loads(lzma.decompress(files("weightkin.lineage").joinpath(FITTED).read_bytes()))
    experts = tuple(
        (_pass(first), _pass(second)) for first, second in (x["passes"] for x in kept["experts"])
    )
    levels = tuple(Levels(most, tuple(p), tuple(q)) for most, p, q in kept["levels"])
    return Fitted(experts, levels, kept["least"], tuple(kept["merged"]))


def _pass(x: Mapping[str, Any]) -> Pass:
    return Pass(boosted(x["pairs"]), boosted(x["roots"]), tuple(Powers(*p) for p in x["powers"]))
