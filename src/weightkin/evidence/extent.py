"""How much is shared: the share of all drawn units that match their own index, misses counted too.

The effect of an axis is that of the units that do match; a tenth of a block that is shared shows an
effect as large as all of it. Here every drawn unit counts, and the interval is over runs: units of
one run share what became of their block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Doubles, Floats
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.confirm import Draw, other_run
from weightkin.evidence.pair_tester import Tested
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import n_sampled, read_views, view_places
from weightkin.evidence.stage import Stage
from weightkin.records.accounting import Extent
from weightkin.stats.coincidences import count_coincidences
from weightkin.stats.matching import match_rows

LEAST_RUNS = 32  # over which an interval is stated
LEAST_UNITS = 16  # of a run: the interval narrows with runs, not with units
MANY_RUNS = 200  # from which the spread of the runs is used
MISSED = 0.05  # of the intervals, at most, do not hold the share


def extent_of(draw: Draw, stage: Stage) -> Extent | None:
    """Share of hidden units, of all tested blocks, that stand where they stand in the other model.

    Null hypothesis: none; this is an estimate. A unit matches where it is nearest to its own index
    among the units of its run, on the widest view, less one in n by chance. Cost: 16 rows a run.

    Parameters
    ----------
    draw : Draw
        The two models, and where runs start.
    stage : Stage
        What the aligned tests of hidden units showed.

    Returns
    -------
    Extent or None
        None where sizes differ, and under 32 runs.
    """
    pairs = [t for t in stage.tested if t.a.n_units == t.b.n_units and not _is_cut(t)]
    if not pairs or len(pairs) < len(stage.tested):
        return None
    n_runs = _runs_each([t.a.n_units // LEAST_UNITS for t in pairs])
    shares = np.array([x for t in pairs for x in _shares(draw, t, n_runs)])
    if len(shares) < LEAST_RUNS:
        return None
    mean, half = float(shares.mean()), half_width(shares)
    low, high = (round(min(max(x, 0.0), 1.0), 4) for x in (mean - half, mean + half))
    return Extent(share=round(min(max(mean, 0.0), 1.0), 4), low=low, high=high, n_runs=len(shares))


def half_width(shares: Doubles) -> float:
    """Half of an interval that holds the mean of numbers from 0 to 1 in 95 % of all draws.

    Hoeffding's inequality; of many runs that of Maurer and Pontil (2009), which knows their spread.
    """
    n = len(shares)
    if n < MANY_RUNS:
        return math.sqrt(math.log(2.0 / MISSED) / (2.0 * n))
    log = math.log(4.0 / MISSED)
    return math.sqrt(2.0 * float(shares.var(ddof=1)) * log / n) + 7.0 * log / (3.0 * (n - 1))


def _is_cut(t: Tested) -> bool:
    """Units that may be relabelled in cells alone, or of which a graph says where they stand."""
    return bool(t.a.head_size or t.b.head_size) or any(map(is_view, t.a.places))


def _runs_each(most: Sequence[int]) -> int:
    """Runs of a block, as far as it has so many, by which all blocks together have enough."""
    each = range(1, LEAST_RUNS + 1)
    return next((n for n in each if sum(min(n, x) for x in most) >= LEAST_RUNS), LEAST_RUNS)


def _shares(draw: Draw, t: Tested, n_runs: int) -> list[float]:
    """Of each run of a pair of blocks the share of units that match, less that by chance."""
    if n_sampled(t.a, draw.plan) >= t.a.n_units:
        return _of_sample(t, n_runs)
    found = []
    for k in range(n_runs):
        hits = _hits(draw, t, LEAST_UNITS, k)
        found += [hits] if hits is not None else []
    return found


def _of_sample(t: Tested, n_runs: int) -> list[float]:
    """Runs of a sample that holds all units: each was looked for among all of them."""
    n = t.a.n_units
    n_runs = min(n_runs, n // LEAST_UNITS)
    if not n_runs:
        return []
    is_hit = np.zeros(n)
    is_hit[[i for i, j in t.evidence.units if i == j]] = 1.0
    return [_less_chance(float(x.mean()), n) for x in np.array_split(is_hit, n_runs)]


def _hits(draw: Draw, t: Tested, n: int, k: int) -> float | None:
    what = f"extent {k} {t.a.stack}/{t.a.block}/{t.a.name}"
    runs = [other_run(draw, what, x, n, n_sampled(x, draw.plan)) for x in (t.a, t.b)]
    sides = (draw.a, t.a), (draw.b, t.b)
    views = [
        _widest(side, axis, draw.plan, run) for (side, axis), run in zip(sides, runs, strict=True)
    ]
    if views[0].shape != views[1].shape or not views[0].size:
        return None
    rng = draw.rng(f"extent ties {block_name(t.a)} {k}")
    found = count_coincidences(match_rows(views[0], views[1], rng))
    return _less_chance(found.forward / n, n)


def _widest(side: Side, axis: Axis, plan: Plan, run: Run) -> Floats:
    """Units of a run on their widest view: the first that has them as rows."""
    places = list(view_places(side.model, axis))
    rows = [place for place in places if place.dim == 0] or places
    alone = replace(axis, places=tuple(rows[:1]))
    views = read_views(side.model, alone, plan, run=run)[0]
    return next(iter(views.values()), np.zeros((0, 0), np.float32))


def _less_chance(share: float, n: int) -> float:
    return (share - 1.0 / n) / (1.0 - 1.0 / n)
