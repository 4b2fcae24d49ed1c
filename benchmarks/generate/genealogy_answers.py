"""Lay out random families with the library that is imported, and keep what it says of them.

    python -m benchmarks.generate.genealogy_answers test --label now
    python -m benchmarks.generate.genealogy_answers test --label mother --method mother
    python -m benchmarks.generate.genealogy_answers test --label 0.1.0  with another library
    python -m benchmarks.generate.genealogy_answers test --label "spanning tree" --method spanning
    python -m benchmarks.generate.genealogy_answers keep                   all labels into one file

Families are those of `zoo.genealogies`, under neutral names in random order. Each answer is written
as soon as it is there, so that a run that was stopped goes on where it was. The kept file holds all
that the scores need: the truth follows from the seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from zoo.genealogies.kept import SUFFIX, KeptFamily, decode, read_half

import weightkin
from benchmarks.lib.spanning_tree import spanning_edges
from weightkin import family_graph
from weightkin.formats import model_from_arrays

BUILD = Path(__file__).parents[2] / "build" / "genealogies"
KEPT = Path(__file__).with_name("genealogies.json.xz")
HALVES = ("calibration", "test", "third-test")
METHODS = ("weightkin", "mother", "spanning")
Answer = dict[str, Any]
Answers = dict[str, dict[str, list[Answer]]]  # of a label, of a half


def families(half: str) -> Iterator[KeptFamily]:
    """Families of a half that are on this machine: grown here, or from the archive."""
    for path in (BUILD / half, BUILD / f"{half}.tar"):
        if path.exists():
            yield from read_half(path)
            return


def lay_out(family: KeptFamily, method: str = "weightkin") -> Answer:
    """What a method says of one family."""
    started = time.process_time()
    edges = _spanning(family) if method == "spanning" else _by_library(family, method)
    return {
        "seed": family.truth["seed"],
        "code": library(),
        "same": same_values(family),
        "edges": edges,
        "seconds": round(time.process_time() - started, 2),
    }


def _spanning(family: KeptFamily) -> list[list[Any]]:
    return [[u, v, "unknown", True, 1.0, 1.0, None] for u, v in spanning_edges(family)]


def _by_library(family: KeptFamily, method: str) -> list[list[Any]]:
    names = list(family.members)
    order = np.random.default_rng(family.truth["seed"]).permutation(len(names))
    key = {f"x{k:02d}": names[int(i)] for k, i in enumerate(order)}
    models = [
        model_from_arrays(
            family.members[name].tensors, name=neutral, config=family.members[name].config
        )
        for neutral, name in key.items()
    ]
    graph = family_graph(models, method=method)  # type: ignore[arg-type]
    return [
        [
            key.get(e.parent, e.parent),
            key.get(e.child, e.child),
            e.kind,
            e.direction == "determined",
            round(e.direction_probability, 4),
            round(e.support, 4),
            None if e.runner_up is None else round(e.runner_up.behind, 3),
            *_possible(e, key),
        ]
        for e in graph.edges
    ]


def _possible(edge: Any, key: Mapping[str, str]) -> list[Any]:
    """The probability of the parent, and the set of possible ones; older libraries have none."""
    probability = getattr(edge, "parent_probability", None)
    if probability is None:
        return []
    parents = [[key.get(x.parent, x.parent), round(x.probability, 6)] for x in edge.parents or ()]
    return [round(probability, 6), parents or None]


@cache
def library() -> str:
    """Which library answered: a hash of its code and of the weights of parents."""
    total = hashlib.sha256()
    root = Path(weightkin.__file__).parent
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.json.xz")]):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()[:12]


def same_values(family: KeptFamily) -> list[list[str]]:
    """Groups of members that hold the same values, under whatever names and in any dtype."""
    groups: dict[str, list[str]] = {}
    for name, kept in family.members.items():
        parts = sorted(
            hashlib.sha256(str(x.shape).encode() + x.astype(np.float32).tobytes()).hexdigest()
            for x in kept.tensors.values()
        )
        groups.setdefault(" ".join(parts), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def answer_all(half: str, label: str, method: str = "weightkin") -> None:
    """Lay out every family of a half that this library has not answered under this label yet."""
    folder = _folder(label, half)
    folder.mkdir(parents=True, exist_ok=True)
    for family in _unanswered(half, folder):
        path = folder / f"{family.truth['seed']}.json"
        answer = lay_out(family, method)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(answer), encoding="utf-8")
        draft.replace(path)
        print(f"{label} {half} {path.stem}: {answer['seconds']} s", flush=True)


def _unanswered(half: str, folder: Path) -> Iterator[KeptFamily]:
    grown = BUILD / half
    if grown.exists():  # perhaps still growing
        for file in sorted(grown.glob(f"*{SUFFIX}")):
            if not _is_answered(folder / f"{file.stem}.json"):
                yield decode(file.read_bytes())
        return
    for family in families(half):
        if not _is_answered(folder / f"{family.truth['seed']}.json"):
            yield family


def _is_answered(path: Path) -> bool:
    return path.exists() and json.loads(path.read_text(encoding="utf-8"))["code"] == library()


def _folder(label: str, half: str) -> Path:
    return BUILD / "answers" / label / half


def answers_of(label: str, half: str) -> list[Answer]:
    """Answers of this machine, else those that were kept; by seed."""
    files = sorted(_folder(label, half).glob("*.json"))
    if files:
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return _kept().get(label, {}).get(half, [])


def _kept() -> Answers:
    return json.loads(lzma.decompress(KEPT.read_bytes())) if KEPT.exists() else {}


def keep() -> None:
    """Write the answers of all labels into the file that is committed."""
    labels = {p.parent.name for p in (BUILD / "answers").glob("*/*") if p.is_dir()} | set(_kept())
    found: Answers = {
        label: {half: a for half in HALVES if (a := answers_of(label, half))}
        for label in sorted(labels)
    }
    text = json.dumps(found, separators=(",", ":"))
    KEPT.write_bytes(lzma.compress(text.encode(), preset=9))


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate.genealogy_answers")
    parser.add_argument("half", choices=(*HALVES, "keep"))
    parser.add_argument("--label", default="now")
    parser.add_argument("--method", default="weightkin", choices=METHODS)
    given = parser.parse_args()
    if given.half == "keep":
        keep()
        return
    print(f"weightkin {weightkin.__version__} of {Path(weightkin.__file__).parent}")
    answer_all(given.half, given.label, given.method)


if __name__ == "__main__":
    main()
