"""The stage of quarter turns: all key heads of two rotary models, straight and over block maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from weightkin.anatomy.queries import query_keys
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.attentions import (
    Attention,
    Attentions,
    Head,
    attention_of,
    chosen,
    cost_of,
    fit,
    is_large,
    key_dimensions,
    reads_queries,
)
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.effects import effect_of
from weightkin.evidence.formulas import formula_behind
from weightkin.evidence.planes import is_layout_shown
from weightkin.evidence.sign_maps import LOG_CLEAR, LOG_HALF, block_lines, map_evidence
from weightkin.evidence.signpairs import FRUGAL_BYTES, MAX_SIGN_BLOCKS, too_dear
from weightkin.evidence.stage import Stage
from weightkin.evidence.token_draws import N_TOKENS
from weightkin.evidence.turns import TurnMatch, match_planes
from weightkin.evidence.views import TokenRows
from weightkin.records import Skipped, Test, left_out
from weightkin.stats.signs import mix_log_evalue

NAME = "turns"
LAYOUT_BLOCKS = 8  # attentions whose weights must show which rows are a plane


def run_turns(
    a: Side,
    b: Side,
    seen_through: tuple[TokenRows, TokenRows] | None,
    enough: float,
    *,
    frugal: bool,
) -> Stage | None:
    """Quarter turns of rotary planes, through shared tokens or on weights.

    Null hypothesis: the two models were initialised independently; then the quarters by which
    planes of the trusted model stand turned are uniform and independent, given everything that
    turns do not change: which heads are matched, which planes count, which heads are copies. Exact.
    Copies count once, in the model with fewer of them. Half the weight is on the straight pairing
    of blocks, half on monotone block maps (`evidence.sign_maps`).

    Parameters
    ----------
    a, b : Side
    seen_through : (TokenRows, TokenRows) or None
        Shared tokens of both; the weights without.
    enough : float
        Log e-value of the straight pairing from which maps are not looked at.
    frugal : bool
        Whether models lie on a hub: then one block is read, if at all.

    Returns
    -------
    Stage or None
        None where a model has no attention in which positions may turn planes.
    """
    halves = []
    for i, side in enumerate((a, b)):
        held = [x for x in query_keys(side.model, side.anatomy) if x.coin != "sign"]
        frame = None if seen_through is None else seen_through[i]
        halves.append(Attentions(side, frame, {attention_of(x.axis): x for x in held}))
    if not all(half.held for half in halves):
        return None
    in_a, in_b = halves
    pairs = [key for key in in_a.held if key in in_b.held and fit(in_a.held[key], in_b.held[key])]
    are_large = any(is_large(half, pairs) for half in halves)
    if are_large:
        pairs = chosen(pairs, 1 if frugal else MAX_SIGN_BLOCKS)
    for half in halves:
        half.with_queries = all(reads_queries(x, pairs) for x in halves)
    n_bytes = sum(cost_of(half, pairs) for half in halves)
    if frugal and n_bytes > FRUGAL_BYTES:
        return _nothing([too_dear("turns of rotary planes", n_bytes, "blind")])
    for name, half in zip("ab", halves, strict=True):
        shown = [half.held[key] for key in pairs][: 1 if are_large else LAYOUT_BLOCKS]
        if not shown or not is_layout_shown(half.side.model, shown):
            return _nothing([left_out("turns of rotary planes", "layout-not-shown", model=name)])
    return _stage(in_a, in_b, pairs, None if are_large else enough)


def _stage(
    a: Attentions, b: Attentions, pairs: Sequence[Attention], enough: float | None
) -> Stage | None:
    """The stage on some attentions; maps where it stays under ``enough``, never without."""
    found, skipped = _matches(a, b, [(key, key) for key in pairs])
    straight = _once_per_copy(a, b, list(found.values()))
    if not straight:
        return _nothing(skipped) if skipped else None
    shown, by_stack = straight, {}
    grids = [m.log_evalues for m in straight]
    log_e = LOG_HALF + mix_log_evalue(np.sum(grids, axis=0))
    if enough is not None and log_e < enough:
        mapped, moved = _over_maps(a, b, found)
        if mapped is not None and moved and mapped > max(log_e, LOG_CLEAR):
            shown = moved
        log_e = log_e if mapped is None else float(np.logaddexp(log_e, mapped))
    for stack in dict.fromkeys(m.a.axis.stack for m in straight):
        own = [m.log_evalues for m in straight if m.a.axis.stack == stack]
        by_stack[stack] = LOG_HALF + mix_log_evalue(np.sum(own, axis=0))
    return Stage(
        name=NAME,
        log_evalue=log_e,
        tests=tuple(_test(m, "weights" if a.frame is None else "tokens") for m in shown),
        tested=(),
        effect=effect_of(
            np.concatenate([np.abs(m.products)[m.is_coin] for m in shown]),
            np.concatenate([m.chance[m.is_coin] for m in shown]),
        ),
        trusts="either",
        skipped=tuple(skipped),
        by_stack=by_stack,
        decided_by=NAME,
    )


def _over_maps(
    a: Attentions, b: Attentions, known: Mapping[tuple[Attention, Attention], TurnMatch]
) -> tuple[float | None, list[TurnMatch]]:
    """Log e-value of the half weight of maps, and matches of the best one; None without coins."""
    axes = [{x.axis: key for key, x in half.held.items()} for half in (a, b)]

    def work(x: Axis, y: Axis) -> int:
        p, q = a.held[axes[0][x]], b.held[axes[1][y]]
        return 4 * p.n_heads * q.n_heads * (1 + p.repeat**2) * p.size * N_TOKENS

    lines = block_lines(axes[0], axes[1], work, list(axes[1]))
    wanted = [(axes[0][x], axes[1][y]) for x, y in lines.pairs]
    fits = [(p, q) for p, q in wanted if (p, q) not in known and fit(a.held[p], b.held[q])]
    found = {**known, **_matches(a, b, fits)[0]}
    ways = []
    for i, half in enumerate((a, b)):
        groups = half.copies({pair[i] for pair in found})
        owners: dict[int, set[Attention]] = {}
        for (key, _), group in groups.items():
            owners.setdefault(group, set()).add(key)
        if groups and all(len(those) == 1 for those in owners.values()):
            ways.append((len(owners), i, groups))
    if not ways:
        return None, []
    _, i, groups = max(ways, key=lambda way: way[:2])
    once = {pair: _first_of_each(m, groups, i) for pair, m in found.items()}
    grids = {(m.a.axis, m.b.axis): m.log_evalues for m in once.values() if m.n}
    mapped = map_evidence(lines, grids)
    if not mapped:
        return None, []
    total = mix_log_evalue(np.sum([x.log_evalues for x in mapped.values()], axis=0))
    best = [pair for x in mapped.values() for pair in x.best]
    return LOG_HALF + total, [once[axes[0][x], axes[1][y]] for x, y in best]


def _matches(
    a: Attentions, b: Attentions, pairs: Sequence[tuple[Attention, Attention]]
) -> tuple[dict[tuple[Attention, Attention], TurnMatch], list[Skipped]]:
    found, skipped = {}, []
    for p, q in pairs:
        x, y = a.read(p), b.read(q)
        if x is None or y is None or x.shape[3] != y.shape[3]:
            continue
        held = a.held[p], b.held[q]
        why = formula_behind(
            a.formulas, key_dimensions(held[0]), b.formulas, key_dimensions(held[1])
        )
        if why is None:
            found[p, q] = match_planes(*held, x, y)
        else:
            reason = {"code": why.code, **why.data}
            what = f"turns of {block_name(held[0].axis)}"
            skipped.append(left_out(what, "no-coins", "blind", reason=reason))
    return {pair: m for pair, m in found.items() if m.n}, skipped


def _once_per_copy(a: Attentions, b: Attentions, found: Sequence[TurnMatch]) -> list[TurnMatch]:
    """Of every set of copied key heads the one matched best, in the model with fewer copies.

    Copies and sizes of products do not change when planes are turned.
    """
    ways = []
    for i, half in enumerate((a, b)):
        groups = half.copies(attention_of((m.a, m.b)[i].axis) for m in found)
        ways.append((len(set(groups.values())), i, groups))
    _, i, groups = max(ways, key=lambda way: way[:2])
    best: dict[int, tuple[float, int, int]] = {}
    for at, m in enumerate(found):
        for rank, group in enumerate(_groups_of(m, groups, i)):
            size = float(np.abs(m.products[rank]).sum())
            best[group] = max(best.get(group, (-1.0, 0, 0)), (size, at, rank))
    kept = {(at, rank) for _, at, rank in best.values()}
    once = [
        m.kept(np.array([(at, rank) in kept for rank in range(len(m.heads_a))], dtype=bool))
        for at, m in enumerate(found)
    ]
    return [m for m in once if m.n]


def _first_of_each(m: TurnMatch, groups: Mapping[Head, int], side: int) -> TurnMatch:
    """Of copies inside one attention the one that is matched best."""
    size = np.abs(m.products).sum(axis=1)
    order = np.argsort(-size, kind="stable")
    own = np.array(_groups_of(m, groups, side), dtype=np.int64)
    kept = np.zeros(len(own), dtype=bool)
    kept[order[np.unique(own[order], return_index=True)[1]]] = True
    return m.kept(kept)


def _groups_of(m: TurnMatch, groups: Mapping[Head, int], side: int) -> list[int]:
    key, heads = attention_of((m.a, m.b)[side].axis), (m.heads_a, m.heads_b)[side]
    return [groups[key, int(head)] for head in heads]


def _nothing(skipped: Sequence[Skipped]) -> Stage:
    return Stage(NAME, 0.0, (), (), None, "either", tuple(skipped))


def _test(m: TurnMatch, view: str) -> Test:
    return Test(
        name="turns",
        axis=m.a.axis.name.replace("heads", "qk", 1),
        trusts="either",
        block_a=block_name(m.a.axis),
        block_b=block_name(m.b.axis),
        n_units=m.n,
        statistic=float(m.n_hits),
        log10_pvalue=min(0.0, m.log10_pvalue),
        null="exact",
        effect=effect_of(np.abs(m.products)[m.is_coin], m.chance[m.is_coin]),
        view=view,
    )
