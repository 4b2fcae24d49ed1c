"""Evidence of all pairs of blocks of two models, on hidden units and on V/O dimensions.

All pairs are paid for together by Holm (`methods`, section 7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Bools, Doubles
from weightkin.evidence.guard import tie, whom_to_trust
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.pairs import LOG10, Views
from weightkin.evidence.plan import Plan
from weightkin.evidence.scan import Narrow, narrow, scan_pairs
from weightkin.evidence.views import TokenRows
from weightkin.evidence.windows import MAX_WINDOW, cut_windows, multiplied
from weightkin.records import Skipped
from weightkin.records.evidence import Trusts
from weightkin.stats.coincidences import Z_GRID, mix_log_evalue
from weightkin.stats.combining import holm
from weightkin.stats.copies import Groups, copied_runs
from weightkin.stats.sums import logsumexp
from weightkin.stats.trend import is_structured

KINDS: tuple[AxisKind, ...] = ("units", "vo")


@dataclass(frozen=True, slots=True)
class BlockScan:
    """All block pairs of two stacks on one kind of axis; p-values not yet corrected."""

    stack: str
    stack_b: str  # the same name, unless stacks of other names were paired
    kind: AxisKind
    axes_a: tuple[Axis, ...]
    axes_b: tuple[Axis, ...]
    blocks_a: tuple[int, ...]
    blocks_b: tuple[int, ...]
    by_axes: Doubles  # (n axes of a, n axes of b): log10 p of a pair of axes
    by_blocks: Doubles  # (n blocks of a, n blocks of b): log10 p of a pair of blocks
    is_testable: Bools  # of pairs of blocks
    trusts: Trusts | None  # None: the guard refused the axis in both models


def scan_blocks(
    a: Side,
    b: Side,
    plan: Plan,
    seed: int,
    seen_through: tuple[TokenRows, TokenRows] | None = None,
) -> tuple[list[BlockScan], tuple[Skipped, ...]]:
    """Evidence of hidden units and of V/O dimensions over all block pairs of every common stack.

    Null hypothesis: given the other model, unit labels of the trusted model are uniform on each
    axis (inside each head for V/O dimensions). Views of one pair and experts of one block share or
    may share labels: their e-values are averaged. Runs of V/O dimensions multiply, but for those
    that are copies of each other in either model.

    Parameters
    ----------
    a, b : Side
        The two models.
    plan : Plan
        How much is read of every axis.
    seed : int
        Of the tests.
    seen_through : tuple of TokenRows, optional
        Rows of a and of b, for shared tokens, through which units are read.

    Returns
    -------
    list of BlockScan
        Uncorrected log10 p-values; scans without any testable pair are left out.
    tuple of Skipped
        What was not tested.
    """
    scans: list[BlockScan] = []
    skipped: dict[Skipped, None] = {}
    for kind in KINDS:
        tester = PairTester(a, b, plan, seed, seen_through)
        pieces = _Pieces(tester, kind)
        trusts, why = whom_to_trust(tester.guard_a, tester.guard_b)
        if why is not None and pieces.stacks:
            tester.note([replace(why, what=f"{kind} axes")])
        scans += [_scan(pieces, stack, trusts) for stack in pieces.stacks]
        skipped.update(dict.fromkeys(tester.skipped.values()))
    return [scan for scan in scans if scan.is_testable.any()], tuple(skipped)


def correct(
    scans: Sequence[BlockScan], others: Sequence[float], n_left_out: int = 0
) -> tuple[list[Doubles], Doubles]:
    """Holm over all testable pairs of trusted scans and over other p-values, all at once.

    Parameters
    ----------
    scans : sequence of BlockScan
        What was tested.
    others : sequence of float
        Log10 p-values of other hypotheses.
    n_left_out : int
        Hypotheses that were not tested because of what the values show: each counts as p = 1.

    Returns
    -------
    list of (n_blocks_a, n_blocks_b) arrays
        Corrected log10 p-values, one array for each scan.
    array of float64
        Those of ``others``.
    """
    trusted = [scan.is_testable & (scan.trusts is not None) for scan in scans]
    cells = [scan.by_blocks[t] for scan, t in zip(scans, trusted, strict=True)]
    rest = [*others, *[0.0] * n_left_out]
    corrected = holm(np.concatenate([*cells, np.asarray(rest, dtype=np.float64)]))
    tables, at = [], 0
    for scan, t in zip(scans, trusted, strict=True):
        table = np.zeros(scan.by_blocks.shape)
        table[t] = corrected[at : at + int(t.sum())]
        at += int(t.sum())
        tables.append(table)
    return tables, corrected[at : at + len(others)]


@dataclass
class _Pieces:
    """Narrow rows of all axes of one kind: by axis and role, one piece a run of labels."""

    tester: PairTester
    kind: AxisKind
    rows: dict[tuple[bool, str, int, str, str], list[Narrow]] = field(default_factory=dict)
    copies: dict[tuple[bool, str, int, str], Groups] = field(default_factory=dict)  # among pieces
    grouped: dict[bool, set[str]] = field(default_factory=lambda: {True: set(), False: set()})
    stacks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        axes = {is_a: self._side(is_a=is_a).axes(self.kind) for is_a in (True, False)}
        self.stacks = sorted({x.stack for x in axes[True]} & {x.stack for x in axes[False]})
        for stack in self.stacks:
            here = [(is_a, x) for is_a in axes for x in axes[is_a] if x.stack == stack]
            window = _window([x for _, x in here]) if self.kind == "vo" else 0
            for is_a, axis in here:
                self._read(axis, window, is_a=is_a)

    def _side(self, *, is_a: bool) -> Side:
        return self.tester.a if is_a else self.tester.b

    def axes(self, stack: str, *, is_a: bool) -> list[Axis]:
        """Sampled axes of one stack, by block."""
        axes = [x for x in self._side(is_a=is_a).axes(self.kind) if x.stack == stack]
        return sorted(axes, key=lambda x: x.block)

    def _read(self, axis: Axis, window: int, *, is_a: bool) -> None:
        views: Views = self.tester.read(axis, is_a=is_a)
        columns = {p.role for p in axis.places if p.dim == 1 or (is_view(p) and p.dim > 0)}
        if window:
            groups = copied_runs(list(cut_windows(views, window)))
            self.copies[is_a, axis.stack, axis.block, axis.name] = groups
        for role, view in views.items():
            if role in columns and is_structured(view.T):
                self.grouped[is_a].add(role)
            size, cell = window or len(view), 0 if window else axis.head_size
            self.rows[is_a, axis.stack, axis.block, axis.name, role] = [
                narrow(view[at : at + size], window or axis.n_units, self.tester.rng(axis), cell)
                for at in range(0, len(view) - size + 1, size)
            ]

    def roles(self, stack: str) -> list[str]:
        """Views that both models have, without those grouped along the unit axis in both."""
        in_a, in_b = (
            {key[4] for key in self.rows if key[0] == is_a and key[1] == stack}
            for is_a in (True, False)
        )
        return sorted((in_a & in_b) - (self.grouped[True] & self.grouped[False]))

    def tables(self, stack: str, role: str) -> tuple[Doubles, Bools]:
        """Log e-values of all pairs of axes on one view, and which could be tested."""
        nothing = Narrow(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), 0, -1)
        rows = [
            [
                self.rows.get((is_a, stack, x.block, x.name, role), [])
                for x in self.axes(stack, is_a=is_a)
            ]
            for is_a in (True, False)
        ]
        n_pieces = max(len(r) for side in rows for r in side)
        is_testable = np.zeros((len(rows[0]), len(rows[1])), dtype=bool)
        pieces = np.zeros((n_pieces, *is_testable.shape, len(Z_GRID)))
        for k in range(n_pieces):
            side_a, side_b = ([r[k] if k < len(r) else nothing for r in side] for side in rows)
            table, could = scan_pairs(side_a, side_b)
            pieces[k] = np.where(could[:, :, None], table, 0.0)
            is_testable |= could
        total: Doubles = pieces.sum(axis=0)
        for i, j in np.ndindex(*is_testable.shape):
            both = [self._groups(stack, i, is_a=True), self._groups(stack, j, is_a=False)]
            if any(len(set(groups)) < len(groups) for groups in both):
                worth = [multiplied(pieces[:, i, j], groups) for groups in both]
                total[i, j] = min(worth, key=mix_log_evalue)
        return total, is_testable

    def _groups(self, stack: str, number: int, *, is_a: bool) -> Groups:
        """Which pieces of one axis are copies of each other."""
        axis = self.axes(stack, is_a=is_a)[number]
        return self.copies.get((is_a, axis.stack, axis.block, axis.name), ())


def _scan(pieces: _Pieces, stack: str, trusts: Trusts | None) -> BlockScan:
    axes_a, axes_b = (pieces.axes(stack, is_a=is_a) for is_a in (True, False))
    tables = [pieces.tables(stack, role) for role in pieces.roles(stack)]
    grids = np.zeros((len(axes_a), len(axes_b), len(Z_GRID)))
    count = np.zeros(grids.shape[:2], dtype=np.int64)
    if tables:
        stacked = np.stack([np.where(ok[:, :, None], t, -np.inf) for t, ok in tables])
        count = np.sum([ok for _, ok in tables], axis=0)
        if trusts is not None:  # else nothing here becomes a p-value
            guards = pieces.tester.guard_a, pieces.tester.guard_b
            ties = [[bool(tie(guards[0], x, guards[1], y)) for y in axes_b] for x in axes_a]
            count[np.array(ties)] = 0
        grids = logsumexp(stacked, axis=0) - np.log(np.maximum(count, 1))[:, :, None]
    is_testable = count > 0
    blocks_a, blocks_b = (sorted({x.block for x in axes}) for axes in (axes_a, axes_b))
    by_blocks = np.zeros((len(blocks_a), len(blocks_b)))
    blocks_ok = np.zeros(by_blocks.shape, dtype=bool)
    rows_of = [[i for i, x in enumerate(axes_a) if x.block == block] for block in blocks_a]
    columns_of = [[j for j, y in enumerate(axes_b) if y.block == block] for block in blocks_b]
    for i, rows in enumerate(rows_of):
        for j, columns in enumerate(columns_of):
            ok = is_testable[np.ix_(rows, columns)]
            if ok.any():
                cell = grids[np.ix_(rows, columns)][ok]  # (pairs of experts, n_z)
                by_blocks[i, j] = _log10_p(logsumexp(cell, axis=0) - math.log(len(cell)))
                blocks_ok[i, j] = True
    by_axes = np.zeros(is_testable.shape)
    for i, j in np.argwhere(is_testable).tolist():
        by_axes[i, j] = _log10_p(grids[i, j])
    return BlockScan(
        stack=stack,
        stack_b=stack,
        kind=pieces.kind,
        axes_a=tuple(axes_a),
        axes_b=tuple(axes_b),
        blocks_a=tuple(blocks_a),
        blocks_b=tuple(blocks_b),
        by_axes=by_axes,
        by_blocks=by_blocks,
        is_testable=blocks_ok,
        trusts=trusts,
    )


def _log10_p(grid: Doubles) -> float:
    return min(0.0, -mix_log_evalue(grid) / LOG10)


def _window(axes: Sequence[Axis]) -> int:
    """Largest run of V/O dimensions, at most 16, that stays inside a head of every axis."""
    common = math.gcd(*(axis.head_size for axis in axes))
    return max(w for w in range(1, MAX_WINDOW + 1) if common % w == 0)
