"""How often what is stated is right, and what a set of 95 % has to hold, on families unseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.generate.fit_cases import Case
from weightkin.lineage import posterior
from weightkin.lineage.posterior import Mixed, Pass, Posterior
from weightkin.lineage.trained import LEAST_MIXTURE, before_levels

SIZES = (4, 7, 1 << 30)  # members up to which families have levels of their own
COVERED = 0.95
N_LEVELS = 20  # steps in which stated probabilities are compared with what was right
MOST_SURE = 0.995  # that a probability of one becomes


def said_of(c: Case, passes: tuple[Pass, Pass] | None = None) -> Posterior:
    """What the library says of a family before levels."""
    merged = []
    for child, own, parents in c.mixtures:
        share = float(np.min(1.0 / (1.0 + np.exp(-own @ np.array(posterior.fitted().merged)))))
        if share >= LEAST_MIXTURE:
            order = np.argsort(-own[:, -1], kind="stable")
            merged.append(Mixed(child, tuple(parents[k] for k in order), share))
    return before_levels(c.measured, c.pairs, merged, c.orders, passes)


def shifted(kept: Sequence[Any], found: Sequence[Case], said: Sequence[Posterior]) -> list[Any]:
    """Levels, moved to where families say that none of the final models has seen.

    Levels come from models that lack a fifth of the families, which are right less often. Log-odds
    are multiplied and moved by two numbers, fitted by logistic regression (Newton).
    """
    p, right = [], []
    for c, x in zip(found, said, strict=True):
        first, most = _first(x)
        own = next(x for x in kept if len(first) <= x[0])
        p += list(np.interp(most, own[1], own[2]))
        right += list(_is_right(c)[first, np.arange(len(first))])
    x = np.stack([np.ones(len(p)), _log_odds(p)], axis=1)
    weights = np.array([0.0, 1.0])
    for _ in range(50):
        q = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (np.array(right, dtype=float) - q)
        weights += np.linalg.solve((x * (q * (1 - q))[:, None]).T @ x, slope)
    print(f"levels: log-odds times {weights[1]:.3f}, plus {weights[0]:.3f}")

    def moved(y: Sequence[float]) -> list[float]:
        own = weights[0] + weights[1] * _log_odds(y)
        return [round(float(v), 4) for v in np.minimum(1 / (1 + np.exp(-own)), MOST_SURE)]

    return [[most, ends, [0.0, *moved(own[1:])]] for most, ends, own in kept]


def _log_odds(p: Sequence[float]) -> np.ndarray:
    x = np.clip(p, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(x / (1 - x)))


def _first(x: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """The most probable candidate of every member, the last for none here, and how probable."""
    every = np.vstack([x.edges, x.roots])
    return every.argmax(axis=0), every.max(axis=0)


def _is_right(c: Case) -> np.ndarray:
    """Which candidates are true: ``(n + 1, n)``, the last for none here."""
    return np.vstack([c.parents, c.is_root])


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
                first, sure = _first(x)
                p += list(sure)
                right += list(_is_right(c)[first, np.arange(len(first))])
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
