"""Run every claim in full and rewrite `docs/results.md`: hours on two cores.

    python -m benchmarks.lib.results                all claims that are not up to date
    python -m benchmarks.lib.results zoo family     these, as far as they are not up to date
    python -m benchmarks.lib.results zoo --again    whether they are or not

Each section is written as soon as it is done, with the day, the commit, and the hash of all that it
depends on (`benchmarks/lib/code.py`). One whose hash is still that of today is not run again, so a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks.lib import claim
from benchmarks.lib.code import code_hash

SEED = 20240607
WORKERS = os.cpu_count() or 1
HEADER = (
    "# Results",
    "",
    "Written by `make results`; every number below is recomputed by it, section by section.",
    f"Seed {SEED}, Python {platform.python_version()}, {os.cpu_count()} cores, alpha 1e-6.",
)
OUT = Path(__file__).parents[2] / "docs" / "results.md"


@dataclass(frozen=True, slots=True)
class Section:
    """A claim: its title in the document, and what makes its text."""

    title: str
    run: Callable[[], list[str]]
    module: str  # where its code begins
    also: tuple[str, ...] = ()  # packages that it looks at without importing them


def _section(
    title: str, name: str, run: Callable[[ModuleType], list[str]] = lambda claim: claim.run()
) -> Section:
    """A claim by the name of its module, which is imported when the claim is run."""
    return Section(title, lambda: run(claim(name)), f"benchmarks.claims.{name}")


SECTIONS = {
    "frozen": _section("The zoo as 0.1.0 saw it", "frozen"),
    "zoo": _section(
        "All pairs of the zoo", "zoo_pairs", lambda x: x.lines(x.all_pairs(workers=WORKERS))
    ),
    "laws": _section("The law of coincidences on trained strangers", "zoo_laws"),
    "validity": _section(
        "Simulated null pairs",
        "validity",
        lambda x: x.lines(x.simulate(250, SEED, workers=WORKERS)),
    ),
    "copies": _section(
        "Null pairs that hold copies of their own parts",
        "validity",
        lambda x: x.lines(x.simulate_copied(1000, SEED, workers=WORKERS)),
    ),
    "formulas": _section(
        "Null pairs that began as one formula",
        "validity",
        lambda x: x.lines(x.simulate_formulas(1000, SEED, workers=WORKERS)),
    ),
    "cells": _section(
        "Null pairs on axes that come from a graph",
        "cells",
        lambda x: claim("validity").lines(x.simulate(1250, SEED, workers=WORKERS)),
    ),
    "trained-axes": _section("Trained nets of one data set on their graphs' axes", "trained_axes"),
    "cases": _section("Inputs on which 0.1.0 was wrong", "cases"),
    "fuzz": _section("Mutants of every kind of input", "fuzz"),
    "hiding": _section(
        "Evasions and framing", "hiding", lambda x: x.lines(x.all_hidden(workers=WORKERS))
    ),
    "innocents": _section(
        "Innocents after a rewrite", "hiding", lambda x: x.run_innocents(workers=WORKERS)
    ),
    "framing": _section("Framing at width", "framing", lambda x: x.run(workers=WORKERS)),
    "paper": _section("The first paper's experiments at our scale", "paper"),
    "localisation": _section("Localisation at the 7B shape", "localisation"),
    "views": _section("Invariant views of one block at the 7B shape", "views"),
    "family": _section("The family graph of the zoo", "family"),
    "genealogies": _section("Random families", "genealogies"),
    "left-out": _section("A registry and a tree of all", "left_out"),
    "mixed": _section("A mixed folder", "mixed"),
    "registry": _section("The registry", "registry"),
    "kinds": _section("Kinds and directions", "kinds"),
    "formats": _section("One model in every format", "formats"),
    "registry-files": _section("Real files from the package registry", "registry_files"),
    "registry-relations": _section(
        "Relations of real files from the package registry", "registry_relations"
    ),
    "census": _section("Model classes of other libraries", "census"),
    "merges": _section("Mixtures of the zoo", "merges"),
    "minilm": _section("Real pretrained weights", "minilm"),
    "larger": _section("Trees of 21 in the second paper's layout", "larger"),
    "diffusion": _section("Families of diffusion models", "diffusion"),
    "minilm-families": _section("Families of MiniLM", "minilm_families"),
    "scale": _section("Many models", "scale"),
    "cluster": _section("One tree on several workers", "cluster"),
    "remote": _section("Models on a hub", "remote"),
    "start": _section("Start-up", "start"),
    "pages": _section("A large family in a browser", "pages"),
    "speed": _section("Speed at the 1.1B shape", "speed"),
    "mutants": replace(
        _section("Tests that notice small changes", "mutants"),
        also=tuple(f"tests.{x}" for x in ("stats", "formats", "sources", "policy", "evidence")),
    ),
    "code": _section("The source in numbers", "habits"),
    "floors": _section("The oldest dependencies", "floors"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all sections, or those named on the command line, each written as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lib.results")
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(SECTIONS))
    parser.add_argument("--again", action="store_true", help="also those that are up to date")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.claims) - SECTIONS.keys())
    if unknown:
        parser.error(f"{', '.join(unknown)}: no claim; there are {', '.join(SECTIONS)}")
    update({key: SECTIONS[key] for key in given.claims or SECTIONS}, OUT, again=given.again)


def update(sections: Mapping[str, Section], out: Path, *, again: bool = False) -> None:
    """Run what is not up to date, and write each text in its place."""
    for key, section in sections.items():
        code = code_hash(section.module, *section.also)
        if not again and is_current(out, section.title, code):
            print(f"{key}: up to date", file=sys.stderr)
            continue
        started = time.perf_counter()
        body = section.run()
        seconds = time.perf_counter() - started
        note = f"*{_when()}, {seconds:.0f} s; code and inputs {code}.*"
        _put(section.title, [note, "", *body], out)
        print(f"{key}: {seconds:.0f} s", file=sys.stderr)


def is_current(out: Path, title: str, code: str) -> bool:
    """Whether the text of a section says that it was made by this code from these inputs."""
    note = _texts(out).get(title, "").partition("\n")[0]
    return bool(re.search(rf"; code and inputs {code}\.\*$", note))


def _put(title: str, lines: Sequence[str], out: Path) -> None:
    """Write one section in its place; the others stay as they were, if they still exist."""
    kept = _texts(out) | {title: "\n".join(lines).strip("\n")}
    order = dict.fromkeys([*(x.title for x in SECTIONS.values()), title])
    parts = [f"## {name}\n\n{kept[name]}\n" for name in order if name in kept]
    draft = out.with_suffix(".draft")
    draft.write_text("\n".join([*HEADER, "", *parts]), encoding="utf-8")
    draft.replace(out)  # whole or not at all


def _texts(out: Path) -> dict[str, str]:
    """Sections of the document, by title."""
    text = out.read_text(encoding="utf-8") if out.exists() else ""
    pieces = (part.partition("\n") for part in text.split("\n## ")[1:])
    return {title: rest.strip("\n") for title, _, rest in pieces}


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
