"""Validity of planes and signs of queries and keys, however the rows of heads are stored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binom
from tests.evidence.layouts import LAYOUTS, drawn, hits_of, side, stage_of

from benchmarks.claims.validity import Rejections, count, pooled

LOG10 = math.log(10.0)
BLOCKS = 2
Job = tuple[str, int, int]


def simulate(
    n_pairs: int, seed: int, layouts: Sequence[str] = tuple(LAYOUTS), *, workers: int = 1
) -> list[Rejections]:
    """``n_pairs`` null pairs of two blocks in every layout: of their hits, and of the stage."""
    return pooled(_run, [(how, n_pairs, seed) for how in layouts], workers)


def _run(job: Job) -> list[Rejections]:
    """P-values of hits are drawn between neighbouring values, so that their law is uniform."""
    how, n_pairs, seed = job
    rng = np.random.default_rng([seed, list(LAYOUTS).index(how), 23])
    odds = 0.25 if LAYOUTS[how][3] else 0.5
    logs: dict[str, list[float]] = {"hits": [], "the stage": []}
    for _ in range(n_pairs):
        a, b = (side(how, *drawn(how, rng, BLOCKS)) for _ in "ab")
        stage = stage_of(how, a, b)
        k, n = hits_of(stage)
        p = binom.sf(k, n, odds) + rng.random() * binom.pmf(k, n, odds)
        logs["hits"].append(math.log10(max(float(p), 1e-300)))
        logs["the stage"].append(min(0.0, -stage.log_evalue / LOG10) if stage else 0.0)
    kind = "planes" if LAYOUTS[how][3] else "signs"
    return [count(f"heads: {how}", f"{kind}, {what}", x) for what, x in logs.items()]
