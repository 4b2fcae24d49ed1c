"""Blocks, units and residual widths of stacks that are paired by name, and of all other pairs.

A teacher beside a student, an average of the weights or a decoy under another prefix must not hide
a copy: every stack of a is looked at against every stack of b of comparable shape, and all of it is
corrected together. A pairing that is left out counts as if it had shown nothing, so any choice of
those that are run is paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.plan import Plan
from weightkin.evidence.stacks import MAX_PAIRINGS, Likeness, Names, other_pairings, restricted
from weightkin.evidence.views import TokenRows, frames
from weightkin.localise.blockscan import KINDS, BlockScan, scan_blocks
from weightkin.localise.residual import map_residual
from weightkin.records import Skipped, left_out
from weightkin.records.location import ResidualMap

SeenThrough = tuple[TokenRows, TokenRows]


@dataclass(frozen=True, slots=True)
class Looked:
    """What two models, or one stack of each, show; p-values not yet corrected."""

    tester: PairTester
    scans: list[BlockScan]
    residual: list[ResidualMap]
    skipped: tuple[Skipped, ...]
    names: Names | None = None  # of the two stacks, where their names are not the same


@dataclass(frozen=True, slots=True)
class Pairings:
    """All that was looked at: stacks of one name first; and what was not."""

    looked: list[Looked]
    n_left_out: int  # hypotheses
    skipped: tuple[Skipped, ...]

    @property
    def scans(self) -> list[BlockScan]:
        """Those of all pairings."""
        return [scan for looked in self.looked for scan in looked.scans]

    @property
    def stacks(self) -> set[str]:
        """Stacks that were compared with one of another name."""
        return {name for looked in self.looked for name in looked.names or ()}


def look_at_stacks(
    a: Side, b: Side, plan: Plan, level: tuple[int, float], likeness: Callable[[], Likeness]
) -> Pairings:
    """Look at stacks of one name together, and at every other pair of comparable shape.

    Null hypothesis: as in `scan_blocks` and `map_residual`.

    Parameters
    ----------
    a, b : Side
        The two models.
    plan : Plan
        How much is read of every axis.
    level : (int, float)
        Seed of the tests, and log10 of the level.
    likeness : callable
        Gives how alike two stacks are by content: where there are too many pairs, the most alike
        are looked at.

    Returns
    -------
    Pairings
    """
    names = other_pairings(a, b)
    n = len(names)
    if n > MAX_PAIRINGS:
        alike = likeness()
        worth = {pair: alike(*pair) for pair in names}
        names.sort(key=lambda pair: -worth[pair])
    looked = [_look(a, b, plan, level)]
    looked += [_look_at_others(a, b, plan, level, pair) for pair in names[:MAX_PAIRINGS]]
    skipped: tuple[Skipped, ...] = ()
    if n > MAX_PAIRINGS:
        what = f"{n - MAX_PAIRINGS} pairings of stacks"
        skipped = (left_out(what, "most-pairings", n=MAX_PAIRINGS),)
    return Pairings(looked, _n_hypotheses(a, b, names[MAX_PAIRINGS:]), skipped)


def _look(a: Side, b: Side, plan: Plan, level: tuple[int, float]) -> Looked:
    seed, log10_alpha = level
    seen_through = _frames_if_needed(a, b, seed)
    scans, skipped = scan_blocks(a, b, plan, seed, seen_through)
    residual, refused = map_residual(a, b, plan, seed, log10_alpha)
    tester = PairTester(a, b, plan, seed, seen_through)
    return Looked(tester, scans, residual, (*skipped, *refused))


def _look_at_others(a: Side, b: Side, plan: Plan, level: tuple[int, float], names: Names) -> Looked:
    """Two stacks under one name while they are tested, under their own in what is said of them."""
    sides = restricted(a, names[0], names[0]), restricted(b, names[1], names[0])
    found = _look(*sides, plan, level)
    own = [replace(scan, stack_b=names[1], axes_b=_renamed(scan, names[1])) for scan in found.scans]
    residual = [replace(r, stack=f"{names[0]} (in b: {names[1]})") for r in found.residual]
    return replace(found, scans=own, residual=residual, names=names)


def _renamed(scan: BlockScan, stack: str) -> tuple[Axis, ...]:
    return tuple(replace(axis, stack=stack) for axis in scan.axes_b)


def _n_hypotheses(a: Side, b: Side, names: Sequence[Names]) -> int:
    """At most so many: every pair of blocks on every kind of axis, and the residual width."""
    depths_a, depths_b = dict(a.anatomy.stacks), dict(b.anatomy.stacks)
    return sum(len(KINDS) * depths_a[x] * depths_b[y] + 1 for x, y in names)


def _frames_if_needed(a: Side, b: Side, seed: int) -> SeenThrough | None:
    """Tokens to see units through where residual widths differ: raw rows share no coordinates."""
    widths = [{x.n_units for x in side.axes("residual")} for side in (a, b)]
    if widths[0] == widths[1]:
        return None
    seen = frames((a.model, a.anatomy), (b.model, b.anatomy), seed)
    return None if isinstance(seen, Skipped) else seen[:2]
