"""Signs over block maps: blocks that moved keep their coins, whatever stands in front of them.

The straight pairing of blocks has half the weight of a stage, and a weighted sum over all monotone
maps the other half. It is computed only where the straight pairing shows too little: a term that is
not computed counts zero, which can only weaken the result. Which pairs of blocks are looked at
depends on shapes alone; those left out count one, as if nothing were seen in them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.types import Axis
from weightkin.stats.combining import Grid, best_monotone_map, monotone_log_evalue

LOG_HALF = math.log(0.5)
LOG_CLEAR = math.log(100.0)  # e-value of a map, and of its pairs, from which they are named
MOST_WORK = 1 << 34  # multiplications that all pairs of blocks of one kind may cost

Line = tuple[str, str, str]  # kind of axis, stack, name: blocks that a map pairs in order


@dataclass(frozen=True, slots=True)
class BlockLines:
    """Axes of two models that maps may pair, in order of blocks, and the pairs looked at."""

    a: Mapping[Line, tuple[Axis, ...]]
    b: Mapping[Line, tuple[Axis, ...]]
    pairs: tuple[tuple[Axis, Axis], ...]  # b by b, which is read one at a time


@dataclass(frozen=True, slots=True)
class Mapped:
    """What maps of one line of blocks show: on a grid of bets, and the best map of clear pairs."""

    log_evalues: Grid
    best: tuple[tuple[Axis, Axis], ...] = field(default=())


def block_lines(
    axes_a: Iterable[Axis],
    axes_b: Iterable[Axis],
    work: Callable[[Axis, Axis], int],
    read: Collection[Axis],
) -> BlockLines:
    """Which pairs of blocks maps look at, by shapes alone: the smallest moves first.

    A move is how much farther along a block of b stands than one of a, beyond what the numbers of
    blocks explain.

    Parameters
    ----------
    axes_a, axes_b : iterable of Axis
        Axes that have coins.
    work : callable
        Multiplications that one pair costs.
    read : collection of Axis
        Axes of b that may be read.

    Returns
    -------
    BlockLines
        Lines that both models have.
    """
    lines_a, lines_b = _lines(axes_a), _lines(axes_b)
    lines_b = {line: axes for line, axes in lines_b.items() if line in lines_a}
    lines_a = {line: lines_a[line] for line in lines_b}
    ranked: list[tuple[int, int, Axis, Axis]] = []
    for line, here in lines_a.items():
        there = lines_b[line]
        extra = len(there) - len(here)
        for i, x in enumerate(here):
            for j, y in enumerate(there):
                beyond = max(min(0, extra) - (j - i), (j - i) - max(0, extra), 0)
                ranked.append((beyond, abs(j - i), x, y))
    ranked.sort(key=lambda row: row[:2])  # stable
    kept, spent = [], 0
    for *_, x, y in ranked:
        spent += work(x, y) if y in read else 0
        if spent > MOST_WORK:
            break
        kept += [(x, y)] if y in read else []
    by_b: dict[Axis, list[Axis]] = defaultdict(list)
    for x, y in kept:
        by_b[y].append(x)
    return BlockLines(lines_a, lines_b, tuple((x, y) for y, those in by_b.items() for x in those))


def map_evidence(
    lines: BlockLines, found: Mapping[tuple[Axis, Axis], npt.NDArray[np.float64]]
) -> dict[Line, Mapped]:
    """Log e-values of every line of blocks, summed over monotone maps, for each bet of a grid.

    Null hypothesis: that of one pair of blocks, with coins of its own in every block of the model
    that is trusted. A map uses each block once at most, so its product is an e-value, and so is the
    sum with the weights of `stats.combining.monotone_log_evalue`, which sum to one.

    Parameters
    ----------
    lines : BlockLines
        What was looked at.
    found : mapping of (Axis, Axis) to ndarray
        ``(n_bets,)``, log e-values of the pairs that have coins.

    Returns
    -------
    dict of Line to Mapped
        Lines without any coin are left out.
    """
    mapped = {}
    for line, axes_a in lines.a.items():
        axes_b = lines.b[line]
        seen = np.array([[(x, y) in found for y in axes_b] for x in axes_a])
        if not seen.any():
            continue
        grids = np.stack([found[axes_a[i], axes_b[j]] for i, j in np.argwhere(seen)])
        table = np.zeros((*seen.shape, grids.shape[1]))
        table[seen] = grids
        scores = table.max(axis=-1)
        best = best_monotone_map(np.where(scores >= LOG_CLEAR, scores, 0.0))
        pairs = tuple((axes_a[i], axes_b[j]) for i, j in best)
        mapped[line] = Mapped(monotone_log_evalue(table, seen), pairs)
    return mapped


def line_of(axis: Axis) -> Line:
    """Which blocks an axis is mapped with."""
    return axis.kind, axis.stack, axis.name


def _lines(axes: Iterable[Axis]) -> dict[Line, tuple[Axis, ...]]:
    found: dict[Line, list[Axis]] = defaultdict(list)
    for axis in sorted(axes, key=lambda x: x.block):
        found[line_of(axis)].append(axis)
    return {line: tuple(those) for line, those in found.items()}
