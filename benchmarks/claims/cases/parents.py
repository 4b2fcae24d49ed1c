"""Families of the zoo's models and of what can be derived from them: who is stated as a parent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from zoo.truth import ROOT

from benchmarks.claims.cases import Answer, Case
from weightkin import Registry, compare, family_graph
from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.registry import Step

TITLE = "Parents"
Arrays = dict[str, npt.NDArray[Any]]
Edge = FamilyEdge | Step
TABLES = ("embed_tokens.weight", "lm_head.weight")
MOST_NEAR = 16  # more than are looked at where only the nearest are


def _zoo(name: str) -> Arrays:
    return load_file(ROOT / "models" / name / "model.safetensors")


def _write(folder: Path, arrays: Arrays, like: str) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "models" / like / "config.json", folder)
    save_file({k: np.ascontiguousarray(x) for k, x in arrays.items()},
              folder / "model.safetensors")  # fmt: skip
    return folder


def _family(folder: Path, made: Mapping[str, Arrays], *names: str) -> FamilyGraph:
    """The graph of some derived models, and of some of the zoo."""
    like = names[0]
    return family_graph(
        [
            *(_write(folder / name, arrays, like) for name, arrays in made.items()),
            *(ROOT / "models" / name for name in names),
        ]
    )


def _moved(start: Arrays, *, later: str, earlier: str) -> Arrays:
    """What training made of one model, done to another start."""
    new, old = _zoo(later), _zoo(earlier)
    return {k: (x + (new[k] - old[k])).astype(np.float32) for k, x in start.items()}


def _pruned(arrays: Arrays) -> Arrays:
    return {
        k: np.where(np.abs(x) > np.median(np.abs(x)), x, np.float32(0)) if "_proj" in k else x
        for k, x in arrays.items()
    }


def _quantised(arrays: Arrays) -> Arrays:
    out = dict(arrays)
    for k, x in arrays.items():
        if "_proj" in k:
            step = np.abs(x).max(axis=1, keepdims=True) / 127
            out[k] = (np.rint(x / step) * step).astype(np.float32)
    return out


def _rounded(arrays: Arrays) -> Arrays:
    return {k: x.astype(ml_dtypes.bfloat16).astype(np.float32) for k, x in arrays.items()}


def _trimmed(arrays: Arrays, n: int) -> Arrays:
    return {k: x[:n] if k.endswith(TABLES) else x for k, x in arrays.items()}


def _permuted(arrays: Arrays, seed: int) -> Arrays:
    """The MLP units and the residual stream in another order."""
    rng, out = np.random.default_rng(seed), dict(arrays)
    width = rng.permutation(96)
    for k, x in arrays.items():
        is_row = "norm" in k or "o_proj" in k or "down_proj" in k
        out[k] = x[width] if is_row else x[:, width]
    for block in range(6):
        at, units = f"model.layers.{block}.mlp", rng.permutation(256)
        for part in ("gate", "up"):
            out[f"{at}.{part}_proj.weight"] = out[f"{at}.{part}_proj.weight"][units]
        out[f"{at}.down_proj.weight"] = out[f"{at}.down_proj.weight"][:, units]
    return out


def _told(edges: list[Edge]) -> str:
    """Edges in few words: an arrow where the direction is stated."""
    said = [
        f"{e.parent} {'->' if e.direction == 'determined' else '--'} {e.child}"
        f" ({e.parent_probability or e.direction_probability:.2f})"
        for e in edges
    ]
    return ", ".join(sorted(said)) or "no edge"


def _of(graph: FamilyGraph, *names: str) -> list[Edge]:
    return [e for e in graph.edges if set(names) & {e.parent, e.child}]


def _stated(edges: list[Edge]) -> set[tuple[str, str]]:
    return {(e.parent, e.child) for e in edges if e.direction == "determined"}


def _bare(folder: Path) -> Answer:
    bare = {k.removeprefix("model."): x for k, x in _zoo("llama-a").items()}
    graph = _family(folder, {"bare": bare}, "llama-a-ft1", "llama-a-ft1b")
    edges = _of(graph, "bare")
    is_joined = len(graph.families) == 1 and not {v for _, v in _stated(edges)} & {"bare"}
    return Answer(is_joined, _told(edges))


def _same(folder: Path) -> Answer:
    wrapped = {f"module.{k}": x for k, x in _zoo("llama-a").items()}
    graph = _family(folder, {"wrapped": wrapped}, "llama-a", "llama-a-ft1")
    node = next((n for n in graph.nodes if n.duplicates), None)
    said = f"one model: {node.id} = {', '.join(node.duplicates)}" if node else ""
    return Answer(bool(said) and len(graph.edges) == 1, said or _told(_of(graph, "wrapped")))


def _trim(folder: Path) -> Answer:
    trimmed = _trimmed(_zoo("llama-a"), 488)
    graph = _family(folder, {"trimmed": trimmed}, "llama-a", "llama-a-ft1", "llama-a-ft1b")
    edges = _of(graph, "trimmed")
    return Answer(bool(edges) and not _stated(edges), _told(edges))


def _permute(folder: Path) -> Answer:
    both = {f"permuted-{k}": _permuted(_zoo("llama-a"), k) for k in (1, 2)}
    graph = _family(folder, both, "llama-a", "llama-a-ft1")
    edges = _of(graph, *both)
    return Answer(len(edges) == 2 and not _stated(edges), _told(edges))


def _below(lossy: Callable[[Arrays], Arrays]) -> Callable[[Path], Answer]:
    def run(folder: Path) -> Answer:
        copy = lossy(_zoo("llama-a"))
        tuned = _moved(copy, later="llama-a-ft1", earlier="llama-a")
        made = {"lossy": copy, "tuned": tuned}
        graph = _family(folder, made, "llama-a", "llama-a-ft1b", "llama-a-ft3")
        edges = [e for e in graph.edges if e.child == "tuned"]
        return Answer({(e.parent, e.child) for e in edges} == {("lossy", "tuned")}, _told(edges))

    return run


def _new_layer(folder: Path) -> Answer:
    new, other = _zoo("llama-a"), _zoo("llama-c")
    new |= {k: x for k, x in other.items() if ".layers.2." in k}
    names = ("llama-a-ft1", "llama-a-ft1b", "llama-a-long", "llama-a-ft3")
    graph = _family(folder, {"new-layer": new}, *names)
    below = {v for u, v in _stated(list(graph.edges)) if u == "new-layer"}
    return Answer(not below, _told(_of(graph, "new-layer")))


def _layers(folder: Path) -> Answer:
    first = {k: x for k, x in _zoo("llama-a").items() if ".layers.5." not in k}
    path = _write(folder / "five", first, "llama-a")
    config = json.loads((path / "config.json").read_text()) | {"num_hidden_layers": 5}
    (path / "config.json").write_text(json.dumps(config))
    found = compare(path, ROOT / "models" / "llama-a")
    said = f"{', '.join(found.kind)}: {found.direction.parent} ({found.direction.probability:.2f})"
    return Answer(found.direction.parent == "undetermined", said)


def _traced(folder: Path) -> Answer:
    """A model with many near descendants: its own parent is not among its nearest relatives."""
    rng = np.random.default_rng(0)
    middle, root, other = _zoo("vit-a-ft1"), _zoo("vit-a"), _zoo("vit-a-long")
    sources = [ROOT / "models" / "vit-a", ROOT / "models" / "vit-a-ft1"]
    for k in range(MOST_NEAR):
        near = {
            name: x + np.float32(0.1) * rng.permutation(other[name] - root[name])
            for name, x in middle.items()
        }
        sources.append(_write(folder / f"near-{k}", near, "vit-a"))
    registry = Registry(folder / "r.sqlite")
    registry.add(sources)
    found = registry.trace("vit-a-ft1").search
    wanted = _of(family_graph(sources), "vit-a-ft1")
    said: list[Edge] = [*found.parents, *found.children]
    is_same = sorted(_told([e]) for e in said) == sorted(_told([e]) for e in wanted)
    n = len(_stated(said))
    return Answer(is_same, f"{_told(list(found.parents))} above; {n} of {len(said)} edges stated")


CASES = (
    Case(
        "a base stored without its prefix, and two fine-tunes",
        "parent of both, or open",
        "llama-a-ft1 -> bare (0.95)",
        _bare,
    ),
    Case("a base and its copy in a wrapper", "one model", "llama-a -> wrapped (0.95)", _same),
    Case(
        "a base, its copy with fewer token rows, two fine-tunes",
        "open",
        "trimmed -> llama-a (0.99), and parent of both fine-tunes",
        _trim,
    ),
    Case("a base and two permuted copies", "tied", "llama-a -> both (0.95)", _permute),
    Case(
        "a fine-tune of a pruned model",
        "below the pruned one",
        "llama-a -> tuned (0.99)",
        _below(_pruned),
    ),
    Case(
        "a fine-tune of an int8 model",
        "below the int8 one",
        "llama-a -> tuned (1.00)",
        _below(_quantised),
    ),
    Case(
        "a fine-tune of a bf16 model",
        "below the bf16 one",
        "llama-a -> tuned (1.00)",
        _below(_rounded),
    ),
    Case(
        "one layer begun anew, and four relatives",
        "parent of none",
        "parent of two (1.00)",
        _new_layer,
    ),
    Case(
        "all layers but the last",
        "cut or added: open",
        "the shorter one is the child (0.99)",
        _layers,
    ),
    Case(
        "trace of a model with 16 near descendants",
        "as tree says",
        "14 of 14 edges stated, 2 and its own parent missing",
        _traced,
    ),
)
