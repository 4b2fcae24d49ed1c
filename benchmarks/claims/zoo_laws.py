"""Unrelated trained models of one shape: do coincidences follow the law, over pairs of blocks?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from zoo import truth

from benchmarks.lib.tables import markdown, most_by_chance
from weightkin.anatomy import Axis, AxisKind, read_anatomy
from weightkin.anatomy.side import Side
from weightkin.evidence.pairs import Views, pair_evidence
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import make_plan, read_views
from weightkin.formats import open_model
from weightkin.stats.coincidences import coincidences_log10_sf
from weightkin.stats.matching import centred

ALPHAS = (0.1, 0.01, 0.001)
KINDS: tuple[AxisKind, ...] = ("units", "residual")


def stranger_counts(seed: int = 0) -> Counter[int]:
    """Coincidences of every view of every pair of blocks of independent bases of one shape.

    Bases only: a model and its fine-tune see another model alike, so their pairs repeat one draw of
    chance and no binomial interval holds for the lot. Blocks of different depth have separate
    labels, so every pair of blocks is a null of its own. V/O dimensions are counted in windows and
    left out here.
    """
    rng = np.random.default_rng(seed)
    counts: Counter[int] = Counter()
    for name_a, name_b in base_pairs():
        a, b = _open(name_a), _open(name_b)
        plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
        for kind in KINDS:
            for axis_a, views_a in _views(a, kind, plan):
                for axis_b, views_b in _views(b, kind, plan):
                    found = pair_evidence(views_a, views_b, axis_a, axis_b, rng)
                    if found is not None and axis_a.n_units == axis_b.n_units:
                        counts.update(int(test.statistic) for test in found.tests)
    return counts


def base_pairs() -> list[tuple[str, str]]:
    """Pairs of bases of one architecture: same shape, data and order, other seeds."""
    entries = {k: v for k, v in truth.load().items() if v["kind"] == "base"}
    return [
        (a, b)
        for a, b in combinations(entries, 2)
        if entries[a]["architecture"] == entries[b]["architecture"]
    ]


def run() -> list[str]:
    """The table of the section."""
    counts = stranger_counts()
    n = counts.total()
    rows = []
    for k in range(1, 7):
        seen = sum(v for key, v in counts.items() if key >= k)
        poisson = 1 - sum(math.exp(-1) / math.factorial(j) for j in range(k))
        bound = 10 ** coincidences_log10_sf(k)
        rows.append((k, seen, f"{seen / n:.4f}", f"{poisson:.4f}", f"{bound:.4f}"))
    levels = []
    for alpha in ALPHAS:
        hits = rejections(counts, alpha)
        levels.append((alpha, hits, f"{hits / n:.5f}", most_by_chance(n, alpha)))
    pairs = ", ".join(f"{a} / {b}" for a, b in base_pairs())
    header = ("alpha", "rejections of 1/K!", "share", "allowed by chance (99.9 %)")
    return [
        f"{n} views of all pairs of blocks of {len(base_pairs())} pairs of bases: {pairs}.",
        "",
        *markdown(("K at least", "number", "share", "Poisson(1)", "bound 1/K!"), rows),
        "",
        *markdown(header, levels),
    ]


def rejections(counts: Counter[int], alpha: float) -> int:
    """How many counts the bound 1/K! rejects at a level."""
    return sum(v for k, v in counts.items() if coincidences_log10_sf(k) <= math.log10(alpha))


def _open(name: str) -> Side:
    model = open_model(truth.ROOT / truth.load()[name]["path"])
    return Side(model, read_anatomy(model))


def _views(side: Side, kind: AxisKind, plan: Plan) -> Iterator[tuple[Axis, Views]]:
    for axis in side.axes(kind):
        views, _ = read_views(side.model, axis, plan, n_vocabulary=512)
        if kind == "residual":
            views = {role: centred(view) for role, view in views.items()}
        yield axis, views
