"""One stage of the ladder: all pairs of blocks on one kind of axis, guarded, tested, combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import AxisKind
from weightkin.evidence.block_pairs import BlockMap, block_name, pair_axes
from weightkin.evidence.effects import have_views
from weightkin.evidence.guard import whom_to_trust
from weightkin.evidence.labels import Scanned, combine, labels_of
from weightkin.evidence.margins import margin_on
from weightkin.evidence.pair_tester import PairTester, Tested
from weightkin.evidence.pairs import matched_share, median_ratio, pooled_effect
from weightkin.evidence.sample import n_embedding_rows
from weightkin.records import Effect, Skipped, Test
from weightkin.records.evidence import Confirmed, Trusts

DROPPED = -2  # no block of b


# Whoever reorders units may put those under equal numbers that training makes alike, beside others
# that match one way only: 1 % of all units, seen through tokens, have a ratio over the cuts.
ONLY_REORDERED = frozenset({"token units"})  # what no rotation moves, so that no margin is asked
LEAST_MATCHED = (0.1, 0.5)  # share of units matched both ways: of all blocks, of the best one


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage found. ``log_evalue`` is not yet paid for by the weight of the stage."""

    name: str  # its key in the ladder
    log_evalue: float
    tests: tuple[Test, ...]
    tested: tuple[Tested, ...]
    effect: Effect | None
    trusts: Trusts
    skipped: tuple[Skipped, ...]
    by_stack: dict[str, float] = field(default_factory=dict)  # log e-value of each stack alone
    block_ratio: float = 0.0  # effect ratio of the median block
    decided_by: str = ""  # kind of axis behind the effect, where a stage tests several
    margin: float | None = None  # over arrangement (`evidence.arranged`), where that is asked
    has_views: bool = False  # whether units were seen on two views, which may agree
    matched: tuple[float, float] = (0.0, 0.0)  # shares of units: of all blocks, of the best one
    confirmed: Confirmed = ""
    second: Effect | None = None  # effect on the second run of units

    @property
    def is_of_few(self) -> bool:
        """Whether the effect is that of few units, where an order alone may have chosen them."""
        is_enough = any(x >= least for x, least in zip(self.matched, LEAST_MATCHED, strict=True))
        return self.name in ONLY_REORDERED and not is_enough

    @property
    def n_blocks(self) -> int:
        """Blocks of a that were tested."""
        return len({test.block_a for test in self.tests})


def run_stage(tester: PairTester, kind: AxisKind, block_map: BlockMap) -> Stage | None:
    """Test one kind of axis on the straight pairing, or on the map that the units stage found.

    Null hypothesis: see `pair_evidence`. The map may depend on the labels of other axes, whose
    relabellings are independent of these.

    Parameters
    ----------
    tester : PairTester
    kind : AxisKind
    block_map : dict of (str, int) to int
        Stack and block of a to block of b; empty: nothing moved.

    Returns
    -------
    Stage or None
        None where nothing was tested and no reason noted.
    """
    pairs = pair_axes(tester.a.axes(kind), tester.b.axes(kind), block_map)
    tested = []
    for axis_a, axis_b in pairs:
        pair = ((tester.a, axis_a), (tester.b, axis_b)) if axis_a.kind == "residual" else ()
        n_vocabulary = min((n_embedding_rows(x.model, axis) for x, axis in pair), default=0)
        views_a = tester.read(axis_a, is_a=True, n_vocabulary=n_vocabulary)
        views_b = tester.read(axis_b, is_a=False, n_vocabulary=n_vocabulary)
        found = tester.test(axis_a, axis_b, views_a, views_b)
        if found:
            tested.append(found)
    tested = tester.without_ties(tested)
    if not tested:
        return None if not tester.skipped else refused(tester, kind)
    return close_stage(tester, kind, tested, len(tested))


def close_stage(
    tester: PairTester,
    kind: AxisKind,
    tested: Sequence[Tested],
    n_pairs: int,
    scanned: Scanned | None = None,
    moved: Sequence[Tested] = (),
) -> Stage:
    """Ask the guard, then combine: straight product, monotone maps, any single pair.

    What shares labels in the model that is trusted is averaged; where either may be, it is the one
    with fewer copies.

    Parameters
    ----------
    tester : PairTester
    kind : AxisKind
    tested, moved : sequence of Tested
        Straight pairs; pairs of blocks that moved, for the effect alone.
    n_pairs : int
        Pairs that could have been looked at.
    scanned : Scanned, optional
        What scans of block pairs showed.

    Returns
    -------
    Stage
        Refused where neither model can be trusted.
    """
    trusts, why = whom_to_trust(tester.guard_a, tester.guard_b)
    if trusts is None:
        tester.note([replace(why, what=f"{kind} axes")] if why else [])
        return refused(tester, kind)
    scanned = scanned or Scanned()
    sides = [
        labels_of(0, tester.copies_a, [t.a for t in tested], scanned),
        labels_of(1, tester.copies_b, [t.b for t in tested], scanned),
    ]
    if trusts == "either":
        chosen = max(sides, key=lambda side: (side.n_groups, side.are_scanned_separate))
    else:
        chosen = sides[0 if trusts == "a" else 1]
    pieces = [(i, t.a.stack, t.evidence) for i, t in enumerate(tested)]
    log_e = {
        stack: combine([x for x in pieces if x[1] == stack], chosen, n_pairs, scanned)
        for stack in sorted({stack for _, stack, _ in pieces})
    }
    shown = [*tested, *moved]
    decisive = [t.evidence for t in (moved or tested)]
    return Stage(
        name=tester.name or kind,
        log_evalue=combine(pieces, chosen, n_pairs, scanned),
        tests=tuple(test for t in shown for test in _tests(t, trusts)),
        tested=tuple(shown),
        effect=pooled_effect(decisive),
        trusts=trusts,
        skipped=tuple(tester.skipped.values()),
        by_stack=log_e,
        block_ratio=median_ratio(decisive),
        margin=_margin(tester, moved or tested),
        has_views=have_views([(len(e.tests), len(e.observed)) for e in decisive]),
        matched=matched_share(decisive),
    )


def _margin(tester: PairTester, tested: Sequence[Tested]) -> float | None:
    """Margin over arrangement on weights; no turn moves what is seen through tokens.

    Beside axes that names tell, those that come from a graph are not asked.
    """
    if tester.frames is not None:
        return None
    named = [t for t in tested if not any(map(is_view, t.a.places))]
    return margin_on(tester.a, [(t.a, t.evidence.level) for t in named or tested])


def refused(tester: PairTester, kind: AxisKind) -> Stage:
    """A stage in which nothing could be tested: counts one, and says why."""
    return Stage(tester.name or kind, 0.0, (), (), None, "either", tuple(tester.skipped.values()))


def _tests(tested: Tested, trusts: Trusts) -> list[Test]:
    return [
        Test(
            name=test.name,
            axis=tested.a.name,
            trusts=trusts,
            block_a=block_name(tested.a),
            block_b=block_name(tested.b),
            n_units=test.n_units,
            statistic=test.statistic,
            log10_pvalue=test.log10_pvalue,
            null="bound",
            effect=test.effect,
            view=test.view,
        )
        for test in tested.evidence.tests
    ]
