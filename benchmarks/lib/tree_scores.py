"""Score a family against its truth, for our graph and for the second paper's recipe alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from weightkin import open_model
from weightkin.api.tree import family_graph
from weightkin.records.family import FamilyGraph

SEED = 20240607
Parents = Mapping[str, str | None]
Said = tuple[str, str, bool]  # parent, child, whether the direction is claimed


@dataclass(frozen=True, slots=True)
class Tally:
    """Every true edge is right, undetermined, wrong or missed; ``reversed_`` is part of wrong."""

    right: tuple[tuple[str, str], ...]
    undetermined: tuple[tuple[str, str], ...]  # the right two models, no direction claimed
    wrong: tuple[tuple[str, str, str], ...]  # child, what was said, what is true
    missed: tuple[tuple[str, str], ...]
    reversed_: int
    undirected: int  # true edges found, whatever their direction
    extra: tuple[tuple[str, str], ...]  # parents claimed for the true roots
    components: str

    @property
    def n_edges(self) -> int:
        """True edges."""
        return len(self.right) + len(self.undetermined) + len(self.wrong) + len(self.missed)

    @property
    def cells(self) -> tuple[str, ...]:
        """Right, undetermined, wrong (of these reversed), missed, undirected, components."""
        return (
            f"{len(self.right)} of {self.n_edges}",
            str(len(self.undetermined)),
            f"{len(self.wrong)} ({self.reversed_})",
            str(len(self.missed)),
            str(self.undirected),
            self.components,
        )


HEADER = ("right", "not claimed", "wrong (reversed)", "missed", "undirected right", "components")


def tally(truth: Parents, said: Iterable[Said], parts: Iterable[frozenset[str]]) -> Tally:
    """Compare edges with the truth; ``parts`` are the components that were found."""
    into: dict[str, dict[str, bool]] = defaultdict(dict)
    for above, below, is_claimed in said:
        into[below][above] = is_claimed
    right, undetermined, wrong, missed = [], [], [], []
    reversed_ = undirected = 0
    for child, parent in truth.items():
        if parent is None:
            continue
        forward, back = into[child].get(parent), into[parent].get(child)
        undirected += forward is not None or back is not None
        claimed = [u for u, is_claimed in into[child].items() if is_claimed]
        if forward:
            right.append((parent, child))
        elif forward is not None or back is False:
            undetermined.append((parent, child))
        elif back:
            reversed_ += 1
            wrong.append((child, f"parent of {parent}", parent))
        elif claimed:
            wrong.append((child, ", ".join(claimed), parent))
        else:
            missed.append((parent, child))
    roots = [child for child, parent in truth.items() if parent is None]
    wanted = {frozenset(part) for part in _parts(truth)}
    found = {part for part in parts if part}
    return Tally(
        tuple(right),
        tuple(undetermined),
        tuple(wrong),
        tuple(missed),
        reversed_,
        undirected,
        tuple((u, r) for r in roots for u, is_claimed in into[r].items() if is_claimed),
        f"{len(found & wanted)} of {len(wanted)}, {len(found)} found",
    )


def shuffled(models: Mapping[str, Path], seed: int = SEED) -> dict[str, Path]:
    """Give the models in random order, so that no order of names tells anything."""
    names = list(models)
    return {
        names[int(i)]: models[names[int(i)]]
        for i in np.random.default_rng(seed).permutation(len(names))
    }


def ours(models: Mapping[str, Path]) -> tuple[FamilyGraph, dict[str, str]]:
    """Our graph under neutral names, and the key to them."""
    key = {f"model-{k:03d}": name for k, name in enumerate(models)}
    opened = [replace(open_model(models[name]), name=neutral) for neutral, name in key.items()]
    return family_graph(opened), key


def score_graph(graph: FamilyGraph, key: Mapping[str, str], truth: Parents) -> Tally:
    """Compare a graph with the truth; unobserved ancestors are ``?`` and count as no claim."""
    said = [
        (key.get(e.parent, "?"), key[e.child], e.direction == "determined" and e.parent in key)
        for e in graph.edges
        if e.child in key
    ]
    parts = [frozenset(key[i] for i in part if i in key) for part in graph.components]
    return tally(truth, said, parts)


def score_parents(names: Sequence[str], parents: Sequence[int], truth: Parents) -> Tally:
    """Compare the second paper's answer, which claims every direction, with the truth."""
    said = [(names[int(u)], names[v], True) for v, u in enumerate(parents) if u >= 0]
    found = {name: None if u < 0 else names[int(u)] for name, u in zip(names, parents, strict=True)}
    return tally(truth, said, _parts(found))


def failures(found: Tally) -> list[str]:
    """One line for each edge that is not right."""
    told = [f"- wrong: {c}: said {said}, true {p}" for c, said, p in found.wrong]
    told += [f"- not claimed: {p} -> {c}" for p, c in found.undetermined]
    told += [f"- missed: {p} -> {c}" for p, c in found.missed]
    return told + [f"- a parent for a root: {p} -> {c}" for p, c in found.extra]


def squares(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Square matrices of a model, in float32."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                shape = file.get_slice(name).get_shape()
                if len(shape) == 2 and shape[0] == shape[1]:
                    found[name] = file.get_tensor(name).float().numpy()
    return found


def _parts(truth: Parents) -> list[frozenset[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for name in truth:
        root = name
        while (above := truth[root]) is not None:
            root = above
        groups[root].add(name)
    return [frozenset(group) for group in groups.values()]
