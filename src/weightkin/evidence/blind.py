"""Exact and blind to relabelling: do the signs of matched units agree more often than coins?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.coin_matches import SignMatch, SignPair, match_signs
from weightkin.evidence.coins import unit_features
from weightkin.evidence.effects import effect_of
from weightkin.evidence.labels import Copies
from weightkin.evidence.margins import margin_on
from weightkin.evidence.plan import Run
from weightkin.evidence.sign_evidence import (
    FIRST_RUN,
    KindSigns,
    MapPlan,
    Pairs,
    over_maps,
    separate_coins,
)
from weightkin.evidence.signpairs import UNITS_OF_A, sign_pairs
from weightkin.evidence.silent import silent_of_all
from weightkin.evidence.stage import Stage
from weightkin.evidence.views import UNITS_AT_ONCE, TokenRows
from weightkin.formats.dry_run import read_ahead
from weightkin.formats.model import Model
from weightkin.records import Test
from weightkin.stats.signs import agreements_log10_sf
from weightkin.stats.sums import logsumexp


@dataclass(frozen=True, slots=True)
class SignPlan:
    """What signs look at, chosen before anything is read."""

    pairs: Pairs  # some of `sign_pairs`, or of query-key dimensions
    runs: Mapping[Axis, Run] = field(default_factory=dict)  # units of a, else the first ones
    maps: MapPlan | None = None  # None: only the straight pairing counts, with all the weight

    @property
    def is_of_keys(self) -> bool:
        """Whether queries and keys are looked at, which is a stage of its own."""
        return any(x.kind == "qk" for x, _ in self.pairs)


def run_signs(
    a: Side,
    b: Side,
    seed: int,
    seen_through: tuple[TokenRows, TokenRows] | None = None,
    plan: SignPlan | None = None,
) -> tuple[Stage | None, tuple[SignMatch, ...]]:
    """Sign coherence of gated MLPs and V/O dimensions, on weights or through shared tokens.

    Null hypothesis: flipping a unit's sign (its up row and down column; its V row and the O columns
    that read it) leaves the law of the trusted model unchanged, so the signs of its units are fair
    coins given everything that is blind to them. Matching, weights and the number of coins are
    blind: gate rows by cosine, coin rows by absolute cosine, mutual best partners. Clones share one
    coin, in the model that has fewer of them. Exact. Cost a pair: 256 units of a against all of b.
    Where the straight pairing of blocks shows too little, half the weight is on monotone block
    maps (`evidence.sign_maps`).

    Survives any permutation of units; through tokens also any rotation of the residual stream. A
    hider who flips signs as well takes its power, never its validity.

    Parameters
    ----------
    a, b : Side
    seed : int
    seen_through : (TokenRows, TokenRows), optional
        Shared tokens of both; the weights without.
    plan : SignPlan, optional
        What is looked at: all of `sign_pairs` without.

    Returns
    -------
    tuple
        The stage (None when nothing has coins) and the matches behind it.
    """
    plan = plan or SignPlan(sign_pairs(a, b))
    pairs = plan.pairs
    for side, axes, most in ((a, [x for x, _ in pairs], UNITS_OF_A), (b, [y for _, y in pairs], 0)):
        read_ahead(side.model, partial(_read_features, side=side, axes=axes, most=most))
    seen = (Copies(), Copies())
    both = SignPair(a, b, seed, seen_through or (None, None), seen)
    matched = [match_signs(both, x, y, plan.runs.get(x, FIRST_RUN)) for x, y in pairs]
    found = [m for m in matched if m is not None and len(m.signs)]
    if not found:
        return None, ()
    matches, groups = separate_coins(found, seen)
    by_kind = [
        KindSigns(
            kind, tuple(m for m in matches if m.a.kind == kind), groups, plan.maps is not None
        )
        for kind in dict.fromkeys(m.a.kind for m in matches)
    ]
    if plan.maps is not None and _mean(x.log_evalue() for x in by_kind) < plan.maps.enough:
        by_kind = [over_maps(both, x, pairs, plan.maps) for x in by_kind]
    name, view = ("signs", "weights") if seen_through is None else ("token signs", "tokens")
    if plan.is_of_keys:
        name = "key signs"
    decisive = max(by_kind, key=lambda x: x.log_evalue())
    stage = Stage(
        name=name,
        log_evalue=_mean(x.log_evalue() for x in by_kind),
        tests=tuple(_test(m, view) for x in by_kind for m in x.all_shown),
        tested=(),
        effect=effect_of(
            np.concatenate([m.observed for m in decisive.shown]),
            np.concatenate([m.chance for m in decisive.shown]),
            np.concatenate([m.agreement for m in decisive.shown]),
        ),
        trusts="either",
        skipped=(),
        by_stack={stack: _of_stack(stack, by_kind) for stack in dict.fromkeys(_stacks(by_kind))},
        decided_by=decisive.kind,
        block_ratio=_median_ratio(decisive.shown) if plan.is_of_keys else 0.0,
        margin=margin_on(a, [(m.a, m.level) for m in decisive.shown]),
        has_views=decisive.kind in ("units", "qk"),
    )
    return stage, tuple(m for x in by_kind for m in x.shown)


def _median_ratio(matches: Iterable[SignMatch]) -> float:
    return float(np.median([effect_of(m.observed, m.chance).ratio for m in matches]))


def _stacks(by_kind: Iterable[KindSigns]) -> Iterator[str]:
    return (m.a.stack for x in by_kind for m in x.straight)


def _of_stack(stack: str, by_kind: Iterable[KindSigns]) -> float:
    own = [x for x in by_kind if any(m.a.stack == stack for m in x.straight)]
    return _mean(x.log_evalue(stack) for x in own)


def _mean(log_evalues: Iterable[float]) -> float:
    """Log of the mean e-value: hidden units and V/O dimensions share one stage."""
    values = list(log_evalues)
    return float(logsumexp(values)) - math.log(len(values))


def _read_features(model: Model, side: Side, axes: Sequence[Axis], most: int) -> None:
    """Read what signs look at, and drop it: to rehearse it."""
    for axis in axes:
        silent_of_all(model, axis)
        for start in range(0, most or axis.n_units, UNITS_AT_ONCE):
            stop = min(start + UNITS_AT_ONCE, most or axis.n_units)
            unit_features(Side(model, side.anatomy), axis, start, stop, None)


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
