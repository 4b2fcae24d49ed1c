"""The main stage: hidden units of every block, straight first, all block pairs if that fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weightkin.anatomy.types import Axis
from weightkin.evidence.block_pairs import BlockMap, pair_axes
from weightkin.evidence.guard import tie
from weightkin.evidence.labels import AxisKey, Scanned, key_of
from weightkin.evidence.pair_tester import PairTester, Tested
from weightkin.evidence.pairs import LOG10, Views
from weightkin.evidence.scan import Narrow, narrow, scan_pairs
from weightkin.evidence.stage import DROPPED, Stage, close_stage, refused
from weightkin.stats.coincidences import Z_LOG_WEIGHTS
from weightkin.stats.combining import (
    LOG_STRAIGHT,
    Grid,
    best_monotone_map,
    holm,
    monotone_log_evalue,
    stopped_log_evalue,
)
from weightkin.stats.sums import logsumexp

STRAIGHT_FAILS = -2.0  # log10 p of one block above which its straight pairing is said to fail
QUICK_BLOCKS = 4  # blocks without evidence after which the quick form gives up


@dataclass(slots=True)
class _RowsRead:
    """Narrow rows of the axes read so far, by axis."""

    a: dict[AxisKey, Narrow] = field(default_factory=dict)
    b: dict[AxisKey, Narrow] = field(default_factory=dict)

    def add(self, tester: PairTester, axis: Axis, views: Views, *, is_a: bool) -> None:
        if views:
            widest = max(views.values(), key=lambda view: view.shape[1])
            side = self.a if is_a else self.b
            side[key_of(axis)] = narrow(widest, axis.n_units, tester.rng(axis), axis.head_size)


def run_units(tester: PairTester) -> tuple[Stage | None, BlockMap]:
    """Test the hidden units of all blocks; where blocks moved, find out where to.

    Null hypothesis: given the other model, unit labels of the trusted model are uniform and
    independent from block to block.

    Returns
    -------
    tuple
        The stage (None if neither model has a unit axis that pairs up) and the blocks that moved.
    """
    axes_a, axes_b = tester.a.axes("units"), tester.b.axes("units")
    seen = _RowsRead()
    tested, n_pairs = _straight(tester, axes_a, axes_b, seen)
    blocks_a, blocks_b = _blocks(axes_a), _blocks(axes_b)
    common = [stack for stack in blocks_a if stack in blocks_b]
    n_pairs = max(n_pairs, sum(len(blocks_a[s]) * len(blocks_b[s]) for s in common))
    is_clear = all(t.evidence.log10_pvalue < STRAIGHT_FAILS for t in tested)
    same_depth = all(len(blocks_a[s]) == len(blocks_b[s]) for s in common)
    scanned = Scanned()
    moved: list[Tested] = []
    block_map: BlockMap = {}
    if n_pairs and not (tested and is_clear and same_depth):
        _read_rest(tester, axes_a, axes_b, seen)
        for stack in common:
            found = _scan(tester, blocks_a[stack], blocks_b[stack], seen, tested)
            scanned.stacks[stack] = found[:2]
            scanned.axes[0].extend(key_of(x) for x in blocks_a[stack])
            scanned.axes[1].extend(key_of(x) for x in blocks_b[stack])
            block_map.update(found[2])
        moved = tester.without_ties(_test_moved(tester, axes_a, axes_b, block_map))
    tested = tester.without_ties(tested)
    everything = [*tested, *moved]
    if not everything:
        return (refused(tester, "units") if tester.skipped else None), {}
    return close_stage(tester, "units", tested, n_pairs, scanned, moved), block_map


def run_units_quick(tester: PairTester, log_threshold: float) -> Stage | None:
    """Test blocks one by one, ends first; stop at the first proof, or after four blocks without.

    p = 1/max_t E_t over a fixed mixture of products is valid at any stopping time. Reaching
    ``log_threshold`` (natural log of the e-value wanted) is the proof.
    """
    pairs = pair_axes(tester.a.axes("units"), tester.b.axes("units"), {})
    order = sorted(range(len(pairs)), key=lambda i: (i * 0.618033988749895) % 1.0)
    tested: list[Tested] = []
    seen = _RowsRead()
    for n_read, i in enumerate(order):
        tested += _test_pair(tester, *pairs[i], seen)
        done = LOG_STRAIGHT + stopped_log_evalue([t.evidence.grid for t in tested])
        if done >= log_threshold or n_read + 1 >= QUICK_BLOCKS:
            break
    tested = tester.without_ties(tested)
    if not tested:
        return refused(tester, "units") if tester.skipped else None
    return close_stage(tester, "units", tested, len(pairs))


def _straight(
    tester: PairTester, axes_a: Sequence[Axis], axes_b: Sequence[Axis], seen: _RowsRead
) -> tuple[list[Tested], int]:
    pairs = pair_axes(axes_a, axes_b, {})
    return [t for pair in pairs for t in _test_pair(tester, *pair, seen)], len(pairs)


def _test_pair(tester: PairTester, axis_a: Axis, axis_b: Axis, seen: _RowsRead) -> list[Tested]:
    views_a = tester.read(axis_a, is_a=True)
    views_b = tester.read(axis_b, is_a=False)
    seen.add(tester, axis_a, views_a, is_a=True)
    seen.add(tester, axis_b, views_b, is_a=False)
    found = tester.test(axis_a, axis_b, views_a, views_b)
    return [found] if found else []


def _read_rest(
    tester: PairTester, axes_a: Sequence[Axis], axes_b: Sequence[Axis], seen: _RowsRead
) -> None:
    """Blocks without a straight partner are read for the scan."""
    for axes, done, is_a in ((axes_a, seen.a, True), (axes_b, seen.b, False)):
        for axis in axes:
            if key_of(axis) not in done:
                seen.add(tester, axis, tester.read(axis, is_a=is_a), is_a=is_a)


def _blocks(axes: Sequence[Axis]) -> dict[str, list[Axis]]:
    """First unit axis of every block, by stack."""
    first: dict[tuple[str, int], Axis] = {}
    for axis in axes:
        first.setdefault((axis.stack, axis.block), axis)
    stacks: dict[str, list[Axis]] = defaultdict(list)
    for (stack, _), axis in sorted(first.items()):
        stacks[stack].append(axis)
    return stacks


def _scan(
    tester: PairTester,
    axes_a: list[Axis],
    axes_b: list[Axis],
    seen: _RowsRead,
    tested: list[Tested],
) -> tuple[Grid, float, BlockMap]:
    """All block pairs of one stack: monotone e-values, log sum of singles, where blocks went."""
    nothing = Narrow(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), 0, -1)
    rows_a = [seen.a.get(key_of(x), nothing) for x in axes_a]
    rows_b = [seen.b.get(key_of(x), nothing) for x in axes_b]
    table, is_testable = scan_pairs(rows_a, rows_b)
    straight = {(t.a.stack, t.a.block, t.b.block): t.evidence.grid for t in reversed(tested)}
    for i, x in enumerate(axes_a):
        for j, y in enumerate(axes_b):
            if (x.stack, x.block, y.block) in straight:
                table[i, j], is_testable[i, j] = straight[x.stack, x.block, y.block], True
            if is_testable[i, j] and tie(tester.guard_a, x, tester.guard_b, y):
                table[i, j], is_testable[i, j] = 0.0, False
    single = logsumexp(table + Z_LOG_WEIGHTS, axis=-1)
    log10_p = np.where(is_testable, np.minimum(-single / LOG10, 0.0), 0.0)
    clear = np.where(holm(log10_p) < STRAIGHT_FAILS, -log10_p, 0.0)
    kept = {axes_a[i].block: axes_b[j].block for i, j in best_monotone_map(clear)}
    log_sum = float(logsumexp(single[is_testable])) if is_testable.any() else -np.inf
    block_map: BlockMap = {}
    if any(i != j for i, j in kept.items()):
        block_map = {(x.stack, x.block): kept.get(x.block, DROPPED) for x in axes_a}
    return monotone_log_evalue(table, is_testable), log_sum, block_map


def _test_moved(
    tester: PairTester, axes_a: Sequence[Axis], axes_b: Sequence[Axis], block_map: BlockMap
) -> list[Tested]:
    """Full views of the pairs that moved, for their effect: their chance is already counted."""
    moved = [x for x in axes_a if block_map.get((x.stack, x.block), x.block) != x.block]
    pairs = pair_axes(moved, axes_b, block_map)
    quiet = PairTester(tester.a, tester.b, tester.plan, tester.seed, tester.frames)
    return [t for pair in pairs for t in _test_pair(quiet, *pair, _RowsRead())]
