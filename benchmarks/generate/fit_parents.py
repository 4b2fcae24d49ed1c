"""Fit what weighs parents: boosted trees on random families, kept beside the library.

    make parents                                         grow families, measure, fit, write
    python -m benchmarks.generate.fit_parents            measure, fit, write
    python -m benchmarks.generate.fit_parents --report   figures of the calibration half too

Two experts are fitted on the random families alone, one on the part `fit` and one on it and
`second-fit` and `third-fit`, and the library takes the geometric mean of their weights: whole
families, and random parts of them, of which the rest is out of sight. Predictions on them are
made by models that did not see the family (five folds); roots, the second pass and the powers are
fitted to these. How often what is stated is right, and which candidates a 95 % set holds, comes
from the calibration half. Needs the extra `fit` (lightgbm), which nothing else does.
"""

from __future__ import annotations

import argparse
import json
import lzma
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generate.fit_cases import Case, Component, cases, measured
from benchmarks.lib.boosting import as_numbers, grown
from benchmarks.lib.genealogy_scores import Nodes
from weightkin.lineage import posterior
from weightkin.lineage.boosted import Boosted
from weightkin.lineage.posterior import Mixed, Pass, Posterior, Powers, joined
from weightkin.lineage.root_features import root_features
from weightkin.lineage.second_look import second_look
from weightkin.lineage.trained import LEAST_MIXTURE, before_levels

EXPERTS = (("fit",), ("fit", "second-fit", "third-fit"))
TREES = {"pairs": 500, "roots": 250}
FOLDS = 5
PARTS = 2  # random parts of each family
POWERS = [
    (p, r, shift)
    for p in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    for r in (0.2, 0.3, 0.4, 0.5, 0.7)
    for shift in (-1.2, -0.8, -0.5, -0.25, 0.0, 0.4)
]
SIZES = (4, 7, 1 << 30)  # members up to which families have powers of their own
COVERED = 0.95
RIDGE = 0.1
AS_SAID = [[1 << 30, [0.0, 1.0], [0.0, 1.0]]]
N_LEVELS = 10  # steps in which stated probabilities are compared with what was right
MOST_SURE = 0.995  # that a probability of one becomes


def fit(found: Sequence[Case]) -> tuple[list[dict[str, Any]], list[Posterior]]:
    """Both passes, and what the second says of each family without having seen it."""
    features = [c.features for c in found]
    passes = []
    said: list[Posterior] = []
    for _ in range(2):
        one, said = _pass(found, features)
        passes.append(one)
        features = [
            {**c.features, **second_look(c.around, c.features, x.edges, x.roots)}
            for c, x in zip(found, said, strict=True)
        ]
    return passes, said


def _pass(
    found: Sequence[Case], features: Sequence[Mapping[str, np.ndarray]]
) -> tuple[dict[str, Any], list[Posterior]]:
    by_family = np.unique([c.family for c in found], return_inverse=True)[1]
    fold_of = (np.random.default_rng(0).permutation(by_family.max() + 1) % FOLDS)[by_family]
    names = sorted(features[0])
    rows = [np.stack([f[k] for k in names], axis=1) for f in features]
    labels = [c.parents[c.around.parents, c.around.children] for c in found]
    pairs, pairs_unseen = _with_folds(rows, labels, names, fold_of, TREES["pairs"])
    own = []
    for i, c in enumerate(found):
        scores = 1 / (1 + np.exp(-pairs_unseen[fold_of[i]].log_odds(features[i])))
        own.append(root_features(c.around, features[i], scores, len(c.is_root)))
    keys = sorted(own[0])
    rows = [np.stack([f[k] for k in keys], axis=1) for f in own]
    roots, roots_unseen = _with_folds(
        rows, [c.is_root for c in found], keys, fold_of, TREES["roots"]
    )

    odds = []
    for i, c in enumerate(found):
        unseen = Pass(pairs_unseen[fold_of[i]], roots_unseen[fold_of[i]], ())
        odds.append(unseen.odds(c.around, features[i], len(c.is_root)))
    powers, said = [], list[Posterior | None]([None] * len(found))
    least = 0
    for most in SIZES:
        some = [i for i, c in enumerate(found) if least < len(c.is_root) <= most]
        best = min(POWERS, key=lambda p: loss(*_joined(found, odds, some, Powers(most, *p))))
        powers.append((most, *best))
        for i, x in zip(some, _joined(found, odds, some, Powers(most, *best))[1], strict=True):
            said[i] = x
        least = most
    kept = {"pairs": as_numbers(pairs), "roots": as_numbers(roots), "powers": powers}
    return kept, [x for x in said if x is not None]


def _joined(
    found: Sequence[Case],
    odds: Sequence[tuple[np.ndarray, np.ndarray]],
    index: Sequence[int],
    powers: Powers,
) -> tuple[list[Case], list[Posterior]]:
    some = [found[i] for i in index]
    return some, [
        joined(c.around, odds[i], powers, (), c.orders) for c, i in zip(some, index, strict=True)
    ]


def _with_folds(
    rows: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    names: list[str],
    fold_of: np.ndarray,
    n_trees: int,
) -> tuple[Boosted, list[Boosted]]:
    """The model of everything, and for each fold the one that did not see it."""
    models = []
    for k in (-1, *range(FOLDS)):
        index = np.flatnonzero(fold_of != k)
        x, y = (np.concatenate([z[i] for i in index]) for z in (rows, labels))
        models.append(grown(x, y, names, n_trees))
    return models[0], models[1:]


def fit_mixtures(found: Sequence[Component]) -> list[float]:
    """Weights of a logistic regression: whether a parent of a mixture is a true one."""
    x, y = _mixed(found)
    weights = np.zeros(x.shape[1])
    penalty = np.eye(len(weights)) * RIDGE
    for _ in range(50):  # Newton
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (y - p) - penalty @ weights
        weights += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, slope)
    return [float(f"{w:.4g}") for w in weights]


def _mixed(found: Sequence[Component]) -> tuple[np.ndarray, np.ndarray]:
    features, right = [], []
    for c in found:
        true = Nodes(c.truth, c.same).parents
        for child, own, parents in c.mixtures:
            features.append(own)
            right += [u in true[child] for u in parents]
    return np.concatenate(features), np.array(right, dtype=float)


def loss(found: Sequence[Case], said: Sequence[Posterior]) -> float:
    """Mean negative log-probability of the truth."""
    every = []
    for c, x in zip(found, said, strict=True):
        for v in range(len(c.is_root)):
            p = float(x.roots[v]) if c.is_root[v] else float(x.edges[c.parents[:, v], v].sum())
            every.append(-np.log(max(p, 1e-6)))
    return float(np.mean(every))


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


def report(name: str, found: Sequence[Case], said: Sequence[Posterior]) -> None:
    """How many members get the right parent, and what stated probabilities are worth."""
    p, right, is_root = [], [], []
    for c, x in zip(found, said, strict=True):
        for v in range(len(c.is_root)):
            u = int(x.edges[:, v].argmax())
            p.append(x.edges[u, v])
            right.append(bool(c.parents[u, v]))
            is_root.append(bool(c.is_root[v]))
    p, right, is_root = np.array(p), np.array(right), np.array(is_root)
    bins = np.minimum((10 * p).astype(int), 9)
    ece = sum(
        abs(p[bins == k].mean() - right[bins == k].mean()) * (bins == k).mean() for k in set(bins)
    )
    print(
        f"{name}: loss {loss(found, said):.4f}; the most probable parent is right for"
        f" {right.sum()} of {(~is_root).sum()}; expected calibration error {ece:.3f}"
    )
    for k in sorted(set(bins)):
        some = bins == k
        print(f"    {p[some].mean():.2f} said, {right[some].mean():.2f} right, of {some.sum()}")
    for at in (0.5, 0.8, 0.9, 0.95):
        some = p >= at
        print(
            f"  from {at}: {right[some].sum()} of {some.sum()} right,"
            f" {(some & is_root).sum()} have no parent here"
        )


def main() -> None:
    """Run what the command line names."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate.fit_parents")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    measures = {half: measured(half) for half in EXPERTS[-1]}
    experts = []
    for halves in EXPERTS:
        found = cases([x for half in halves for x in measures[half]], PARTS)
        passes, said = fit(found)
        experts.append({"passes": passes})
        whole = [i for i, c in enumerate(found) if c.is_whole]
        name = ", ".join(halves)
        report(f"{name}, families unseen", [found[i] for i in whole], [said[i] for i in whole])
        report(f"{name} with parts, families unseen", found, said)
    merged = fit_mixtures([x for own in measures.values() for x in own])
    kept = {"experts": experts, "merged": merged, "least": 0.0, "levels": AS_SAID}
    _write(kept)
    _write(calibrated(kept))
    others = [c for c in cases(measured("calibration"), 0) if given.report]
    report("calibration", others, [_levelled(c) for c in others])


def calibrated(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What was fitted, with the levels and the bound of sets from the calibration half."""
    found = cases(measured("calibration"), PARTS)
    found = [c for c in found if c.is_whole or len(c.is_root) <= SIZES[-2]]
    said = [_said(c) for c in found]
    with_levels = {**kept, "levels": levels(found, said)}
    _write(with_levels)
    whole = [c for c in found if c.is_whole]
    bound = least(whole, [_levelled(c) for c in whole])
    print(f"in a 95 % set from {bound:.4f}")
    return {**with_levels, "least": round(bound, 5)}


def _said(c: Case) -> Posterior:
    """What the library says of a family before levels."""
    merged = []
    for child, own, parents in c.mixtures:
        share = float(np.min(1.0 / (1.0 + np.exp(-own @ np.array(posterior.fitted().merged)))))
        if share >= LEAST_MIXTURE:
            order = np.argsort(-own[:, -1], kind="stable")
            merged.append(Mixed(child, tuple(parents[k] for k in order), share))
    return before_levels(c.measured, c.pairs, merged, c.orders)


def _levelled(c: Case) -> Posterior:
    return posterior.levelled(_said(c), posterior.fitted().levels)


def _write(kept: Mapping[str, Any]) -> None:
    text = json.dumps(kept, separators=(",", ":"))
    path = Path(posterior.__file__).with_name(posterior.FITTED)
    path.write_bytes(lzma.compress(text.encode(), preset=9))
    posterior.fitted.cache_clear()


if __name__ == "__main__":
    main()
