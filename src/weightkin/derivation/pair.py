"""Two models compared in full: stages, verdict, what is equal, kind and direction, one record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from weightkin._version import __version__
from weightkin.anatomy.side import Side
from weightkin.derivation.derived import derive, is_far
from weightkin.derivation.disguise import Disguise, find_disguise
from weightkin.derivation.disguise_maps import write_maps
from weightkin.derivation.equal import Shared, equal_of_sample, shared_values
from weightkin.derivation.kinds import Derivation
from weightkin.derivation.same_scheme import with_same_scheme
from weightkin.derivation.view_agreement import view_agreement
from weightkin.evidence import verdict
from weightkin.evidence.calibrate import CALIBRATED_EVIDENCE as CALIBRATED
from weightkin.evidence.calibrate import Calibrated, calibrate
from weightkin.evidence.confirm import Draw
from weightkin.evidence.controls import load_controls
from weightkin.evidence.ladder import (
    CLEAR_CUT,
    CONFIRMED,
    COPY_COSINE,
    EFFECT_CUT,
    LADDER,
    Blind,
    StagesRun,
    run_quick,
    run_stages,
    total_log10,
)
from weightkin.evidence.reach import smallest_log10_pvalue, tested_share
from weightkin.evidence.sample import Plan, make_plan, n_shared_rows, read_sample
from weightkin.evidence.stacks import OtherStacks, with_other_stacks
from weightkin.evidence.verdict import Reach
from weightkin.formats import Model, digest, full_digest
from weightkin.formats.dry_run import read_ahead
from weightkin.records import (
    AxisEvidence,
    Comparison,
    Direction,
    Effort,
    ModelRef,
    Skipped,
    left_out,
)
from weightkin.records.comparison import Basis, Verdict
from weightkin.sketch.source import open_side

ALPHA = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How two models are compared.

    ``frugal``: look at less for kind, direction and the blind tests, and say so in ``skipped``;
    None: where a large model is read from a hub and the effort is not ``thorough``.
    """

    effort: Effort = "standard"
    alpha: float = ALPHA
    seed: int = 0
    full_digest: bool = False
    recover: Path | None = None
    controls: Path | None = None
    frugal: bool | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models that are compared, their sample, and what a sketch among them cannot answer."""

    a: Side
    b: Side
    settings: Settings
    missed: tuple[Skipped, ...] = ()
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        plan = make_plan((self.a.model, self.a.anatomy), (self.b.model, self.b.anatomy))
        object.__setattr__(self, "plan", plan)

    @property
    def models(self) -> tuple[Model, Model]:
        """Both models."""
        return self.a.model, self.b.model

    @property
    def is_quick(self) -> bool:
        """Whether only hidden units are looked at."""
        return self.settings.effort == "quick"


def pair_of(a: Model | str | Path, b: Model | str | Path, settings: Settings) -> Pair:
    """Open two models for a comparison; where one is a sketch, the other is sketched alike.

    Parameters
    ----------
    a, b : Model, str or Path
    settings : Settings

    Returns
    -------
    Pair
    """
    sides = with_same_scheme(open_side(a), open_side(b), full=settings.full_digest)
    side_a, side_b, missed = sides
    if settings.frugal is None:
        is_frugal = settings.effort != "thorough" and is_far((side_a.model, side_b.model))
        settings = replace(settings, frugal=is_frugal)
    return Pair(side_a, side_b, settings, missed)


def compare_pair(pair: Pair) -> Comparison:
    """Run the stages on two models and write their record. Null hypothesis: see `api.compare`."""
    started = time.perf_counter()
    if not pair.is_quick:
        _read_ahead(pair)
    a, b = (model_ref(model, full=pair.settings.full_digest) for model in pair.models)
    refs = a, b
    ran, other = _stages(pair, refs)
    shared = shared_values(pair.models, refs, quick=pair.is_quick)
    concluded = _conclude(pair, refs, ran, other, shared)
    is_elsewhere = other.best is not None and not shared.is_proof
    undone, skipped = _undo(pair, ran, other, concluded)
    views, unseen = view_agreement(*pair.models)
    skipped = concluded.skipped + unseen + skipped
    derived: Derivation | None = None
    if concluded.verdict == "dependent" and not pair.is_quick and not is_elsewhere:
        frugal = bool(pair.settings.frugal)
        derived, unsaid = derive(pair.models, undone, shared, frugal=frugal)
        skipped += unsaid
    kind, details = _identity(shared, *refs)
    if other.best is not None:
        details |= {"stacks": dict(zip("ab", other.best.names, strict=True))}
        skipped += (verdict.other_stacks(other.best.names),) if is_elsewhere else ()
    if derived is not None and not shared.is_all:
        kind, details = derived.kind, details | derived.details
    alpha = pair.settings.alpha
    return Comparison(
        a=refs[0],
        b=refs[1],
        verdict=concluded.verdict,
        basis=concluded.basis,
        log10_pvalue=total_log10(ran.stages),
        alpha=alpha,
        axes=concluded.axes,
        tests=tuple(test for s in ran.stages for test in s.tests) + concluded.ranked.tests,
        skipped=skipped,
        kind=kind if derived else kind + undone.kinds,
        kind_details=details | undone.details,
        direction=derived.direction if derived else Direction(),
        layers=verdict.layers(ran, pair.b, other),
        parts=verdict.parts(pair.a, pair.b, pair.plan, ran.stages, alpha),
        calibration=concluded.ranked.calibration,
        equal=equal_of_sample(shared, derived.equality if derived else None),
        smallest_log10_pvalue=concluded.reach.log10_pvalue,
        tested_share=round(concluded.reach.share, 4),
        bytes_read=sum(model.bytes_read for model in pair.models),
        seconds=round(time.perf_counter() - started, 3),
        method=f"weightkin-ladder/1 units={pair.plan.n_units}{' quick' if pair.is_quick else ''}",
        parameters=_parameters(pair, ran),
        seed=pair.settings.seed,
        version=__version__,
        incomplete=any(model.is_partial for model in pair.models) or other.is_capped,
        token_views=views,
    )


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """The verdict, and what it rests on."""

    verdict: Verdict
    basis: Basis
    axes: tuple[AxisEvidence, ...]
    reach: Reach
    ranked: Calibrated
    skipped: tuple[Skipped, ...]


def _read_ahead(pair: Pair) -> None:
    """Ask servers at once for what digests and aligned tests read."""
    a, b = pair.a, pair.b
    n_rows = n_shared_rows((a.model, a.anatomy), (b.model, b.anatomy))
    for side in (a, b):
        sample = partial(read_sample, anatomy=side.anatomy, plan=pair.plan, n_vocabulary=n_rows)
        read_ahead(side.model, digest, sample)


def model_ref(model: Model, *, full: bool = False) -> ModelRef:
    """Source and digests of a model, as they stand in records."""
    full = full and (model.sketched is None or model.sketched.full_digest is not None)
    return ModelRef(
        source=model.source,
        digest=digest(model),
        revision=model.revision or "",
        full_digest=full_digest(model) if full else None,
    )


def _stages(pair: Pair, refs: tuple[ModelRef, ModelRef]) -> tuple[StagesRun, OtherStacks]:
    """Evidence in order of cost; stacks under other names too where nothing else settles it."""
    how = pair.settings
    names = " ".join(sorted(ref.digest for ref in refs))
    wanted: Blind = "always" if how.effort == "thorough" else "as-needed"

    def run(a: Side, b: Side, *, with_blind: bool) -> StagesRun:
        draw = Draw(a, b, pair.plan, how.seed, names)
        if pair.is_quick:
            return run_quick(draw, how.alpha)
        blind = wanted if with_blind and not pair.missed else "never"
        return run_stages(draw, how.alpha, blind=blind, frugal=bool(how.frugal))

    ran = run(pair.a, pair.b, with_blind=True)
    return with_other_stacks(pair.a, pair.b, ran, run, how.alpha)


def _conclude(
    pair: Pair,
    refs: tuple[ModelRef, ModelRef],
    ran: StagesRun,
    other: OtherStacks,
    shared: Shared,
) -> _Conclusion:
    """The verdict from exact and bound tests; calibrated evidence where they show nothing."""
    how = pair.settings
    stages = ran.stages
    axes = tuple(verdict.axis_evidence(stage, how.alpha) for stage in stages if stage.tests)
    skipped = verdict.skipped(pair.a, pair.b, ran, other) + pair.missed
    reach = Reach(smallest_log10_pvalue(stages, other), tested_share(pair.a, pair.b, ran, other))
    decision, basis, because = verdict.decide(axes, how.alpha, reach, is_equal=shared.is_proof)
    if decision == "not-testable" and axes and not verdict.has_units(ran):
        because = (verdict.NO_UNIT,)
    skipped = because + skipped
    ranked = Calibrated()
    is_open = decision in ("no-evidence", "aligned-only")
    if not pair.is_quick and not pair.missed and (how.effort == "thorough" or is_open):
        known = load_controls(how.controls)
        ranked = calibrate(pair.a, pair.b, refs, known, frugal=bool(how.frugal))
        skipped += ranked.skipped
    if ranked.is_decisive and ran.is_formula:
        skipped += (left_out(CALIBRATED, "formula-start", "calibrated"),)
    elif ranked.is_decisive and is_open:
        decision, basis = "dependent", "calibrated"
    return _Conclusion(decision, basis, axes, reach, ranked, skipped)


def _undo(
    pair: Pair, ran: StagesRun, other: OtherStacks, concluded: _Conclusion
) -> tuple[Disguise, tuple[Skipped, ...]]:
    """What one model was disguised by; its maps are written where they were asked for."""
    path = pair.settings.recover
    undone = Disguise((), {}, {})
    if other.best is None and not pair.missed and (not pair.is_quick or path is not None):
        undone = find_disguise(
            Draw(pair.a, pair.b, pair.plan, pair.settings.seed),
            ran,
            pair.settings.alpha,
            with_maps=path is not None,
            is_settled=concluded.basis == "calibrated",
        )
    if path is None:
        return undone, ()
    if undone.maps:
        write_maps(path, undone.maps, undone.kinds)
        return undone, ()
    return undone, (left_out(str(path), "nothing-undone"),)


def _identity(shared: Shared, a: ModelRef, b: ModelRef) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What equal digests say before anything else was looked at."""
    if shared.is_all:
        return ("identical",), {"identical": "files" if shared.is_same_file else "digest"}
    if a.digest == b.digest and (shared.found is None or shared.found.is_whole):
        return (), {"identical": "sample"}
    return (), {}


def _parameters(pair: Pair, ran: StagesRun) -> dict[str, Any]:
    """All that a rerun needs."""
    how = pair.settings
    return (
        {
            "effort": how.effort,
            "with_full_digest": how.full_digest,
            "n_units": pair.plan.n_units,
            "effect_cuts": [EFFECT_CUT, CLEAR_CUT, CONFIRMED, COPY_COSINE],
            "ladder": dict(LADDER),
            "controls": str(how.controls or ""),
        }
        | ({"frugal": True} if how.frugal else {})
        | ({"views": ran.rows} if ran.rows else {})
    )
