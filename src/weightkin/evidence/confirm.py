"""A second run of units: what is fitted to the first units of every block does not reach it.

Where the sample is less than the axis, units outside it, drawn block by block (`evidence.draws`),
must show the effect too. Nothing here enters a p-value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.blind import SignPlan, run_signs
from weightkin.evidence.coin_matches import SignMatch
from weightkin.evidence.guard import drop_structured_views
from weightkin.evidence.pair_tester import Tested
from weightkin.evidence.pairs import (
    Views,
    matched_share,
    median_ratio,
    pair_evidence,
    pooled_effect,
)
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import n_embedding_rows, n_sampled, read_views
from weightkin.evidence.signpairs import UNITS_OF_A, most_read
from weightkin.evidence.stage import Stage
from weightkin.evidence.units import STRAIGHT_FAILS
from weightkin.evidence.views import TokenRows, token_views
from weightkin.evidence.windows import window_of
from weightkin.stats.coincidences import mix_log_evalue
from weightkin.stats.matching import centred

MIN_CONFIRMED_UNITS = 64  # of a run; twice as many where units were dropped
MAX_CONFIRMED_BLOCKS = 8
LOG_SHOWN = math.log(100.0)  # e-value that the second run must reach: it is asked once
SIGNS = ("signs", "token signs", "key signs")


@dataclass(frozen=True, slots=True)
class Draw:
    """What a second run depends on: the two models, what is read of them, the seed."""

    a: Side
    b: Side
    plan: Plan
    seed: int
    frames: tuple[TokenRows, TokenRows] | None = None

    @property
    def n_units(self) -> int:
        """Units of a run: a quarter of the sample of a block."""
        return max(MIN_CONFIRMED_UNITS, self.plan.n_units // 4)

    @property
    def token_seed(self) -> int:
        """Seed of which tokens units are seen through: drawn with the sample, where one is."""
        drawn = self.plan.seed_of("tokens")
        return self.seed if drawn is None else drawn

    def rng(self, what: str) -> np.random.Generator:
        """Generator of one choice, by the bytes that draw the sample."""
        return np.random.default_rng([self.seed, self.plan.seed_of(what) or 0])


def second_run(draw: Draw, stage: Stage, matches: Sequence[SignMatch] = ()) -> Stage | None:
    """Test a stage on units outside the sample; None where the sample is all there is.

    Null hypothesis and statistics: those of the stage, on other labels. A block is drawn among
    those that showed something by themselves.

    Parameters
    ----------
    draw : Draw
        The two models, what was read of them, and the seed.
    stage : Stage
        What passed on the sample.
    matches : sequence of SignMatch
        Matches behind a stage of signs.

    Returns
    -------
    Stage or None
        What units outside the sample show; None where the sample is all there is.
    """
    if stage.name in SIGNS:
        return _signs(draw, stage, matches)
    clear = [t for t in stage.tested if t.evidence.log10_pvalue < STRAIGHT_FAILS] or list(
        stage.tested
    )
    wider = [t for t in clear if not _is_whole(draw, t)]
    if not wider:
        return None
    chosen = draw.rng(stage.name).permutation(len(wider))[:MAX_CONFIRMED_BLOCKS]
    found = []
    for t in (wider[i] for i in sorted(chosen)):
        run_a, run_b = _runs(draw, stage.name, t)
        views_a, views_b = _read(draw, t, run_a, is_a=True), _read(draw, t, run_b, is_a=False)
        drop_structured_views(t.a, views_a, views_b)
        seen = pair_evidence(views_a, views_b, t.a, t.b, draw.rng(f"ties {_name(t.a)}"))
        found += [seen] if seen else []
    if not found:
        return replace(stage, log_evalue=0.0, effect=None)
    return replace(
        stage,
        log_evalue=mix_log_evalue(np.sum([x.grid for x in found], axis=0)),
        effect=pooled_effect(found),
        block_ratio=median_ratio(found),
        matched=matched_share(found),
    )


def is_shown(stage: Stage) -> bool:
    """Whether a second run, judged for itself, has evidence enough."""
    return stage.log_evalue >= LOG_SHOWN


def _signs(draw: Draw, stage: Stage, matches: Sequence[SignMatch]) -> Stage | None:
    """Signs of other units of a, in the blocks in which most units found a partner."""
    kind = stage.decided_by
    wider = [m for m in matches if m.a.kind == kind and m.a.n_units > UNITS_OF_A]
    if not wider:
        return None
    wider = sorted(wider, key=lambda m: -m.n_agree)[:MAX_CONFIRMED_BLOCKS]
    runs = {}
    for m in wider:
        size = m.a.head_size or 1
        n = max(size, draw.n_units // size * size)
        what = f"{stage.name} {_name(m.a)}"
        runs[m.a] = other_run(draw, what, m.a, n, most_read(m.a, draw.plan))
    plan = SignPlan([(m.a, m.b) for m in wider], runs)
    found = run_signs(draw.a, draw.b, draw.seed, draw.frames, plan)[0]
    return found or replace(stage, log_evalue=0.0, effect=None)


def _is_whole(draw: Draw, t: Tested) -> bool:
    """Whether the sample holds all units of a pair of axes."""
    return n_sampled(t.a, draw.plan) >= min(t.a.n_units, t.b.n_units)


def _runs(draw: Draw, stage: str, t: Tested) -> tuple[Run, Run]:
    """Runs of a pair of axes, as far along in both."""
    size = _step(t)
    n = max(size, draw.n_units // size * size)
    n_first = min(n_sampled(x, draw.plan) for x in (t.a, t.b))
    one, other = (other_run(draw, f"{stage} {_name(t.a)}", x, n, n_first) for x in (t.a, t.b))
    return one, other


def _step(t: Tested) -> int:
    """Units that are drawn together: dimensions of a head, a window of a cell, or single ones."""
    if t.a.kind == "units":
        return window_of(t.a, t.b) or 1
    return math.gcd(t.a.head_size, t.b.head_size) or 1


def other_run(draw: Draw, what: str, axis: Axis, n: int, n_first: int) -> Run:
    """Units of an axis that the first run does not hold.

    Parameters
    ----------
    draw : Draw
        What is read, and from where.
    what : str
        What the run is drawn for, the same for both models.
    axis : Axis
        Of either model.
    n, n_first : int
        Units of this run, as far as so many are left, and of the first one.

    Returns
    -------
    Run
        As far along in both models.
    """
    if draw.plan.draws is None:
        return Run(min(n_first, axis.n_units), n)
    return draw.plan.draws.second(axis, n, n_first, what)


def _read(draw: Draw, t: Tested, run: Run, *, is_a: bool) -> Views:
    side, axis = (draw.a, t.a) if is_a else (draw.b, t.b)
    if draw.frames is not None:
        frame = draw.frames[0 if is_a else 1]
        return token_views(side.model, axis, frame, run.start + run.n, run.start)
    n_rows = 0
    if axis.kind == "residual":
        n_rows = min(n_embedding_rows(draw.a.model, t.a), n_embedding_rows(draw.b.model, t.b))
    views, _ = read_views(side.model, axis, draw.plan, n_rows, run)
    return {r: centred(v) for r, v in views.items()} if axis.kind == "residual" else views


def _name(axis: Axis) -> str:
    return f"{axis.stack}/{axis.block}/{axis.name}"
