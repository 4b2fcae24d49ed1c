"""How often what is stated is right, and what a set of 95 % has to hold, on families unseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.generate.fit_cases import Case
from weightkin.lineage import posterior
from weightkin.lineage.posterior import Mixed, Pass, Posterior
from weightkin.lineage.trained import LEAST_MIXTURE, before_levels

Expert = tuple[Pass, Pass]
SIZES = (4, 7, 1 << 30)  # members up to which families have levels and powers of their own
COVERED = 0.95
N_LEVELS = 20  # steps in which stated probabilities are compared with what was right
MOST_SURE = 0.995  # that a probability of one becomes


def said_of(c: Case, experts: Sequence[Expert] = ()) -> Posterior:
    """What the library says of a family before levels."""
    merged = []
    for child, own, parents in c.mixtures:
        share = float(np.min(1.0 / (1.0 + np.exp(-own @ np.array(posterior.fitted().merged)))))
        if share >= LEAST_MIXTURE:
            order = np.argsort(-own[:, -1], kind="stable")
            merged.append(Mixed(child, tuple(parents[k] for k in order), share))
    return before_levels(c.measured, c.pairs, merged, c.orders, experts)


def levels(found: Sequence[Case], said: Sequence[Posterior]) -> list[Any]:
    """How often the most probable candidate is right, by the size of the family.

    Where all of n were, n + 1/2 of n + 1 are (Jeffreys), so that none is said to be certain.
    """
    kept: list[Any] = []
    smaller = 0
    for most in SIZES:
        p, right = [], []
        for c, x in zip(found, said, strict=True):
            if smaller < len(c.is_root) <= most:
                every = np.vstack([x.edges, x.roots])
                first = every.argmax(axis=0)
                p += list(every.max(axis=0))
                right += list(np.vstack([c.parents, c.is_root])[first, np.arange(len(first))])
        order = np.argsort(p)
        parts = [np.take(x, order).reshape(-1) for x in (p, np.array(right, dtype=float))]
        cut = [np.array_split(x, N_LEVELS) for x in parts]
        means = [float(np.mean(x)) for x in cut[0]]
        right_ones = np.maximum.accumulate([(float(x.sum()) + 0.5) / (len(x) + 1) for x in cut[1]])
        ends = [0.0, *means, 1.0], [0.0, *right_ones, max(right_ones[-1], MOST_SURE)]
        kept.append([most, *([round(float(x), 4) for x in side] for side in ends)])
        smaller = most
    return kept


def least(found: Sequence[Case], said: Sequence[Posterior]) -> float:
    """The least probability in a set: split conformal, one node a family."""
    by_family: dict[int, list[float]] = {}
    for c, x in zip(found, said, strict=True):
        for v in range(len(c.is_root)):
            sole = float(x.sole[v])
            if c.is_root[v]:
                p = sole if c.is_base[v] else float(x.roots[v]) - sole
            else:
                p = float(x.edges[c.parents[:, v], v].max())
            by_family.setdefault(c.family, []).append(p)
    rng = np.random.default_rng(0)
    k = int(np.floor((len(by_family) + 1) * (1 - COVERED)))  # the k-th smallest is the bound
    draws = [sorted(rng.choice(own) for own in by_family.values())[k - 1] for _ in range(1000)]
    return float(np.mean(draws))
