"""Validity: how often each test rejects when the null is true, over simulated pairs of models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.formula_starts import STARTS
from benchmarks.null_models import SCENARIOS, null_pair
from benchmarks.tables import markdown, most_by_chance
from weightkin.verbs.compare import compare

ALPHAS = (0.1, 0.01, 0.001)
FORMULA_ALPHAS = (*ALPHAS, 1e-6)
LOG10 = math.log(10.0)


@dataclass(frozen=True, slots=True)
class Rejections:
    """Counts for one scenario: how many p-values, and how many at or under each level."""

    scenario: str
    what: str
    n: int
    hits: tuple[int, ...]
    alphas: tuple[float, ...] = ALPHAS

    @property
    def is_valid(self) -> bool:
        """Whether every count could come from a valid test."""
        pairs = zip(self.hits, self.alphas, strict=True)
        return all(hits <= most_by_chance(self.n, alpha) for hits, alpha in pairs)


def simulate(n_pairs: int, seed: int, *, workers: int = 1) -> list[Rejections]:
    """``n_pairs`` null pairs in every scenario and shape, compared in full and with ``quick``."""
    jobs = [
        (scenario, is_square, quick, n_pairs, seed)
        for scenario in SCENARIOS
        for is_square, quick in ((True, False), (False, False), (True, True))
    ]
    if workers == 1:
        return [r for job in jobs for r in _run(job)]
    with ProcessPoolExecutor(workers) as pool:
        return [r for found in pool.map(_run, jobs) for r in found]


def simulate_formulas(
    n_pairs: int, seed: int, starts: Iterable[str] = tuple(STARTS)
) -> list[Rejections]:
    """``n_pairs`` unrelated pairs that began as one formula, at every strength of it."""
    found = []
    for name in starts:
        rng = np.random.default_rng([seed, list(STARTS).index(name), 77])
        records = [compare(STARTS[name](rng), STARTS[name](rng)) for _ in range(n_pairs)]
        logs = np.array([record.log10_pvalue for record in records])
        hits = tuple(int((logs <= math.log10(alpha) + 1e-12).sum()) for alpha in FORMULA_ALPHAS)
        found.append(Rejections(name, "verdict", n_pairs, hits, FORMULA_ALPHAS))
        n_wrong = sum(r.verdict in ("dependent", "aligned-only") for r in records)
        hits = (n_wrong,) * len(FORMULA_ALPHAS)
        what = "verdict dependent or aligned at 1e-6"
        found.append(Rejections(name, what, n_pairs, hits, FORMULA_ALPHAS))
    return found


def lines(rejections: Iterable[Rejections]) -> list[str]:
    """The table of `docs/results.md`."""
    rejections = list(rejections)
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
        *(f"<= {a:g}" for a in rejections[0].alphas),
        "valid",
    )
    return markdown(header, rows)


def _run(job: tuple[str, bool, bool, int, int]) -> list[Rejections]:
    scenario, is_square, quick, n_pairs, seed = job
    rng = np.random.default_rng([seed, list(SCENARIOS).index(scenario), is_square, quick])
    logs: dict[str, list[float]] = {"verdict": []}
    dependent: Counter[str] = Counter()
    for _ in range(n_pairs):
        a, b = null_pair(scenario, rng, is_square=is_square)
        record = compare(a, b, quick=quick)
        dependent[record.verdict] += 1
        logs["verdict"].append(record.log10_pvalue)
        for name, value in _single_tests(record.tests):
            logs.setdefault(name, []).append(value)
    shape = "square" if is_square else "rectangular"
    label = f"{scenario}, {shape}{', early-stopped' if quick else ''}"
    found = [_count(label, what, values) for what, values in sorted(logs.items())]
    hits = (dependent["dependent"],) * len(ALPHAS)
    return [*found, Rejections(label, "verdict dependent at 1e-6", n_pairs, hits)]


def _single_tests(tests: Iterable[object]) -> Iterator[tuple[str, float]]:
    """The bound of each single view, the sharpest form of what the verdict is built from."""
    for test in tests:
        name, k = test.name, int(test.statistic)  # type: ignore[attr-defined]
        if name == "coincidences" and test.axis != "vo":  # type: ignore[attr-defined]
            yield "1/K! of one view", -math.lgamma(k + 1) / LOG10
        elif name == "order":
            yield "order of one view", test.log10_pvalue  # type: ignore[attr-defined]


def _count(scenario: str, what: str, logs: list[float]) -> Rejections:
    values = np.array(logs)
    hits = tuple(int((values <= math.log10(alpha) + 1e-12).sum()) for alpha in ALPHAS)
    return Rejections(scenario, what, len(values), hits)
