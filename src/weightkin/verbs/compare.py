"""The ladder: runs the evidence in order of cost, pays for it, writes the verdict."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import weightkin
from weightkin import verdict
from weightkin.anatomy import read_anatomy
from weightkin.errors import UsageError
from weightkin.evidence.controls import load_controls
from weightkin.evidence.footing import on_one_footing
from weightkin.evidence.ladder import (
    CLEAR_CUT,
    CONFIRMED,
    COPY_COSINE,
    EFFECT_CUT,
    LADDER,
    Climb,
    climb,
    climb_quick,
    total_log10,
)
from weightkin.evidence.published import published_tests
from weightkin.evidence.reach import smallest_log10_pvalue, tested_share
from weightkin.evidence.sample import Plan, make_plan, n_shared_rows, read_sample
from weightkin.evidence.stacks import with_other_stacks
from weightkin.evidence.stage import Side
from weightkin.evidence.thorough import run_models
from weightkin.evidence.undone import Undone, undo
from weightkin.records import Comparison, Direction, ModelRef, Skipped
from weightkin.verbs.calibrate import WHAT as CALIBRATED
from weightkin.verbs.calibrate import Calibrated, calibrate
from weightkin.verbs.derived import derive, is_far
from weightkin.verbs.equal import Shared, equal_of_sample, shared_values
from weightkin.weights import Model, digest, full_digest, open_model
from weightkin.weights.dry_run import read_ahead

ALPHA = 1e-6


def compare(
    a: Model | str | Path,
    b: Model | str | Path,
    *,
    alpha: float = ALPHA,
    seed: int = 0,
    quick: bool = False,
    thorough: bool = False,
    published: int = 0,
    with_full_digest: bool = False,
    recover: Path | None = None,
    controls: Path | None = None,
    frugal: bool | None = None,
) -> Comparison:
    """Do two models share weights?

    Null hypothesis: they come from independent random initialisations, whatever they were trained
    on. For each kind of axis (hidden units, V/O dimensions, heads, residual width) the labels of
    one of the two models are uniform under it; the record says whose are relied on.

    Parameters
    ----------
    a, b : Model, str or Path
        Open models or sources, sketches among them: if one is, both are tested on the sample
        that it holds. The answer is symmetric up to the names.
    alpha : float
        Level of the verdict, paid over all stages.
    seed : int
        Breaks ties; recorded.
    quick : bool
        Hidden units only, block by block, stopping at the first proof or after four blocks.
    thorough : bool
        Run the blind tests too when the aligned ones have settled the matter, and those that run
        the models (extra ``[torch]``), which are listed and never drive the verdict.
    published : int
        Also run the first paper's own statistics with so many relabellings (0: do not). They are
        listed and never drive the verdict; they read everything.
    with_full_digest : bool
        Also digest every byte of both.
    recover : Path, optional
        Write the maps that undo what was named, as a safetensors file; reads everything.
    controls : Path, optional
        A file of controls to use instead of the user's own, beside those shipped.
    frugal : bool, optional
        Look at less for kind, direction and the blind tests, and say so in ``skipped``; aligned
        tests and digests stay as they are. Without it, where a large model is read from a hub and
        not ``thorough``.

    Returns
    -------
    Comparison
        The record. Cost: a fixed sample of every block, about 1 % of the bytes of a large model.
    """
    started = time.perf_counter()
    if recover is not None and recover.exists():
        raise UsageError(f"{recover}: exists already, and is not overwritten")
    side_a, side_b, missed = on_one_footing(open_side(a), open_side(b), full=with_full_digest)
    if frugal is None:
        frugal = not thorough and is_far((side_a.model, side_b.model))
    plan = make_plan((side_a.model, side_a.anatomy), (side_b.model, side_b.anatomy))
    if not quick:
        _read_ahead(side_a, side_b, plan)
    ref_a, ref_b = (model_ref(s.model, full=with_full_digest) for s in (side_a, side_b))
    names = " ".join(sorted((ref_a.digest, ref_b.digest)))

    def run_ladder(x: Side, y: Side, with_blind: bool) -> Climb:
        if quick:
            return climb_quick(x, y, plan, seed, alpha, names)
        return climb(
            x,
            y,
            plan,
            seed,
            alpha,
            thorough=thorough,
            names=names,
            with_blind=with_blind and not missed,
            frugal=frugal,
        )

    climbed = run_ladder(side_a, side_b, True)
    climbed, other = with_other_stacks(side_a, side_b, climbed, run_ladder, alpha)
    axes = tuple(verdict.axis_evidence(stage, alpha) for stage in climbed.stages if stage.tests)
    tests = tuple(test for stage in climbed.stages for test in stage.tests)
    skipped = verdict.skipped(side_a, side_b, climbed, other) + missed
    if published and not missed:
        more, refused = published_tests(side_a, side_b, n_draws=published, seed=seed)
        tests, skipped = tests + more, skipped + refused
    if thorough and not missed:
        more, refused = run_models(side_a, side_b, seed)
        tests, skipped = tests + more, skipped + refused
    models = side_a.model, side_b.model
    shared = shared_values(models, (ref_a, ref_b), quick=quick)
    kind, details = _identity(shared, ref_a, ref_b)
    reach = verdict.Reach(
        smallest_log10_pvalue(climbed.stages, other),
        tested_share(side_a, side_b, climbed, other),
    )
    decision, basis, because = verdict.decide(axes, alpha, reach, is_equal=shared.is_proof)
    if decision == "not-testable" and axes and not verdict.has_units(climbed):
        because = (verdict.NO_UNIT,)
    skipped = because + skipped
    ranked = Calibrated()
    if not quick and not missed and (thorough or decision in ("no-evidence", "aligned-only")):
        refs, known = (ref_a, ref_b), load_controls(controls)
        ranked = calibrate(side_a, side_b, refs, known, frugal=frugal)
        tests, skipped = tests + ranked.tests, skipped + ranked.skipped
    if ranked.is_decisive and climbed.is_formula:
        why = "hidden units began as a formula, those of the controls at random: listed only"
        skipped += (Skipped(what=CALIBRATED, why=why),)
    elif ranked.is_decisive and decision in ("no-evidence", "aligned-only"):
        decision, basis = "dependent", "calibrated"
    undone = Undone((), {}, {})
    is_elsewhere = other.best is not None and not shared.is_proof
    if other.best is not None:
        details |= {"stacks": dict(zip("ab", other.best.names, strict=True))}
        skipped += (verdict.other_stacks(other.best.names),) if is_elsewhere else ()
    elif not missed and (not quick or recover is not None):
        undone = undo(
            side_a,
            side_b,
            climbed,
            plan,
            alpha,
            with_maps=recover is not None,
            is_settled=basis == "calibrated",
        )
    if recover is not None and undone.maps:
        _write_maps(recover, undone)
    elif recover is not None:
        skipped += (Skipped(what=str(recover), why="nothing was undone, so no maps were written"),)
    derived = None
    if decision == "dependent" and not quick and not is_elsewhere:
        derived, unsaid = derive(models, undone, shared, frugal=frugal)
        skipped += unsaid
    if derived is not None and not shared.is_all:
        kind, details = derived.kind, details | derived.details
    return Comparison(
        a=ref_a,
        b=ref_b,
        verdict=decision,
        basis=basis,
        log10_pvalue=total_log10(climbed.stages),
        alpha=alpha,
        axes=axes,
        tests=tests,
        skipped=skipped,
        kind=kind if derived else kind + undone.kinds,
        kind_details=details | undone.details,
        direction=derived.direction if derived else Direction(),
        layers=verdict.layers(climbed, side_b, other),
        parts=verdict.parts(side_a, side_b, plan, climbed.stages, alpha),
        calibration=ranked.calibration,
        equal=equal_of_sample(shared, derived.equality if derived else None),
        smallest_log10_pvalue=reach.log10_pvalue,
        tested_share=round(reach.share, 4),
        bytes_read=side_a.model.bytes_read + side_b.model.bytes_read,
        seconds=round(time.perf_counter() - started, 3),
        method=f"weightkin-ladder/1 units={plan.n_units}{' quick' if quick else ''}",
        parameters={
            "quick": quick,
            "thorough": thorough,
            "published": published,
            "with_full_digest": with_full_digest,
            "n_units": plan.n_units,
            "effect_cuts": [EFFECT_CUT, CLEAR_CUT, CONFIRMED, COPY_COSINE],
            "ladder": dict(LADDER),
            "controls": str(controls or ""),
        }
        | ({"frugal": True} if frugal else {})
        | ({"views": climbed.rows} if climbed.rows else {}),
        seed=seed,
        version=weightkin.__version__,
        incomplete=side_a.model.is_partial or side_b.model.is_partial or other.is_capped,
    )


def open_side(source: Model | str | Path) -> Side:
    """A model with its anatomy, opened if it is a source."""
    model = source if isinstance(source, Model) else open_model(source)
    return Side(model, read_anatomy(model))


def model_ref(model: Model, *, full: bool = False) -> ModelRef:
    """Source and digests of a model, as they stand in records."""
    full = full and (model.sketched is None or model.sketched.full_digest is not None)
    return ModelRef(
        source=model.source,
        digest=digest(model),
        revision=model.revision or "",
        full_digest=full_digest(model) if full else None,
    )


def _read_ahead(a: Side, b: Side, plan: Plan) -> None:
    """Ask servers at once for what digests and aligned tests read."""
    n_rows = n_shared_rows((a.model, a.anatomy), (b.model, b.anatomy))
    for side in (a, b):
        sample = partial(read_sample, anatomy=side.anatomy, plan=plan, n_vocabulary=n_rows)
        read_ahead(side.model, digest, sample)


def _identity(shared: Shared, a: ModelRef, b: ModelRef) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What equal digests say before anything else was looked at."""
    if shared.is_all:
        same = "same files" if shared.is_same_file else "same full digest"
        return ("identical",), {"identical": same}
    if a.digest == b.digest and (shared.found is None or shared.found.is_whole):
        return (), {"identical": "a sample; --full-digest reads everything"}
    return (), {}


def _write_maps(path: Path, undone: Undone) -> None:
    """Write what was undone: units, signs, scales, residual basis; format in docs/methods.md."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array) for name, array in undone.maps.items()}
    try:
        save_file(arrays, path, metadata={"kinds": " ".join(undone.kinds)})
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path}: cannot be written ({error})") from None
