"""Families of diffusion models: their trees, all pairs against a second root, and what is where."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate.diffusion_copies import ARC, COPIES, WEIGHT, block_weight
from benchmarks.generate.diffusion_families import BUILT, FAMILIES, STEPS, grow, truth
from benchmarks.lib.tables import markdown
from benchmarks.lib.tree_scores import shuffled
from weightkin import compare, locate
from weightkin.api.tree import family_graph
from weightkin.records.family import FamilyGraph

Parents = Mapping[str, tuple[str, ...]]

APART = "root-2"  # unrelated to all others
TWINS = ("foreign", "published")  # one model under two publishers' names
HEADER = (
    *("family", "members right", "not claimed", "wrong", "missed", "parents of roots"),
    *("weights off: linear, by block, slerp", "dependent on the other root"),
    *("blocks located: in place, elsewhere, in the other root", "other names", "adapter"),
    "seconds of the tree",
)


@dataclass(frozen=True, slots=True)
class Scored:
    """Members with a parent in truth: what was said of each."""

    right: tuple[str, ...]
    undetermined: tuple[str, ...]
    wrong: tuple[tuple[str, str], ...]  # child, and what was said
    missed: tuple[str, ...]
    extra: tuple[str, ...]  # parents claimed for roots


def score(graph: FamilyGraph, wanted: Parents) -> Scored:
    """Compare the edges of a graph with the true parents of every member.

    Parameters
    ----------
    graph : FamilyGraph
        Its nodes have the names of the truth.
    wanted : mapping of str to tuple of str
        Parents; none for a root, two for a merge.

    Returns
    -------
    Scored
        A member is right where exactly its parents are claimed, undetermined where none but them
        is claimed, missed where nothing joins it to any of them.
    """
    into: dict[str, dict[str, bool]] = {name: {} for name in wanted}
    for edge in graph.edges:
        into[edge.child][edge.parent] = edge.direction == "determined"
    right, undetermined, missed = list[str](), list[str](), list[str]()
    wrong = list[tuple[str, str]]()
    for child, parents in wanted.items():
        claimed = {u for u, is_claimed in into[child].items() if is_claimed}
        below = [p for p in parents if into[p].get(child)]
        joined = [p for p in parents if p in into[child] or child in into[p]]
        if not parents:
            continue
        if below or claimed - set(parents):
            said = [*(f"parent of {p}" for p in below), *sorted(claimed - set(parents))]
            wrong.append((child, ", ".join(said)))
        elif claimed == set(parents):
            right.append(child)
        elif into[child] or joined:
            undetermined.append(child)
        else:
            missed.append(child)
    extra = [f"{u} -> {root}" for root, parents in wanted.items() if not parents
             for u, is_claimed in into[root].items() if is_claimed]  # fmt: skip
    return Scored(tuple(right), tuple(undetermined), tuple(wrong), tuple(missed), tuple(extra))


def members(kind: str, folder: Path = BUILT, *, steps: tuple[int, int] = STEPS) -> dict[str, Path]:
    """The members of one family that a tree is made of: one of the twins, no adapter alone."""
    made = grow(kind, folder, steps=steps)
    return {name: path for name, path in made.items() if name not in (TWINS[0], "adapter")}


def wanted_of(names: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """The truth about those members; what was made from the missing twin hangs below its parent."""
    every = truth()
    return {name: every[TWINS[0]] if every[name] == (TWINS[0],) else every[name] for name in names}


def tree_of(models: Mapping[str, Path]) -> FamilyGraph:
    """The graph of a family in random order, under the names of its folders."""
    return family_graph(list(map(str, shuffled(models).values())))


def against_apart(models: Mapping[str, Path]) -> tuple[int, int]:
    """How many members are found to depend on the second root, of how many."""
    others = [path for name, path in models.items() if name != APART]
    found = [compare(str(models[APART]), str(path), seed=0).verdict for path in others]
    return sum(verdict == "dependent" for verdict in found), len(found)


def weights_off(graph: FamilyGraph) -> dict[str, float]:
    """How far the weights of merges are off at most: of the linear one, and in any block."""
    off = {"linear": 1.0, "by-block": 1.0, "slerp": 1.0}  # where none is found
    share = {"linear": WEIGHT, "slerp": ARC}
    second = COPIES["linear"].parents[1]
    for edge in graph.edges:
        if edge.child not in off or edge.parent != second:
            continue
        if edge.child in share:
            off[edge.child] = abs(edge.weight - share[edge.child])
            continue
        order = sorted(
            (x for x in graph.edges if x.child == edge.child), key=lambda x: -abs(x.weight)
        )
        at = [x.parent for x in order].index(second)
        curve = edge.kind_details["curve"]
        off[edge.child] = max(
            abs(weights[at] - block_weight(f"{block}.")) for block, weights in curve.items()
        )
    return off


def located(models: Mapping[str, Path]) -> tuple[int, int, int]:
    """Blocks of a fine-tune found in place in its parent, elsewhere, and in the other root."""
    found = locate(str(models["tuned-a"]), str(models["root-1"])).monotone_map
    n_here = sum(a == b for a, b in found)
    apart = locate(str(models["tuned-a"]), str(models[APART])).monotone_map
    return n_here, len(found) - n_here, len(apart)


def run(folder: Path = BUILT, *, steps: tuple[int, int] = STEPS) -> list[str]:
    """Grow what is missing, ask everything of each family, return the tables."""
    rows, told = list[tuple[str, ...]](), list[str]()
    for kind in FAMILIES:
        models = members(kind, folder, steps=steps)
        wanted = wanted_of(models)
        graph = tree_of(models)
        found = score(graph, wanted)
        n = sum(map(bool, wanted.values()))
        off = weights_off(graph)
        n_false, n_apart = against_apart(models)
        here, elsewhere, there = located(models)
        twins = grow(kind, folder, steps=steps)
        same = compare(str(twins[TWINS[0]]), str(twins[TWINS[1]]))
        adapter = compare(f"{twins['root-1']}+{twins['adapter']}", str(twins["lora"]))
        rows.append((
            kind, f"{len(found.right)} of {n}", str(len(found.undetermined)),
            str(len(found.wrong)), str(len(found.missed)), str(len(found.extra)),
            ", ".join(f"{x:.3f}" for x in off.values()),
            f"{n_false} of {n_apart}", f"{here}, {elsewhere}, {there}",
            ", ".join(same.kind),
            ", ".join(adapter.kind), f"{graph.seconds:.0f}",
        ))  # fmt: skip
        told += [f"- {kind}, wrong: {child}: {said}" for child, said in found.wrong]
        told += [f"- {kind}, not claimed: {child}" for child in found.undetermined]
        told += [f"- {kind}, missed: {child}" for child in found.missed]
    return [*markdown(HEADER, rows), "", *told]


if __name__ == "__main__":
    sys.stdout.write("\n".join(run()) + "\n")
