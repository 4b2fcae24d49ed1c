"""From stages to the fields of the record: verdict, axes, layers, parts, what was skipped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import Side
from weightkin.evidence.block_pairs import BlockMap, block_name
from weightkin.evidence.equal_rows import has_equal_rows
from weightkin.evidence.ladder import (
    COPIED_BY_LOSSES,
    LADDER,
    OF_KEYS,
    StagesRun,
    is_real,
    is_settled,
    paid_log10,
    passes,
)
from weightkin.evidence.pairs import LOG10
from weightkin.evidence.plan import Plan
from weightkin.evidence.reach import LEAST_TESTED
from weightkin.evidence.stacks import OtherStacks, renamed
from weightkin.evidence.stage import DROPPED, Stage
from weightkin.evidence.units import STRAIGHT_FAILS
from weightkin.records import AxisEvidence, BlockRelation, Part, Skipped, left_out
from weightkin.records.evidence import Basis, Relation, Verdict

NO_UNIT = left_out("every axis", "no-unit")


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
        confirmed=stage.confirmed,
        second_effect=stage.second,
        over_arrangement=None if stage.margin is None else round(stage.margin, 4),
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """What the tests of a pair could have shown: their smallest p, and the share they reach."""

    log10_pvalue: float
    share: float


def decide(
    axes: Sequence[AxisEvidence], alpha: float, reach: Reach, *, is_equal: bool
) -> tuple[Verdict, Basis, tuple[Skipped, ...]]:
    """`dependent` needs an axis that passes alpha and the effect cut and no loss copies, or values.

    "No evidence" needs tests that could have shown something, on half of the smaller model.

    Parameters
    ----------
    axes : sequence of AxisEvidence
        All stages, each paid for by its weight.
    alpha : float
        Level of the verdict.
    reach : Reach
        What the tests could have shown.
    is_equal : bool
        Whether equal values settle it.

    Returns
    -------
    tuple
        Verdict, what it rests on, and why it says no more.
    """
    if any(axis.passes and axis.axis not in COPIED_BY_LOSSES for axis in axes):
        return "dependent", "exact", ()
    if is_equal:
        return "dependent", "equal", ()
    if not axes:
        return "not-testable", "none", ()
    log10_alpha = math.log10(alpha)
    if any(axis.log10_pvalue <= log10_alpha for axis in axes):
        return "aligned-only", "exact", tuple(_only_aligned(axes))
    if reach.log10_pvalue > log10_alpha:
        pvalue = 10**reach.log10_pvalue
        why = left_out("the verdict", "out-of-reach", pvalue=pvalue, alpha=alpha)
        return "not-testable", "none", (why,)
    if reach.share < LEAST_TESTED:
        why = left_out("the verdict", "share-too-small", share=round(reach.share, 4))
        return "not-testable", "none", (why,)
    return "no-evidence", "exact", ()


def is_unconfirmed(stages: Sequence[Stage], alpha: float) -> bool:
    """Whether a verdict rests alone on what has no invariant: axes from a graph, queries and keys.

    Then it cannot be excluded that one model was arranged to match the other: planes and signs of
    queries and keys are turned for nothing.
    """
    settling = [s for s in stages if passes(s, alpha) and s.name not in COPIED_BY_LOSSES]
    if settling and all(stage.name in OF_KEYS for stage in settling):
        return True
    settling = [stage for stage in settling if stage.name not in OF_KEYS]
    own = [any(map(is_view, t.a.places)) for stage in settling for t in stage.tested]
    return bool(own) and all(own) and all(stage.tested for stage in settling)


def _only_aligned(axes: Sequence[AxisEvidence]) -> Iterator[Skipped]:
    """Why axes that lined up settle nothing, beyond the effect cut."""
    for axis in axes:
        if axis.confirmed == "refuted":
            yield left_out(axis.axis, "not-confirmed")
        elif axis.passes:
            yield left_out(axis.axis, "losses-copy")


def has_units(ran: StagesRun) -> bool:
    """Whether any test had units to match: without one, "no evidence" would say too much."""
    return any(test.n_units for stage in ran.stages for test in stage.tests)


def layers(ran: StagesRun, b: Side, other: OtherStacks) -> tuple[BlockRelation, ...]:
    """What became of each block, as far as the units stage saw it.

    Parameters
    ----------
    ran : StagesRun
        What the ladder tested.
    b : Side
        The second model, for blocks that were inserted.
    other : OtherStacks
        Where a pairing of these decides the verdict, its blocks are meant.

    Returns
    -------
    tuple of BlockRelation
        Blocks kept, moved, dropped and inserted; others are not listed.
    """
    if other.best is None:
        return _layers(ran, b)
    names = other.best.names
    found = _layers(other.best.ran, other.best.sides[1])
    return tuple(replace(x, block_b=renamed(x.block_b, names)) for x in found)


def _layers(ran: StagesRun, b: Side) -> tuple[BlockRelation, ...]:
    block_map: BlockMap = ran.block_map
    units = next(
        (stage for stage in ran.stages if stage.name in ("units", "token units") and stage.tested),
        None,
    )
    if units is None:
        return ()
    best: dict[tuple[str, str], BlockRelation] = {}
    reached = set()
    for t in units.tested:
        target = block_map.get((t.a.stack, t.a.block), t.a.block)
        if t.b.block != target or t.evidence.log10_pvalue >= STRAIGHT_FAILS:
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


def _has_embedding(stage: Stage, stack: str) -> bool:
    """Whether more of a stack was tested than units of the whole model."""
    kinds = {t.a.kind for t in stage.tested if t.a.stack == stack}
    return kinds != {"units"}


def parts(a: Side, b: Side, plan: Plan, stages: Sequence[Stage], alpha: float) -> tuple[Part, ...]:
    """Verdict of each stack alone, and of each embedding, paid for their number.

    A part takes the best of its stages, each already paid for by its weight: of those that pass
    alpha one whose units are more alike than lining up makes them, if any is. Where the residual
    width stands alone, an embedding is only `dependent` if rows of it are equal up to one factor.

    Parameters
    ----------
    a, b : Side
        The two models.
    plan : Plan
        How much is read.
    stages : sequence of Stage
        What the ladder tested.
    alpha : float
        Level of the verdict.

    Returns
    -------
    tuple of Part
        Name, verdict and log10 p of each.
    """
    best: dict[tuple[str, bool], tuple[float, Stage]] = {}
    clear: dict[tuple[str, bool], bool] = {}
    for stage in stages:
        if stage.name == "heads":
            continue
        for stack, log_e in stage.by_stack.items():
            if stage.name == "residual" and not _has_embedding(stage, stack):
                continue
            part = (stack, stage.name == "residual")
            paid = log_e + math.log(LADDER[stage.name])
            is_clear = paid >= -math.log(alpha) and is_real(stage) and stage.confirmed != "refuted"
            if part not in best or (is_clear, paid) > (clear[part], best[part][0]):
                best[part], clear[part] = (paid, stage), is_clear
    verdicts = []
    for (stack, is_embedding), (log_e, stage) in best.items():
        log10_p = min(0.0, -(log_e - math.log(len(best))) / LOG10)
        verdict: Verdict = "no-evidence"
        if log10_p <= math.log10(alpha):
            is_shown = is_real(stage) and stage.confirmed != "refuted"
            if is_shown and stage.name in COPIED_BY_LOSSES and not is_settled(stages, alpha):
                is_shown = has_equal_rows(a, b, plan, stack)
            verdict = "dependent" if is_shown else "aligned-only"
        said = part_name(stack, is_embedding=is_embedding)
        own = Part(name=said, verdict=verdict, log10_pvalue=log10_p, is_embedding=is_embedding)
        verdicts.append(own)
    return tuple(verdicts)


def part_name(stack: str, *, is_embedding: bool) -> str:
    """What the blocks of a stack are called in a record, or the tables around them."""
    return f"{stack} embedding" if is_embedding else stack
