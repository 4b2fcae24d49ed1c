"""Validity: how often each test rejects when the null is true, over simulated pairs of models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.lib.formula_starts import STARTS
from benchmarks.lib.null_models import COPIED, SCENARIOS, null_pair
from benchmarks.lib.tables import markdown, most_by_chance
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import run_stages
from weightkin.evidence.sample import make_plan

ALPHAS = (0.1, 0.01, 0.001, 1e-6)
LOG10 = math.log(10.0)
Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class Rejections:
    """Counts for one scenario: how many p-values, and how many at or under each level."""

    scenario: str
    what: str
    n: int
    hits: tuple[int, ...]

    @property
    def is_valid(self) -> bool:
        """Whether every count could come from a valid test."""
        pairs = zip(self.hits, ALPHAS, strict=True)
        return all(hits <= most_by_chance(self.n, alpha) for hits, alpha in pairs)


def simulate(n_pairs: int, seed: int, *, workers: int = 1) -> list[Rejections]:
    """``n_pairs`` null pairs in every scenario and shape, compared in full and with ``quick``."""
    jobs = [
        (scenario, is_square, quick, n_pairs, seed)
        for scenario in SCENARIOS
        for is_square, quick in ((True, False), (False, False), (True, True))
    ]
    return pooled(_run, jobs, workers)


def simulate_formulas(
    n_pairs: int, seed: int, starts: Iterable[str] = tuple(STARTS), *, workers: int = 1
) -> list[Rejections]:
    """``n_pairs`` unrelated pairs that began as one formula, at every strength of it."""
    return pooled(_run_formula, [(name, n_pairs, seed) for name in starts], workers)


def simulate_copied(n_pairs: int, seed: int, *, workers: int = 1) -> list[Rejections]:
    """``n_pairs`` null pairs of models that hold copies of their own parts; every stage by itself.

    1/e of a stage is a p-value before its weight is paid; each sign test is one as well.
    """
    return pooled(_run_copied, [(name, n_pairs, seed) for name in COPIED], workers)


def lines(rejections: Iterable[Rejections]) -> list[str]:
    """The table of the section."""
    rows = [
        (
            r.scenario,
            r.what,
            r.n,
            *(f"{hits / r.n:.4f}" if r.n else "-" for hits in r.hits),
            "yes" if r.is_valid else "NO",
        )
        for r in rejections
    ]
    header = (
        "null pairs",
        "p-value of",
        "number",
        *(f"<= {a:g}" for a in ALPHAS),
        "valid",
    )
    return markdown(header, rows)


def pooled(
    run: Callable[[Job], list[Rejections]], jobs: Sequence[Job], workers: int
) -> list[Rejections]:
    """What all jobs found, in their order."""
    if workers == 1:
        return [r for job in jobs for r in run(job)]
    with ProcessPoolExecutor(workers) as pool:
        return [r for found in pool.map(run, jobs) for r in found]


def _run(job: tuple[str, bool, bool, int, int]) -> list[Rejections]:
    scenario, is_square, quick, n_pairs, seed = job
    rng = np.random.default_rng([seed, list(SCENARIOS).index(scenario), is_square, quick])
    logs: dict[str, list[float]] = {"verdict": []}
    dependent: Counter[str] = Counter()
    for _ in range(n_pairs):
        a, b = null_pair(scenario, rng, is_square=is_square)
        record = compare(a, b, effort="quick" if quick else "standard", seed=0)
        dependent[record.verdict] += 1
        logs["verdict"].append(record.log10_pvalue)
        for name, value in _single_tests(record.tests):
            logs.setdefault(name, []).append(value)
    shape = "square" if is_square else "rectangular"
    label = f"{scenario}, {shape}{', early-stopped' if quick else ''}"
    found = [count(label, what, values) for what, values in sorted(logs.items())]
    hits = (dependent["dependent"],) * len(ALPHAS)
    return [*found, Rejections(label, "verdict dependent at 1e-6", n_pairs, hits)]


def _run_copied(job: tuple[str, int, int]) -> list[Rejections]:
    name, n_pairs, seed = job
    rng = np.random.default_rng([seed, list(COPIED).index(name), 2])
    logs: dict[str, list[float]] = {}
    for _ in range(n_pairs):
        a, b = (
            Side(model, read_anatomy(model)) for model in (COPIED[name](rng), COPIED[name](rng))
        )
        plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
        for stage in run_stages(Draw(a, b, plan, 0), 1e-6, blind="always").stages:
            logs.setdefault(stage.name, []).append(min(0.0, -stage.log_evalue / LOG10))
            for test in stage.tests if "signs" in stage.name else ():
                logs.setdefault(f"one test of {stage.name}", []).append(test.log10_pvalue)
    return [count(f"copies: {name}", what, values) for what, values in sorted(logs.items())]


def _run_formula(job: tuple[str, int, int]) -> list[Rejections]:
    name, n_pairs, seed = job
    rng = np.random.default_rng([seed, list(STARTS).index(name), 77])
    records = [compare(STARTS[name](rng), STARTS[name](rng), seed=0) for _ in range(n_pairs)]
    n_wrong = sum(r.verdict in ("dependent", "aligned-only") for r in records)
    what = "verdict dependent or aligned at 1e-6"
    return [
        count(name, "verdict", [record.log10_pvalue for record in records]),
        Rejections(name, what, n_pairs, (n_wrong,) * len(ALPHAS)),
    ]


def _single_tests(tests: Iterable[object]) -> Iterator[tuple[str, float]]:
    """The bound of each single view, the sharpest form of what the verdict is built from."""
    for test in tests:
        name, k = test.name, int(test.statistic)  # type: ignore[attr-defined]
        if name == "coincidences" and test.axis != "vo":  # type: ignore[attr-defined]
            yield "1/K! of one view", -math.lgamma(k + 1) / LOG10
        elif name == "order":
            yield "order of one view", test.log10_pvalue  # type: ignore[attr-defined]


def count(scenario: str, what: str, logs: list[float]) -> Rejections:
    """How many log10 p-values are at or under each level."""
    values = np.array(logs)
    hits = tuple(int((values <= math.log10(alpha) + 1e-12).sum()) for alpha in ALPHAS)
    return Rejections(scenario, what, len(values), hits)
