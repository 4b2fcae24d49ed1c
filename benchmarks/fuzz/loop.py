"""Mutant after mutant until the time is up, in a process of its own.

    python -m benchmarks.fuzz.loop SECONDS [--seed TEXT] [--found FOLDER] [--keep]

Prints one line of JSON for each fault and one at the end. Inputs that break a command are copied to
``--found``; with ``--keep`` those that made a command say something new stay for later runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fuzz.cases import ROOT, Mutant, make
from benchmarks.fuzz.corpus import Corpus, copy, size
from benchmarks.fuzz.judge import Run, Watch, run

MEMORY = 3 << 30  # bytes of address space, beyond what the process begins with


@dataclass(slots=True)
class Total:
    """What a run came to."""

    mutants: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    outcomes: int = 0
    kept: int = 0
    slowest: float = 0.0  # seconds of processor time
    megabytes: float = 0.0
    faults: list[dict[str, Any]] = field(default_factory=list)


def fuzz(seconds: float, seed: str, found: Path | None = None, *, is_kept: bool = False) -> Total:
    """Spend a budget of time.

    Parameters
    ----------
    seconds : float
        By the clock.
    seed : str
        The same seed makes the same mutants.
    found : Path, optional
        A folder for inputs that break a command.
    is_kept : bool
        Write the corpus anew.

    Returns
    -------
    Total
        How many mutants of what there were, and the faults.
    """
    watch, total, end = Watch(), Total(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="fuzz") as place:
        for key in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HF_HOME"):
            os.environ[key] = f"{place}/{key}"
        os.environ["HF_HUB_OFFLINE"] = "1"
        corpus = Corpus(Path(place, "corpus"))
        while time.monotonic() < end:
            number = sum(total.mutants.values())
            folder = Path(place, str(number))
            mutant = make(folder, random.Random(f"{seed}/{number}"), corpus.inputs)
            ran = run(mutant, folder, watch)
            _add(total, mutant, ran)
            corpus.note(mutant, ran.outcome)
            if ran.faults:
                total.faults.append(_fault(mutant, ran, found))
                print(json.dumps(total.faults[-1]), flush=True)
            shutil.rmtree(folder)
        total.outcomes, total.kept = len(corpus.outcomes), corpus.n_kept
        if is_kept:
            corpus.save()
    return total


def _add(total: Total, mutant: Mutant, ran: Run) -> None:
    total.mutants[mutant.target] += 1
    total.codes[str(ran.code)] += 1
    total.slowest = round(max(total.slowest, ran.seconds), 1)
    total.megabytes = round(max(total.megabytes, ran.megabytes))


def _fault(mutant: Mutant, ran: Run, found: Path | None) -> dict[str, Any]:
    """What went wrong, and where the input is."""
    fault: dict[str, Any] = {
        "command": " ".join(mutant.command),
        "code": ran.code,
        "faults": ran.faults,
    }
    if found is not None and 0 < size(mutant.source) <= 1 << 22:
        name = f"{time.time_ns() // 1000}-{mutant.seed.rpartition('-')[2]}"
        fault["input"] = str(copy(mutant.source, found / mutant.target / name))
        Path(f"{fault['input']}.txt").write_text(f"{json.dumps(fault)}\n{ran.err[-4000:]}")
    return fault


def main() -> None:
    """Fuzz for some seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz.loop")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--found", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    import weightkin.cli.main  # noqa: F401 (before memory is bounded)

    os.chdir(ROOT)  # as records of the seeds name their models
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY,) * 2)
    total = fuzz(given.seconds, given.seed, given.found, is_kept=given.keep)
    print(json.dumps({name: getattr(total, name) for name in total.__slots__}))


if __name__ == "__main__":
    main()
