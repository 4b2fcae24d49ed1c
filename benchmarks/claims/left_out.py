"""Models of random families left out in turn: a registry and `tree` of all name the same parent.

    python -m benchmarks.claims.left_out                     200 models of the test half
    python -m benchmarks.claims.left_out calibration 20      fewer, of another half

Only agreement is computed; no truth is looked at. The other members of a family are registered, the
model that was left out is traced, and its edges are compared with those of `tree` of all members.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from zoo.genealogies.kept import KeptFamily

from benchmarks.generate.genealogy_answers import families
from benchmarks.lib.tables import markdown
from weightkin import Registry, family_graph, write_sketch
from weightkin.formats import Model, model_from_arrays
from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.records.family import FamilyGraph
from weightkin.registry.prepared import prepare

N_LEFT_OUT = 200
SEED = 13
OUTCOMES = ("same", "one undetermined", "both undetermined", "different")


@dataclass(frozen=True, slots=True)
class Placed:
    """The parents that were named for a model, and whether these edges are determined."""

    parents: frozenset[str]  # names of members; "" for one that is not there
    is_sure: bool


def run() -> list[str]:
    """The table for the test half."""
    return lines("test", N_LEFT_OUT)


def lines(half: str, n: int) -> list[str]:
    """How often both name the same parents, and the models for which they do not."""
    kept = list(families(half))
    if not kept:
        return [f"No family is at hand: `make genealogies HALF={half}` grows them."]
    chosen = drawn([(k, name) for k, x in enumerate(kept) for name in x.members], n)
    counts: Counter[str] = Counter()
    different = []
    for k, names in chosen.items():
        models = models_of(kept[k])
        graph = family_graph(list(models.values()))
        for name in names:
            known, found = in_graph(graph, name), traced(models, name, first_of(graph))
            outcome = compared(known, found)
            counts[outcome] += 1
            if outcome == "different":
                seed = kept[k].truth["seed"]
                different.append(f"{seed} {name}: {sorted(known.parents)}, {sorted(found.parents)}")
    total = sum(counts.values())
    rows = [(x, counts[x], f"{100 * counts[x] / max(1, total):.1f} %") for x in OUTCOMES]
    title = f"{total} models of the {half} half, each left out of its family in turn (seed {SEED})"
    header = ("parents named by `trace` and by `tree`", "models", "")
    return [title, "", *markdown(header, rows), "", *(f"different: {x}" for x in different)]


def drawn(members: list[tuple[int, str]], n: int) -> Mapping[int, list[str]]:
    """Members drawn at random, by their families."""
    rng = np.random.default_rng(SEED)
    found: dict[int, list[str]] = {}
    for i in sorted(rng.permutation(len(members))[:n].tolist()):
        found.setdefault(members[i][0], []).append(members[i][1])
    return found


def models_of(family: KeptFamily) -> dict[str, Model]:
    """Members under neutral names, in an order drawn by the seed of the family."""
    names = list(family.members)
    order = np.random.default_rng(family.truth["seed"]).permutation(len(names)).tolist()
    return {
        names[i]: model_from_arrays(
            family.members[names[i]].tensors, name=names[i], config=family.members[names[i]].config
        )
        for i in order
    }


def first_of(graph: FamilyGraph) -> dict[str, str]:
    """Members by name, each as the first of those with its values."""
    return {x: node.id for node in graph.nodes for x in (node.id, *node.duplicates)}


def in_graph(graph: FamilyGraph, name: str) -> Placed:
    """What a graph of all says of one; members of equal values are one node."""
    into = graph.parents_of(first_of(graph).get(name, name))
    seen = {node.id for node in graph.nodes if node.observed}
    return _placed((e.parent if e.parent in seen else "", e.direction) for e in into)


def traced(models: Mapping[str, Model], name: str, first: Mapping[str, str]) -> Placed:
    """What a registry of all others says of one."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for other, model in models.items():
            if other != name:
                file = Path(folder) / f"{other}{SKETCH_SUFFIX}"
                write_sketch(prepare(model).sketch, file)
                files.append(file)
        registry = Registry(Path(folder) / "r.sqlite")
        registry.add(files)
        found = registry.trace(models[name]).search
    named = (first.get(x.parent, x.parent) if x.parent_id else "" for x in found.parents)
    return _placed(zip(named, (x.direction for x in found.parents), strict=True))


def compared(known: Placed, found: Placed) -> str:
    """Whether the two agree, or one of them says nothing."""
    if known.is_sure and found.is_sure:
        return "same" if known.parents == found.parents else "different"
    return "one undetermined" if known.is_sure or found.is_sure else "both undetermined"


def _placed(edges: Iterator[tuple[str, str]]) -> Placed:
    found = list(edges)
    is_sure = bool(found) and all(direction == "determined" for _, direction in found)
    return Placed(frozenset(parent for parent, _ in found), is_sure)


if __name__ == "__main__":
    half, n = (*sys.argv[1:], *("test", N_LEFT_OUT)[len(sys.argv) - 1 :])
    print("\n".join(lines(str(half), int(n))))
