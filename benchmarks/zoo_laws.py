"""Trained strangers of one shape: do coincidences follow the law, view by view?"""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations

from zoo import truth

from benchmarks.tables import markdown, most_by_chance
from weightkin.compare import compare
from weightkin.stats.coincidences import coincidences_log10_sf

ALPHAS = (0.1, 0.01, 0.001)


def stranger_counts(workers: int = 1) -> Counter[int]:
    """Coincidences of every view of every pair of blocks of independent models of one shape.

    Counted on model-wide axes and hidden units (V/O dimensions are counted in windows). All block
    pairs of two models of one shape are looked at in the straight pairing.
    """
    pairs = independent_pairs()
    if workers == 1:
        return sum(map(count_views, pairs), Counter())
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(count_views, pairs, chunksize=8), Counter())


def independent_pairs() -> list[tuple[str, str]]:
    """Pairs that share no origin."""
    entries = truth.load()
    return [
        (a, b)
        for a, b in combinations(entries, 2)
        if not truth.share_an_origin(entries[a], entries[b])
    ]


def run(workers: int = 1) -> list[str]:
    """The table of `docs/results.md`."""
    counts = stranger_counts(workers)
    n = counts.total()
    rows = []
    for k in (1, 2, 3, 4, 5, 6):
        seen = sum(v for key, v in counts.items() if key >= k)
        poisson = 1 - sum(math.exp(-1) / math.factorial(j) for j in range(k))
        bound = 10 ** coincidences_log10_sf(k)
        rows.append((k, seen, f"{seen / n:.4f}", f"{poisson:.4f}", f"{bound:.4f}"))
    table = markdown(("K at least", "number", "share", "Poisson(1)", "bound 1/K!"), rows)
    levels = []
    for alpha in ALPHAS:
        hits = sum(v for k, v in counts.items() if coincidences_log10_sf(k) <= math.log10(alpha))
        levels.append((alpha, hits, f"{hits / n:.5f}", most_by_chance(n, alpha)))
    header = ("alpha", "rejections of 1/K!", "share", "allowed by chance (99.9 %)")
    return [f"{n} views of blocks of {len(independent_pairs())} independent pairs.", "", *table, "",
            *markdown(header, levels)]  # fmt: skip


def count_views(pair: tuple[str, str]) -> Counter[int]:
    """Counts of all views of one pair of models."""
    entries = truth.load()
    record = compare(*(truth.ROOT / entries[name]["path"] for name in pair))
    tests = [t for t in record.tests if t.name == "coincidences" and not t.axis.endswith("vo")]
    return Counter(int(t.statistic) for t in tests)
