"""What the signs of one kind of axis show: on the straight pairing of blocks, and on block maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.types import Axis, AxisKind
from weightkin.evidence.coin_matches import SignMatch, SignPair, match_signs
from weightkin.evidence.key_signs import key_axes
from weightkin.evidence.labels import Copies, key_of
from weightkin.evidence.plan import Run
from weightkin.evidence.sign_maps import (
    LOG_CLEAR,
    LOG_HALF,
    BlockLines,
    Line,
    Mapped,
    block_lines,
    map_evidence,
)
from weightkin.evidence.signpairs import UNITS_OF_A, are_large, sign_axes
from weightkin.evidence.token_draws import N_TOKENS
from weightkin.stats.combining import product
from weightkin.stats.signs import log_evalues, mix_log_evalue

FIRST_RUN = Run(0, UNITS_OF_A)
FEW_OF_A = Run(0, 64)  # of models so large that only some blocks are looked at

Pairs = Sequence[tuple[Axis, Axis]]
GroupOf = Mapping[tuple[Axis, Axis], int]


@dataclass(frozen=True, slots=True)
class MapPlan:
    """When maps are looked at: where the straight pairing stays under a log e-value."""

    enough: float
    kept: Callable[[Pairs], Pairs]  # pairs whose signs are coins


@dataclass(frozen=True, slots=True)
class KindSigns:
    """Signs of one kind of axis."""

    kind: AxisKind
    straight: tuple[SignMatch, ...]
    groups: GroupOf  # pairs whose coins are copies of each other
    has_half: bool  # maps have the other half of the weight
    lines: Mapping[Line, Mapped] = field(default_factory=dict)
    moved: tuple[SignMatch, ...] = ()  # pairs of the best map

    def log_evalue(self, stack: str = "") -> float:
        """Log e-value of a stack, or of all."""
        straight = self._straight(stack)
        if not self.has_half:
            return straight
        mapped = self._mapped(stack)
        return LOG_HALF + float(np.logaddexp(straight, -np.inf if mapped is None else mapped))

    @property
    def shown(self) -> tuple[SignMatch, ...]:
        """The matches behind the evidence: those of blocks that moved, where maps show more."""
        mapped = self._mapped("")
        least = max(self._straight(""), LOG_CLEAR)
        is_moved = self.moved and mapped is not None and mapped > least
        return self.moved if is_moved else self.straight

    @property
    def all_shown(self) -> tuple[SignMatch, ...]:
        """Matches of the straight pairing, and of blocks that moved."""
        here = {(m.a, m.b) for m in self.straight}
        return (*self.straight, *(m for m in self.shown if (m.a, m.b) not in here))

    def _straight(self, stack: str) -> float:
        """All coins: product over separate ones, average over copies, mixed over bets."""
        members: dict[int, list[npt.NDArray[np.float64]]] = {}
        for m in self.straight:
            if stack in ("", m.a.stack):
                own = members.setdefault(self.groups[m.a, m.b], [])
                own.append(log_evalues(m.n_agree, len(m.signs)))
        return mix_log_evalue(product(list(members.values()))) if members else 0.0

    def _mapped(self, stack: str) -> float | None:
        own = [x.log_evalues for line, x in self.lines.items() if stack in ("", line[1])]
        return mix_log_evalue(np.sum(own, axis=0)) if own else None


def separate_coins(
    found: Sequence[SignMatch], seen: tuple[Copies, Copies]
) -> tuple[tuple[SignMatch, ...], dict[tuple[Axis, Axis], int]]:
    """One coin for each set of clones, and groups of pairs whose coins are copies.

    In the model with more separate coins; which that is does not depend on any sign.

    Parameters
    ----------
    found : sequence of SignMatch
        Matches of pairs of axes, each pair once.
    seen : (Copies, Copies)
        What was seen of the axes of a, of b.

    Returns
    -------
    tuple
        The matches with one coin for each set, and a group for each pair of axes.
    """
    ways = []
    for side in (0, 1):
        groups = seen[side].groups(is_sign_blind=True)
        of_pair = {(m.a, m.b): groups[key_of((m.a, m.b)[side])] for m in found}
        most: dict[int, int] = {}
        for m in found:
            group = of_pair[m.a, m.b]
            most[group] = max(most.get(group, 0), len(set(m.sets[side])))
        ways.append((sum(most.values()), side, of_pair))
    _, side, of_pair = max(ways, key=lambda way: way[0])
    return tuple(m.one_of_each(side) for m in found), of_pair


def over_maps(both: SignPair, straight: KindSigns, pairs: Pairs, plan: MapPlan) -> KindSigns:
    """Add what monotone block maps show of one kind of axis; nothing where blocks are copies.

    Null hypothesis: that of `blind.run_signs`, with coins of their own in all blocks of one model.

    Parameters
    ----------
    both : SignPair
        The models.
    straight : KindSigns
        What the straight pairing shows.
    pairs : sequence of (Axis, Axis)
        Pairs of the straight pairing.
    plan : MapPlan
        Which pairs have coins.

    Returns
    -------
    KindSigns
        Counts zero for maps where no model has coins of its own in every block.
    """
    lines, run = _lines(both, straight.kind, pairs)
    looked = both.keeping()
    found = [match_signs(looked, x, y, run) for x, y in plan.kept(lines.pairs)]
    matches = [m for m in found if m is not None and len(m.signs)]
    side = _side_of_own(looked.copies, matches)
    if side is None:
        return straight
    coins = {(m.a, m.b): m.one_of_each(side) for m in matches}
    grids = {pair: log_evalues(m.n_agree, len(m.signs)) for pair, m in coins.items()}
    mapped = map_evidence(lines, grids)
    moved = tuple(coins[pair] for x in mapped.values() for pair in x.best)
    return KindSigns(straight.kind, straight.straight, straight.groups, True, mapped, moved)


def _lines(both: SignPair, kind: AxisKind, pairs: Pairs) -> tuple[BlockLines, Run]:
    """Which pairs of blocks are looked at, and how many units of a: by shapes alone."""
    is_large = are_large(both.a, pairs)
    axes_a, axes_b = (
        key_axes(side) if kind == "qk" else sign_axes(side, kind) for side in (both.a, both.b)
    )
    is_seen_through = both.through[1] is not None
    run = FEW_OF_A if is_large else FIRST_RUN
    read = set(axes_b)
    if is_large:  # one block of b; weights of all units are too wide to be held
        own = [y for _, y in pairs if y.kind == kind]
        read = {own[len(own) // 2]} if is_seen_through else set()

    def work(x: Axis, y: Axis) -> int:
        n_columns = N_TOKENS if is_seen_through else _width(both, y)
        return 2 * min(run.n, x.n_units) * y.n_units * n_columns

    return block_lines(axes_a, axes_b, work, read), run


def _width(both: SignPair, axis: Axis) -> int:
    info = both.b.model.tensors[axis.places[0].tensor]
    return math.prod(info.shape) // axis.n_units


def _side_of_own(copies: tuple[Copies, Copies], matches: Sequence[SignMatch]) -> int | None:
    """Whose blocks, of those looked at, all have coins of their own; the one with more coins."""
    ways = []
    for side in (0, 1):
        groups = copies[side].groups(is_sign_blind=True)
        axes = {key_of((m.a, m.b)[side]) for m in matches}
        if axes and len({groups[key] for key in axes}) == len(axes):
            ways.append((sum(len(set(m.sets[side])) for m in matches), side))
    return max(ways)[1] if ways else None
