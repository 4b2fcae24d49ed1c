"""The ladder: stages in order of cost, their weights fixed before anything is read.

Aligned tests come first and read a small sample of every block. The blind ones follow only where no
aligned axis settles the matter, or when everything is asked for. Stages that were not run count
zero in the weighted sum, which can only weaken the result. What passes on the sample must show on
units outside it too (`evidence.confirm`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind
from weightkin.evidence.arranged import LEAST_MARGIN
from weightkin.evidence.blind import SignPlan, run_signs
from weightkin.evidence.block_pairs import BlockMap, block_name, pair_axes
from weightkin.evidence.coin_matches import SignMatch
from weightkin.evidence.confirm import Draw, is_shown, second_run
from weightkin.evidence.formulas import Formulas, formula_behind
from weightkin.evidence.guard import Guard
from weightkin.evidence.key_signs import KeyGuard, key_axes
from weightkin.evidence.pair_tester import Looked, PairTester
from weightkin.evidence.sign_evidence import MapPlan
from weightkin.evidence.signpairs import (
    FRUGAL_BYTES,
    affordable,
    cost,
    first_run,
    of_few_blocks,
    sign_pairs,
    too_dear,
)
from weightkin.evidence.stage import Stage, run_stage
from weightkin.evidence.token_draws import N_TOKENS
from weightkin.evidence.turn_stage import run_turns
from weightkin.evidence.units import run_units, run_units_quick
from weightkin.evidence.views import MAX_PAIRED_BYTES, TokenRows, frames
from weightkin.records import Effect, Skipped, left_out
from weightkin.records.evidence import Confirmed
from weightkin.stats.sums import logsumexp

EFFECT_CUT = 1.25  # ratio of median cosines under which units only line up (methods, section 3)
# Beyond the cut, set by the framing suite (docs/results/hiding.md): an aligner can fit a rotation
# to heads and embeddings, or aim at one block, and gets further there than on the median block.
CLEAR_CUT = 1.4  # pooled ratio that settles hidden units and signs
CONFIRMED = 0.4  # share of units another view confirms, if there is one; without CLEAR_CUT always,
# and then with the median block over EFFECT_CUT
BLOCK_CUT = 1.5  # ratio that settles a single block: a frame aimed at one reaches 1.36
COPY_COSINE = 0.8  # median cosine that V/O dimensions, heads and the residual width must reach
KINDS: tuple[AxisKind, ...] = ("units", "vo", "heads", "residual")
ROTATABLE = frozenset({"vo", "heads", "residual"})
# A loss that compares hidden states at equal width copies the residual width, seed or no seed.
COPIED_BY_LOSSES = frozenset({"residual"})
LADDER = {
    "units": 0.48,
    "vo": 0.14,
    "heads": 0.04,
    "residual": 0.14,
    "signs": 0.05,
    "token units": 0.05,
    "token signs": 0.05,
    "turns": 0.02,
    "key signs": 0.02,
    "other stacks": 0.009,  # all stages again, between stacks of blocks under different names
}
OF_KEYS = ("turns", "key signs")  # no invariant stands beside them (methods, section 14)
FRUGAL_TOKENS = 128  # each costs four requests where models lie on a hub
LOG10 = math.log(10.0)
Frames = tuple[TokenRows, TokenRows]  # of a, of b
Blind = Literal["as-needed", "always", "never"]  # when the blind stages run


@dataclass(frozen=True, slots=True)
class StagesRun:
    """What the stages found, in the order they were run."""

    stages: tuple[Stage, ...]
    block_map: BlockMap
    matches: tuple[SignMatch, ...] = ()  # of the last sign stage, through tokens if that ran
    skipped: tuple[Skipped, ...] = ()
    rows: dict[str, Any] = field(default_factory=dict)  # what units were seen through
    are_tokens_drawn: bool = False  # whether units were seen through some of the tokens
    is_formula: bool = False  # whether hidden units of a model began as a formula: see calibrated


@dataclass(frozen=True, slots=True)
class _Ladder:
    """The two models, and what every stage needs of them."""

    draw: Draw
    alpha: float
    formulas: tuple[Formulas, Formulas] = field(default_factory=lambda: (Formulas(), Formulas()))
    guards: dict[str, tuple[Guard, Guard]] = field(default_factory=dict)  # by kind of axis
    looked: Looked = field(default_factory=dict)

    def tester(self, frames: Frames | None = None, name: str = "") -> PairTester:
        """A tester that knows what other testers found in the weights."""
        d, (a, b) = self.draw, (Guard(formulas=formulas) for formulas in self.formulas)
        return PairTester(d.a, d.b, d.plan, d.seed, frames, name, a, b, looked=self.looked)

    def confirmed(
        self,
        stage: Stage | None,
        frames: Frames | None = None,
        matches: Sequence[SignMatch] = (),
    ) -> Stage | None:
        """A stage with what units outside the sample say, where it passes on the sample."""
        if stage is None or not passes(stage, self.alpha):
            return stage
        if any(side.model.sketched is not None for side in (self.draw.a, self.draw.b)):
            return replace(stage, confirmed="sketch")
        second = second_run(replace(self.draw, frames=frames), stage, matches)
        if second is None:
            return replace(stage, confirmed="whole")
        is_confirmed = is_shown(second) and is_real(second)
        words: Confirmed = "second-run" if is_confirmed else "refuted"
        return replace(stage, confirmed=words, second=second.effect)

    def untied(
        self, pairs: Sequence[tuple[Axis, Axis]]
    ) -> tuple[list[tuple[Axis, Axis]], tuple[Skipped, ...]]:
        """Pairs whose signs are coins: starts by formula in both models fix them."""
        kept, skipped = [], []
        for x, y in pairs:
            a, b = self.guards[x.kind]
            why = formula_behind(a.formulas, x, b.formulas, y)
            if why is None and a.likeness and b.likeness:
                why = left_out("", "alike-by-index", a=a.likeness, b=b.likeness)
            if why is not None:
                what = f"signs of {block_name(x)} {x.name}"
                reason = {"code": why.code, **why.data}
                skipped.append(left_out(what, "no-coins", "blind", reason=reason))
            else:
                kept.append((x, y))
        return kept, tuple(skipped)

    def enough(self, name: str) -> float:
        """Log e-value from which a stage passes alpha."""
        return -math.log(self.alpha) - math.log(LADDER[name])

    def maps(self, name: str) -> MapPlan:
        """Block maps of a stage of signs, where its straight pairing does not pass."""
        return MapPlan(self.enough(name), lambda pairs: self.untied(pairs)[0])

    def on_keys(self, pair: Frames | None, *, frugal: bool) -> list[Stage | None]:
        """Stages that look at queries and keys: quarter turns where positions turn them, or signs.

        A model has one or the other.
        """
        a, b = self.draw.a, self.draw.b
        turned = run_turns(a, b, pair, self.enough("turns"), frugal=frugal)
        guard = KeyGuard(a, b)
        every = of_few_blocks(a, pair_axes(key_axes(a), key_axes(b), {}))
        pairs, tied = guard.untied(affordable(a, b, every) if frugal else every)
        maps = MapPlan(self.enough("key signs"), lambda those: guard.untied(those)[0])
        plan = SignPlan(pairs, maps=None if frugal else maps)
        signs, matches = run_signs(a, b, self.draw.seed, pair, plan)
        if signs is not None and tied:
            signs = replace(signs, skipped=tied)
        return [turned, self.confirmed(signs, pair, matches)]


def run_quick(draw: Draw, alpha: float) -> StagesRun:
    """Hidden units only, block by block, stopping at the first proof."""
    wanted = -math.log(alpha) - math.log(LADDER["units"])
    ladder = _Ladder(draw, alpha)
    stage = ladder.confirmed(run_units_quick(ladder.tester(), wanted))
    what = "V/O, heads, residual width, order-independent tests"
    skipped = (left_out(what, "quick-reads-units", "blind"),)
    return StagesRun((stage,) if stage else (), {}, skipped=skipped)


def run_stages(
    draw: Draw, alpha: float, *, blind: Blind = "as-needed", frugal: bool = False
) -> StagesRun:
    """Aligned stages, then the blind ones where no aligned axis settles it (or always, or never).

    Parameters
    ----------
    draw : Draw
        The two models, what is read of them, and what second runs are drawn from.
    alpha : float
        Level of the verdict.
    blind : {"as-needed", "always", "never"}
        When the blind stages run.
    frugal : bool
        Blind tests read little, and say what they left out.

    Returns
    -------
    StagesRun
        The stages that ran, in order of cost.
    """
    ladder = _Ladder(draw, alpha)
    testers = {kind: ladder.tester() for kind in KINDS}
    units, block_map = run_units(testers["units"])
    aligned = [units, *(run_stage(testers[kind], kind, block_map) for kind in KINDS[1:])]
    ladder.guards.update({kind: (x.guard_a, x.guard_b) for kind, x in testers.items()})
    stages = [stage for stage in map(ladder.confirmed, aligned) if stage is not None]
    if blind == "never" or (blind == "as-needed" and is_settled(stages, alpha)):
        return StagesRun(tuple(stages), block_map)
    further = _blind(ladder, block_map, frugal=frugal)
    is_formula = any(formulas.has_units for formulas in ladder.formulas)
    return replace(further, stages=(*stages, *further.stages), is_formula=is_formula)


def paid_log10(stage: Stage) -> float:
    """P-value of one stage, paid for by its weight."""
    return min(0.0, -(stage.log_evalue + math.log(LADDER[stage.name])) / LOG10)


def passes(stage: Stage, alpha: float) -> bool:
    """Whether a stage passes alpha and its effect cut, outside the sample too."""
    is_refuted = stage.confirmed == "refuted"
    return paid_log10(stage) <= math.log10(alpha) and is_real(stage) and not is_refuted


def is_settled(stages: Sequence[Stage], alpha: float) -> bool:
    """Whether one stage passes that may prove two models related by itself."""
    return any(passes(s, alpha) for s in stages if s.name not in COPIED_BY_LOSSES)


def is_real(stage: Stage) -> bool:
    """Whether matched units are more alike than lining up can make them."""
    effect = stage.effect
    is_arranged = stage.margin is not None and stage.margin < LEAST_MARGIN
    if effect is None or effect.ratio < EFFECT_CUT or is_arranged or stage.is_of_few:
        return False
    if (stage.decided_by or stage.name) in ROTATABLE:
        return effect.observed >= COPY_COSINE
    is_agreed = effect.agreement >= CONFIRMED
    if stage.has_views and not is_agreed:
        return False
    return effect.ratio >= CLEAR_CUT or (stage.block_ratio >= EFFECT_CUT and is_agreed)


def block_is_real(name: str, effect: Effect) -> bool:
    """Whether one pair of blocks, judged by itself, is more alike than lining up can make it."""
    if name in ROTATABLE:
        return effect.ratio >= EFFECT_CUT and effect.observed >= COPY_COSINE
    return effect.ratio >= BLOCK_CUT


def total_log10(stages: Sequence[Stage]) -> float:
    """Log10 of 1 / sum_s w_s e_s: one p-value for the whole ladder."""
    terms = [stage.log_evalue + math.log(LADDER[stage.name]) for stage in stages if stage.tests]
    return min(0.0, -float(logsumexp(terms)) / LOG10) if terms else 0.0


def _blind(ladder: _Ladder, block_map: BlockMap, *, frugal: bool) -> StagesRun:
    """Signs on weights; then units and signs through the tokens the models share."""
    a, b, seed = ladder.draw.a, ladder.draw.b, ladder.draw.seed
    every, tied = ladder.untied(sign_pairs(a, b))
    pairs = affordable(a, b, every) if frugal else every
    unread = (*tied, *_unread(a, b, [pair for pair in every if pair not in pairs]))
    runs = {x: first_run(x, ladder.draw.plan) for x, _ in pairs}
    n, most_bytes = (FRUGAL_TOKENS, FRUGAL_BYTES) if frugal else (N_TOKENS, MAX_PAIRED_BYTES)
    both = (a.model, a.anatomy), (b.model, b.anatomy)
    shared = frames(*both, ladder.draw.token_seed, n, most_bytes=most_bytes)
    # maps are looked at once: through tokens, where there are any, they find all that weights show
    maps = None if frugal else ladder.maps("token signs")
    plan = SignPlan(pairs, runs, maps if isinstance(shared, Skipped) else None)
    on_weights, matches = run_signs(a, b, seed, plan=plan)
    found = [ladder.confirmed(on_weights, matches=matches)]
    if isinstance(shared, Skipped):
        skipped = (replace(shared, what="units seen through tokens"),)
        if not is_settled([x for x in found if x], ladder.alpha):
            found += ladder.on_keys(None, frugal=frugal)
        return StagesRun(tuple(x for x in found if x), block_map, matches, (*skipped, *unread))
    pair, rule = shared[:2], shared[2]
    seen, seen_map = run_units(ladder.tester(pair, "token units"))
    through_tokens, token_matches = run_signs(a, b, seed, pair, SignPlan(pairs, runs, maps))
    found += [ladder.confirmed(seen, pair), ladder.confirmed(through_tokens, pair, token_matches)]
    if not is_settled([x for x in found if x], ladder.alpha):
        found += ladder.on_keys(pair, frugal=frugal)
    rows, left = {"n_rows": len(pair[0].inputs), "rule": rule}, pair[0].n_left
    note = (left_out(f"{left} tokens beyond the sample", "tokens-beyond-sample", **rows),)
    return StagesRun(
        tuple(stage for stage in found if stage is not None),
        block_map or seen_map,
        token_matches or matches,
        (*(note if left else ()), *unread),
        rows,
        pair[0].is_drawn,
    )


def _unread(a: Side, b: Side, pairs: Sequence[tuple[Axis, Axis]]) -> tuple[Skipped, ...]:
    """What signs did not look at, since it lies on a hub, and how to get it."""
    if not pairs:
        return ()
    names = sorted({"V/O dimensions" if x.kind == "vo" else "hidden units" for x, _ in pairs})
    what = f"signs of {' and '.join(names)} in {len(pairs)} places"
    return (too_dear(what, sum(cost(a, b, pair) for pair in pairs), "blind"),)
