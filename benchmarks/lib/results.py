"""Run every claim in full and rewrite the pages of `docs/results`: hours on two cores.

    python -m benchmarks.lib.results                all claims that are not up to date
    python -m benchmarks.lib.results zoo family     these, as far as they are not up to date
    python -m benchmarks.lib.results zoo --again    whether they are or not

Each section is written as soon as it is done, with the day, the commit, and the hash of all that it
depends on (`benchmarks/lib/code.py`), and `docs/results.md` with what it found. One whose hash is
still that of today is not run again, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks.lib import claim
from benchmarks.lib.code import ROOT, code_hash
from benchmarks.lib.findings import families, verdicts, work
from benchmarks.lib.result_pages import SEED, Section, store, store_front, stored_texts
from benchmarks.lib.result_text import SectionText

WORKERS = os.cpu_count() or 1
DOCS = ROOT / "docs"
TRUTH = "zoo/truth.json"
FAMILIES = "benchmarks/generate/genealogies.json.xz"  # answers about the random families


def _section(
    page: str,
    title: str,
    name: str,
    finding: Callable[[SectionText], str],
    run: Callable[[ModuleType], list[str]] = lambda claim: claim.run(),
    *,
    data: Sequence[str] = (),
    also: Sequence[str] = (),
) -> Section:
    """A claim by the name of its module, which is imported when the claim is run."""
    module = f"benchmarks.claims.{name}"
    return Section(page, title, lambda: run(claim(name)), finding, module, tuple(data), tuple(also))


SECTIONS = {
    "validity": _section(
        "p-values",
        "Simulated null pairs",
        "validity",
        verdicts.null_pairs,
        lambda x: x.lines(x.simulate(250, SEED, workers=WORKERS)),
    ),
    "copies": _section(
        "p-values",
        "Null pairs that hold copies of their own parts",
        "validity",
        verdicts.null_pairs,
        lambda x: x.lines(x.simulate_copied(1000, SEED, workers=WORKERS)),
    ),
    "formulas": _section(
        "p-values",
        "Null pairs that began as one formula",
        "validity",
        verdicts.null_pairs,
        lambda x: x.lines(x.simulate_formulas(1000, SEED, workers=WORKERS)),
    ),
    "cells": _section(
        "p-values",
        "Null pairs on axes that come from a graph",
        "cells",
        verdicts.null_pairs,
        lambda x: claim("validity").lines(x.simulate(1250, SEED, workers=WORKERS)),
    ),
    "layouts": _section(
        "p-values",
        "Null pairs whose heads are stored in other ways",
        "head_layouts",
        verdicts.null_pairs,
        lambda x: claim("validity").lines(x.simulate(1000, SEED, workers=WORKERS)),
    ),
    "laws": _section(
        "p-values",
        "The law of coincidences on trained unrelated models",
        "zoo_laws",
        verdicts.laws,
        data=[TRUTH],
    ),
    "trained-pairs": _section(
        "p-values",
        "Trained models of random families",
        "trained_pairs",
        verdicts.trained_pairs,
        lambda x: x.run(workers=WORKERS),
        data=["zoo/genealogies/mix.toml"],
    ),
    "trained-axes": _section(
        "p-values",
        "Trained nets of one data set on their graphs' axes",
        "trained_axes",
        verdicts.trained_axes,
    ),
    "hiding": _section(
        "hiding",
        "Evasions and framing",
        "hiding",
        verdicts.hiding,
        lambda x: x.lines(x.all_hidden(workers=WORKERS)),
        data=[TRUTH],
    ),
    "innocents": _section(
        "hiding",
        "Innocents after a rewrite",
        "hiding",
        verdicts.innocents,
        lambda x: x.run_innocents(workers=WORKERS),
        data=[TRUTH],
    ),
    "framing": _section(
        "hiding",
        "Framing at width",
        "framing",
        verdicts.framing,
        lambda x: x.run(workers=WORKERS),
        data=[TRUTH],
    ),
    "framing-orders": _section(
        "hiding",
        "Models in the order of another",
        "framing_orders",
        verdicts.framing_orders,
        lambda x: x.run(workers=WORKERS),
        data=["zoo/genealogies/mix.toml"],
    ),
    "frozen": _section(
        "zoo",
        "The zoo as 0.1.0 saw it",
        "frozen",
        verdicts.own_words,
        data=["tests/frozen/zoo.json.xz", "tests/frozen/accepted.toml"],
    ),
    "zoo": _section(
        "zoo",
        "All pairs of the zoo",
        "zoo_pairs",
        verdicts.zoo_pairs,
        lambda x: x.lines(x.all_pairs(workers=WORKERS)),
        data=[TRUTH],
    ),
    "kinds": _section("zoo", "Kinds and directions", "kinds", verdicts.kinds, data=[TRUTH]),
    "formats": _section("zoo", "One model in every format", "formats", verdicts.own_clause),
    "merges": _section("zoo", "Mixtures of the zoo", "merges", verdicts.merges, data=[TRUTH]),
    "family": _section(
        "families", "The family graph of the zoo", "family", families.family, data=[TRUTH]
    ),
    "genealogies": _section(
        "families",
        "Random families",
        "genealogies",
        families.genealogies,
        data=[FAMILIES, "zoo/genealogies/mix.toml"],
    ),
    "left-out": _section(
        "families",
        "A registry and a tree of all",
        "left_out",
        families.left_out,
        data=["zoo/genealogies/mix.toml"],
    ),
    "mixed": _section(
        "families", "A mixed folder", "mixed", families.mixed, data=["zoo/genealogies/mix.toml"]
    ),
    "minilm-families": _section(
        "families", "Families of MiniLM", "minilm_families", families.minilm_families
    ),
    "paper": _section(
        "papers",
        "The first paper's experiments at our scale",
        "paper",
        verdicts.paper,
        data=[TRUTH],
    ),
    "larger": _section(
        "papers", "Trees of 21 in the second paper's layout", "larger", families.larger
    ),
    "registry-files": _section(
        "files", "Real files from the package registry", "registry_files", verdicts.registry_files
    ),
    "registry-relations": _section(
        "files",
        "Relations of real files from the package registry",
        "registry_relations",
        verdicts.own_words,
    ),
    "minilm": _section("files", "Real pretrained weights", "minilm", verdicts.minilm),
    "census": _section(
        "classes",
        "Model classes of other libraries",
        "census",
        verdicts.census,
        data=[
            "benchmarks/catalogue/transformers_inputs.json",
            "benchmarks/catalogue/diffusers.json",
            "benchmarks/catalogue/diffusers_inputs.json",
        ],
    ),
    "diffusion": _section(
        "classes", "Families of diffusion models", "diffusion", families.diffusion
    ),
    "registry": _section("many-models", "The registry", "registry", work.registry, data=[TRUTH]),
    "scale": _section("many-models", "Many models", "scale", work.scale),
    "cluster": _section("many-models", "One tree on several workers", "cluster", work.cluster),
    "remote": _section("many-models", "Models on a hub", "remote", work.remote),
    "cases": _section("inputs", "Inputs on which 0.1.0 was wrong", "cases", verdicts.cases),
    "fuzz": _section(
        "inputs",
        "Mutants of every kind of input",
        "fuzz",
        verdicts.own_words,
        data=["tests/fixtures/fuzz/corpus.tar.xz"],
    ),
    "start": _section("speed-and-tests", "Start-up", "start", work.start),
    "pages": _section("speed-and-tests", "A large family in a browser", "pages", work.pages),
    "speed": _section("speed-and-tests", "Speed at the 1.1B shape", "speed", work.speed),
    "localisation": _section(
        "speed-and-tests", "Localisation at the 7B shape", "localisation", work.localisation
    ),
    "views": _section(
        "speed-and-tests", "Invariant views of one block at the 7B shape", "views", work.views
    ),
    "mutants": _section(
        "speed-and-tests",
        "Tests that notice small changes",
        "mutants",
        work.mutants,
        also=[f"tests.{x}" for x in ("stats", "formats", "sources", "policy", "evidence")],
    ),
    "code": _section("speed-and-tests", "The source in numbers", "habits", work.source),
    "floors": _section(
        "speed-and-tests",
        "The oldest dependencies",
        "floors",
        verdicts.own_words,
        data=["pyproject.toml"],
    ),
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
    update({key: SECTIONS[key] for key in given.claims or SECTIONS}, DOCS, again=given.again)


def update(sections: Mapping[str, Section], docs: Path, *, again: bool = False) -> None:
    """Run what is not up to date, and write each text in its place."""
    store_front(SECTIONS.values(), docs)  # as a run that was stopped left the pages
    for key, section in sections.items():
        code = code_hash(section.module, *section.also)
        if not again and is_current(docs, section.title, code):
            print(f"{key}: up to date", file=sys.stderr)
            continue
        started = time.perf_counter()
        body = section.run()
        seconds = time.perf_counter() - started
        note = f"*{_when()}, {seconds:.0f} s; code and inputs {code}.*"
        store(section, "\n".join([note, "", *body]), SECTIONS.values(), docs)
        print(f"{key}: {seconds:.0f} s", file=sys.stderr)


def is_current(docs: Path, title: str, code: str) -> bool:
    """Whether the text of a section says that it was made by this code from these inputs."""
    note = stored_texts(docs).get(title, "").partition("\n")[0]
    return bool(re.search(rf"; code and inputs {code}\.\*$", note))


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
