"""Exact and blind to relabelling: do the signs of matched units agree more often than coins?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import logsumexp  # type: ignore[import-untyped,unused-ignore]

from weightkin.anatomy.types import Axis, Place
from weightkin.evidence.pairs import effect_of
from weightkin.evidence.sample import Run, view_places
from weightkin.evidence.scan import COPY_UNITS, Narrow, copied_blocks, narrow
from weightkin.evidence.stage import Side, Stage, block_name, pair_axes
from weightkin.evidence.views import (
    CHUNK,
    Frame,
    token_views,
    unit_rows_of,
)
from weightkin.records import Test
from weightkin.stats.combining import product
from weightkin.stats.matching import Floats, Ints, unit_rows
from weightkin.stats.signs import (
    agreements_log10_sf,
    log_evalues,
    mix_log_evalue,
    mutual_matches,
)
from weightkin.weights.dry_run import read_ahead
from weightkin.weights.model import Model

UNITS_OF_A = 256  # units of a that look for a partner among all units of b
FIRST = Run(0, UNITS_OF_A)
MAX_BLOCKS = 3  # blocks looked at in large models
LARGE = 1 << 20  # elements of one matrix above which only MAX_BLOCKS blocks are looked at


@dataclass(frozen=True, slots=True)
class SignMatch:
    """Matched units of one pair of axes and the coins they show."""

    a: Axis
    b: Axis
    units_a: Ints
    units_b: Ints
    signs: Floats  # +1 where the signs agree
    observed: Floats  # |cosine| of the matched coin rows
    chance: Floats  # |cosine| of their best other partner
    agreement: Floats  # 1.0 where every view, matched alone and blind to signs, pairs them too
    narrow_a: Narrow  # for finding copied blocks inside a model
    narrow_b: Narrow

    @property
    def n_agree(self) -> int:
        """How many coins agree."""
        return int((self.signs > 0).sum())


def run_signs(
    a: Side,
    b: Side,
    seed: int,
    seen_through: tuple[Frame, Frame] | None = None,
    *,
    pairs: Sequence[tuple[Axis, Axis]] | None = None,
    runs: Mapping[Axis, Run] | None = None,
) -> tuple[Stage | None, tuple[SignMatch, ...]]:
    """Sign coherence of gated MLPs and V/O dimensions, on weights or through shared tokens.

    Null hypothesis: flipping a unit's sign (its up row and down column; its V row and the O columns
    that read it) leaves the law of the trusted model unchanged, so the signs of its units are fair
    coins given everything that is blind to them. Matching, weights and the number of coins are
    blind: gate rows by cosine, coin rows by absolute cosine, mutual best partners. Exact.

    Survives any permutation of units; through tokens also any rotation of the residual stream. A
    hider who flips signs as well takes its power, never its validity. ``pairs`` are those of
    `sign_pairs`, or some of them, chosen before anything is read; ``runs`` names other units of a
    than the first that look for a partner.

    Returns
    -------
    tuple
        The stage (None when nothing has coins) and the matches behind it.
    """
    pairs = sign_pairs(a, b) if pairs is None else pairs
    for side, axes, most in ((a, [x for x, _ in pairs], UNITS_OF_A), (b, [y for _, y in pairs], 0)):
        read_ahead(side.model, partial(_read_features, side=side, axes=axes, most=most))
    runs = runs or {}
    found = [_match(a, b, x, y, seed, seen_through, runs.get(x, FIRST)) for x, y in pairs]
    matches = tuple(m for m in found if m is not None and len(m.signs))
    if not matches:
        return None, ()
    name, view = ("signs", "weights") if seen_through is None else ("token signs", "tokens")
    by_kind = {
        kind: [m for m in matches if m.a.kind == kind]
        for kind in dict.fromkeys(m.a.kind for m in matches)
    }
    log_e = {kind: _combined(those) for kind, those in by_kind.items()}
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
                    _combined(those)
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


def _combined(matches: Sequence[SignMatch]) -> float:
    """Log e-value of all coins: product over separate coins, average over copies, mixed over x."""
    grids = [log_evalues(m.n_agree, len(m.signs)) for m in matches]
    grid = product([[grids[i] for i in group] for group in _separate_coins(matches)])
    return mix_log_evalue(grid)


def _separate_coins(matches: Sequence[SignMatch]) -> list[list[int]]:
    """Groups of pairs whose coins are separate in at least one model; copies share a group."""
    groups = [
        copied_blocks([m.narrow_a for m in matches]),
        copied_blocks([m.narrow_b for m in matches]),
    ]
    chosen = max(groups, key=lambda g: len(set(g)))
    return [[i for i, g in enumerate(chosen) if g == name] for name in dict.fromkeys(chosen)]


def total_log10_pvalue(matches: Sequence[SignMatch]) -> float:
    """Exact binomial tail of all coins together."""
    return agreements_log10_sf(sum(m.n_agree for m in matches), sum(len(m.signs) for m in matches))


def sign_pairs(a: Side, b: Side) -> list[tuple[Axis, Axis]]:
    """Pairs of axes that have signs to compare, of three blocks where models are large."""
    gated = [[x for x in side.axes("units") if x.is_gated] for side in (a, b)]
    pairs = pair_axes(gated[0], gated[1], {}) + pair_axes(a.axes("vo"), b.axes("vo"), {})
    sizes = [math.prod(a.model.tensors[x.places[0].tensor].shape) for x, _ in pairs]
    if not pairs or max(sizes) <= LARGE:
        return pairs
    blocks = sorted({(x.stack, x.block) for x, _ in pairs})
    chosen = {blocks[i] for i in np.linspace(0, len(blocks) - 1, MAX_BLOCKS).astype(int)}
    return [(x, y) for x, y in pairs if (x.stack, x.block) in chosen]


def _read_features(model: Model, side: Side, axes: Sequence[Axis], most: int) -> None:
    """Read what signs look at, and drop it: to rehearse it."""
    for axis in axes:
        for start in range(0, most or axis.n_units, CHUNK):
            stop = min(start + CHUNK, most or axis.n_units)
            _features(Side(model, side.anatomy), axis, start, stop, None)


def _match(
    a: Side,
    b: Side,
    axis_a: Axis,
    axis_b: Axis,
    seed: int,
    seen_through: tuple[Frame, Frame] | None,
    run: Run,
) -> SignMatch | None:
    frame_a, frame_b = seen_through or (None, None)
    rows_a = _features(a, axis_a, run.start, run.start + run.n, frame_a)
    coin = "mlp.up" if axis_a.kind == "units" else "attn.v"
    step = CHUNK if frame_b is None else axis_b.n_units  # views are narrow, weights are not
    blind: dict[str, list[Floats]] = defaultdict(list)  # cosines that no flip changes
    scores, cosines = [], []
    rows_b: dict[str, Floats] = {}
    for start in range(0, axis_b.n_units, step):
        chunk = _features(b, axis_b, start, start + step, frame_b)
        rows_b = rows_b or chunk
        shared = [r for r in rows_a if r in chunk and rows_a[r].shape[1] == chunk[r].shape[1]]
        if coin not in shared:
            return None
        parts = {r: unit_rows(rows_a[r]) @ unit_rows(chunk[r]).T for r in shared}
        unsigned = {r: x if r == "mlp.gate" else np.abs(x) for r, x in parts.items()}
        for r, x in unsigned.items():
            blind[r].append(x)
        scores.append(sum(unsigned.values()))
        cosines.append(parts[coin])
    tables = [np.concatenate(pieces, axis=1) for pieces in blind.values()]
    tables = [table for table in tables if table.shape[1] == axis_b.n_units]
    score = np.asarray(np.concatenate(scores, axis=1), dtype=np.float32)
    coins = np.concatenate(cosines, axis=1)  # (units of a, all units of b)
    rng = np.random.default_rng([seed, 5, axis_a.block + 1])
    units_a, units_b = mutual_matches(score, rng)
    values = coins[units_a, units_b]
    is_coin = values != 0  # a row of zeros has no sign; blind, since flips keep zero
    units_a, units_b, values = units_a[is_coin], units_b[is_coin], values[is_coin]
    others = np.abs(coins[units_a])
    others[np.arange(len(units_a)), units_b] = -1.0
    alone = [(t[units_a].argmax(axis=1) == units_b) for t in tables]
    return SignMatch(
        a=axis_a,
        b=axis_b,
        units_a=units_a,
        units_b=units_b,
        signs=np.sign(values),
        observed=np.abs(values),
        chance=others.max(axis=1, initial=-1.0),
        agreement=np.all(alone, axis=0).astype(np.float32),
        narrow_a=narrow(rows_a[coin][:COPY_UNITS], axis_a.n_units, rng),
        narrow_b=narrow(rows_b[coin][:COPY_UNITS], axis_b.n_units, rng),
    )


def _features(
    side: Side, axis: Axis, start: int, stop: int, frame: Frame | None
) -> dict[str, Floats]:
    """Rows of some units of one axis, role by role: as weights, or through tokens."""
    stop = min(stop, axis.n_units)
    if frame is not None:
        views = token_views(side.model, side.anatomy, axis, frame, stop, start)
        return {role: view for role, view in views.items() if role != "mlp.down"}
    found: dict[str, Floats] = {}
    for place in view_places(side.model, axis):
        if is_wanted(place):
            rows = unit_rows_of(side.model, place, start, stop)
            if rows is not None and np.isfinite(rows).all():
                found[place.role] = rows
    return found


def is_wanted(place: Place) -> bool:
    """Whether signs look at a place."""
    return place.role in ("mlp.gate", "mlp.up", "attn.v") or (
        place.role == "attn.o" and place.repeat == 1
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
