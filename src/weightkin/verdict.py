"""From stages to the fields of the record: verdict, axes, layers, parts, what was skipped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from weightkin.evidence.ladder import LADDER, Climb, is_real, paid_log10, passes
from weightkin.evidence.pairs import LOG10
from weightkin.evidence.stage import DROPPED, BlockMap, Side, Stage, block_name
from weightkin.evidence.units import CLEAR
from weightkin.records import AxisEvidence, BlockRelation, Part, Skipped
from weightkin.records.comparison import Basis, Relation, Verdict

NO_UNIT = Skipped(
    what="every axis",
    why="no unit could be matched: in one model all that were read are zero, equal or not finite",
)


def axis_evidence(stage: Stage, alpha: float) -> AxisEvidence:
    """One stage as it stands in the record."""
    return AxisEvidence(
        axis=stage.name,
        weight=LADDER[stage.name],
        log10_pvalue=paid_log10(stage),
        n_blocks=stage.n_blocks,
        trusts=stage.trusts,
        effect=stage.effect,
        passes=passes(stage, alpha),
    )


def decide(axes: Sequence[AxisEvidence], alpha: float, *, is_equal: bool) -> tuple[Verdict, Basis]:
    """`dependent` needs one axis that passes both alpha and the effect cut, or equal values."""
    if any(axis.passes for axis in axes):
        return "dependent", "exact"
    if is_equal:
        return "dependent", "equal"
    if not axes:
        return "not-testable", "none"
    lines_up = any(axis.log10_pvalue <= math.log10(alpha) for axis in axes)
    return ("aligned-only" if lines_up else "no-evidence"), "exact"


def has_units(climbed: Climb) -> bool:
    """Whether any test had units to match: without one, "no evidence" would say too much."""
    return any(test.n_units for stage in climbed.stages for test in stage.tests)


def skipped(a: Side, b: Side, climbed: Climb) -> tuple[Skipped, ...]:
    """Everything that was not tested, with its reason."""
    found = []
    for name, side in (("a", a), ("b", b)):
        for p in (*side.model.problems, *side.anatomy.skipped):
            found.append(Skipped(what=f"{name}: {p.what}", why=p.why))
    for stage in climbed.stages:
        found += stage.skipped
    found += _unpaired(a, b)
    return tuple(dict.fromkeys([*found, *climbed.skipped]))


def _unpaired(a: Side, b: Side) -> list[Skipped]:
    """Kinds of axes that one model has and the other lacks, and shapes that differ."""
    found = []
    kinds_a, kinds_b = ({axis.kind for axis in side.anatomy.axes} for side in (a, b))
    for kind in sorted(kinds_a ^ kinds_b):
        lacks = "b" if kind in kinds_a else "a"
        found.append(Skipped(what=f"{kind} axes", why=f"no {kind} axis of model {lacks} is known"))
    stacks_a, stacks_b = dict(a.anatomy.stacks), dict(b.anatomy.stacks)
    for stack in sorted(stacks_a.keys() ^ stacks_b.keys()):
        lacks = "b" if stack in stacks_a else "a"
        found.append(Skipped(what=f"stack {stack}", why=f"model {lacks} has no {stack} stack"))
    for stack in sorted(stacks_a.keys() & stacks_b.keys()):
        extra = stacks_a[stack] - stacks_b[stack]
        if extra:
            why = f"a has {stacks_a[stack]} blocks, b has {stacks_b[stack]}"
            found.append(Skipped(what=f"{abs(extra)} blocks of {stack}", why=why))
    return found


def layers(climbed: Climb, b: Side) -> tuple[BlockRelation, ...]:
    """What became of each block, as far as the units stage saw it."""
    block_map: BlockMap = climbed.block_map
    units = next(
        (
            stage
            for stage in climbed.stages
            if stage.name in ("units", "token units") and stage.tested
        ),
        None,
    )
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
    relations = list(best.values())
    for (stack, block), target in block_map.items():
        if target == DROPPED:
            relations.append(_one_sided(f"{stack}.{block}", "", "dropped"))
    mapped = {stack for stack, _ in block_map}
    for stack, block in sorted({(x.stack, x.block) for x in b.axes("units")} - reached):
        if stack in mapped:
            relations.append(_one_sided("", f"{stack}.{block}", "inserted"))
    return tuple(relations)


def _one_sided(block_a: str, block_b: str, relation: Relation) -> BlockRelation:
    return BlockRelation(block_a=block_a, block_b=block_b, relation=relation, log10_pvalue=0.0)


def parts(stages: Sequence[Stage], alpha: float) -> tuple[Part, ...]:
    """Verdict of each stack alone, and of each embedding, paid for their number.

    A part takes the best of its stages, each already paid for by its weight.
    """
    best: dict[str, tuple[float, Stage]] = {}
    for stage in stages:
        if stage.name == "heads":
            continue
        for stack, log_e in stage.by_stack.items():
            name = f"{stack} embedding" if stage.name == "residual" else stack
            paid = log_e + math.log(LADDER[stage.name])
            if name not in best or paid > best[name][0]:
                best[name] = paid, stage
    verdicts = []
    for name, (log_e, stage) in best.items():
        log10_p = min(0.0, -(log_e - math.log(len(best))) / LOG10)
        verdict: Verdict = "no-evidence"
        if log10_p <= math.log10(alpha):
            verdict = "dependent" if is_real(stage) else "aligned-only"
        verdicts.append(Part(name=name, verdict=verdict, log10_pvalue=log10_p))
    return tuple(verdicts)
