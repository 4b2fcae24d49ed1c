"""Which block of one model is which block of the other: the pairs found, and the map they make.

What is found is paid for by Holm over all pairs; the monotone map by dynamic programming is a
maximum and only describes (`methods`, section 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Doubles
from weightkin.evidence.ladder import block_is_real
from weightkin.evidence.pair_tester import PairTester, Tested
from weightkin.evidence.pairs import pooled_effect
from weightkin.localise.blockscan import BlockScan
from weightkin.records import BlockRelation, Effect, left_out
from weightkin.records.evidence import Relation
from weightkin.stats.combining import best_monotone_map


@dataclass(frozen=True, slots=True)
class StackScan:
    """A pair of blocks that belong together, with the pairs of axes that say so."""

    stack: str
    stack_b: str
    a: int
    b: int
    log10_pvalue: float  # corrected; 0.0 where the pair is only described
    axes: tuple[tuple[Axis, Axis], ...]
    effect: Effect | None
    kinds: tuple[AxisKind, ...]


@dataclass(frozen=True, slots=True)
class StackMap:
    """The map of one stack: every block said something about, the monotone part, its shape."""

    layers: tuple[BlockRelation, ...]
    monotone: tuple[tuple[str, str], ...]
    is_monotone: bool


def find_pairs(
    tester: PairTester,
    scans: Sequence[BlockScan],
    corrected: Sequence[Doubles],
    log10_alpha: float,
) -> list[StackScan]:
    """Pairs of blocks past the level whose matched units are alike, not only lined up.

    A pair of an axis that the guard refused is kept when its uncorrected figure would pass and its
    effect does: such pairs are described, with p-value one.

    Parameters
    ----------
    tester : PairTester
        Reads and tests pairs of axes; pairs that are left out are noted there.
    scans : sequence of BlockScan
        All block pairs of every stack and kind of axis.
    corrected : sequence of (n_blocks_a, n_blocks_b) arrays
        Corrected log10 p-values, one array for each scan.
    log10_alpha : float
        Log10 of the level.

    Returns
    -------
    list of StackScan
        Sorted by stack and blocks, each pair of blocks once.
    """
    merged: dict[tuple[str, str, int, int], list[StackScan]] = {}
    for scan, table in zip(scans, corrected, strict=True):
        passing = (table if scan.trusts else scan.by_blocks) <= log10_alpha
        for i, j in np.argwhere(passing & scan.is_testable).tolist():
            found = _look(tester, scan, i, j, float(table[i, j]), log10_alpha)
            if found.effect is not None and block_is_real(scan.kind, found.effect):
                key = found.stack, found.stack_b, found.a, found.b
                merged.setdefault(key, []).append(found)
            else:
                what = f"{scan.kind} of {scan.stack} {found.a} and {found.b}"
                tester.note([left_out(what, "aligned-not-alike")])
    return [_join(pair) for _, pair in sorted(merged.items())]


def map_stack(
    names: tuple[str, str], found: Sequence[StackScan], scans: Sequence[BlockScan]
) -> StackMap:
    """Say what became of every block of two paired stacks that could be tested.

    The monotone map comes from dynamic programming over the pairs found; pairs outside it were
    found by Holm alone. A block with several partners is repeated, in whichever model it is.

    Parameters
    ----------
    names : (str, str)
        A stack of a, and one of b.
    found : sequence of StackScan
        Pairs found, of any stack.
    scans : sequence of BlockScan
        What was tested, of any stack.

    Returns
    -------
    StackMap
        Blocks are named ``stack.index``.
    """
    stack, stack_b = names
    here = [f for f in found if (f.stack, f.stack_b) == names]
    own = [scan for scan in scans if (scan.stack, scan.stack_b) == names]
    tested_a = sorted({x for s in own for x in np.array(s.blocks_a)[s.is_testable.any(axis=1)]})
    tested_b = sorted({y for s in own for y in np.array(s.blocks_b)[s.is_testable.any(axis=0)]})
    scores = np.zeros((len(tested_a), len(tested_b)))
    for f in here:  # a described pair scores one, below anything proved
        scores[tested_a.index(f.a), tested_b.index(f.b)] = max(1.0, -f.log10_pvalue)
    monotone = [(tested_a[i], tested_b[j]) for i, j in best_monotone_map(scores)]
    layers = [_relation(f, here) for f in here]
    if not here:  # of unrelated models no block was dropped
        tested_a, tested_b = [], []
    for a in sorted(set(tested_a) - {f.a for f in found if f.stack == stack}):
        layers.append(_one_sided(f"{stack}.{a}", "", "dropped"))
    for b in sorted(set(tested_b) - {f.b for f in found if f.stack_b == stack_b}):
        layers.append(_one_sided("", f"{stack_b}.{b}", "inserted"))
    is_monotone = not any(x.a < y.a and x.b > y.b for x in here for y in here)
    straight = tuple((f"{stack}.{i}", f"{stack_b}.{j}") for i, j in monotone)
    return StackMap(tuple(layers), straight, is_monotone)


def _look(
    tester: PairTester, scan: BlockScan, i: int, j: int, log10_p: float, log10_alpha: float
) -> StackScan:
    """Read the full views of a pair of blocks again for its effect; its chance is paid for."""
    a, b = scan.blocks_a[i], scan.blocks_b[j]
    pairs = [
        (float(scan.by_axes[k, m]), x, y)
        for k, x in enumerate(scan.axes_a)
        for m, y in enumerate(scan.axes_b)
        if x.block == a and y.block == b and scan.by_axes[k, m] <= log10_alpha
    ]
    tested: list[Tested] = []
    for _, x, y in pairs:
        seen = tester.test(x, y, tester.read(x, is_a=True), tester.read(y, is_a=False))
        tested += [seen] if seen else []
    axes = tuple((x, y) for _, x, y in pairs)
    effect = pooled_effect([t.evidence for t in tested])
    return StackScan(scan.stack, scan.stack_b, a, b, log10_p, axes, effect, (scan.kind,))


def _join(found: Sequence[StackScan]) -> StackScan:
    best = min(found, key=lambda f: f.log10_pvalue)  # hidden units first where equal
    axes = tuple(pair for f in found for pair in f.axes)
    kinds = tuple(kind for f in found for kind in f.kinds)
    return replace(best, axes=axes, kinds=kinds)


def _relation(f: StackScan, here: Sequence[StackScan]) -> BlockRelation:
    relation: Relation = "kept" if f.a == f.b else "moved"
    if sum(x.a == f.a for x in here) > 1 or sum(x.b == f.b for x in here) > 1:
        relation = "repeated"
    return BlockRelation(
        block_a=f"{f.stack}.{f.a}",
        block_b=f"{f.stack_b}.{f.b}",
        relation=relation,
        log10_pvalue=f.log10_pvalue,
        effect=f.effect,
    )


def _one_sided(block_a: str, block_b: str, relation: Relation) -> BlockRelation:
    return BlockRelation(block_a=block_a, block_b=block_b, relation=relation, log10_pvalue=0.0)
