"""Boosted trees for the true forests of families, grown by lightgbm and read out as numbers.

One sum of trees gives the logarithm of the weight of every candidate pair, another that of every
member as a root. Both grow in turns down the slope of the log-probability of the true forests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np

from benchmarks.lib.forest_slopes import Rows, by_size, slopes
from weightkin.lineage.boosted import Boosted, boosted

SHAPE = {
    "objective": "none",
    "learning_rate": 0.06,
    "num_leaves": 31,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 50.0,
    "verbose": -1,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
}
NODES = ("feature", "threshold", "left", "right", "missing_left")


def grown(found: Sequence[Rows], names: Sequence[Sequence[str]], n: int) -> tuple[Boosted, Boosted]:
    """So many trees for pairs as for members, on features of these names (NaN where missing)."""
    groups = by_size(found)
    x = [np.concatenate([getattr(r, key) for r in found]) for key in ("pairs", "members")]
    models = [lightgbm.Booster(SHAPE, lightgbm.Dataset(y, np.zeros(len(y)))) for y in x]
    said = [np.zeros(len(y)) for y in x]
    for k in range(n):
        for i, way in enumerate(slopes(groups, *said)):
            models[i].update(fobj=lambda *_, way=way: way)
        for i, model in enumerate(models):
            said[i] += model.predict(x[i], start_iteration=k, num_iteration=1)
    first, second = (_read(m, own) for m, own in zip(models, names, strict=True))
    return first, second


def _read(model: lightgbm.Booster, names: Sequence[str]) -> Boosted:
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
    return boosted({"names": list(names), **said})


def as_numbers(x: Boosted) -> dict[str, Any]:
    """Trees as the numbers that `boosted` reads."""
    found: dict[str, Any] = {"names": list(x.names)}
    for key in ("roots", *NODES, "leaves"):
        kind = float if key in ("threshold", "leaves") else int
        found[key] = np.asarray(getattr(x, key)).astype(kind).tolist()
    return found
