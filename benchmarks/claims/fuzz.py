"""An hour of mutants of every kind of file that is read: no traceback, no silence, bounded cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.fuzz.cases import ROOT, seeds
from benchmarks.fuzz.judge import MEGABYTES, SECONDS

HOUR = 3600  # seconds


def run(seconds: float = HOUR) -> list[str]:
    """Fuzz, and say what came out; inputs that break a command stay in the folder that is named."""
    found = Path(tempfile.mkdtemp(prefix="found"))
    command = [sys.executable, "-m", "benchmarks.fuzz.loop", str(seconds)]
    command += ["--seed", str(time.time_ns()), "--found", str(found), "--keep"]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environ, cwd=ROOT, check=False)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    total = json.loads(lines[-1]) if not done.returncode else {}
    return table(total, found) if total else [f"**The run died with code {done.returncode}.**"]


def table(total: dict[str, dict[str, int]], found: Path) -> list[str]:
    """The section of the results.

    Parameters
    ----------
    total : dict
        What `benchmarks.fuzz.loop` printed last.
    found : Path
        Where inputs that broke a command lie.

    Returns
    -------
    list of str
        Lines of Markdown.
    """
    n, faults = sum(total["mutants"].values()), len(total["faults"])
    codes = ", ".join(f"{code}: {k:,}" for code, k in sorted(total["codes"].items()))
    given = {target: len(inputs) for target, inputs in seeds().items()}
    lines = [
        f"{n:,} mutants, {faults} faults. Each was read by a command; a fault is a traceback, more"
        " than one line for a refusal, exit code 0 of a model that was read in part or cut short, a"
        " control character in any output, a file opened outside the folder of the mutant, a"
        f" process or a connection started, over {SECONDS} s of processor time or {MEGABYTES} MB.",
        "",
        f"Exit codes: {codes}. Different outcomes: {total['outcomes']:,}; inputs kept for later"
        f" runs: {total['kept']}. The slowest took {total['slowest']} s, the largest"
        f" {total['megabytes']} MB.",
        "",
        "| kind of input | seeds | mutants |",
        "|---|---:|---:|",
        *(f"| {kind} | {given[kind]} | {k:,} |" for kind, k in sorted(total["mutants"].items())),
    ]
    return [*lines, "", f"**Inputs that break a command: {found}**"] if faults else lines
