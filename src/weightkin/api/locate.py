"""Where two models are alike: which blocks, units, dimensions and tensors are in both."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from weightkin._version import __version__
from weightkin.anatomy.side import MAX_EXPERTS, Side
from weightkin.api.arguments import check_alpha, check_seed
from weightkin.api.models import Source, as_source
from weightkin.arrays import Doubles
from weightkin.derivation.equal import FIRST_ROWS, sketches_of
from weightkin.derivation.opened import ALPHA
from weightkin.derivation.pair import model_ref
from weightkin.derivation.pairing import stack_likeness
from weightkin.errors import UsageError
from weightkin.evidence.ladder import BLOCK_CUT, COPY_COSINE
from weightkin.evidence.sample import make_plan
from weightkin.evidence.stacks import Likeness
from weightkin.evidence.unitmap import map_units
from weightkin.evidence.untested import not_read
from weightkin.formats import Model
from weightkin.localise.blockmap import StackScan, find_pairs, map_stack
from weightkin.localise.blockscan import BlockScan, correct
from weightkin.localise.stackscan import Looked, Pairings, look_at_stacks
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
    level = seed, math.log10(alpha)
    models = side_a.model, side_b.model
    pairings = look_at_stacks(side_a, side_b, plan, level, lambda: _likeness(models))
    scans, residual = pairings.scans, [r for x in pairings.looked for r in x.residual]
    trusted = [r.log10_pvalue for r in residual if r.trusts]
    corrected, others = correct(scans, trusted, pairings.n_left_out)
    paid = iter(others.tolist())
    residual = [_repaid(r, next(paid)) if r.trusts else r for r in residual]
    found = _found(pairings, corrected, math.log10(alpha))
    pairs = [pair for _, pairs in found for pair in pairs]
    maps = [map_stack(names, pairs, scans) for names in dict.fromkeys(map(_names, scans))]
    tensors, unread = scan_tensors(*models)
    notes = [*_missing(side_a, side_b, pairings.stacks), *pairings.skipped]
    for looked in pairings.looked:
        notes += [*looked.skipped, *looked.tester.skipped.values()]
    notes += unread
    notes += [] if pairs else [left_out("permuted or rotated blocks", "order-did-not-survive")]
    return Location(
        a=ref_a,
        b=ref_b,
        alpha=alpha,
        n_hypotheses=_n_hypotheses(scans, len(others)) + pairings.n_left_out,
        matrices=tuple(_matrix(s, t) for s, t in zip(scans, corrected, strict=True)),
        layers=tuple(x for m in maps for x in m.layers),
        descriptive=tuple(dict.fromkeys(f"{s.kind} of {_stack(s)}" for s in scans if not s.trusts)),
        monotone_map=tuple(pair for m in maps for pair in m.monotone),
        is_monotone=all(m.is_monotone for m in maps),
        unit_maps=tuple(m for looked, pairs in found for m in _unit_maps(looked, pairs)),
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
        stack=_stack(scan),
        axis=scan.kind,
        trusts=scan.trusts or "",
        blocks_a=tuple(f"{scan.stack}.{i}" for i in scan.blocks_a),
        blocks_b=tuple(f"{scan.stack_b}.{j}" for j in scan.blocks_b),
        n_tested=int(scan.is_testable.sum()),
        log10_pvalues=tuple(tuple(float(p) for p in row) for row in np.round(corrected, 4) + 0.0),
    )


def _n_hypotheses(scans: Sequence[BlockScan], n_others: int) -> int:
    return n_others + sum(int(s.is_testable.sum()) for s in scans if s.trusts)


def _likeness(models: tuple[Model, Model]) -> Likeness:
    return stack_likeness(*sketches_of(models, FIRST_ROWS))


def _found(
    pairings: Pairings, corrected: Sequence[Doubles], log10_alpha: float
) -> list[tuple[Looked, list[StackScan]]]:
    """Pairs of blocks that belong together, for each pairing of stacks."""
    tables, found = iter(corrected), []
    for looked in pairings.looked:
        here = [next(tables) for _ in looked.scans]
        found.append((looked, find_pairs(looked.tester, looked.scans, here, log10_alpha)))
    return found


def _names(scan: BlockScan) -> tuple[str, str]:
    return scan.stack, scan.stack_b


def _stack(scan: BlockScan) -> str:
    """Name of a stack, or of two that were paired."""
    a, b = _names(scan)
    return a if a == b else f"{a} (in b: {b})"


def _unit_maps(looked: Looked, found: Sequence[StackScan]) -> tuple[UnitMap, ...]:
    t = looked.tester
    maps = [map_units(t.a, t.b, x, y, t.frames) for f in found for x, y in f.axes]
    return tuple(m for m in maps if m is not None)


def _missing(a: Side, b: Side, compared: Collection[str]) -> list[Skipped]:
    """What one of the models lacks, could not read, or has too much of."""
    notes = []
    for name, side in (("a", a), ("b", b)):
        notes += not_read(side, name)
        n_left_out = sum(x.kind == "units" for x in side.anatomy.axes) - len(side.axes("units"))
        if n_left_out:
            what = f"{name}: {n_left_out} experts"
            notes.append(left_out(what, "first-experts", n=MAX_EXPERTS))
    stacks_a, stacks_b = (dict(side.anatomy.stacks) for side in (a, b))
    for stack in sorted((stacks_a.keys() ^ stacks_b.keys()) - set(compared)):
        lacks = "b" if stack in stacks_a else "a"
        notes.append(left_out(f"stack {stack}", "no-such-stack", stack=stack, model=lacks))
    return notes
