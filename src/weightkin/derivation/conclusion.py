"""What the stages show about two models, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weightkin.anatomy.side import Side
from weightkin.derivation.equal import Shared
from weightkin.derivation.opened import Pair
from weightkin.derivation.pairing import stack_likeness
from weightkin.evidence import untested, verdict
from weightkin.evidence.calibrate import CALIBRATED_EVIDENCE as CALIBRATED
from weightkin.evidence.calibrate import Calibrated, calibrate
from weightkin.evidence.controls import load_controls
from weightkin.evidence.equal_rows import is_basis_fixed
from weightkin.evidence.ladder import Blind, StagesRun, run_quick, run_stages
from weightkin.evidence.reach import smallest_log10_pvalue, tested_share, tested_shares
from weightkin.evidence.stacks import OtherStacks, with_other_stacks
from weightkin.evidence.stage import Stage
from weightkin.evidence.verdict import Reach
from weightkin.records import AxisEvidence, ModelRef, Part, Skipped, left_out
from weightkin.records.evidence import Basis, Verdict
from weightkin.sketch.stand_in import smaller_of


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict, and what it rests on."""

    verdict: Verdict
    basis: Basis
    axes: tuple[AxisEvidence, ...]
    reach: Reach
    ranked: Calibrated
    skipped: tuple[Skipped, ...]
    tested: Mapping[str, float]  # share of each tensor of the smaller model on tested axes
    parts: tuple[Part, ...] = ()
    embeddings: tuple[str, ...] = ()  # parts on which alone the verdict rests


def stages_of(pair: Pair, shared: Shared) -> tuple[StagesRun, OtherStacks]:
    """Evidence in order of cost; stacks under other names too where nothing else settles it."""
    how = pair.settings
    wanted: Blind = "always" if how.effort == "thorough" else "as-needed"

    def run(a: Side, b: Side, *, with_blind: bool) -> StagesRun:
        draw = pair.draw_of(a, b)
        if pair.is_quick:
            return run_quick(draw, how.alpha)
        blind = wanted if with_blind and not pair.missed else "never"
        return run_stages(draw, how.alpha, blind=blind, frugal=bool(how.frugal))

    ran = run(pair.a, pair.b, with_blind=True)
    likeness = stack_likeness(*shared.common.sketches)
    return with_other_stacks(pair.a, pair.b, ran, run, how.alpha, likeness)


def conclude(
    pair: Pair,
    refs: tuple[ModelRef, ModelRef],
    ran: StagesRun,
    other: OtherStacks,
    shared: Shared,
) -> Conclusion:
    """The verdict from exact and bound tests; calibrated evidence where they show nothing."""
    how = pair.settings
    stages = ran.stages
    axes = tuple(verdict.axis_evidence(stage, how.alpha) for stage in stages if stage.tests)
    skipped = untested.skipped(pair.a, pair.b, ran, other) + pair.missed
    tested = tested_shares(pair.a, pair.b, ran, other)
    share = tested_share(pair.models[smaller_of(pair.models)], tested)
    reach = Reach(smallest_log10_pvalue(stages, other), share)
    decision, basis, because = verdict.decide(axes, how.alpha, reach, is_equal=shared.is_proof)
    draw = pair.draw_of(pair.a, pair.b)
    parts = verdict.parts(pair.a, pair.b, draw.plan, stages, how.alpha)
    embeddings: tuple[str, ...] = ()
    if decision == "aligned-only":
        embeddings = tuple(x.name for x in parts if _is_shared(pair, x))
    if embeddings:
        decision, because = "dependent", ()
    elif (decision, basis) == ("dependent", "exact") and _is_unconfirmed(pair, stages):
        basis = "exact-unconfirmed"
    if decision == "not-testable" and axes and not verdict.has_units(ran):
        because = (verdict.NO_UNIT,)
    skipped = because + skipped
    ranked = Calibrated()
    is_open = decision in ("no-evidence", "aligned-only") or basis == "exact-unconfirmed"
    if not pair.is_quick and not pair.missed and (how.effort == "thorough" or is_open):
        known = load_controls(how.controls)
        frugal = bool(how.frugal)
        ranked = calibrate(pair.a, pair.b, refs, known, seed=draw.token_seed, frugal=frugal)
        skipped += ranked.skipped
    if ranked.is_decisive and ran.is_formula:
        skipped += (left_out(CALIBRATED, "formula-start", "calibrated"),)
    elif ranked.is_decisive and is_open:
        decision, basis = "dependent", "calibrated"
    return Conclusion(decision, basis, axes, reach, ranked, skipped, tested, parts, embeddings)


def _is_unconfirmed(pair: Pair, stages: Sequence[Stage]) -> bool:
    """Whether a model may have been made to match: also where only rows of a sketch were read.

    Everybody knows which those are, and a rotation can set as many of them as the stream is wide.
    """
    is_of_sketch = any(model.sketched is not None for model in pair.models)
    return is_of_sketch or verdict.is_unconfirmed(stages, pair.settings.alpha)


def _is_shared(pair: Pair, part: Part) -> bool:
    """Whether a part is an embedding that nothing but a common origin explains in either model."""
    if not part.is_embedding or part.verdict != "dependent":
        return False
    stacks = {x.stack for x in pair.a.axes("residual")}
    own = [x for x in stacks if verdict.part_name(x, is_embedding=True) == part.name]
    return all(is_basis_fixed(side, x) for x in own for side in (pair.a, pair.b))
