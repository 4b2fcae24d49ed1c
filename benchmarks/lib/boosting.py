"""Boosted trees, grown by lightgbm and read out as the numbers that the library evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np

from weightkin.lineage.boosted import Boosted, boosted

SHAPE = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 31,
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
NODES = ("feature", "threshold", "left", "right", "missing_left")


def grown(x: np.ndarray, y: np.ndarray, names: list[str], n: int) -> Boosted:
    """Trees for the log-odds of y from the columns of x: ``(m, n_names)``, NaN where missing."""
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


def as_numbers(x: Boosted) -> dict[str, Any]:
    """Trees as the numbers that `boosted` reads."""
    found: dict[str, Any] = {"names": list(x.names)}
    for key in ("roots", *NODES, "leaves"):
        kind = float if key in ("threshold", "leaves") else int
        found[key] = np.asarray(getattr(x, key)).astype(kind).tolist()
    return found
