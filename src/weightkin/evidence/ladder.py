"""The ladder: stages in order of cost, their weights fixed before anything is read.

Aligned tests come first and read a small sample of every block. The blind ones follow only where no
aligned axis settles the matter, or when everything is asked for. Stages that were not run count
zero in the weighted sum, which can only weaken the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import logsumexp  # type: ignore[import-untyped,unused-ignore]

from weightkin.anatomy.types import Axis
from weightkin.evidence.blind import SignMatch, run_signs
from weightkin.evidence.sample import Plan
from weightkin.evidence.signpairs import affordable, cost, sign_pairs, unread
from weightkin.evidence.stage import Bench, BlockMap, Side, Stage, run_stage
from weightkin.evidence.units import run_units, run_units_quick
from weightkin.evidence.views import N_TOKENS, frames
from weightkin.records import Effect, Skipped

EFFECT_CUT = 1.25  # ratio of median cosines under which units only line up (methods, section 3)
# Beyond the cut, set by the framing suite (docs/results.md): an aligner can fit a rotation to heads
# and embeddings, or aim at one block, and gets further there than on the median block.
CLEAR_CUT = 1.4  # pooled ratio that settles hidden units and signs
CONFIRMED = 0.4  # else: share of units another view confirms, with the median block over the cut
BLOCK_CUT = 1.5  # ratio that settles a single block: a frame aimed at one reaches 1.36
COPY_COSINE = 0.8  # median cosine that V/O dimensions, heads and the residual width must reach
ROTATABLE = frozenset({"vo", "heads", "residual"})
LADDER = {
    "units": 0.5,
    "vo": 0.15,
    "heads": 0.04,
    "residual": 0.15,
    "signs": 0.05,
    "token units": 0.05,
    "token signs": 0.05,
    "other stacks": 0.009,  # all stages again, between stacks of blocks under different names
}
FRUGAL_TOKENS = 128  # each costs four requests where models lie on a hub
LOG10 = math.log(10.0)


@dataclass(frozen=True, slots=True)
class Climb:
    """What the stages found, in the order they were run."""

    stages: tuple[Stage, ...]
    block_map: BlockMap
    matches: tuple[SignMatch, ...] = ()  # of the last sign stage, through tokens if that ran
    skipped: tuple[Skipped, ...] = ()
    rows: str = ""  # what units were seen through, if they were


def climb_quick(a: Side, b: Side, plan: Plan, seed: int, alpha: float) -> Climb:
    """Hidden units only, block by block, stopping at the first proof."""
    wanted = -math.log(alpha) - math.log(LADDER["units"])
    stage = run_units_quick(Bench(a, b, plan, seed), wanted)
    why = "--quick reads hidden units only"
    skipped = (Skipped(what="V/O, heads, residual width, blind tests", why=why),)
    return Climb((stage,) if stage else (), {}, skipped=skipped)


def climb(
    a: Side,
    b: Side,
    plan: Plan,
    seed: int,
    alpha: float,
    *,
    thorough: bool,
    with_blind: bool = True,
    frugal: bool = False,
) -> Climb:
    """Aligned stages, then the blind ones where no aligned axis passes (or always, or never).

    ``frugal`` blind tests read little, and say what they left out.
    """
    units, block_map = run_units(Bench(a, b, plan, seed))
    aligned = [units, run_stage(Bench(a, b, plan, seed), "vo", block_map)]
    aligned.append(run_stage(Bench(a, b, plan, seed), "heads", block_map))
    aligned.append(run_stage(Bench(a, b, plan, seed), "residual", block_map))
    stages = [stage for stage in aligned if stage is not None]
    if not with_blind or (not thorough and any(passes(stage, alpha) for stage in stages)):
        return Climb(tuple(stages), block_map)
    blind = _blind(a, b, plan, seed, block_map, frugal=frugal)
    return replace(blind, stages=(*stages, *blind.stages))


def paid_log10(stage: Stage) -> float:
    """P-value of one stage, paid for by its weight."""
    return min(0.0, -(stage.log_evalue + math.log(LADDER[stage.name])) / LOG10)


def passes(stage: Stage, alpha: float) -> bool:
    """Whether a stage passes alpha and its effect cut: what `dependent` needs of one of them."""
    return paid_log10(stage) <= math.log10(alpha) and is_real(stage)


def is_real(stage: Stage) -> bool:
    """Whether matched units are more alike than lining up can make them."""
    effect = stage.effect
    if effect is None or effect.ratio < EFFECT_CUT:
        return False
    if (stage.decided_by or stage.name) in ROTATABLE:
        return effect.observed >= COPY_COSINE
    is_confirmed = stage.block_ratio >= EFFECT_CUT and effect.agreement >= CONFIRMED
    return effect.ratio >= CLEAR_CUT or is_confirmed


def block_is_real(name: str, effect: Effect) -> bool:
    """Whether one pair of blocks, judged by itself, is more alike than lining up can make it."""
    if name in ROTATABLE:
        return effect.ratio >= EFFECT_CUT and effect.observed >= COPY_COSINE
    return effect.ratio >= BLOCK_CUT


def total_log10(stages: Sequence[Stage]) -> float:
    """Log10 of 1 / sum_s w_s e_s: one p-value for the whole ladder."""
    terms = [stage.log_evalue + math.log(LADDER[stage.name]) for stage in stages if stage.tests]
    return min(0.0, -float(logsumexp(terms)) / LOG10) if terms else 0.0


def _blind(a: Side, b: Side, plan: Plan, seed: int, block_map: BlockMap, *, frugal: bool) -> Climb:
    """Signs on weights; then units and signs through the tokens the models share."""
    every = sign_pairs(a, b)
    pairs = affordable(a, b, every) if frugal else every
    unread = _unread(a, b, [pair for pair in every if pair not in pairs])
    on_weights, matches = run_signs(a, b, seed, pairs=pairs)
    found = [on_weights]
    n_tokens = FRUGAL_TOKENS if frugal else N_TOKENS
    shared = frames((a.model, a.anatomy), (b.model, b.anatomy), seed, n_tokens)
    if isinstance(shared, str):
        skipped = (Skipped(what="units seen through tokens", why=shared),)
        return Climb(tuple(x for x in found if x), block_map, matches, (*skipped, *unread))
    pair, rule = shared[:2], shared[2]
    seen, seen_map = run_units(Bench(a, b, plan, seed, frames=pair, name="token units"))
    through_tokens, token_matches = run_signs(a, b, seed, pair, pairs=pairs)
    found += [seen, through_tokens]
    rows = f"{len(pair[0].heard)} rows, paired by {rule}"
    left = pair[0].n_left
    note = (Skipped(what=f"{left} tokens beyond the sample", why=f"views use {rows}"),)
    return Climb(
        tuple(stage for stage in found if stage is not None),
        block_map or seen_map,
        token_matches or matches,
        (*(note if left else ()), *unread),
        rows,
    )


def _unread(a: Side, b: Side, pairs: Sequence[tuple[Axis, Axis]]) -> tuple[Skipped, ...]:
    """What signs did not look at, since it lies on a hub, and how to get it."""
    if not pairs:
        return ()
    names = sorted({"V/O dimensions" if x.kind == "vo" else "hidden units" for x, _ in pairs})
    what = f"signs of {' and '.join(names)} in {len(pairs)} places"
    return (unread(what, sum(cost(a, b, pair) for pair in pairs)),)
