"""Trees of 21 in the second paper's layout, recovered by our graph and by the paper's recipe."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from benchmarks.generate.larger_trees import (
    N_TREES,
    SPLITS,
    UNETS,
    Parents,
    Split,
    grow,
    grow_unet,
    layout,
)
from benchmarks.generate.minilm_copies import int8
from benchmarks.lib.growing import cache_folder, in_place
from benchmarks.lib.stored_alike import pruned
from benchmarks.lib.tables import markdown
from benchmarks.lib.tree_scores import (
    HEADER,
    Tally,
    failures,
    ours,
    score_graph,
    score_parents,
    shuffled,
    squares,
)
from weightkin.lineage.mother import DistanceName, Stage, mother

Array = npt.NDArray[np.float32]
Matrices = Sequence[Mapping[str, Array]]

SHARE = 0.3
LAMBDAS = (0.1, 0.3, 1.0)
MAX_LISTED = 8  # failures named for each setting
N_MISPLACED = 5  # draws of one model put into another tree


CHANGES: dict[str, Callable[[Array], npt.NDArray[np.generic]]] = {
    "30 % pruned": lambda x: pruned(x, SHARE),
    "bf16": lambda x: x.astype(ml_dtypes.bfloat16),
    "int8": int8,
}


def altered(models: Mapping[str, Path], how: str) -> dict[str, Path]:
    """Write every model once more, changed after training, beside its own folder."""
    word = how.replace(" % ", "-")
    return {
        name: in_place(
            path.parent / word / path.name,
            lambda d, p=path: _alter(p, d, how),  # type: ignore[misc]
        )
        for name, path in models.items()
    }


def trees(split: Split, folder: Path | None = None) -> tuple[dict[str, Path], Parents, list[int]]:
    """All models of a split, their parents, and the tree of each."""
    models: dict[str, Path] = {}
    truth: Parents = {}
    label: dict[str, int] = {}
    for tree in range(N_TREES):
        models |= grow(split, tree, folder)
        truth |= layout(tree)
        label |= dict.fromkeys(layout(tree), tree)
    models = shuffled(models)
    return models, truth, [label[name] for name in models]


def recipe(
    matrices: Matrices,
    known: int | Sequence[int],
    split: Split,
    *,
    lam: float = 0.3,
    distance: DistanceName | None = None,
) -> list[int]:
    """The second paper's parents, on the matrices that its released runs look at."""
    full = split == "full"
    found = mother(
        matrices,
        known,
        stage="specialisation",
        distance=distance or ("l_FT" if full else "l_LoRA"),
        lam=lam,
        within=("attention", "output.dense") if full else ("value", "value"),
    )
    return [int(u) for u in found]


def misplaced(labels: Sequence[int], names: Sequence[str], truth: Parents, seed: int) -> list[int]:
    """Labels with one model, no root, put into the next tree."""
    children = [i for i, name in enumerate(names) if truth[name] is not None]
    chosen = int(np.random.default_rng(seed).choice(children))
    return [(x + 1) % N_TREES if i == chosen else x for i, x in enumerate(labels)]


def split_rows(split: Split, folder: Path | None = None) -> tuple[list[tuple[str, ...]], list[str]]:
    """Both methods on one split, as grown and after each change; rows, and what failed."""
    grown, truth, labels = trees(split, folder)
    rows: list[tuple[str, ...]] = []
    told: list[str] = []
    for how in ("as trained", *CHANGES):
        models = grown if how == "as trained" else altered(grown, how)
        graph, key = ours(models)
        found = score_graph(graph, key, truth)
        rows.append((split, how, "weightkin", *found.cells, f"{graph.seconds:.0f}"))
        told += _listed(f"{split}, {how}", found)
        matrices = [squares(path) for path in models.values()]
        for name, known in (("mother, trees known", labels), ("mother, K = 5 known", N_TREES)):
            answer = score_parents(list(models), recipe(matrices, known, split), truth)
            rows.append((split, how, name, *answer.cells, ""))
    return rows, told


def sensitivity(split: Split, folder: Path | None = None) -> list[tuple[str, ...]]:
    """The recipe under other penalties, other distances and one wrong cluster."""
    models, truth, labels = trees(split, folder)
    names = list(models)
    matrices = [squares(path) for path in models.values()]
    rows: list[tuple[str, ...]] = []

    def right(known: int | Sequence[int], **how: object) -> int:
        return len(score_parents(names, recipe(matrices, known, split, **how), truth).right)  # type: ignore[arg-type]

    for lam in LAMBDAS:
        rows.append((split, f"lambda {lam:g}", str(right(labels, lam=lam))))
    for distance in ("l_FT written", "l2"):
        rows.append((split, f"distance {distance}", str(right(labels, distance=distance))))
    wrong = [right(misplaced(labels, names, truth, seed)) for seed in range(N_MISPLACED)]
    rows.append((split, "one model in a wrong tree", f"{min(wrong)} to {max(wrong)}"))
    return rows


def unet_rows(folder: Path | None = None) -> tuple[list[tuple[str, ...]], list[str]]:
    """Both methods on two families in the stage of generalisation."""
    rows: list[tuple[str, ...]] = []
    told: list[str] = []
    stages: tuple[Stage, Stage] = ("generalisation", "specialisation")
    for which, truth in UNETS.items():
        models = shuffled(grow_unet(which, folder))
        graph, key = ours(models)
        found = score_graph(graph, key, truth)
        rows.append((which, "weightkin", *found.cells))
        told += _listed(which, found)
        matrices = [squares(path) for path in models.values()]
        for stage in stages:
            parents = [int(u) for u in mother(matrices, stage=stage)]
            answer = score_parents(list(models), parents, truth)
            rows.append((which, f"mother, {stage}", *answer.cells))
    return rows, told


def run(folder: Path | None = None) -> list[str]:
    """Grow what is missing, score everything, return the tables."""
    rows: list[tuple[str, ...]] = []
    told: list[str] = []
    swept: list[tuple[str, ...]] = []
    for split in SPLITS:
        more, failed = split_rows(split, folder)
        rows += more
        told += failed
        swept += sensitivity(split, folder)
    unets, failed = unet_rows(folder)
    told += failed
    return [
        *markdown(("split", "models", "method", *HEADER, "seconds"), rows),
        "",
        "The recipe with known trees, directed edges right of 100:",
        "",
        *markdown(("split", "what", "right"), swept),
        "",
        *markdown(("U-Nets", "method", *HEADER), unets),
        *told,
    ]


def _listed(where: str, found: Tally) -> list[str]:
    lines = failures(found)
    if not lines:
        return []
    more = [f"- and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return ["", f"Not right, {where}:", "", *lines[:MAX_LISTED], *more]


def _alter(path: Path, folder: Path, how: str) -> None:
    change = CHANGES[how]
    file = next(path.glob("*.safetensors"))
    tensors = {
        name: change(x) if how == "bf16" or x.ndim == 2 else x
        for name, x in load_file(file).items()
    }
    save_file(tensors, folder / file.name)
    shutil.copy(path / "config.json", folder / "config.json")


if __name__ == "__main__":
    import sys

    print("\n".join(run(Path(sys.argv[1]) if sys.argv[1:] else cache_folder())))
