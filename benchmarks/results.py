"""Run every claim in full and rewrite `docs/results.md`: more than an hour on two cores.

Sections named on the command line are run alone and put in their places. Each says when and on
which commit it ran, since one section may be younger than the others.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    cases,
    cluster,
    family,
    formats,
    hiding,
    kinds,
    larger,
    localisation,
    merges,
    minilm,
    minilm_families,
    pages,
    paper,
    registry,
    remote,
    scale,
    speed,
    start,
    validity,
    views,
    zoo_laws,
    zoo_pairs,
)

SEED = 20240607
HEADER = (
    "# Results",
    "",
    "Written by `make results`; every number below is recomputed by it, section by section.",
    f"Seed {SEED}, Python {platform.python_version()}, {os.cpu_count()} cores, alpha 1e-6.",
)
OUT = Path(__file__).parents[1] / "docs" / "results.md"


def main() -> None:
    """Run all sections, or those named on the command line, each written as soon as it is done."""
    workers = os.cpu_count() or 1
    sections: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "zoo": (
            "All pairs of the zoo",
            lambda: zoo_pairs.lines(zoo_pairs.all_pairs(workers=workers)),
        ),
        "laws": ("The law of coincidences on trained strangers", zoo_laws.run),
        "validity": (
            "Simulated null pairs",
            lambda: validity.lines(
                [
                    *validity.simulate(250, SEED, workers=workers),
                    *validity.simulate_copied(1000, SEED, workers=workers),
                ]
            ),
        ),
        "cases": ("Inputs on which 0.1.0 was wrong", cases.run),
        "hiding": (
            "Evasions and framing",
            lambda: hiding.lines(hiding.all_hidden(workers=workers)),
        ),
        "innocents": (
            "Innocents after a rewrite",
            lambda: hiding.run_innocents(workers=workers),
        ),
        "paper": ("The first paper's experiments at our scale", paper.run),
        "localisation": ("Localisation at the 7B shape", localisation.run),
        "views": ("Invariant views of one block at the 7B shape", views.run),
        "family": ("The family graph of the zoo", family.run),
        "registry": ("The registry", registry.run),
        "kinds": ("Kinds and directions", kinds.run),
        "formats": ("One model in every format", formats.run),
        "merges": ("Mixtures of the zoo", merges.run),
        "minilm": ("Real pretrained weights", minilm.run),
        "larger": ("Trees of 21 in the second paper's layout", larger.run),
        "families of MiniLM": ("Families of MiniLM", minilm_families.run),
        "scale": ("Many models", scale.run),
        "cluster": ("One tree on several workers", cluster.run),
        "remote": ("Models on a hub", remote.run),
        "start": ("Start-up", start.run),
        "pages": ("A large family in a browser", pages.run),
        "speed": ("Speed at the 1.1B shape", speed.run),
    }
    for key in sys.argv[1:] or sections:
        title, run = sections[key]
        started = time.perf_counter()
        body = run()
        seconds = time.perf_counter() - started
        _put(
            [t for t, _ in sections.values()], title, [f"*{_when()}, {seconds:.0f} s.*", "", *body]
        )
        print(f"{key}: {seconds:.0f} s", file=sys.stderr)


def _put(order: Sequence[str], title: str, lines: Sequence[str]) -> None:
    """Write one section in its place; the others stay as they were."""
    text = OUT.read_text(encoding="utf-8") if OUT.exists() else ""
    kept: dict[str, str] = {}
    for part in text.split("\n## ")[1:]:
        name, _, rest = part.partition("\n")
        kept[name] = rest.strip("\n")
    kept[title] = "\n".join(lines).strip("\n")
    parts = [f"## {name}\n\n{kept[name]}\n" for name in order if name in kept]
    OUT.write_text("\n".join([*HEADER, "", *parts]), encoding="utf-8")


def _when() -> str:
    """Date and commit of a run; `+` where the working tree differs from the commit."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {said or 'unknown'}"


if __name__ == "__main__":
    main()
