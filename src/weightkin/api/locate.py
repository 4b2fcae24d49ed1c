"""Where two models are alike: which blocks, units, dimensions and tensors are in both."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weightkin._version import __version__
from weightkin.anatomy.side import MAX_EXPERTS, Side
from weightkin.api.arguments import check_alpha, check_seed
from weightkin.api.models import Source, as_source
from weightkin.arrays import Doubles
from weightkin.derivation.opened import ALPHA
from weightkin.derivation.pair import model_ref
from weightkin.errors import UsageError
from weightkin.evidence.ladder import BLOCK_CUT, COPY_COSINE
from weightkin.evidence.sample import make_plan
from weightkin.evidence.stage import PairTester
from weightkin.evidence.unitmap import map_units
from weightkin.evidence.verdict import not_read
from weightkin.evidence.views import TokenRows, frames
from weightkin.localise.blockmap import StackScan, find_pairs, map_stack
from weightkin.localise.blockscan import BlockScan, correct, scan_blocks
from weightkin.localise.residual import map_residual
from weightkin.localise.tensorscan import scan_tensors
from weightkin.records import Skipped, left_out
from weightkin.records.location import Location, Matrix, ResidualMap, UnitMap
from weightkin.sketch.source import open_side


def locate(a: Source, b: Source, *, alpha: float = ALPHA, seed: int = 0) -> Location:
    """Find which blocks, units, residual dimensions and tensors of ``a`` are in ``b``.

    Null hypothesis of every pair of blocks: as in `compare`. All pairs of hidden units and of V/O
    dimensions, and the residual streams, are corrected together (Holm, any dependence). A pair is
    matched if it passes ``alpha`` and its units are alike, not only in the same order.

    Parameters
    ----------
    a, b : Model, str, Path or state dict
        Open models or sources. Swapping them mirrors the result.
    alpha : float
        Significance level of the whole map: the chance that it has any pair of unrelated blocks.
    seed : int
        Breaks ties; recorded.

    Returns
    -------
    Location
        Matrices, block map, unit maps, residual dimensions, tensors.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, or one of the two is a sketch.
    UnreadableModel
        A source cannot be read.
    """
    started = time.perf_counter()
    check_alpha(alpha)
    check_seed(seed)
    side_a, side_b = open_side(as_source("a", a)), open_side(as_source("b", b))
    for model in (side_a.model, side_b.model):
        if model.sketched is not None:
            raise UsageError(f"{model.source}: a sketch; locate needs the model itself")
    ref_a, ref_b = model_ref(side_a.model), model_ref(side_b.model)
    plan = make_plan((side_a.model, side_a.anatomy), (side_b.model, side_b.anatomy))
    seen_through = _frames_if_needed(side_a, side_b, seed)
    scans, skipped = scan_blocks(side_a, side_b, plan, seed, seen_through)
    residual, refused = map_residual(side_a, side_b, plan, seed, math.log10(alpha))
    corrected, others = correct(scans, [r.log10_pvalue for r in residual if r.trusts])
    paid = iter(others.tolist())
    residual = [_repaid(r, next(paid)) if r.trusts else r for r in residual]
    tester = PairTester(side_a, side_b, plan, seed, seen_through)
    found = find_pairs(tester, scans, corrected, math.log10(alpha))
    maps = [map_stack(stack, found, scans) for stack in dict.fromkeys(s.stack for s in scans)]
    tensors, unread = scan_tensors(side_a.model, side_b.model)
    notes = [*_missing(side_a, side_b), *skipped, *refused, *tester.skipped.values(), *unread]
    notes += [] if found else [left_out("permuted or rotated blocks", "order-did-not-survive")]
    return Location(
        a=ref_a,
        b=ref_b,
        alpha=alpha,
        n_hypotheses=_n_hypotheses(scans, len(others)),
        matrices=tuple(_matrix(s, t) for s, t in zip(scans, corrected, strict=True)),
        layers=tuple(x for m in maps for x in m.layers),
        descriptive=tuple(dict.fromkeys(f"{s.kind} of {s.stack}" for s in scans if not s.trusts)),
        monotone_map=tuple(pair for m in maps for pair in m.monotone),
        is_monotone=all(m.is_monotone for m in maps),
        unit_maps=_unit_maps(side_a, side_b, found, seen_through),
        residual=tuple(residual),
        tensors=tensors,
        n_tensors_a=len(side_a.model.tensors),
        n_tensors_b=len(side_b.model.tensors),
        skipped=tuple(dict.fromkeys(notes)),
        bytes_read=side_a.model.bytes_read + side_b.model.bytes_read,
        seconds=round(time.perf_counter() - started, 3),
        method=f"weightkin-locate/1 units={plan.n_units}",
        parameters={"n_units": plan.n_units, "effect_cuts": [BLOCK_CUT, COPY_COSINE]},
        seed=seed,
        version=__version__,
        incomplete=side_a.model.is_partial or side_b.model.is_partial,
    )


def _repaid(r: ResidualMap, log10_pvalue: float) -> ResidualMap:
    return replace(r, log10_pvalue=log10_pvalue)


def _matrix(scan: BlockScan, corrected: Doubles) -> Matrix:
    return Matrix(
        stack=scan.stack,
        axis=scan.kind,
        trusts=scan.trusts or "",
        blocks_a=tuple(f"{scan.stack}.{i}" for i in scan.blocks_a),
        blocks_b=tuple(f"{scan.stack}.{j}" for j in scan.blocks_b),
        n_tested=int(scan.is_testable.sum()),
        log10_pvalues=tuple(tuple(float(p) for p in row) for row in np.round(corrected, 4) + 0.0),
    )


def _n_hypotheses(scans: Sequence[BlockScan], n_others: int) -> int:
    return n_others + sum(int(s.is_testable.sum()) for s in scans if s.trusts)


def _frames_if_needed(a: Side, b: Side, seed: int) -> tuple[TokenRows, TokenRows] | None:
    """Tokens to see units through where residual widths differ: raw rows share no coordinates."""
    widths = [{x.n_units for x in side.axes("residual")} for side in (a, b)]
    if widths[0] == widths[1]:
        return None
    seen = frames((a.model, a.anatomy), (b.model, b.anatomy), seed)
    return None if isinstance(seen, Skipped) else seen[:2]


def _unit_maps(
    a: Side,
    b: Side,
    found: Sequence[StackScan],
    seen_through: tuple[TokenRows, TokenRows] | None,
) -> tuple[UnitMap, ...]:
    maps = [map_units(a, b, x, y, seen_through) for f in found for x, y in f.axes]
    return tuple(m for m in maps if m is not None)


def _missing(a: Side, b: Side) -> list[Skipped]:
    """What one of the models lacks, could not read, or has too much of."""
    notes = []
    for name, side in (("a", a), ("b", b)):
        notes += not_read(side, name)
        n_left_out = sum(x.kind == "units" for x in side.anatomy.axes) - len(side.axes("units"))
        if n_left_out:
            what = f"{name}: {n_left_out} experts"
            notes.append(left_out(what, "first-experts", n=MAX_EXPERTS))
    stacks_a, stacks_b = (dict(side.anatomy.stacks) for side in (a, b))
    for stack in sorted(stacks_a.keys() ^ stacks_b.keys()):
        lacks = "b" if stack in stacks_a else "a"
        notes.append(left_out(f"stack {stack}", "no-such-stack", stack=stack, model=lacks))
    return notes
