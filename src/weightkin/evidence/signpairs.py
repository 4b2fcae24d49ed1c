"""Which pairs of axes have signs to compare, and what looking at them costs: by shapes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind, Place
from weightkin.evidence.block_pairs import pair_axes
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import n_sampled, start_of, view_places
from weightkin.evidence.views import MAX_TABLE_BYTES
from weightkin.records import Skipped, left_out
from weightkin.records.codes import TestGroup

UNITS_OF_A = 256  # units of a that look for a partner among all units of b
MAX_SIGN_BLOCKS = 3  # blocks looked at in large models
LARGE_FOR_SIGNS = 1 << 20  # elements of one matrix above which only MAX_BLOCKS blocks are looked at
SIGN_KINDS: tuple[AxisKind, ...] = ("units", "vo")
FRUGAL_BYTES = 64 << 20  # bytes that one blind statistic may cost where a large model lies on a hub


def sign_pairs(a: Side, b: Side) -> list[tuple[Axis, Axis]]:
    """Pairs of axes that have signs to compare, of three blocks where models are large."""
    pairs = [
        pair
        for kind in SIGN_KINDS
        for pair in pair_axes(sign_axes(a, kind), sign_axes(b, kind), {})
    ]
    return of_few_blocks(a, pairs)


def of_few_blocks(a: Side, pairs: list[tuple[Axis, Axis]]) -> list[tuple[Axis, Axis]]:
    """All pairs, or those of three blocks where models are large: by shapes alone."""
    if not are_large(a, pairs):
        return pairs
    blocks = sorted({(x.stack, x.block) for x, _ in pairs})
    chosen = {blocks[i] for i in np.linspace(0, len(blocks) - 1, MAX_SIGN_BLOCKS).astype(int)}
    return [(x, y) for x, y in pairs if (x.stack, x.block) in chosen]


def first_run(axis: Axis, plan: Plan) -> Run:
    """Units of a that look for a partner: within the sample of the aligned tests, or around it."""
    return Run(start_of(axis, plan, most_read(axis, plan)).start, UNITS_OF_A)


def most_read(axis: Axis, plan: Plan) -> int:
    """Units of an axis that the first runs of all tests hold, where there are others."""
    n = n_sampled(axis, plan)
    return max(UNITS_OF_A, n) if n < axis.n_units else UNITS_OF_A


def sign_axes(side: Side, kind: AxisKind) -> list[Axis]:
    """Axes of one kind whose signs are coins: units of gated MLPs, V/O dimensions."""
    return [x for x in side.axes(kind) if x.is_gated or kind != "units"]


def are_large(a: Side, pairs: Sequence[tuple[Axis, Axis]]) -> bool:
    """Whether only some blocks are looked at, since matrices are large."""
    sizes = (math.prod(a.model.tensors[x.places[0].tensor].shape) for x, _ in pairs)
    return max(sizes, default=0) > LARGE_FOR_SIGNS


def affordable(a: Side, b: Side, pairs: Sequence[tuple[Axis, Axis]]) -> list[tuple[Axis, Axis]]:
    """The cheapest pairs that fit `FRUGAL_BYTES`, middle of the model first; only shapes enter.

    Parameters
    ----------
    a, b : Side
        The two models.
    pairs : sequence of (Axis, Axis)
        Those of `sign_pairs`.

    Returns
    -------
    list of (Axis, Axis)
        The chosen ones, in the order given.
    """
    blocks = sorted({(x.stack, x.block) for x, _ in pairs})
    middle = (len(blocks) - 1) / 2

    def order(pair: tuple[Axis, Axis]) -> tuple[int, float]:
        place = blocks.index((pair[0].stack, pair[0].block))
        return cost(a, b, pair), abs(place - middle)

    kept, total = [], 0
    for pair in sorted(pairs, key=order):
        total += cost(a, b, pair)
        if total <= FRUGAL_BYTES:
            kept.append(pair)
    return [pair for pair in pairs if pair in kept]


def cost(a: Side, b: Side, pair: tuple[Axis, Axis]) -> int:
    """Bytes that the signs of one pair of axes take.

    Parameters
    ----------
    a, b : Side
        The two models.
    pair : (Axis, Axis)
        An axis of a, an axis of b.

    Returns
    -------
    int
        Bytes, both models together.
    """
    total = 0
    for side, axis, most in ((a, pair[0], UNITS_OF_A), (b, pair[1], pair[1].n_units)):
        for place in view_places(side.model, axis):
            info = side.model.tensors[place.tensor]
            if place.dim == 0 and is_wanted(place):
                total += info.n_bytes // info.shape[0] * min(most, place.size)
            elif is_wanted(place) and info.n_bytes <= MAX_TABLE_BYTES:
                total += info.n_bytes
    return total


def too_dear(what: str, n_bytes: int, test: TestGroup) -> Skipped:
    """What was not read because it lies on a hub and takes too many bytes.

    Parameters
    ----------
    what : str
        What was not read.
    n_bytes : int
        Bytes that it takes.
    test : TestGroup
        The test that is left out.

    Returns
    -------
    Skipped
        The entry of the record.
    """
    return left_out(what, "costs-bytes", test, n_bytes=n_bytes)


def is_wanted(place: Place) -> bool:
    """Whether signs look at a place: readers, and O where each dimension has one column."""
    return place.role in ("mlp.gate", "mlp.up", "attn.q", "attn.k", "attn.v") or (
        place.role == "attn.o" and place.repeat == 1
    )
