"""Fit what weighs parents: boosted trees on random families, kept beside the library.

    make parents                                         grow families, measure, fit, write
    python -m benchmarks.generate.fit_parents            measure, fit, write
    python -m benchmarks.generate.fit_parents --report   figures of the calibration half too

Two experts are fitted on the random families alone, one on those of the first mix and one on all,
some of them once more with all members in one lossy form, and the library takes the geometric mean
of their weights: whole families, and random parts of them, of which the rest is out of sight.
Predictions on them are made by models that did not see the family (five folds); roots, the second
pass and the powers are fitted to these. How often what is stated is right and which candidates a
95 % set holds comes from these and from the calibration half. Needs the extra `fit` (lightgbm),
which nothing else does.
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

from benchmarks.generate.fit_cases import ALIKE, Case, Component, cases, measured
from benchmarks.generate.fit_levels import SIZES, Expert, least, levels, said_of, shifted
from benchmarks.lib.boosting import as_numbers, grown
from benchmarks.lib.genealogy_scores import Nodes
from weightkin.lineage import posterior
from weightkin.lineage.boosted import Boosted
from weightkin.lineage.posterior import Pass, Posterior, Powers, joined
from weightkin.lineage.root_features import root_features
from weightkin.lineage.second_look import second_look

FIRST_MIX = ("fit", "fourth-fit")
EXPERTS = (FIRST_MIX, (*FIRST_MIX, "second-fit", "third-fit", *ALIKE))
TREES = {"pairs": 600, "roots": 300}
FOLDS = 5
PARTS = 2  # random parts of each family
POWERS = [
    (p, r, shift)
    for p in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    for r in (0.2, 0.3, 0.4, 0.5, 0.7)
    for shift in (-1.2, -0.8, -0.5, -0.25, 0.0, 0.4)
]
RIDGE = 0.1
AS_SAID = [[1 << 30, [0.0, 1.0], [0.0, 1.0]]]


def fit(found: Sequence[Case]) -> tuple[list[dict[str, Any]], list[Posterior], dict[int, Expert]]:
    """Both passes, what the second says of each family without having seen it, and by what."""
    features = [c.features for c in found]
    passes = []
    said: list[Posterior] = []
    unseen: list[dict[int, Pass]] = []
    for _ in range(2):
        one, said, by_family = _pass(found, features)
        passes.append(one)
        unseen.append(by_family)
        features = [
            {**c.features, **second_look(c.around, c.features, x.edges, x.roots)}
            for c, x in zip(found, said, strict=True)
        ]
    return passes, said, {family: (x, unseen[1][family]) for family, x in unseen[0].items()}


def _pass(
    found: Sequence[Case], features: Sequence[Mapping[str, np.ndarray]]
) -> tuple[dict[str, Any], list[Posterior], dict[int, Pass]]:
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
    unseen_by = {
        c.family: Pass(pairs_unseen[k], roots_unseen[k], tuple(Powers(*p) for p in powers))
        for c, k in zip(found, fold_of, strict=True)
    }
    return kept, [x for x in said if x is not None], unseen_by


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
    experts, unseen = [], []
    for halves in EXPERTS:
        found = cases([x for half in halves for x in measures[half]], PARTS)
        passes, said, by_family = fit(found)
        experts.append({"passes": passes})
        unseen.append(by_family)
        whole = [i for i, c in enumerate(found) if c.is_whole]
        name = ", ".join(halves)
        report(f"{name}, families unseen", [found[i] for i in whole], [said[i] for i in whole])
        report(f"{name} with parts, families unseen", found, said)
    merged = fit_mixtures([x for own in measures.values() for x in own])
    kept = {"experts": experts, "merged": merged, "least": 0.0, "levels": AS_SAID}
    _write(kept)
    _write(calibrated(kept, [x for half in FIRST_MIX for x in measures[half]], unseen))
    others = [c for c in cases(measured("calibration"), 0) if given.report]
    report("calibration", others, [_levelled(c) for c in others])


def calibrated(
    kept: Mapping[str, Any], first_mix: Sequence[Component], unseen: Sequence[Mapping[int, Expert]]
) -> dict[str, Any]:
    """What was fitted, with levels and the bound of sets.

    From families of the first mix, each by experts that did not see it; levels are then moved to
    where the calibration half says, which none of them saw.
    """
    found = cases([*first_mix, *measured("calibration")], PARTS)
    found = [c for c in found if c.is_whole or len(c.is_root) <= SIZES[-2]]
    said = [said_of(c, [own[c.family] for own in unseen if c.family in own]) for c in found]
    seen = {family for own in unseen for family in own}
    inside, others = (
        [i for i, c in enumerate(found) if (c.family in seen) == is_in] for is_in in (True, False)
    )
    first = levels([found[i] for i in inside], [said[i] for i in inside])
    moved = shifted(first, [found[i] for i in others], [said[i] for i in others])
    with_levels = {**kept, "levels": moved}
    _write(with_levels)
    own_levels = posterior.fitted().levels
    whole = [i for i, c in enumerate(found) if c.is_whole]
    bound = least(
        [found[i] for i in whole], [posterior.levelled(said[i], own_levels) for i in whole]
    )
    print(f"in a 95 % set from {bound:.4f}")
    return {**with_levels, "least": round(bound, 5)}


def _levelled(c: Case) -> Posterior:
    return posterior.levelled(said_of(c), posterior.fitted().levels)


def _write(kept: Mapping[str, Any]) -> None:
    text = json.dumps(kept, separators=(",", ":"), allow_nan=False)
    path = Path(posterior.__file__).with_name(posterior.FITTED)
    path.write_bytes(lzma.compress(text.encode(), preset=9))
    posterior.fitted.cache_clear()


if __name__ == "__main__":
    main()
