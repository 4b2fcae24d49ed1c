"""Calibrated evidence: matched units of a pair, in numbers that no hiding of a copy can change.

Units permuted, residual stream rotated and signs flipped at once leave no exact test in reach: the
statistic here is blind to all of it, and so it has no relabelling or sign null either. It is ranked
among pairs of models known to be independent (`evidence.controls`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.kept import Kept
from weightkin.evidence.pairs import Views
from weightkin.evidence.sample import view_places
from weightkin.evidence.signpairs import FRUGAL_BYTES, LARGE_FOR_SIGNS, MAX_SIGN_BLOCKS
from weightkin.evidence.standing_out import LEAST_OTHER, beside_clones
from weightkin.evidence.token_draws import N_TOKENS
from weightkin.evidence.token_tables import token_table
from weightkin.evidence.views import (
    MAX_PAIRED_BYTES,
    MOST_SEEN,
    TokenRows,
    frames,
    token_views,
    unit_rows_of,
)
from weightkin.records import Skipped, left_out
from weightkin.stats.matching import unit_rows
from weightkin.stats.signs import mutual_matches

CALIBRATED_SEED = 0  # of ties, and of the tokens of controls: nobody chooses among statistics
MOST_UNITS = 2048  # units of a that look for a partner among all units of b
MIN_USED = 0.25  # of the rows of a table; trained models have .49 to .70 in use
CLEAR_RATIO = 1.3  # to the best other match: of unrelated models 2 % of the units reach it
MIN_SHARED_ROWS = 16  # rows of the embeddings shared by the two models
VIEW_PAIRS = {True: ("mlp.gate", "mlp.up"), False: ("mlp.up", "mlp.down")}  # by whether it is gated
CONTROL_CLASSES = tuple(
    f"{kind} {sense}"
    for kind in ("gated", "plain", "gated experts", "plain experts")
    for sense in ("language", "vision")
)
Block = tuple[str, int]
RowPairing = Literal["given", "content"]  # tokens paired by text or row, or by content


@dataclass(frozen=True, slots=True)
class Match:
    """Units of one pair of blocks that two views, each matched alone, pair in the same way."""

    block: Block
    n_units: int  # of the smaller model
    units_a: Ints
    units_b: Ints
    n_clear: int = 0  # of these, the ones that stand out on the view that no split of units changes

    @property
    def share(self) -> float:
        """Share of the units that are paired so."""
        return len(self.units_a) / self.n_units


@dataclass(frozen=True, slots=True)
class Alike:
    """The calibrated statistic of one pair of models, and what it may be compared with."""

    model_class: str
    statistic: float  # mean share over blocks of equal depth
    clear: float  # the same of units that stand out on the view that no split of units changes
    wrong_depth: float  # the same for blocks of unequal depth: a sanity figure, never a null
    matches: tuple[Match, ...]
    n_units: int  # per block, of the smaller model
    width: int  # of the residual stream, of the narrower model
    n_rows: int  # of the embeddings, through which units are seen; by content: to be paired
    rows: RowPairing = "given"
    are_tokens_drawn: bool = False  # whether there were more tokens than those


@dataclass(frozen=True, slots=True)
class Form:
    """What a model has in common with those it can make a control with."""

    model_class: str
    n_units: int  # of the smallest block
    width: int


def agreement(
    a: Side,
    b: Side,
    n_tokens: int = N_TOKENS,
    *,
    by_content: bool = False,
    frugal: bool = False,
    seed: int = CALIBRATED_SEED,
) -> Alike | Skipped:
    """Share of units that two views of a block, each matched alone, pair with the same partner.

    Every unit is seen through the tokens (or patches) both models share, on two views: gate and up
    of a gated MLP, up and down of a plain one. Up is compared by absolute cosine where signs may
    have been flipped. On each view alone, mutual best partners are found; the statistic is the
    share of units whose partner is the same on both, averaged over blocks of equal depth. A copy
    keeps it near one, whatever was permuted, rotated, rescaled or sign-flipped; the "universal"
    units that independent models have in common give it a few per cent.

    No exact null: to be ranked among controls.

    Parameters
    ----------
    a, b : Side
        The two models.
    n_tokens : int
        Tokens through which units are seen, at most.
    by_content : bool
        Pair tokens by content in any case.
    frugal : bool
        Pair them by content only where that reads at most 64 MiB of a table.
    seed : int
        Seed of the choice of tokens.

    Returns
    -------
    Alike or Skipped
        What was found, or why nothing can be said.
    """
    kinds = [_kind(side) for side in (a, b)]
    if None in kinds:
        return left_out("", "no-mlp-in-both")
    if kinds[0] != kinds[1]:
        return left_out("", "classes-differ", a=kinds[0], b=kinds[1])
    most_bytes = FRUGAL_BYTES if frugal else MAX_PAIRED_BYTES
    sides = (a.model, a.anatomy), (b.model, b.anatomy)
    shared = frames(*sides, seed, n_tokens, by_content=by_content, most_bytes=most_bytes)
    if isinstance(shared, Skipped):
        return shared
    is_vision = shared[0].outputs is None
    seen = tuple(widened(s, f) if is_vision else f for s, f in zip((a, b), shared[:2], strict=True))
    n_rows = len(seen[0].inputs)
    if n_rows < MIN_SHARED_ROWS or n_rows != len(seen[1].inputs):
        return left_out("", "few-shared-rows", n_a=n_rows, n_b=len(seen[1].inputs))
    is_gated = str(kinds[0]).startswith("gated")
    views_a, views_b = (_views(s, f, is_gated=is_gated) for s, f in zip((a, b), seen, strict=True))
    both = sorted(views_a.keys() & views_b.keys())
    matches = tuple(_match(x, views_a[x], views_b[x], is_gated=is_gated) for x in both)
    if not matches:
        return left_out("", "no-equal-depth")
    shifted = [(x, y) for x, y in zip(both, both[1:] + both[:1], strict=True) if x != y]
    wrong = [_match(x, views_a[x], views_b[y], is_gated=is_gated).share for x, y in shifted]
    return Alike(
        model_class=f"{kinds[0]} {'vision' if is_vision else 'language'}",
        statistic=float(np.mean([m.share for m in matches])),
        clear=float(np.mean([m.n_clear / m.n_units for m in matches])),
        wrong_depth=float(np.mean(wrong)) if wrong else 0.0,
        matches=matches,
        n_units=min(m.n_units for m in matches),
        width=min(f.inputs.shape[1] for f in seen),
        n_rows=n_rows if is_vision else _n_tokens(seen, shared[2].get("of", n_rows)),
        rows="content" if shared[2]["by"] == "content" else "given",
        are_tokens_drawn=shared[0].is_drawn,
    )


def form_of(side: Side) -> Form | None:
    """Class and sizes of one model, from headers alone; None where it could be in no control."""
    kind, table = _kind(side), token_table(side.model, side.anatomy)
    if kind is None or table is None:
        return None
    is_text, width = table
    n_units = min(sum(axis.n_units for axis in axes) for axes in _by_block(side).values())
    return Form(f"{kind} {'language' if is_text else 'vision'}", n_units, width)


def _n_tokens(seen: Sequence[TokenRows], n_rows: int) -> int:
    """Tokens that units are seen through: fewer than the rows where a few hold both tables.

    One model alone cannot make them few: the owner of a copy chooses how long unused rows are.
    """
    used = max(frame.n_used / len(frame.inputs) for frame in seen)
    return round(used * n_rows) if used < MIN_USED else n_rows


def bytes_of_views(*sides: Side) -> int:
    """Bytes that `agreement` takes, but for embeddings; from shapes alone."""
    total = 0
    for side in sides:
        by_block = _by_block(side)
        for block in _chosen(side, by_block) if by_block else ():
            roles = VIEW_PAIRS[any(axis.is_gated for axis in by_block[block])]
            tensors = {p.tensor for x in by_block[block] for p in x.places if p.role in roles}
            total += sum(side.model.tensors[name].n_bytes for name in tensors)
    return total


def _by_block(side: Side) -> dict[Block, list[Axis]]:
    by_block: dict[Block, list[Axis]] = defaultdict(list)
    for axis in side.anatomy.axes:
        if axis.kind == "units":
            by_block[axis.stack, axis.block].append(axis)
    return by_block


def _kind(side: Side) -> str | None:
    """``gated``, ``plain``, with `` experts`` where a block has several MLPs; None if not known."""
    axes = [x for x in side.anatomy.axes if x.kind == "units"]
    is_gated = {x.is_gated for x in axes}
    if len(is_gated) != 1:
        return None
    wanted = set(VIEW_PAIRS[is_gated == {True}])
    if not all(wanted <= {p.role for p in x.places} for x in axes):
        return None
    has_experts = len({(x.stack, x.block) for x in axes}) < len(axes)
    return f"{'gated' if is_gated == {True} else 'plain'}{' experts' if has_experts else ''}"


def _views(side: Side, frame: TokenRows, *, is_gated: bool) -> dict[Block, Views]:
    """Two views of every block; the experts of a block are one set of units."""
    by_block = _by_block(side)
    found = {}
    for block in _chosen(side, by_block):
        pieces = [token_views(side.model, axis, frame, axis.n_units) for axis in by_block[block]]
        if all(role in piece for piece in pieces for role in VIEW_PAIRS[is_gated]):
            found[block] = {r: np.concatenate([p[r] for p in pieces]) for r in VIEW_PAIRS[is_gated]}
    return found


def _chosen(side: Side, by_block: dict[Block, list[Axis]]) -> list[Block]:
    """All blocks, or three of a large model."""
    blocks = sorted(by_block)
    sizes = [
        np.prod(side.model.tensors[axis.places[0].tensor].shape)
        for axes in by_block.values()
        for axis in axes
    ]
    if max(sizes) <= LARGE_FOR_SIGNS:
        return blocks
    return [
        blocks[i] for i in np.unique(np.linspace(0, len(blocks) - 1, MAX_SIGN_BLOCKS).astype(int))
    ]


def _match(block: Block, views_a: Views, views_b: Views, *, is_gated: bool) -> Match:
    partners = []
    for role in VIEW_PAIRS[is_gated]:
        x, y = views_a[role][:MOST_UNITS], views_b[role]
        cosine = unit_rows(x) @ unit_rows(y).T  # (units of a, all units of b)
        is_coin = is_gated and role == "mlp.up"
        rng = np.random.default_rng(CALIBRATED_SEED)
        units_a, units_b = mutual_matches(np.abs(cosine) if is_coin else cosine, rng)
        partner = np.full(len(x), -1)
        partner[units_a] = units_b
        partners.append(partner)
    first, second = partners
    units_a = np.flatnonzero((first == second) & (first >= 0))
    whole = VIEW_PAIRS[is_gated][0]
    rows = views_a[whole][:MOST_UNITS], views_b[whole]
    cosine, others = beside_clones(*rows, units_a, first[units_a])
    n_clear = int((cosine >= CLEAR_RATIO * np.maximum(others, LEAST_OTHER)).sum())
    return Match(block, min(len(first), len(y)), units_a, first[units_a], n_clear)


def widened(side: Side, frame: TokenRows) -> TokenRows:
    """A frame with the rows that each block's attention writes for each of its rows.

    For models that read a few patches instead of many tokens. What a block writes when all of its
    heads attend to one row, E (V O) summed over heads, is a vector of the stream too: it turns with
    the stream, and does not change when heads are permuted, V/O dimensions are mixed or their signs
    flipped. Both readers and writers are seen through these rows: a writer's inner product with a
    vector of the stream is as blind to rotation as a reader's. These rows keep their length, which
    is not free: what attention writes is part of the function.
    """
    rows = [frame.inputs]
    for axis in side.axes("vo"):
        attended = _attended(side, axis, frame.inputs)
        if attended is not None:
            rows.append(attended)
    everything = np.concatenate(rows)
    if frame.is_centred:
        everything -= everything.mean(axis=1, keepdims=True)
    return replace(frame, inputs=everything, outputs=everything, seen=Kept(MOST_SEEN))


def _attended(side: Side, axis: Axis, rows: Floats) -> Floats | None:
    """What one block writes for each row when all heads look at it; None without both matrices."""
    places: dict[str, Place] = {p.role: p for p in view_places(side.model, axis)}
    if "attn.v" not in places or "attn.o" not in places or places["attn.o"].repeat != 1:
        return None
    v, o = (unit_rows_of(side.model, places[r], 0, axis.n_units) for r in ("attn.v", "attn.o"))
    width = rows.shape[1]
    if v is None or o is None or v.shape[1] != width or o.shape[1] != width:
        return None
    gain = gain_before(side.model, axis.stack, places["attn.v"])
    return np.asarray((rows * gain) @ v.T @ o, dtype=np.float32)
