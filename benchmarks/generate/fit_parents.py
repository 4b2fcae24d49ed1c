"""Fit what weighs parents: boosted trees on random families, kept beside the library.

    make parents                                         grow families, measure, fit, write
    python -m benchmarks.generate.fit_parents            measure, fit, write
    python -m benchmarks.generate.fit_parents --report   figures of the calibration half too

Trees are grown for the true forests of random families alone, some of them once more with all
members in one lossy form: whole families, and random parts of them, of which the rest is out of
sight. The second pass is fitted to what the first says of families that it did not see (five
folds). How often what is stated is right and which candidates a 95 % set holds comes from families
unseen and from the calibration half. Needs the extra `fit` (lightgbm), which nothing else does.
"""

from __future__ import annotations

import argparse
import json
import lzma
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generate.fit_cases import ALIKE, Case, Component, cases, measured
from benchmarks.generate.fit_levels import SIZES, least, levels, said_of, shifted
from benchmarks.lib.boosting import Rows, as_numbers, grown
from benchmarks.lib.genealogy_scores import Nodes
from weightkin.lineage import posterior
from weightkin.lineage.posterior import Pass, Posterior, joined
from weightkin.lineage.root_features import root_features
from weightkin.lineage.second_look import second_look

FIRST_MIX = ("fit", "fourth-fit")
HALVES = (*FIRST_MIX, "second-fit", "third-fit", *ALIKE)
TREES = (600, 450)  # of each pass
FOLDS = 5
PARTS = 2  # random parts of each family
RIDGE = 0.1
AS_SAID = [[1 << 30, [0.0, 1.0], [0.0, 1.0]]]


def fit(
    found: Sequence[Case],
) -> tuple[list[Pass], list[Posterior], dict[int, tuple[Pass, Pass]]]:
    """Both passes, what the second says of each family without having seen it, and by what."""
    by_family = np.unique([c.family for c in found], return_inverse=True)[1]
    fold_of = (np.random.default_rng(0).permutation(by_family.max() + 1) % FOLDS)[by_family]
    features = [c.features for c in found]
    before = [np.zeros(c.parents.shape) for c in found]
    passes, unseen = [], []
    said: list[Posterior] = []
    for n_trees in TREES:
        rows, names = _rows(found, features, before)
        some = [[rows[i] for i in np.flatnonzero(fold_of != k)] for k in (-1, *range(FOLDS))]
        with ProcessPoolExecutor() as pool:
            ways = [Pass(*x) for x in pool.map(grown, some, repeat(names), repeat(n_trees))]
        passes.append(ways[0])
        unseen.append(ways[1:])
        said = [
            joined(c.around, ways[1 + k].says(c.around, own, edges), (), c.orders)
            for c, k, own, edges in zip(found, fold_of, features, before, strict=True)
        ]
        before = [x.edges for x in said]
        features = [
            {**c.features, **second_look(c.around, c.features, x.edges, x.roots)}
            for c, x in zip(found, said, strict=True)
        ]
    folds = {c.family: k for c, k in zip(found, fold_of, strict=True)}
    return passes, said, {x: (unseen[0][k], unseen[1][k]) for x, k in folds.items()}


def _rows(
    found: Sequence[Case],
    features: Sequence[Mapping[str, np.ndarray]],
    before: Sequence[np.ndarray],
) -> tuple[list[Rows], tuple[list[str], list[str]]]:
    own = [
        root_features(c.around, x, edges)
        for c, x, edges in zip(found, features, before, strict=True)
    ]
    names = sorted(features[0]), sorted(own[0])
    rows = [
        Rows(
            c.around.parents,
            c.around.children,
            *(_columns(x, keys) for x, keys in zip(both, names, strict=True)),
            c.orders,
            c.parents,
            c.is_root,
        )
        for c, both in zip(found, zip(features, own, strict=True), strict=True)
    ]
    return rows, names


def _columns(x: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    return np.stack([x[name] for name in names], axis=1)


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
    measures = {half: measured(half) for half in HALVES}
    found = cases([x for own in measures.values() for x in own], PARTS)
    passes, said, unseen = fit(found)
    whole = [i for i, c in enumerate(found) if c.is_whole]
    report("families unseen", [found[i] for i in whole], [said[i] for i in whole])
    report("families unseen, with parts", found, said)
    merged = fit_mixtures([x for own in measures.values() for x in own])
    numbers = [{"pairs": as_numbers(x.pairs), "roots": as_numbers(x.roots)} for x in passes]
    kept = {"passes": numbers, "merged": merged, "least": 0.0, "levels": AS_SAID}
    _write(kept)
    _write(calibrated(kept, [x for half in FIRST_MIX for x in measures[half]], unseen))
    others = [c for c in cases(measured("calibration"), 0) if given.report]
    report("calibration", others, [_levelled(c) for c in others])


def calibrated(
    kept: Mapping[str, Any],
    first_mix: Sequence[Component],
    unseen: Mapping[int, tuple[Pass, Pass]],
) -> dict[str, Any]:
    """What was fitted, with levels and the bound of sets.

    From families of the first mix, each by models that did not see it; levels are then moved to
    where the calibration half says, which no model saw.
    """
    found = cases([*first_mix, *measured("calibration")], PARTS)
    found = [c for c in found if c.is_whole or len(c.is_root) <= SIZES[-2]]
    said = [said_of(c, unseen.get(c.family)) for c in found]
    inside, others = (
        [i for i, c in enumerate(found) if (c.family in unseen) == is_in] for is_in in (True, False)
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
