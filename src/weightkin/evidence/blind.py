"""Exact and blind to relabelling: do the signs of matched units agree more often than coins?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.coin_matches import SignMatch, SignPair, match_signs
from weightkin.evidence.coins import (
    unit_features,
)
from weightkin.evidence.effects import effect_of
from weightkin.evidence.labels import Copies, key_of
from weightkin.evidence.plan import Run
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
from weightkin.stats.signs import (
    agreements_log10_sf,
    log_evalues,
    mix_log_evalue,
)
from weightkin.stats.sums import logsumexp

FIRST_RUN = Run(0, UNITS_OF_A)


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
    both = SignPair(a, b, seed, seen_through or (None, None), seen)
    matched = [match_signs(both, x, y, runs.get(x, FIRST_RUN)) for x, y in pairs]
    found = [m for m in matched if m is not None and len(m.signs)]
    if not found:
        return None, ()
    matches, groups = _separate_coins(found, seen)
    name, view = ("signs", "weights") if seen_through is None else ("token signs", "tokens")
    kinds = dict.fromkeys(m.a.kind for m in matches)
    stacks = dict.fromkeys(m.a.stack for m in matches)
    by_kind = {kind: [m for m in matches if m.a.kind == kind] for kind in kinds}
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
        by_stack={stack: _of_stack(stack, by_kind.values(), groups) for stack in stacks},
        decided_by=decisive,
        has_views=decisive == "units",
    )
    return stage, matches


def _of_stack(
    stack: str, by_kind: Iterable[Sequence[SignMatch]], groups: Mapping[tuple[Axis, Axis], int]
) -> float:
    own = [[m for m in matches if m.a.stack == stack] for matches in by_kind]
    return _mean([_combined(matches, groups) for matches in own if matches])


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
