"""A folder of 200 models of six architectures: which families are told apart, and how fast.

Families of the calibration half, whole, are written as folders with neutral names in random order;
`weightkin tree` is run on all of them with two workers and an empty cache.
`python -m benchmarks.claims.mixed [N]` prints it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from zoo.folders import Folder, write_folder
from zoo.genealogies.kept import KeptFamily

from benchmarks.generate.genealogy_answers import families
from benchmarks.lib.genealogy_nodes import lines
from benchmarks.lib.tables import markdown
from weightkin.records.family import FamilyGraph

HALF = "calibration"
N_MODELS = 200
N_WORKERS = 2
SEED = 20240607
SCRIPT = "from weightkin.cli.main import main; main()"
Member = tuple[int, str]  # seed of the family, name in it


@dataclass(frozen=True, slots=True)
class Run:
    """What the command printed, and what it took."""

    graph: FamilyGraph
    code: int
    seconds: float
    cpu_seconds: float
    peak: float  # MB, of the largest of its processes


def run(n: int = N_MODELS) -> list[str]:
    """Write the folder, run the command, compare its components with the truth."""
    chosen = choose(families(HALF), n)
    if not chosen:
        return [f"No family is here: `make genealogies HALF={HALF}` grows them."]
    with tempfile.TemporaryDirectory() as root:
        home = Path(root) / "models"
        key = write(chosen, home)
        done = tree(home, Path(root) / "cache")
    return lines_of(chosen, key, done)


def choose(found: Iterable[KeptFamily], n: int) -> list[KeptFamily]:
    """Whole families of together n models: first those that bring a new kind, then any that fit."""
    rest = list(found)
    order = np.random.default_rng(SEED).permutation(len(rest))
    rest = [rest[i] for i in order]
    chosen: list[KeptFamily] = []
    while True:
        have = {x for family in chosen for x in kinds(family)}
        left = n - sum(len(family.members) for family in chosen)
        fit = [family for family in rest if len(family.members) <= left]
        if not fit:
            return chosen
        best = max(fit, key=lambda family: len(kinds(family).keys() - have))
        chosen.append(best)
        rest.remove(best)


def kinds(family: KeptFamily) -> Counter[str]:
    """How many models that are there were made in each way; architecture, merges and decoys too."""
    made = [family.truth["members"][name] for name in family.members]
    operations = [x for m in made for x in m["operations"]]
    found = Counter(x.get("method", x["op"]) for x in operations)
    found.update(m["decoy"] for m in made if m["decoy"])
    return found + Counter({family.truth["net"]: len(made)})


def write(chosen: Iterable[KeptFamily], home: Path) -> dict[str, Member]:
    """A folder for each model; which name is whose."""
    every = [(family, name) for family in chosen for name in family.members]
    order = np.random.default_rng(SEED).permutation(len(every))
    key = {}
    for k, i in enumerate(order):
        family, name = every[i]
        kept = family.members[name]
        write_folder(Folder(config=kept.config, tensors=kept.tensors), home / f"model-{k:03d}")
        key[f"model-{k:03d}"] = (int(family.truth["seed"]), name)
    return key


def tree(home: Path, cache: Path) -> Run:
    """Run the command on a folder of models."""
    command = [sys.executable, "-c", SCRIPT, "tree", str(home), "--recursive", "--json"]
    out = home.with_suffix(".json")
    started = time.perf_counter()
    with out.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--workers", str(N_WORKERS)],
            stdout=stream,
            env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        graph=FamilyGraph.from_json(out.read_text(encoding="utf-8")),
        code=process.returncode,
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss / 1024,
    )


def true_families(chosen: Iterable[KeptFamily]) -> tuple[dict[Member, Member], set[Member]]:
    """The family of every model by its first member; and those that began as a twin of the base.

    A decoy and its children are a family of their own.
    """
    truth: dict[Member, Member] = {}
    twins = set()
    for family in chosen:
        seed, members = int(family.truth["seed"]), family.truth["members"]
        own = lines(members)
        truth |= {(seed, name): (seed, own[name]) for name in family.members}
        twins |= {(seed, x) for x, m in members.items() if m["decoy"] == "twin"}
    return truth, twins


def parts(graph: FamilyGraph, key: Mapping[str, Member]) -> list[set[Member]]:
    """Components that were found; duplicates are with the node that stands for them."""
    own = {n.id: [n.id, *(Path(x).name for x in n.duplicates)] for n in graph.nodes}
    return [
        {key[name] for node in component for name in own[node] if name in key}
        for component in graph.components
    ]


def lines_of(chosen: list[KeptFamily], key: Mapping[str, Member], done: Run) -> list[str]:
    """The text: what is in the folder, which families were found, what it took."""
    truth, twins = true_families(chosen)
    found = parts(done.graph, key)
    of_part = [{truth[x] for x in part} for part in found]
    base = {line: (line[0], "m00") if line in twins else line for line in truth.values()}
    n_with = sum(base[line] in own for own in of_part for line in own & twins)
    ends = [(key.get(e.parent), key.get(e.child)) for e in done.graph.edges]
    seen = [(truth[u], truth[v]) for u, v in ends if u is not None and v is not None]
    rows: list[tuple[str, object]] = [
        ("models", len(key)),
        ("random families", len(chosen)),
        ("architectures", len({family.truth["net"] for family in chosen})),
        ("components of several models", sum(len(part) > 1 for part in found)),
        ("models alone", sum(len(part) == 1 for part in found)),
        ("models apart from most of their family", _apart(chosen, truth, found)),
        ("components that join families", sum(len(own - twins) > 1 for own in of_part)),
        (
            "bases that are with another one from the same start",
            f"{n_with} of {len(twins & set(truth.values()))}",
        ),
        ("edges between families", sum(base[u] != base[v] for u, v in seen)),
        ("exit code", done.code),
        ("seconds", f"{done.seconds:.1f}"),
        ("CPU seconds", f"{done.cpu_seconds:.1f}"),
        ("MB at the peak, of the largest process", f"{done.peak:.0f}"),
    ]
    made = sum((kinds(family) for family in chosen), Counter[str]())
    text = ", ".join(f"{name} {n}" for name, n in sorted(made.items()))
    return [f"How the models were made, in all their steps: {text}.", "", *markdown(("", ""), rows)]


def _apart(
    chosen: Iterable[KeptFamily], truth: Mapping[Member, Member], found: Iterable[set[Member]]
) -> str:
    """How many models are not with most of their family, and by which steps they were made."""
    own: dict[Member, set[Member]] = {}
    for member, line in truth.items():
        own.setdefault(line, set()).add(member)
    apart = [x for group in own.values() for x in group - max((group & p for p in found), key=len)]
    members = {int(family.truth["seed"]): family.truth["members"] for family in chosen}
    steps = [" + ".join(x["op"] for x in members[seed][name]["operations"]) for seed, name in apart]
    return f"{len(steps)} ({'; '.join(sorted(steps))})" if steps else "0"


if __name__ == "__main__":
    print("\n".join(run(int(sys.argv[1]) if len(sys.argv) > 1 else N_MODELS)))
