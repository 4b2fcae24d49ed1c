"""What a command costs before it has anything to do: CPU seconds, user and system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.lib.tables import markdown

ROOT = Path(__file__).parents[2]
COMMANDS = (("--help",), ("--version",), ("show", "zoo/models/llama-a"), ("add", "--help"))
N_RUNS = 5
SCRIPT = "from weightkin.cli.main import main; main()"


def run() -> list[str]:
    """One row for each command: median and most of some runs."""
    rows = [
        (f"`weightkin {' '.join(c)}`", f"{median(t):.2f}", f"{max(t):.2f}")
        for c in COMMANDS
        if (t := [_cpu(c) for _ in range(N_RUNS)])
    ]
    return markdown(("command", "CPU seconds, median", f"most of {N_RUNS}"), rows)


def _cpu(arguments: tuple[str, ...]) -> float:
    before = os.times()
    subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, check=True, capture_output=True
    )
    after = os.times()
    return (
        after.children_user
        - before.children_user
        + (after.children_system - before.children_system)
    )


if __name__ == "__main__":
    print("\n".join(run()))
