"""Exact and blind to relabelling: do the signs of matched units agree more often than coins?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats, Ints
from weightkin.evidence.coins import (
    coin_sets,
    joined,
    narrowed_views,
    unit_features,
    weights_of,
)
from weightkin.evidence.labels import Copies, key_of
from weightkin.evidence.pairs import Views, effect_of
from weightkin.evidence.sample import Run
from weightkin.evidence.signpairs import UNITS_OF_A, sign_pairs
from weightkin.evidence.silent import silent_of_all
from weightkin.evidence.stage import Stage, block_name
from weightkin.evidence.views import (
    UNITS_AT_ONCE,
    TokenRows,
)
from weightkin.formats.dry_run import read_ahead
from weightkin.formats.model import Model
from weightkin.records import Test
from weightkin.stats.combining import product
from weightkin.stats.copies import Groups
from weightkin.stats.matching import unit_rows
from weightkin.stats.signs import (
    agreements_log10_sf,
    log_evalues,
    mix_log_evalue,
    mutual_matches,
)
from weightkin.stats.sums import logsumexp

FIRST_RUN = Run(0, UNITS_OF_A)


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
            sets=(tuple(self.sets[0][i] for i in kept), tuple(self.sets[1][i] for i in kept)),
        )


def run_signs(
    a: Side,
    b: Side,
    seed: int,
    seen_through: tuple[TokenRows, TokenRows] | None = None,
    *,
    pairs: Sequence[tuple[Axis, Axis]] | None = None,
    runs: Mapping[Axis, Run] | None = None,
) -> tuple[Stage | None, tuple[SignMatch, ...]]:
    """Sign coherence of gated MLPs and V/O dimensions, on weights or through shared tokens.

    Null hypothesis: flipping a unit's sign (its up row and down column; its V row and the O columns
    that read it) leaves the law of the trusted model unchanged, so the signs of its units are fair
    coins given everything that is blind to them. Matching, weights and the number of coins are
    blind: gate rows by cosine, coin rows by absolute cosine, mutual best partners. Clones share one
    coin, in the model that has fewer of them. Exact. Cost a pair: 256 units of a against all of b.

    Survives any permutation of units; through tokens also any rotation of the residual stream. A
    hider who flips signs as well takes its power, never its validity.

    Parameters
    ----------
    a, b : Side
    seed : int
    seen_through : (TokenRows, TokenRows), optional
        Shared tokens of both; the weights without.
    pairs : sequence of (Axis, Axis), optional
        Some of `sign_pairs`, chosen before anything is read.
    runs : mapping of Axis to Run, optional
        Other units of a than the first that look for a partner.

    Returns
    -------
    tuple
        The stage (None when nothing has coins) and the matches behind it.
    """
    pairs = sign_pairs(a, b) if pairs is None else pairs
    for side, axes, most in ((a, [x for x, _ in pairs], UNITS_OF_A), (b, [y for _, y in pairs], 0)):
        read_ahead(side.model, partial(_read_features, side=side, axes=axes, most=most))
    runs = runs or {}
    seen = (Copies(), Copies())
    both = _SignPair(a, b, seed, seen_through or (None, None), seen)
    matched = [_match(both, x, y, runs.get(x, FIRST_RUN)) for x, y in pairs]
    found = [m for m in matched if m is not None and len(m.signs)]
    if not found:
        return None, ()
    matches, groups = _separate_coins(found, seen)
    name, view = ("signs", "weights") if seen_through is None else ("token signs", "tokens")
    by_kind = {
        kind: [m for m in matches if m.a.kind == kind]
        for kind in dict.fromkeys(m.a.kind for m in matches)
    }
    log_e = {kind: _combined(those, groups) for kind, those in by_kind.items()}
    decisive = max(log_e, key=lambda kind: log_e[kind])
    stage = Stage(
        name=name,
        log_evalue=_mean(list(log_e.values())),
        tests=tuple(_test(m, view) for m in matches),
        tested=(),
        effect=effect_of(
            np.concatenate([m.observed for m in by_kind[decisive]]),
            np.concatenate([m.chance for m in by_kind[decisive]]),
            np.concatenate([m.agreement for m in by_kind[decisive]]),
        ),
        trusts="either",
        skipped=(),
        by_stack={
            stack: _mean(
                [
                    _combined(those, groups)
                    for kind in by_kind
                    if (those := [m for m in by_kind[kind] if m.a.stack == stack])
                ]
            )
            for stack in dict.fromkeys(m.a.stack for m in matches)
        },
        decided_by=decisive,
        has_views=decisive == "units",
    )
    return stage, matches


def _mean(log_evalues: list[float]) -> float:
    """Log of the mean e-value: hidden units and V/O dimensions share one stage."""
    return float(logsumexp(log_evalues)) - math.log(len(log_evalues))


def _combined(matches: Sequence[SignMatch], groups: Mapping[tuple[Axis, Axis], int]) -> float:
    """Log e-value of all coins: product over separate coins, average over copies, mixed over x."""
    members: dict[int, list[npt.NDArray[np.float64]]] = {}
    for m in matches:
        members.setdefault(groups[m.a, m.b], []).append(log_evalues(m.n_agree, len(m.signs)))
    return mix_log_evalue(product(list(members.values())))


def _separate_coins(
    found: Sequence[SignMatch], seen: tuple[Copies, Copies]
) -> tuple[tuple[SignMatch, ...], dict[tuple[Axis, Axis], int]]:
    """One coin for each set of clones, and groups of pairs whose coins are copies.

    In the model with more separate coins; which that is does not depend on any sign.
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


def _read_features(model: Model, side: Side, axes: Sequence[Axis], most: int) -> None:
    """Read what signs look at, and drop it: to rehearse it."""
    for axis in axes:
        silent_of_all(model, axis)
        for start in range(0, most or axis.n_units, UNITS_AT_ONCE):
            stop = min(start + UNITS_AT_ONCE, most or axis.n_units)
            unit_features(Side(model, side.anatomy), axis, start, stop, None)


@dataclass(frozen=True, slots=True)
class _SignPair:
    """Two models whose signs are compared, what they are seen through, and all that was seen."""

    a: Side
    b: Side
    seed: int
    through: tuple[TokenRows | None, TokenRows | None]
    copies: tuple[Copies, Copies]


def _match(both: _SignPair, axis_a: Axis, axis_b: Axis, run: Run) -> SignMatch | None:
    """The units of two axes that find each other, with their signs; None without coins."""
    a, b = both.a, both.b
    frame_a, frame_b = both.through
    rows_a = unit_features(a, axis_a, run.start, run.start + run.n, frame_a)
    coin = "mlp.up" if axis_a.kind == "units" else "attn.v"
    step = UNITS_AT_ONCE if frame_b is None else axis_b.n_units  # views are narrow, weights are not
    blind: dict[str, list[Floats]] = defaultdict(list)  # cosines that no flip changes
    scores, cosines = [], []
    chunks: list[Views] = []
    rows_b: Views = {}
    for start in range(0, axis_b.n_units, step):
        chunk = unit_features(b, axis_b, start, start + step, frame_b)
        shared = [r for r in rows_a if r in chunk and rows_a[r].shape[1] == chunk[r].shape[1]]
        if coin not in shared:
            return None
        parts = {r: unit_rows(rows_a[r]) @ unit_rows(chunk[r]).T for r in shared}
        unsigned = {r: x if r == "mlp.gate" else np.abs(x) for r, x in parts.items()}
        for r, x in unsigned.items():
            blind[r].append(x)
        scores.append(sum(unsigned.values()))
        cosines.append(parts[coin])
        rows_b = rows_b or chunk
        if frame_b is None:
            chunks.append(narrowed_views(chunk))
    tables = [np.concatenate(pieces, axis=1) for pieces in blind.values()]
    tables = [table for table in tables if table.shape[1] == axis_b.n_units]
    score = np.asarray(np.concatenate(scores, axis=1), dtype=np.float32)
    coins = np.concatenate(cosines, axis=1)  # (units of a, all units of b)
    unused = silent_of_all(a.model, axis_a) - run.start
    score[unused[(unused >= 0) & (unused < len(score))]] = -np.inf
    score[:, silent_of_all(b.model, axis_b)] = -np.inf
    rng = np.random.default_rng([both.seed, 5, axis_a.block + 1])
    units_a, units_b = mutual_matches(score, rng)
    values = coins[units_a, units_b]
    is_coin = values != 0  # a row of zeros has no sign; blind, since flips keep zero
    units_a, units_b, values = units_a[is_coin], units_b[is_coin], values[is_coin]
    others = np.abs(coins[units_a])
    others[np.arange(len(units_a)), units_b] = -1.0
    alone = [(t[units_a].argmax(axis=1) == units_b) for t in tables]
    if frame_b is None:
        of_a, of_b = narrowed_views(rows_a), joined(chunks)
    else:  # clones are told by their weights, whatever they are seen through
        of_a = joined(weights_of(a, axis_a, run)) or narrowed_views(rows_a)
        of_b = joined(weights_of(b, axis_b, Run(0, axis_b.n_units))) or narrowed_views(rows_b)
    both.copies[0].look(axis_a, of_a)
    both.copies[1].look(axis_b, {r: x[:UNITS_OF_A] for r, x in of_b.items()})
    return SignMatch(
        a=axis_a,
        b=axis_b,
        units_a=units_a,
        units_b=units_b,
        signs=np.sign(values),
        observed=np.abs(values),
        chance=others.max(axis=1, initial=-1.0),
        agreement=np.all(alone, axis=0).astype(np.float32),
        score=score[units_a, units_b],
        sets=(coin_sets(axis_a, of_a, units_a), coin_sets(axis_b, of_b, units_b)),
    )


def _test(match: SignMatch, view: str) -> Test:
    n = len(match.signs)
    return Test(
        name="signs",
        axis=match.a.name,
        trusts="either",
        block_a=block_name(match.a),
        block_b=block_name(match.b),
        n_units=n,
        statistic=float(match.n_agree),
        log10_pvalue=min(0.0, agreements_log10_sf(match.n_agree, n)),
        null="exact",
        effect=effect_of(match.observed, match.chance, match.agreement),
        view=view,
    )
