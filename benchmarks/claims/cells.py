"""Validity on axes that come from a graph: cells, gates of recurrent nets, state spaces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.claims.validity import Rejections, count, pooled
from benchmarks.lib.graph_nulls import NETS, PAIRS, fits, null_pair
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.plan import Plan
from weightkin.evidence.units import run_units

LOG10 = math.log(10.0)
Job = tuple[str, str, int, int]


def simulate(
    n_pairs: int, seed: int, nets: Sequence[str] = tuple(NETS), *, workers: int = 1
) -> list[Rejections]:
    """``n_pairs`` null pairs of every net and sort: of the stage by itself, an axis, a view."""
    jobs = [(net, pair, n_pairs, seed) for net in nets for pair in PAIRS if fits(net, pair)]
    return pooled(_run, jobs, workers)


def _run(job: Job) -> list[Rejections]:
    net, pair, n_pairs, seed = job
    rng = np.random.default_rng([seed, list(NETS).index(net), PAIRS.index(pair), 15])
    logs: dict[str, list[float]] = {"the stage": [], "one axis": [], "one view": []}
    for _ in range(n_pairs):
        stage = run_units(PairTester(*null_pair(net, pair, rng), Plan(64), 0))[0]
        if stage is None or not stage.tests:
            logs["the stage"].append(0.0)
            continue
        logs["the stage"].append(min(0.0, -stage.log_evalue / LOG10))
        logs["one axis"] += [t.evidence.log10_pvalue for t in stage.tested]
        logs["one view"] += [test.log10_pvalue for test in stage.tests]
    return [count(f"{net}, {pair}", what, values) for what, values in logs.items()]
