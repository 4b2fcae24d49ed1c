"""Inputs on which 0.1.0 was wrong: what is right, what it said, what is said now.

Each module of this folder holds one group of cases as ``TITLE`` and ``CASES``. A case writes its
own small input into a folder that it is given, asks the library or the command line, and judges
the answer. `tests/test_cases.py` runs the same cases.
"""

from __future__ import annotations

import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.claims.cases.said import SAID
from benchmarks.lib.tables import markdown


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one input today."""

    is_right: bool
    now: str  # in a few words, for the table


@dataclass(frozen=True, slots=True)
class Case:
    """One input. ``planned`` says what is still missing where the right answer is not reached."""

    name: str
    expected: str
    before: str  # what 0.1.0 said, where `said.py` does not tell
    run: Callable[[Path], Answer]
    planned: str = ""


def groups() -> Iterator[tuple[str, tuple[Case, ...]]]:
    """Title and cases of every module of this folder, by name."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        found = import_module(f"{__name__}.{module.name}")
        if hasattr(found, "CASES"):
            yield found.TITLE, found.CASES


def run() -> list[str]:
    """Run every case; one table a group."""
    lines: list[str] = []
    n_right = n_cases = 0
    for title, cases in groups():
        rows = []
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                answer = case.run(Path(folder))
            verdict = (
                "right"
                if answer.is_right
                else (f"planned: {case.planned}" if case.planned else "WRONG")
            )
            before = SAID.get(case.name, case.before)
            rows.append((case.name, case.expected, before, answer.now, verdict))
            n_right, n_cases = n_right + answer.is_right, n_cases + 1
        lines += [f"### {title}", ""]
        lines += [*markdown(("case", "expected", "0.1.0 said", "now", ""), rows), ""]
    return [f"{n_right} of {n_cases} are right.", "", *lines]
