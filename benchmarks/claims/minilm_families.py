"""Three families of ten grown from MiniLM: the graph, the recipe, and the evidence by edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.generate.minilm_trees import ROOT, STEPS_OF_ALL, families, grow
from benchmarks.lib.tables import markdown
from benchmarks.lib.tree_scores import (
    HEADER,
    Parents,
    failures,
    ours,
    score_graph,
    score_parents,
    shuffled,
    squares,
)
from weightkin import open_model
from weightkin.arrays import Doubles
from weightkin.derivation.clock import clock
from weightkin.derivation.shared import grams, shared_tensors, squared_distances
from weightkin.lineage.mother import kurtoses, mother
from weightkin.records.family import FamilyGraph
from weightkin.sketch import Sketch, take_sketch

CHANCES = ((0.8, 0.9), (0.9, 0.99), (0.99, 1.01))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one true edge shows. ``others`` is the most that any model outside its branch holds."""

    parent: str
    child: str
    trained: str
    held: float  # bulk of the parent's change from the root that the child holds; NaN: root
    others: float
    growth: float  # difference of the summed log norms, per matrix
    increment: float  # (|child|² - |parent|²) / |child - parent|², all matrices
    peaked: float  # change of the summed kurtosis
    clock: str
    nearer: int  # models that are nearer to the child than its parent is


def evidence(models: Mapping[str, Path], truth: Parents) -> list[Evidence]:
    """Read every true edge of one family from its sketches and square matrices."""
    names = list(truth)
    sketches = [take_sketch(open_model(models[name])) for name in names]
    tensors = [t for t in shared_tensors(sketches) if t.block >= 0]
    products = grams(tensors)
    log_norms = np.log(np.einsum("tii->ti", products)) / 2
    pooled = products.sum(axis=0)
    far = squared_distances(pooled)
    matrices = [squares(models[name]) for name in names]
    own = [name for name in matrices[0] if "output.dense" in name]
    scores = kurtoses(matrices, own)
    root = next(i for i, name in enumerate(names) if truth[name] is None)
    plan = {step.name: step for step in STEPS_OF_ALL}
    found = []
    for v, name in enumerate(names):
        parent = truth[name]
        if parent is None:
            continue
        u = names.index(parent)
        held, others = _held(pooled, truth, names, (root, u, v))
        step = plan[name]
        how = "LoRA" if step.rank else f"{step.lr:g}"
        found.append(
            Evidence(
                parent,
                name,
                f"{step.objective}, {how}, decay {step.decay:g}{', bf16' if step.bf16 else ''}",
                held,
                others,
                float((log_norms[:, v] - log_norms[:, u]).mean()),
                float((pooled[v, v] - pooled[u, u]) / max(far[u, v], 1e-30)),
                float(scores[v] - scores[u]),
                _clock(sketches[u], sketches[v]),
                int((np.delete(far[v], v) < far[u, v]).sum()),
            )
        )
    return found


def run(folder: Path | None = None) -> list[str]:
    """Grow what is missing, score every family and all together, show each edge."""
    _, models = grow(folder)
    truths = families()
    rows: list[tuple[str, ...]] = []
    told: list[str] = []
    shown: list[tuple[str, ...]] = []
    for family, truth in (*truths.items(), ("all", joined(truths))):
        chosen = shuffled({name: models[name] for name in truth})
        graph, key = ours(chosen)
        found = score_graph(graph, key, truth)
        rows.append((family, "weightkin", *found.cells, f"{graph.seconds:.0f}"))
        matrices = [squares(path) for path in chosen.values()]
        for distance in ("l_FT", "l_FT written", "l2"):
            parents = mother(
                matrices,
                distance=distance,
                within=("attention", "output.dense"),
            )
            answer = score_parents(list(chosen), [int(u) for u in parents], truth)
            rows.append((family, f"mother, {distance}", *answer.cells, ""))
        told += ["", f"Family {family}, weightkin:", "", *_claims(graph, key, truth)]
        told += failures(found)
        if family != "all":
            shown += [_row(e) for e in evidence(chosen, truth)]
    header = ("edge", "trained for, rate", "b", "b of others", "log norm", "s", "kurtosis", "clock")
    return [
        *markdown(("family", "method", *HEADER, "seconds"), rows),
        *told,
        "",
        "Every true edge (b: bulk of the parent's change that the child holds, beside the most",
        "that a model outside the parent's branch holds; s: growth of the squared norm over the",
        "squared distance; clock: factor of unused token rows, less one; nearer: models nearer to",
        "the child than its parent is):",
        "",
        *markdown((*header, "nearer"), shown),
    ]


def joined(truths: Mapping[str, Parents]) -> Parents:
    """All families as one: the roots of the later two came from MiniLM."""
    found: dict[str, str | None] = {}
    for truth in truths.values():
        found |= {
            child: parent or (ROOT if child != ROOT else None) for child, parent in truth.items()
        }
    return found


def _held(
    products: Doubles, truth: Parents, names: list[str], ends: tuple[int, int, int]
) -> tuple[float, float]:
    """Share of the change from the root to u that v holds, and the most that others hold."""
    root, u, v = ends
    if u == root:
        return float("nan"), float("nan")
    to_u = products[u] - products[root]  # inner products with the change
    shares = (to_u - to_u[root]) / (to_u[u] - to_u[root])
    outside = [i for i, name in enumerate(names) if names[u] not in _line(truth, name)]
    return float(shares[v]), float(max(shares[outside]))


def _line(truth: Parents, name: str) -> list[str]:
    """A model and its ancestors."""
    line = [name]
    while (above := truth[line[-1]]) is not None:
        line.append(above)
    return line


def _clock(parent: Sketch, child: Sketch) -> str:
    reading = clock(parent, child)
    return "-" if reading is None else f"{reading.c - 1:+.1e} ({reading.n_rows})"


def _claims(graph: FamilyGraph, key: Mapping[str, str], truth: Parents) -> list[str]:
    """How sure the claimed directions were, and whether they were right."""
    rows = []
    claimed = [e for e in graph.edges if e.direction == "determined" and e.child in key]
    for low, high in CHANCES:
        those = [e for e in claimed if low <= e.direction_probability < high]
        right = sum(truth[key[e.child]] == key.get(e.parent) for e in those)
        back = sum(truth.get(key.get(e.parent, ""), "") == key[e.child] for e in those)
        rows.append((f"{low:g} to {min(high, 1):g}", str(len(those)), str(right), str(back)))
    return [*markdown(("stated", "edges", "right", "reversed"), rows), ""]


def _row(e: Evidence) -> tuple[str, ...]:
    held = ("root", "") if np.isnan(e.held) else (f"{e.held:.2f}", f"{e.others:.2f}")
    return (
        f"{e.parent} -> {e.child}",
        e.trained,
        *held,
        f"{e.growth:+.1e}",
        f"{e.increment:+.2f}",
        f"{e.peaked:+.4f}",
        e.clock,
        str(e.nearer),
    )


if __name__ == "__main__":
    import sys

    print("\n".join(run(Path(sys.argv[1]) if sys.argv[1:] else None)))
