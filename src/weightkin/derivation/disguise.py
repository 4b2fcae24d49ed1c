"""What a hider did, read off matched units and heads: labels, signs, scales and bases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats, Ints
from weightkin.derivation.disguise_maps import MIN_COSINE_SIGN, Experts, maps_of
from weightkin.derivation.head_bases import (
    axes_of_heads,
    bytes_of_heads,
    look_at_heads,
    maps_of_bases,
)
from weightkin.derivation.heads_looked import KINDS, HeadsLooked, Settled, named_bases, of_values
from weightkin.derivation.matched_units import (
    AxisReading,
    MatchedUnits,
    match_axes,
    match_experts,
)
from weightkin.derivation.streams import Residual, is_rotation, residual_between
from weightkin.evidence.block_pairs import pair_axes
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import StagesRun, paid_log10, passes
from weightkin.evidence.stage import Stage
from weightkin.evidence.unitmap import is_large_axis
from weightkin.evidence.units import STRAIGHT_FAILS
from weightkin.records.kinds import disguises

IN_ONE_BASIS = frozenset({"units", "vo", "heads", "residual", "signs"})  # stages that say so
MATCHED = 0.5  # share of the units looked at that must find a partner for a name
MIN_MOVED_SHARE = 0.1  # share of matched units out of order that counts as a permutation
FLIPPED = 0.1  # share of matched units whose row and column both changed sign
MIXED = 0.2  # of those flipped, as many may have changed sign on one side only
TRADED = 0.2  # median change, in logs, that counts as rescaled ...
MOST_BYTES_OF_HEADS = 8 << 20  # read of attention to find heads in another basis
UNPAID = 3.0  # ... and how many times what row and column together changed


@dataclass(frozen=True, slots=True)
class Disguise:
    """Names of the evasions seen through, their numbers, and the maps that undo them."""

    kinds: tuple[str, ...]
    details: dict[str, float]
    maps: dict[str, Ints | Floats]
    settled: frozenset[Settled] = frozenset()  # matrices of heads that are in no other basis


def without_bases(found: Disguise) -> Disguise:
    """The same where all values are equal: rows in another order are no other basis."""
    kinds = tuple(x for x in found.kinds if x not in KINDS.values())
    details = {k: x for k, x in found.details.items() if not k.startswith("share_rebased")}
    return Disguise(kinds, details, found.maps, found.settled)


def find_disguise(
    draw: Draw,
    ran: StagesRun,
    alpha: float,
    *,
    with_maps: bool = False,
    is_settled: bool = False,
    with_bases: bool = False,
) -> Disguise:
    """Name what was done to hide the relation, where a relation was found (or is settled).

    `permuted`: matched units, heads, experts or residual dimensions stand out of order. `rotated`:
    only tokens tie the residual streams, and their dimensions do not match one to one; the rotation
    is the orthogonal map between the embeddings. `rescaled`: rows of up or V grew by what columns
    of down or O shrank, unit by unit, or gains of norms by what their readers shrank.
    `sign-flipped`: both changed sign. `values-rebased`, `keys-rebased`: the products of heads are
    unchanged and their rows are not. None of these is evidence by itself.

    Parameters
    ----------
    draw : Draw
        The two models, and what is read of them.
    ran : StagesRun
        The stages that ran on them.
    alpha : float
        Level of the verdict.
    with_maps : bool
        Also make the maps of all units that undo it, which reads everything.
    is_settled : bool
        The relation was found by other tests than these stages.
    with_bases : bool
        Also look for heads in another basis, in as many blocks as 8 MiB of each model hold, or in
        all where maps are made.

    Returns
    -------
    Disguise
        Without kinds where no relation was found, or nothing was done.
    """
    a, b = draw.a, draw.b
    passing = {stage.name for stage in ran.stages if passes(stage, alpha)}
    if not passing and not is_settled:
        return Disguise((), {}, {})
    lined_up = {stage.name for stage in ran.stages if paid_log10(stage) <= math.log10(alpha)}
    residual = Residual()
    if not (passing or lined_up) & IN_ONE_BASIS:
        residual = residual_between(a, b, whole=with_maps)
    if not passing and residual.kind == "rotated" and not is_rotation(a, b):
        return Disguise((), {}, {})
    experts = _experts(a, b, ran, residual)
    links = _links(draw, ran, residual, experts, is_whole=with_maps)
    looked = _bases(a, b, ran, residual, is_whole=with_maps) if with_bases else HeadsLooked()
    rebased = of_values(looked)
    links = [x for x in links if (x.b.stack, x.b.block, x.b.name) not in rebased]
    kinds, details = named(links, residual, experts)
    in_bases, numbers = named_bases(looked)
    kinds, details = (*kinds, *in_bases), details | numbers
    maps = maps_of(links, residual, experts, kinds) if with_maps and kinds else {}
    if with_maps and in_bases:
        maps |= maps_of_bases(looked.bases, maps)
    if maps and {"rotated", "rescaled"} & set(kinds):
        maps |= _norms(a, b)
    return Disguise(kinds, details, maps, looked.settled)


def named(
    links: Sequence[MatchedUnits], residual: Residual, experts: Experts
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Names of what was done, with their numbers.

    Parameters
    ----------
    links : sequence of MatchedUnits
        Of all pairs of axes.
    residual : Residual
        How the streams stand to each other.
    experts : mapping
        Matched experts, by block.

    Returns
    -------
    tuple
        Kinds in the order of their table, and numbers by name.
    """
    kinds = [residual.kind] if residual.kind else []
    details: dict[str, float] = {}
    if any((match[0] != match[1]).any() for match in experts.values()):
        kinds.append("permuted")
    for kind, word in (("units", "units"), ("vo", "values")):
        here = [x for x in links if x.a.kind == kind]
        if here:
            found, numbers = _name(here)
            kinds += found
            details |= {f"{key}_{word}": round(value, 4) for key, value in numbers.items()}
    return tuple(disguises(kinds)), details


def _name(links: Sequence[MatchedUnits]) -> tuple[list[str], dict[str, float]]:
    """Names for one kind of axis, from all its matched units."""
    kinds, numbers = [], {}
    matched = [x for x in links if len(x.units_a) >= MATCHED * x.n_looked]
    if not matched:
        return [], {}
    n = np.array([len(x.units_a) for x in matched])
    moved = float(n @ [x.share_moved for x in matched] / n.sum())
    if moved > 0:
        numbers["share_moved"] = moved
    if moved > MIN_MOVED_SHARE:
        kinds.append("permuted")
    is_alike = np.concatenate([x.likeness for x in matched]) >= MIN_COSINE_SIGN
    reads = np.concatenate([x.reads for x in matched])[is_alike]
    writes = np.concatenate([x.writes for x in matched])[is_alike]
    if len(reads) and len(reads) >= MATCHED * n.sum():
        flipped = float(((reads < 0) & (writes < 0)).mean())
        mixed = float(((reads < 0) != (writes < 0)).mean())
        if flipped >= FLIPPED and mixed <= MIXED * flipped:
            kinds.append("sign-flipped")
            numbers["share_flipped"] = flipped
        x, y = np.log(np.abs(reads)), np.log(np.abs(writes))
        traded, unpaid = float(np.median(np.abs(x - y))) / 2, float(np.median(np.abs(x + y))) / 2
        if traded >= TRADED and traded >= UNPAID * unpaid:
            kinds.append("rescaled")
            numbers["typical_log_scale"] = traded
    if np.median([x.gains for x in matched]) >= TRADED:
        kinds.append("rescaled")
    return kinds, numbers


def _links(
    draw: Draw,
    ran: StagesRun,
    residual: Residual,
    experts: Experts,
    *,
    is_whole: bool,
) -> list[MatchedUnits]:
    """Matched units of all pairs of blocks; of one where a large model must be read again."""
    if not residual.is_known:
        return []
    a, b = draw.a, draw.b
    in_sample = not (is_whole or residual.kind)
    aligned = _aligned(ran.stages) if in_sample else {}
    pairs = [
        (x, y)
        for kind in ("units", "vo")
        for x, y in pair_axes(a.axes(kind), b.axes(kind), ran.block_map)
    ]
    pairs = [_through_experts(x, y, b, experts) for x, y in pairs]
    again = [pair for pair in pairs if pair not in aligned]
    is_large = bool(again) and any(is_large_axis(a.model, x) for x, _ in again) and not is_whole
    if is_large:
        middle = _middle([(x.stack, x.block) for x, _ in again])
        again = [p for p in again if (p[0].stack, p[0].block) == middle and p[0].kind == "units"]
    known = {p: AxisReading(draw.plan, aligned[p]) for p in pairs if p in aligned}
    found = [match_axes(a, b, p, residual, how) for p, how in known.items()]
    how = AxisReading(in_part=is_large and not residual.kind)
    found += [match_axes(a, b, pair, residual, how) for pair in again]
    return [x for x in found if x is not None]


def _bases(a: Side, b: Side, ran: StagesRun, residual: Residual, *, is_whole: bool) -> HeadsLooked:
    """Heads in another basis, of as many blocks as are read; none where it cannot be told."""
    is_sketch = any(side.model.sketched is not None for side in (a, b))
    if is_sketch or not residual.is_known:
        return HeadsLooked()
    axes = pair_axes(axes_of_heads(a), axes_of_heads(b), ran.block_map)
    if not axes:
        return HeadsLooked()
    n_bytes = max(max(bytes_of_heads(a, x), bytes_of_heads(b, y), 1) for x, y in axes)
    n = len(axes) if is_whole else min(len(axes), MOST_BYTES_OF_HEADS // n_bytes)
    chosen = [axes[(2 * i + 1) * len(axes) // (2 * n)] for i in range(n)]
    return look_at_heads(a, b, chosen, residual)


def _aligned(stages: Sequence[Stage]) -> dict[tuple[Axis, Axis], tuple[Ints, Ints]]:
    """Pairs of axes whose units the aligned tests have matched already, with these matches."""
    found = {}
    for stage in stages:
        for t in stage.tested if stage.name in ("units", "vo") else ():
            n = min((test.n_units for test in t.evidence.tests), default=0)
            if t.evidence.log10_pvalue < STRAIGHT_FAILS and len(t.evidence.units) >= max(
                1, MATCHED * n
            ):
                units = np.array(sorted(t.evidence.units), dtype=np.int64)
                found[t.a, t.b] = units[:, 0], units[:, 1]
    return found


def _experts(a: Side, b: Side, ran: StagesRun, residual: Residual) -> Experts:
    """Experts of every block of a, matched by their routers: experts of a, of b, the block of b."""
    found = {}
    for stack, block in dict.fromkeys((x.stack, x.block) for x in a.axes("units")):
        in_b = ran.block_map.get((stack, block), block)
        match = match_experts(a, b, (stack, block), in_b, residual)
        if match is not None and len(match.units_a) >= 2:
            found[stack, block] = match.units_a, match.units_b, in_b
    return found


def _through_experts(x: Axis, y: Axis, b: Side, experts: Experts) -> tuple[Axis, Axis]:
    """The same pair, with the expert of b that the routers name."""
    match = experts.get((x.stack, x.block))
    number = x.name.removeprefix("mlp.")
    if match is None or not number.isdigit() or int(number) not in match[0]:
        return x, y
    name = f"mlp.{match[1][match[0] == int(number)][0]}"
    wanted = (y.stack, y.block, name)
    others = [z for z in b.anatomy.axes if (z.stack, z.block, z.name) == wanted]
    return x, others[0] if others else y


def _middle(blocks: Sequence[tuple[str, int]]) -> tuple[str, int]:
    return sorted(set(blocks))[len(set(blocks)) // 2]


def _norms(a: Side, b: Side) -> dict[str, Ints | Floats]:
    """Gains and biases of a's norms that b has too: their readers make up for the change."""
    return {
        f"norm.{tensor}": a.model.rows(tensor)
        for tensor, role in a.anatomy.roles
        if role == "norm"
        and tensor in b.model.tensors
        and b.model.tensors[tensor].shape == a.model.tensors[tensor].shape
    }
