"""Which units of two axes find each other, blind to signs, and the coins that their signs are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Floats, Ints
from weightkin.evidence.arranged import ASKED, Level, Seen, level_of
from weightkin.evidence.coins import coin_sets, joined, narrowed_views, unit_features, weights_of
from weightkin.evidence.kept import Kept
from weightkin.evidence.labels import Copies
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Run
from weightkin.evidence.signpairs import UNITS_OF_A
from weightkin.evidence.silent import silent_of_all
from weightkin.evidence.standing_out import beside_clones
from weightkin.evidence.views import UNITS_AT_ONCE, TokenRows
from weightkin.stats.copies import Groups
from weightkin.stats.matching import unit_rows
from weightkin.stats.signs import mutual_matches

T = TypeVar("T")

GATE = "mlp.gate"
TIE = 1e-5  # of cosines: pieces of a split unit have one gate
MOST_KEPT_OF_A, MOST_KEPT_OF_B = 1 << 28, 1 << 26  # bytes; few units of a, all of b
COIN_ROLES: Mapping[AxisKind, tuple[str, ...]] = {  # the first that both axes have
    "units": ("mlp.up",),
    "vo": ("attn.v",),
    "qk": ("attn.q", "attn.k"),
}


@dataclass(frozen=True, slots=True)
class SignMatch:
    """Matched units of one pair of axes and the coins they show, one for each set of clones."""

    a: Axis
    b: Axis
    units_a: Ints
    units_b: Ints
    signs: Floats  # +1 where the signs agree
    observed: Floats  # |cosine| of the matched coin rows
    chance: Floats  # |cosine| of their best other partner
    agreement: Floats  # 1.0 where every view, matched alone and blind to signs, pairs them too
    score: Floats  # by which they were matched
    level: Level | None  # how alike units are that found each other; of weights alone
    sets: tuple[Groups, Groups]  # which of them share a coin in a, in b

    @property
    def n_agree(self) -> int:
        """How many coins agree."""
        return int((self.signs > 0).sum())

    def one_of_each(self, side: int) -> SignMatch:
        """Of every set of clones in a (0) or b (1) the match of the best score, blind to signs."""
        order = np.argsort(-self.score, kind="stable")
        _, first = np.unique(np.array(self.sets[side], dtype=np.int64)[order], return_index=True)
        kept = np.sort(order[first])
        return SignMatch(
            a=self.a,
            b=self.b,
            units_a=self.units_a[kept],
            units_b=self.units_b[kept],
            signs=self.signs[kept],
            observed=self.observed[kept],
            chance=self.chance[kept],
            agreement=self.agreement[kept],
            score=self.score[kept],
            level=self.level,
            sets=(tuple(self.sets[0][i] for i in kept), tuple(self.sets[1][i] for i in kept)),
        )


@dataclass(frozen=True, slots=True)
class SignPair:
    """Two models whose signs are compared, what they are seen through, and all that was seen."""

    a: Side
    b: Side
    seed: int
    through: tuple[TokenRows | None, TokenRows | None]
    copies: tuple[Copies, Copies]
    kept: tuple[Kept, ...] = ()  # of a and of b, where what is read is asked for again

    def features(self, side: int, axis: Axis, run: Run) -> Views:
        """Rows of some units as they are seen."""
        stop = run.start + run.n
        return self._once(
            side,
            (axis, run),
            lambda s: unit_features(s, axis, run.start, stop, self.through[side]),
        )

    def weights(self, side: int, axis: Axis, run: Run) -> Views:
        """Rows that clones are told by, whatever units are seen through."""
        return self._once(side, (axis, run, "weights"), lambda s: joined(weights_of(s, axis, run)))

    def directions(self, side: int, axis: Axis, run: Run, role: str, seen: Views) -> Floats:
        """Rows of one role of what `features` gave, of length one."""
        return self._once(side, (axis, run, "directions", role), lambda _: unit_rows(seen[role]))

    def narrow(self, side: int, axis: Axis, run: Run, seen: Views) -> Views:
        """What `features` gave, in few features."""
        return self._once(side, (axis, run, "narrow"), lambda _: narrowed_views(seen))

    def look(self, side: int, axis: Axis, views: Views) -> None:
        """Add what is read of an axis to its copies."""
        self._once(side, (axis, "looked at"), lambda _: self.copies[side].look(axis, views))

    def unused(self, side: int, axis: Axis) -> Ints:
        """Units that write nothing."""
        return self._once(side, (axis, "unused"), lambda s: silent_of_all(s.model, axis))

    def keeping(self) -> SignPair:
        """The same pair, which keeps what it reads."""
        kept = (Kept(MOST_KEPT_OF_A), Kept(MOST_KEPT_OF_B))
        return replace(self, copies=(Copies(), Copies()), kept=kept)

    def _once(self, side: int, key: tuple[Hashable, ...], read: Callable[[Side], T]) -> T:
        model = (self.a, self.b)[side]
        return self.kept[side].once(key, lambda: read(model)) if self.kept else read(model)


def match_signs(both: SignPair, axis_a: Axis, axis_b: Axis, run: Run) -> SignMatch | None:
    """The units of two axes that find each other, with their signs; None without coins.

    Parameters
    ----------
    both : SignPair
        The models; what is read of the axes is added to its copies.
    axis_a, axis_b : Axis
        One of each.
    run : Run
        Units of a that look for a partner among all of b.

    Returns
    -------
    SignMatch or None
        One coin for each unit with a partner whose sign can be told.
    """
    seen = _cosines(both, axis_a, axis_b, run)
    if seen is None:
        return None
    score, coins = seen.score, seen.coins
    unused = both.unused(0, axis_a) - run.start
    score[unused[(unused >= 0) & (unused < len(score))]] = -np.inf
    score[:, both.unused(1, axis_b)] = -np.inf
    rng = np.random.default_rng([both.seed, 5, axis_a.block + 1])
    units_a, units_b = mutual_matches(score, rng)
    values = coins[units_a, units_b]
    is_coin = values != 0  # a row of zeros has no sign; blind, since flips keep zero
    units_a, units_b, values = units_a[is_coin], units_b[is_coin], values[is_coin]
    # queries of one head say much the same: there a partner is judged by queries and keys together
    blind = [table for table, _ in seen.by_role.values()]
    alike = score / len(blind) if axis_a.kind == "qk" else np.abs(coins)
    others = alike[units_a]
    others[np.arange(len(units_a)), units_b] = -1.0
    observed, chance = alike[units_a, units_b], others.max(axis=1, initial=-1.0)
    if seen.gates is not None:
        observed, chance = beside_clones(*seen.gates, units_a, units_b)
    best = [(t[units_a, units_b], t[units_a].max(axis=1, initial=-1.0)) for t in blind]
    alone = [own >= most - TIE for own, most in best]  # a clone of the partner is the partner
    of_a, of_b = seen.of_a, seen.of_b
    is_asked = both.through[0] is None and axis_a.kind in ASKED
    both.look(0, axis_a, of_a)
    both.look(1, axis_b, {r: x[:UNITS_OF_A] for r, x in of_b.items()})
    return SignMatch(
        a=axis_a,
        b=axis_b,
        units_a=units_a,
        units_b=units_b,
        signs=np.sign(values),
        observed=observed,
        chance=chance,
        agreement=np.all(alone, axis=0).astype(np.float32),
        score=score[units_a, units_b],
        level=_level(axis_a, axis_b, seen, units_a, units_b) if is_asked else None,
        sets=(coin_sets(axis_a, of_a, units_a), coin_sets(axis_b, of_b, units_b)),
    )


@dataclass(frozen=True, slots=True)
class _Cosines:
    """Units of a against all of b."""

    score: Floats  # summed over the views, blind to signs
    coins: Floats  # of the rows that show the sign
    by_role: dict[str, tuple[Floats, int]]  # blind to signs, with the features of the view
    of_a: Views  # narrow rows by which clones are told
    of_b: Views
    gates: tuple[Floats, Floats] | None = None  # through tokens: what no split of units changes


def _level(a: Axis, b: Axis, seen: _Cosines, units_a: Ints, units_b: Ints) -> Level:
    """How alike the units are that found each other, of all that looked for a partner."""
    views = {}
    for role, (table, n_features) in seen.by_role.items():
        others = table[units_a]
        others[np.arange(len(units_a)), units_b] = -1.0
        chance = float(np.median(others.max(axis=1, initial=-1.0))) if len(units_a) else 0.0
        views[role] = Seen(table[units_a, units_b], len(table), chance, n_features)
    return level_of(a, b, views)


def _cosines(both: SignPair, axis_a: Axis, axis_b: Axis, run: Run) -> _Cosines | None:
    is_seen_through = both.through[1] is not None
    rows_a = both.features(0, axis_a, run)
    here = {p.role for p in axis_a.places} & {p.role for p in axis_b.places}
    coin = next((role for role in COIN_ROLES[axis_a.kind] if role in here), "")
    step = axis_b.n_units if is_seen_through else UNITS_AT_ONCE  # views are narrow, weights are not
    blind: dict[str, list[Floats]] = defaultdict(list)
    scores, cosines = [], []
    chunks: list[Views] = []
    rows_b: Views = {}
    for start in range(0, axis_b.n_units, step):
        run_b = Run(start, step)
        chunk = both.features(1, axis_b, run_b)
        shared = [r for r in rows_a if r in chunk and rows_a[r].shape[1] == chunk[r].shape[1]]
        if coin not in shared:
            return None
        parts = {
            r: both.directions(0, axis_a, run, r, rows_a)
            @ both.directions(1, axis_b, run_b, r, chunk).T
            for r in shared
        }
        unsigned = {r: x if r == "mlp.gate" else np.abs(x) for r, x in parts.items()}
        for r, x in unsigned.items():
            blind[r].append(x)
        scores.append(sum(unsigned.values()))
        cosines.append(parts[coin])
        rows_b = rows_b or chunk
        if not is_seen_through:
            chunks.append(both.narrow(1, axis_b, run_b, chunk))
    if is_seen_through:  # clones are told by their weights, whatever they are seen through
        of_a = both.weights(0, axis_a, run) or both.narrow(0, axis_a, run, rows_a)
        of_b = both.weights(1, axis_b, Run(0, axis_b.n_units)) or narrowed_views(rows_b)
    else:
        of_a, of_b = both.narrow(0, axis_a, run, rows_a), joined(chunks)
    tables = {
        role: (np.concatenate(pieces, axis=1), rows_a[role].shape[1])
        for role, pieces in blind.items()
    }
    return _Cosines(
        score=np.asarray(np.concatenate(scores, axis=1), dtype=np.float32),
        coins=np.concatenate(cosines, axis=1),
        by_role={r: x for r, x in tables.items() if x[0].shape[1] == axis_b.n_units},
        of_a=of_a,
        of_b=of_b,
        gates=(rows_a[GATE], rows_b[GATE]) if is_seen_through and GATE in tables else None,
    )
