"""Run every claim in full and rewrite `docs/results.md`: half an hour on two cores."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    family,
    hiding,
    kinds,
    larger,
    localisation,
    merges,
    minilm,
    minilm_families,
    paper,
    speed,
    validity,
    views,
    zoo_laws,
    zoo_pairs,
)

SEED = 20240607
OUT = Path(__file__).parents[1] / "docs" / "results.md"


def main() -> None:
    """Run all sections, or those named on the command line (then only printed)."""
    workers = os.cpu_count() or 1
    sections: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "zoo": (
            "All pairs of the zoo",
            lambda: zoo_pairs.lines(zoo_pairs.all_pairs(workers=workers)),
        ),
        "laws": ("The law of coincidences on trained strangers", zoo_laws.run),
        "validity": (
            "Simulated null pairs",
            lambda: validity.lines(validity.simulate(250, SEED, workers=workers)),
        ),
        "hiding": (
            "Evasions and framing",
            lambda: hiding.lines(hiding.all_hidden(workers=workers)),
        ),
        "paper": ("The first paper's experiments at our scale", paper.run),
        "localisation": ("Localisation at the 7B shape", localisation.run),
        "views": ("Invariant views of one block at the 7B shape", views.run),
        "family": ("The family graph of the zoo", family.run),
        "kinds": ("Kinds and directions", kinds.run),
        "merges": ("Mixtures of the zoo", merges.run),
        "minilm": ("Real pretrained weights", minilm.run),
        "larger": ("Trees of 21 in the second paper's layout", larger.run),
        "families of MiniLM": ("Families of MiniLM", minilm_families.run),
        "speed": ("Speed at the 1.1B shape", speed.run),
    }
    chosen = sys.argv[1:] or list(sections)
    parts: list[str] = []
    for key in chosen:
        title, run = sections[key]
        started = time.perf_counter()
        parts += ["", f"## {title}", "", *run()]
        print(f"{key}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        if not sys.argv[1:]:  # a run that is stopped keeps what it has
            OUT.write_text("\n".join([*_header(), *parts, ""]), encoding="utf-8")
    if sys.argv[1:]:
        print("\n".join(parts))


def _header() -> list[str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return [
        "# Results",
        "",
        "Written by `make results`; every number below is recomputed by it.",
        f"Date {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}, seed {SEED}, Python"
        f" {platform.python_version()}, {os.cpu_count()} cores. alpha is 1e-6 by default.",
    ]


if __name__ == "__main__":
    main()
