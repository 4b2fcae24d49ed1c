"""Fit what weighs parents: boosted trees on random families, kept beside the library.

    python -m benchmarks.generate.fit_parents            measure, fit, write
    python -m benchmarks.generate.fit_parents --report   figures of the calibration half too

Weights are fitted on the part `fit` of the random families alone (`make genealogies HALF=fit`):
whole families, and random parts of them, of which the rest is out of sight. Predictions on them
are made by models that did not see the family (five folds); roots, the second pass and the powers
are fitted to these. The least probability of a member of a 95 % set comes from the calibration
half. Needs lightgbm, which nothing else does: ``pip install lightgbm``.
"""

from __future__ import annotations

import argparse
import json
import lzma
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from zoo.genealogies.kept import KeptFamily

from benchmarks.generate.genealogy_answers import BUILD, families, same_values
from benchmarks.lib.genealogy_scores import Nodes
from weightkin.formats import model_from_arrays
from weightkin.lineage import posterior
from weightkin.lineage.boosted import Boosted, boosted
from weightkin.lineage.candidates import CandidateEdge
from weightkin.lineage.collection import gather
from weightkin.lineage.images import Derivations
from weightkin.lineage.member_measures import Measured
from weightkin.lineage.mixtures import merge_edges, mixture_features
from weightkin.lineage.pair_features import Around, pair_features
from weightkin.lineage.pair_measures import PairMeasures, measure, of_part, with_images
from weightkin.lineage.parents import IMAGE
from weightkin.lineage.posterior import Pass, Posterior, Powers, joined
from weightkin.lineage.proposed import proposed
from weightkin.lineage.relatives import Relatives, components
from weightkin.lineage.root_features import root_features
from weightkin.lineage.second_look import second_look

TREES = {"pairs": 500, "roots": 250}
SHAPE = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 16,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbose": -1,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
}
FOLDS = 5
PARTS = 4  # random parts of each family
POWERS = [
    (p, r, shift)
    for p in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    for r in (0.2, 0.3, 0.4, 0.5, 0.7)
    for shift in (-1.2, -0.8, -0.5, -0.25, 0.0, 0.4)
]
SIZES = (4, 7, 1 << 30)  # members up to which families have powers of their own
COVERED = 0.95
RIDGE = 0.1


@dataclass
class Component:
    """Members joined by tests, what is measured of them, and the truth."""

    family: int
    names: list[str]
    measured: Measured
    pairs: PairMeasures
    truth: Mapping[str, Any]
    same: list[list[str]]
    mixtures: list[tuple[str, np.ndarray, list[str]]]  # child, features of its edges, parents


@dataclass
class Case:
    """A component, or a part of one, with what the fit needs."""

    family: int
    is_whole: bool
    around: Around
    features: dict[str, np.ndarray]
    parents: np.ndarray  # (n, n) true parents that are present
    is_root: np.ndarray  # (n,) no true parent is among them
    is_base: np.ndarray  # (n,) made from nothing


def measured(half: str) -> list[Component]:
    """All components of more than one member, read once and remembered beside the families."""
    kept = BUILD / f"{half}.measures.pkl"
    if not kept.exists():
        found = [x for k, family in enumerate(families(half)) for x in _components(k, family)]
        kept.write_bytes(pickle.dumps(found))
    return list(pickle.loads(kept.read_bytes()))


def _components(number: int, family: KeptFamily) -> Iterator[Component]:
    same = same_values(family)
    names = sorted(Nodes(family.truth, same).parents)
    models = [
        model_from_arrays(family.members[x].tensors, name=x, config=family.members[x].config)
        for x in names
    ]
    members = gather(models).members
    sketches = [m.sketch for m in members]
    relatives = Relatives(sketches, 1e-3, 0)
    for group in components(relatives, proposed(sketches), range(len(sketches))):
        if len(group) > 1:
            own = relatives.in_one_scheme(group)
            taken, pairs = measure(own)
            pairs = with_images(pairs, Derivations(relatives, group).images(pairs))
            ids = [m.id for m in members]
            is_image = {group[int(v)] for v in pairs.children[pairs.images >= IMAGE]}
            mixed = _mixtures(relatives, [i for i in group if i not in is_image], ids)
            own_ids = [ids[i] for i in group]
            yield Component(number, own_ids, taken, pairs, family.truth, same, mixed)


def _mixtures(
    relatives: Relatives, pool: Sequence[int], ids: Sequence[str]
) -> list[tuple[str, np.ndarray, list[str]]]:
    by_child: dict[int, list[CandidateEdge]] = {}
    for edge in merge_edges(relatives, pool):
        by_child.setdefault(edge.child, []).append(edge)
    return [
        (ids[child], mixture_features(edges), [ids[e.parent] for e in edges])
        for child, edges in by_child.items()
    ]


def cases(found: Sequence[Component], n_parts: int) -> list[Case]:
    """Whole components, and random parts of each."""
    chosen = []
    for k, x in enumerate(found):
        n = len(x.names)
        rng = np.random.default_rng([x.family, k])
        chosen.append(_case(x, np.arange(n)))
        for _ in range(n_parts):
            size = int(rng.integers(2, n + 1))
            if size < n:
                chosen.append(_case(x, np.sort(rng.choice(n, size, replace=False))))
    return chosen


def _case(x: Component, index: np.ndarray) -> Case:
    is_whole = len(index) == len(x.names)
    names = [x.names[i] for i in index]
    gone = {name for name in x.names if name not in names}
    gone |= {y for group in x.same if gone & set(group) for y in group}
    same = [own for group in x.same if (own := [y for y in group if y not in gone])]
    members = {
        name: {**m, "hidden": m["hidden"] or name in gone} for name, m in x.truth["members"].items()
    }
    nodes = Nodes({**x.truth, "members": members}, same)
    taken, pairs = (x.measured, x.pairs) if is_whole else of_part(x.measured, x.pairs, index)
    around, features = pair_features(taken, pairs)
    true = np.array([[u in nodes.parents[v] for v in names] for u in names])
    is_base = np.array([not members[v]["parents"] for v in names])
    return Case(x.family, is_whole, around, features, true, ~true.any(axis=0), is_base)


def fit(found: Sequence[Case]) -> tuple[list[dict[str, Any]], list[Posterior]]:
    """Both passes, and what the second says of each family without having seen it."""
    features = [c.features for c in found]
    passes = []
    said: list[Posterior] = []
    for _ in range(2):
        one, said = _pass(found, features)
        passes.append(one)
        features = [
            {**c.features, **second_look(c.around, x.edges, x.roots)}
            for c, x in zip(found, said, strict=True)
        ]
    return passes, said


def _pass(
    found: Sequence[Case], features: Sequence[Mapping[str, np.ndarray]]
) -> tuple[dict[str, Any], list[Posterior]]:
    fold = np.random.default_rng(0).permutation(max(c.family for c in found) + 1) % FOLDS
    fold_of = np.array([fold[c.family] for c in found])
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
    kept = {"pairs": _kept(pairs), "roots": _kept(roots), "powers": powers}
    return kept, [x for x in said if x is not None]


def _joined(
    found: Sequence[Case],
    odds: Sequence[tuple[np.ndarray, np.ndarray]],
    index: Sequence[int],
    powers: Powers,
) -> tuple[list[Case], list[Posterior]]:
    some = [found[i] for i in index]
    return some, [joined(c.around, odds[i], powers) for c, i in zip(some, index, strict=True)]


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
        models.append(_trees(x, y, names, n_trees))
    return models[0], models[1:]


def _trees(x: np.ndarray, y: np.ndarray, names: list[str], n: int) -> Boosted:
    model = lightgbm.train(SHAPE, lightgbm.Dataset(x, y.astype(int)), n)
    said: dict[str, list[Any]] = {key: [] for key in ("roots", *NODES, "leaves")}

    def add(node: Mapping[str, Any]) -> int:
        if "leaf_value" in node:
            said["leaves"].append(float(f"{node['leaf_value']:.5g}"))
            return -len(said["leaves"])
        at = len(said["feature"])
        said["feature"].append(node["split_feature"])
        said["threshold"].append(float(f"{node['threshold']:.7g}"))
        said["missing_left"].append(int(node["default_left"] or node["missing_type"] == "None"))
        said["left"].append(0)
        said["right"].append(0)
        said["left"][at] = add(node["left_child"])
        said["right"][at] = add(node["right_child"])
        return at

    for tree in model.dump_model()["tree_info"]:
        said["roots"].append(add(tree["tree_structure"]))
    return boosted({"names": names, **said})


NODES = ("feature", "threshold", "left", "right", "missing_left")


def _kept(x: Boosted) -> dict[str, Any]:
    found: dict[str, Any] = {"names": list(x.names)}
    for key in ("roots", *NODES, "leaves"):
        kind = float if key in ("threshold", "leaves") else int
        found[key] = np.asarray(getattr(x, key)).astype(kind).tolist()
    return found


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
    whole_ones = measured("fit")
    found = cases(whole_ones, PARTS)
    merged = fit_mixtures(whole_ones)
    passes, said = fit(found)
    whole = [i for i, c in enumerate(found) if c.is_whole]
    report("fit, families unseen", [found[i] for i in whole], [said[i] for i in whole])
    report("fit with parts, families unseen", found, said)
    _write(passes, 0.05, merged)
    others = measured("calibration")
    cal = cases(others, 0)
    said = [posterior.posterior(x.measured, x.pairs) for x in others]
    bound = least(cal, said)
    _write(passes, bound, merged)
    print(f"in a 95 % set from {bound:.4f}")
    if given.report:
        report("calibration", cal, said)


def _write(passes: Sequence[Mapping[str, Any]], bound: float, merged: Sequence[float]) -> None:
    kept = {"passes": passes, "least": round(bound, 5), "merged": merged}
    text = json.dumps(kept, separators=(",", ":"))
    path = Path(posterior.__file__).with_name(posterior.FITTED)
    path.write_bytes(lzma.compress(text.encode(), preset=9))
    posterior.fitted.cache_clear()


if __name__ == "__main__":
    main()
