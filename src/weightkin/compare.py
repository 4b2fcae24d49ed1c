"""The ladder: runs the evidence in order of cost, pays for it, writes the verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.special import logsumexp  # type: ignore[import-untyped,unused-ignore]

import weightkin
from weightkin.anatomy import read_anatomy
from weightkin.evidence.published import published_tests
from weightkin.evidence.sample import Plan, make_plan
from weightkin.evidence.stage import DROPPED, Bench, BlockMap, Side, Stage, block_name, run_stage
from weightkin.evidence.units import CLEAR, run_units, run_units_quick
from weightkin.records import (
    AxisEvidence,
    BlockRelation,
    Comparison,
    Direction,
    ModelRef,
    Part,
    Skipped,
)
from weightkin.records.comparison import Basis, Verdict
from weightkin.weights import Model, digest, full_digest, open_model

ALPHA = 1e-6
EFFECT_CUT = 1.25  # ratio of median cosines under which units only line up (methods, section 3)
# Fixed before anything is read; what is left is kept for the blind tests of a later stage.
LADDER = {"units": 0.5, "vo": 0.15, "heads": 0.05, "residual": 0.15}
LOG10 = math.log(10.0)


def compare(
    a: Model | str | Path,
    b: Model | str | Path,
    *,
    alpha: float = ALPHA,
    seed: int = 0,
    quick: bool = False,
    published: int = 0,
    with_full_digest: bool = False,
) -> Comparison:
    """Do two models share weights?

    Null hypothesis: they come from independent random initialisations, whatever they were trained
    on. For each kind of axis (hidden units, V/O dimensions, heads, residual width) the labels of
    one of the two models are uniform under it; the record says whose are relied on.

    Parameters
    ----------
    a, b : Model, str or Path
        Open models or sources. The answer is symmetric up to the names.
    alpha : float
        Level of the verdict, paid over all stages.
    seed : int
        Breaks ties; recorded.
    quick : bool
        Hidden units only, block by block, stopping at the first proof or after four blocks.
    published : int
        Also run the first paper's own statistics with so many relabellings (0: do not). They are
        listed and never drive the verdict; they read everything.
    with_full_digest : bool
        Also digest every byte of both.

    Returns
    -------
    Comparison
        The record. Cost: a fixed sample of every block, about 1 % of the bytes of a large model.
    """
    started = time.perf_counter()
    side_a, side_b = _open(a), _open(b)
    ref_a, ref_b = (_reference(s.model, full=with_full_digest) for s in (side_a, side_b))
    plan = make_plan((side_a.model, side_a.anatomy), (side_b.model, side_b.anatomy))
    stages, block_map = _climb(side_a, side_b, plan, seed, math.log10(alpha) if quick else None)
    axes = tuple(_axis_evidence(stage, alpha) for stage in stages if stage.tested)
    tests = tuple(test for stage in stages for test in stage.tests)
    skipped = _skipped(side_a, side_b, stages, quick=quick)
    if published:
        more, refused = published_tests(side_a, side_b, n_draws=published, seed=seed)
        tests, skipped = tests + more, skipped + refused
    kind, details = _identity(side_a.model, side_b.model, ref_a, ref_b)
    verdict, basis = _verdict(axes, alpha, is_identical="identical" in kind)
    return Comparison(
        a=ref_a,
        b=ref_b,
        verdict=verdict,
        basis=basis,
        log10_pvalue=_paid(stages),
        alpha=alpha,
        axes=axes,
        tests=tests,
        skipped=skipped,
        kind=kind,
        kind_details=details,
        direction=Direction(),
        layers=_layers(stages, block_map, side_b),
        parts=_parts(stages, alpha),
        bytes_read=side_a.model.bytes_read + side_b.model.bytes_read,
        seconds=round(time.perf_counter() - started, 3),
        method=f"weightkin-aligned/1 units={plan.n_units}" + (" quick" if quick else ""),
        parameters={
            "quick": quick,
            "published": published,
            "with_full_digest": with_full_digest,
            "n_units": plan.n_units,
            "effect_cut": EFFECT_CUT,
            "ladder": dict(LADDER),
        },
        seed=seed,
        version=weightkin.__version__,
        incomplete=side_a.model.is_partial or side_b.model.is_partial,
    )


def _open(source: Model | str | Path) -> Side:
    model = source if isinstance(source, Model) else open_model(source)
    return Side(model, read_anatomy(model))


def _reference(model: Model, *, full: bool) -> ModelRef:
    return ModelRef(
        source=model.source,
        digest=digest(model),
        revision=model.revision,
        full_digest=full_digest(model) if full else None,
    )


def _climb(
    a: Side, b: Side, plan: Plan, seed: int, quick_log10_alpha: float | None
) -> tuple[list[Stage], BlockMap]:
    """Run the stages; those not run count zero in the weighted sum."""
    if quick_log10_alpha is not None:
        wanted = -quick_log10_alpha * LOG10 - math.log(LADDER["units"])
        quick = run_units_quick(Bench(a, b, plan, seed), wanted)
        return [quick] if quick else [], {}
    units, block_map = run_units(Bench(a, b, plan, seed))
    found = [units, run_stage(Bench(a, b, plan, seed), "vo", block_map)]
    found.append(run_stage(Bench(a, b, plan, seed), "heads", block_map))
    found.append(run_stage(Bench(a, b, plan, seed), "residual", block_map))
    return [stage for stage in found if stage], block_map


def _axis_evidence(stage: Stage, alpha: float) -> AxisEvidence:
    weight = LADDER[stage.kind]
    log10_p = min(0.0, -(stage.log_evalue + math.log(weight)) / LOG10)
    is_real = stage.effect is not None and stage.effect.ratio >= EFFECT_CUT
    return AxisEvidence(
        axis=stage.kind,
        weight=weight,
        log10_pvalue=log10_p,
        n_blocks=stage.n_blocks,
        trusts=stage.trusts,
        effect=stage.effect,
        passes=log10_p <= math.log10(alpha) and is_real,
    )


def _paid(stages: Sequence[Stage]) -> float:
    """Log10 of 1 / sum_s w_s e_s: one p-value for the whole ladder."""
    terms = [stage.log_evalue + math.log(LADDER[stage.kind]) for stage in stages if stage.tested]
    return min(0.0, -float(logsumexp(terms)) / LOG10) if terms else 0.0


def _verdict(
    axes: Sequence[AxisEvidence], alpha: float, *, is_identical: bool
) -> tuple[Verdict, Basis]:
    if is_identical:
        return "dependent", "exact" if axes else "none"
    if not axes:
        return "not-testable", "none"
    if any(axis.passes for axis in axes):
        return "dependent", "exact"
    lines_up = any(axis.log10_pvalue <= math.log10(alpha) for axis in axes)
    return ("aligned-only" if lines_up else "no-evidence"), "exact"


def _identity(
    a: Model, b: Model, ref_a: ModelRef, ref_b: ModelRef
) -> tuple[tuple[str, ...], dict[str, Any]]:
    if ref_a.digest != ref_b.digest:
        return (), {}
    is_same_file = Path(a.source).resolve() == Path(b.source).resolve()
    if is_same_file or (ref_a.full_digest and ref_a.full_digest == ref_b.full_digest):
        return ("identical",), {"identical": "same files" if is_same_file else "same full digest"}
    return (), {"identical": "identical on the sample; --full-digest reads everything"}


def _skipped(a: Side, b: Side, stages: Sequence[Stage], *, quick: bool) -> tuple[Skipped, ...]:
    found = []
    for name, side in (("a", a), ("b", b)):
        for p in (*side.model.problems, *side.anatomy.skipped):
            found.append(Skipped(what=f"{name}: {p.what}", why=p.why))
    for stage in stages:
        found += stage.skipped
    found += _unpaired(a, b)
    if quick:
        found.append(
            Skipped(what="V/O, heads, residual width", why="--quick reads hidden units only")
        )
    return tuple(dict.fromkeys(found))


def _unpaired(a: Side, b: Side) -> list[Skipped]:
    """Kinds of axes that one model has and the other lacks, and shapes that differ."""
    found = []
    kinds_a, kinds_b = ({axis.kind for axis in side.anatomy.axes} for side in (a, b))
    for kind in sorted(kinds_a ^ kinds_b):
        lacks = "b" if kind in kinds_a else "a"
        found.append(Skipped(what=f"{kind} axes", why=f"model {lacks} has none that is known"))
    stacks_a, stacks_b = dict(a.anatomy.stacks), dict(b.anatomy.stacks)
    for stack in sorted(stacks_a.keys() ^ stacks_b.keys()):
        lacks = "b" if stack in stacks_a else "a"
        found.append(Skipped(what=f"stack {stack}", why=f"model {lacks} has no such stack"))
    for stack in sorted(stacks_a.keys() & stacks_b.keys()):
        extra = stacks_a[stack] - stacks_b[stack]
        if extra:
            why = f"a has {stacks_a[stack]} blocks, b has {stacks_b[stack]}"
            found.append(Skipped(what=f"{abs(extra)} blocks of {stack}", why=why))
    return found


def _layers(stages: Sequence[Stage], block_map: BlockMap, b: Side) -> tuple[BlockRelation, ...]:
    """What became of each block, as far as the units stage saw it."""
    units = next((stage for stage in stages if stage.kind == "units"), None)
    if units is None:
        return ()
    best: dict[tuple[str, str], BlockRelation] = {}
    reached = set()
    for t in units.tested:
        target = block_map.get((t.a.stack, t.a.block), t.a.block)
        if t.b.block != target or t.evidence.log10_pvalue >= CLEAR:
            continue
        key = block_name(t.a), block_name(t.b)
        effect = next((x.effect for x in t.evidence.tests), None)
        relation = BlockRelation(
            block_a=key[0],
            block_b=key[1],
            relation="kept" if t.a.block == t.b.block else "moved",
            log10_pvalue=t.evidence.log10_pvalue,
            effect=effect,
        )
        reached.add((t.b.stack, t.b.block))
        if key not in best or best[key].log10_pvalue > relation.log10_pvalue:
            best[key] = relation
    layers = list(best.values())
    for (stack, block), target in block_map.items():
        if target == DROPPED:
            layers.append(_one_sided(f"{stack}.{block}", "", "dropped"))
    mapped = {stack for stack, _ in block_map}
    for stack, block in sorted({(x.stack, x.block) for x in b.axes("units")} - reached):
        if stack in mapped:
            layers.append(_one_sided("", f"{stack}.{block}", "inserted"))
    return tuple(layers)


def _one_sided(block_a: str, block_b: str, relation: Any) -> BlockRelation:
    return BlockRelation(block_a=block_a, block_b=block_b, relation=relation, log10_pvalue=0.0)


def _parts(stages: Sequence[Stage], alpha: float) -> tuple[Part, ...]:
    """Verdict of each stack alone, and of the residual axis, paid for their number."""
    found = [
        (stack if stage.kind != "residual" else f"{stack} embedding", stage, log_e)
        for stage in stages
        if stage.kind in ("units", "residual")
        for stack, log_e in stage.by_stack.items()
    ]
    parts = []
    for name, stage, log_e in found:
        log10_p = min(0.0, -(log_e + math.log(LADDER[stage.kind] / len(found))) / LOG10)
        is_real = stage.effect is not None and stage.effect.ratio >= EFFECT_CUT
        verdict: Verdict = "no-evidence"
        if log10_p <= math.log10(alpha):
            verdict = "dependent" if is_real else "aligned-only"
        parts.append(Part(name=name, verdict=verdict, log10_pvalue=log10_p))
    return tuple(parts)
