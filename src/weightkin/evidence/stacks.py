"""Stacks of blocks under other names: every stack of a against every stack of b, paid for.

The ladder pairs stacks by name. A teacher beside a student, an average of the weights or a decoy
under another prefix would then hide a copy. So every other pairing of stacks of comparable shape
climbs a ladder of its own; their e-values are averaged over all such pairings, run or not, and
share the weight of one stage. Only shapes decide what is comparable. What is most alike by content
is run first: a pairing that is not run counts zero, so any choice of those that are is paid for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from weightkin.anatomy.positions import BESIDE
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Anatomy
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.ladder import LADDER, StagesRun, is_settled, paid_log10
from weightkin.evidence.stage import Stage
from weightkin.records import Skipped, Test, left_out
from weightkin.stats.sums import logsumexp

OTHER_STACKS = "other stacks"  # key of the ladder
MAX_PAIRINGS = 64  # that are looked at
MAX_BLIND = 8  # of these, that signs and token views are looked at of too

Names = tuple[str, str]  # a stack of a, a stack of b
Likeness = Callable[[str, str], float]


class Ladder(Protocol):
    """Runs the stages on two restricted sides."""

    def __call__(self, a: Side, b: Side, *, with_blind: bool) -> StagesRun:
        """``with_blind`` the blind ones too, where they are needed."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """One stack of a against one of b under another name, and what their ladder showed."""

    names: Names
    sides: tuple[Side, Side]  # restricted to the two stacks, under the name of a's
    ran: StagesRun


@dataclass(frozen=True, slots=True)
class OtherStacks:
    """What all pairings of stacks under other names showed together."""

    stage: Stage | None  # None where none could be tested
    best: Pairing | None  # what decides the verdict, if no stacks of equal names do
    names: frozenset[Names]  # pairings that were looked at
    skipped: tuple[Skipped, ...]
    is_capped: bool = False  # pairings were left out that might have decided the verdict
    tested: tuple[Pairing, ...] = ()
    n_pairings: int = 0  # that share the weight of the stage


def with_other_stacks(
    a: Side,
    b: Side,
    ran: StagesRun,
    run_ladder: Ladder,
    alpha: float,
    likeness: Likeness | None = None,
) -> tuple[StagesRun, OtherStacks]:
    """Add to a ladder what stacks under different names show, where they show anything.

    Null hypothesis: that of the ladder. The mean of the e-values over pairings fixed by shapes is
    an e-value, whatever the pairings share; pairings left out count zero, and so does the whole
    stage where it is nowhere near the level, so that other figures stay as they are: of it are
    shown the tests of stacks of b that have no others.

    Parameters
    ----------
    a, b : Side
        The two models.
    ran : StagesRun
        What stacks of equal names showed. Where that settles the verdict, only stacks without a
        namesake in the other model are looked at, to say what else is shared.
    run_ladder : Ladder
        Runs the stages on two restricted sides.
    alpha : float
        Level of the verdict.
    likeness : callable, optional
        How alike two stacks are by content; the most alike are looked at first.

    Returns
    -------
    tuple
        What all stages showed, and what is known of the pairings.
    """
    is_known = is_settled(ran.stages, alpha)
    every = other_pairings(a, b)
    if likeness is not None and len(every) > 1:
        worth = {names: likeness(*names) for names in every}
        every.sort(key=lambda names: -worth[names])
    wanted = [names for names in every if not is_known or _is_single(names, a, b)]
    pairings = _run_pairings(a, b, wanted[:MAX_PAIRINGS], run_ladder)
    other = _of_pairings(pairings, len(wanted), len(every), alpha, is_known=is_known)
    stages = ran.stages
    if other.stage is not None:
        is_clear = paid_log10(other.stage) <= math.log10(alpha)
        if is_clear or not any(stage.tests for stage in stages):
            stages = (*stages, other.stage)
        elif more := _tests_elsewhere(other.stage, ran, b):
            shown = replace(other.stage, log_evalue=-math.inf, by_stack={}, effect=None, tests=more)
            stages = (*stages, shown)
    found = replace(ran, stages=stages, skipped=(*ran.skipped, *other.skipped))
    return found, replace(other, best=None) if is_known else other


def _tests_elsewhere(stage: Stage, ran: StagesRun, b: Side) -> tuple[Test, ...]:
    """Tests of stacks of b that no stack of equal name was compared with."""
    paired = {tested.b.stack for found in ran.stages for tested in found.tested}
    blocks = {block_name(axis) for axis in b.anatomy.axes if axis.stack not in paired}
    return tuple(test for test in stage.tests if test.block_b in blocks)


def _run_pairings(a: Side, b: Side, pairings: Sequence[Names], run_ladder: Ladder) -> list[Pairing]:
    """Ladders of some pairings; those of the first ones with the blind stages."""
    found = []
    for n, names in enumerate(pairings):
        sides = (restricted(a, names[0], names[0]), restricted(b, names[1], names[0]))
        found.append(Pairing(names, sides, run_ladder(*sides, with_blind=n < MAX_BLIND)))
    return found


def _of_pairings(
    found: Sequence[Pairing], n_wanted: int, n_pairings: int, alpha: float, *, is_known: bool
) -> OtherStacks:
    """What pairings showed together, and what was left out."""
    names = frozenset(p.names for p in found)
    n_left, n_aligned = n_wanted - len(found), max(0, len(found) - MAX_BLIND)
    skipped = []
    if n_left:
        skipped.append(left_out(f"{n_left} pairings of stacks", "most-pairings", n=MAX_PAIRINGS))
    if found and not is_known:
        what = "calibrated evidence of other stacks"
        skipped.append(left_out(what, "only-equal-names-ranked", "calibrated"))
    if n_aligned and not is_known:
        what = f"order-independent tests of {n_aligned} pairs of stacks"
        skipped.append(left_out(what, "most-blind-pairings", "blind", n=MAX_BLIND))
    tested = tuple(p for p in found if any(stage.tests for stage in p.ran.stages))
    if not tested:
        return OtherStacks(None, None, names, tuple(skipped), n_left > 0)
    stage, best = _combined(tested, n_pairings, alpha)
    is_capped = n_left > 0 and not is_known and best is None
    return OtherStacks(stage, best, names, tuple(skipped), is_capped, tested, n_pairings)


def other_pairings(a: Side, b: Side) -> list[Names]:
    """Stacks of a and b under different names that have a matrix of comparable shape in one role.

    Those without a namesake in the other model come first.
    """
    shapes_a, shapes_b = _shapes(a), _shapes(b)
    pairings = [(x, y) for x in shapes_a for y in shapes_b if x != y and shapes_a[x] & shapes_b[y]]
    return sorted(pairings, key=lambda names: not _is_single(names, a, b))


def restricted(side: Side, stack: str, name: str) -> Side:
    """One stack of a model, under a name that it shares with what it is compared with.

    Parameters
    ----------
    side : Side
        The model.
    stack : str
        The stack.
    name : str
        Name that it gets.

    Returns
    -------
    Side
        The same model, with the axes of that stack alone.
    """
    anatomy = side.anatomy
    axes = tuple(replace(axis, stack=name) for axis in anatomy.axes if axis.stack == stack)
    stacks = tuple((name, n) for own, n in anatomy.stacks if own == stack)
    return Side(side.model, Anatomy(anatomy.family, stacks, axes, anatomy.roles))


def renamed(block: str, names: Names) -> str:
    """Name of a block of b as it stands in b."""
    return f"{names[1]}{block.removeprefix(names[0])}" if block else block


def _is_single(names: Names, a: Side, b: Side) -> bool:
    return names[0] not in dict(b.anatomy.stacks) or names[1] not in dict(a.anatomy.stacks)


def _shapes(side: Side) -> dict[str, set[tuple[str, tuple[int, ...]]]]:
    """Roles of every stack, with the features that a unit has in them."""
    found: dict[str, set[tuple[str, tuple[int, ...]]]] = {}
    for kind in ("units", "vo"):
        for axis in side.axes(kind):
            here = found.setdefault(axis.stack, set())
            for place in axis.places:
                if place.role.startswith(BESIDE):
                    continue
                shape = side.model.tensors[place.tensor].shape
                own = list(shape if place.index is None else shape[1:])
                if len(own) > 1:
                    del own[place.dim]
                    here.add((place.role, tuple(own)))
    return found


def _combined(
    tested: Sequence[Pairing], n_pairings: int, alpha: float
) -> tuple[Stage, Pairing | None]:
    """One stage out of all pairings; its effect is that of the piece that decides.

    Shown are the pairings that pass; where none does, the best of every stack of b, so that the
    record says which of them were looked at.
    """
    share = math.log(LADDER[OTHER_STACKS]) - math.log(n_pairings)
    pieces = [(stage, p) for p in tested for stage in p.ran.stages if stage.tests]
    passing = [(s, p) for s, p in pieces if is_settled([s], alpha * math.exp(share))]
    worth = {p.names: _log_evalue(p.ran) for p in tested}
    decisive, pairing = max(
        passing or pieces, key=lambda piece: piece[0].log_evalue + math.log(LADDER[piece[0].name])
    )
    best = {p.names[1]: p for p in sorted(tested, key=lambda p: worth[p.names])}
    best[pairing.names[1]] = pairing
    shown = {p.names: p for p in ([p for _, p in passing] or best.values())}
    stage = replace(
        decisive,
        name=OTHER_STACKS,
        log_evalue=float(logsumexp(list(worth.values()))) - math.log(n_pairings),
        tests=tuple(test for p in shown.values() for test in _tests(p)),
        tested=(),
        skipped=(),
        by_stack={_part(names): worth[names] - math.log(n_pairings) for names in shown},
        decided_by=decisive.decided_by or decisive.name,
    )
    return stage, pairing if passing else None


def _log_evalue(ran: StagesRun) -> float:
    terms = [s.log_evalue + math.log(LADDER[s.name]) for s in ran.stages if s.tests]
    return float(logsumexp(terms))


def _tests(pairing: Pairing) -> Iterator[Test]:
    for stage in pairing.ran.stages:
        for test in stage.tests:
            yield replace(test, block_b=renamed(test.block_b, pairing.names))


def _part(names: Names) -> str:
    return f"{names[0]} (in b: {names[1]})"
