"""Families of diffusion models: their trees, all pairs against a second root, and what is where."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from benchmarks.generate.diffusion_copies import BLOCK_WEIGHTS, WEIGHT, block_weight
from benchmarks.generate.diffusion_families import BUILT, FAMILIES, grow, truth
from benchmarks.lib.tables import markdown
from benchmarks.lib.tree_scores import shuffled
from weightkin import compare, locate
from weightkin.api.tree import family_graph
from weightkin.records.family import FamilyGraph

Parents = Mapping[str, tuple[str, ...]]

APART = "root-2"  # unrelated to all others
TWINS = ("foreign", "published")  # one model under two publishers' names
MERGES = {"linear": WEIGHT, "by-block": None, "slerp": None}
NEAR = 0.05  # that weights of a merge may be off


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


def members(kind: str, folder: Path = BUILT, *, steps: tuple[int, int] = (300, 60)) -> dict[str, Path]:
    """The members of one family that a tree is made of: one of the twins, no adapter alone."""
    made = grow(kind, folder, steps=steps)
    return {name: path for name, path in made.items() if name not in (TWINS[0], "adapter")}


def wanted_of(names: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """The truth about those members; what was made from the missing twin hangs below its parent."""
    every = truth()
    return {
        name: every[TWINS[0]] if every[name] == (TWINS[0],) else every[name] for name in names
    }


def tree_of(models: Mapping[str, Path]) -> FamilyGraph:
    """The graph of a family in random order, under the names of its folders."""
    return family_graph(list(map(str, shuffled(models).values())))
