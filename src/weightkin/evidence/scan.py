"""All block pairs on narrow rows: which blocks moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Bools, Floats, Ints
from weightkin.evidence.windows import copied_windows, largest_window, multiplied
from weightkin.stats.coincidences import Z_GRID, log_evalues, log_moments, mix_log_evalue
from weightkin.stats.combining import Grid, average
from weightkin.stats.copies import Groups, narrowed
from weightkin.stats.matching import Matching, usable_rows
from weightkin.stats.order import log_evalue, longest_in_order

MANY_PAIRS = 1 << 12  # of blocks, beyond which only the first units are looked at
FEW_UNITS = 16
MOST_PAIRS = 1 << 15  # that are looked at


@dataclass(frozen=True, slots=True)
class Narrow:
    """A block's units in few features, shuffled once (seeded), with their own indices."""

    rows: Floats  # (n_usable, few features), unit length
    index: npt.NDArray[np.int64]  # (n_usable,)
    n_units: int  # of the whole axis
    n_features: int  # before narrowing
    window: int = 0  # labels that any order is allowed of; 0: all
    groups: Groups = ()  # which windows are copies of each other


def narrow(x: Floats, n_units: int, rng: np.random.Generator, cell: int = 0) -> Narrow:
    """Keep what a scan over block pairs needs of one view: memory no longer grows with width.

    Parameters
    ----------
    x : ndarray
        ``(n, n_features)``, one view of the units that were read.
    n_units : int
        Units of the whole axis.
    rng : Generator
        Draws the order of the rows.
    cell : int
        Units inside which any order is allowed; 0: all.

    Returns
    -------
    Narrow
        Usable rows in a random order, with their indices.
    """
    n_features = x.shape[1]
    kept = rng.permutation(np.flatnonzero(usable_rows(x)))
    window = largest_window(cell) if cell else 0
    groups = copied_windows({"": x}, window) if window > 1 else ()
    return Narrow(narrowed(x[kept]), kept, n_units, n_features, window, groups)


def scan_pairs(
    blocks_a: list[Narrow], blocks_b: list[Narrow]
) -> tuple[Grid, npt.NDArray[np.bool_]]:
    """Log e-values of all pairs of blocks, ``(n_a, n_b, n_z)``, and which pairs could be tested.

    Null hypothesis: as for one pair (`stats.coincidences`, `stats.order`). Of very many pairs only
    the first units are looked at, and of still more only pairs of about equal depth.
    """
    table = np.zeros((len(blocks_a), len(blocks_b), len(Z_GRID)))
    is_testable = np.zeros(table.shape[:2], dtype=bool)
    if len(blocks_a) * len(blocks_b) > MANY_PAIRS:
        blocks_a, blocks_b = ([_first(x) for x in blocks] for blocks in (blocks_a, blocks_b))
    for i, a in enumerate(blocks_a):
        for j in _partners(i, len(blocks_a), len(blocks_b)):
            b = blocks_b[j]
            if _is_pair(a, b):
                is_testable[i, j] = True
                table[i, j] = _cells(a, b) if a.window else _pair(a, b)
    return table, is_testable


def _partners(i: int, n_a: int, n_b: int) -> range:
    """Blocks of b that block i of a is compared with."""
    reach = max(1, MOST_PAIRS // (2 * max(n_a, n_b)))
    if n_a * n_b <= MOST_PAIRS:
        return range(n_b)
    middle = i * n_b // n_a
    return range(max(0, middle - reach), min(n_b, middle + reach + 1))


def _is_pair(a: Narrow, b: Narrow) -> bool:
    """Whether two blocks can be compared: where there are cells, only with cells of that size."""
    return (
        a.n_features == b.n_features
        and a.window == b.window
        and (not a.window or bool(a.groups and b.groups))
        and bool(len(a.index) and len(b.index))
    )


def _first(x: Narrow) -> Narrow:
    """The first units of a block alone."""
    kept = x.index < FEW_UNITS
    n = FEW_UNITS // x.window if x.window else 0
    return replace(x, rows=x.rows[kept], index=x.index[kept], groups=x.groups[:n])


def _cells(a: Narrow, b: Narrow) -> Grid:
    """Coincidences in windows, each of which has labels of its own unless it is a copy."""
    cell_a, cell_b = a.index // a.window, b.index // b.window
    cosine = a.rows @ b.rows.T
    cosine[cell_a[:, None] != cell_b[None, :]] = -2.0
    n = min(len(a.groups), len(b.groups))
    hits = [
        np.bincount(cells[is_hit], minlength=n)[:n]
        for cells, is_hit in (
            (cell_a, _own(cosine, a.index, b.index)),
            (cell_b, _own(cosine.T, b.index, a.index)),
        )
    ]
    if all(len(set(x.groups[:n])) == n for x in (a, b)):
        return average([int(k.sum()) * np.log(Z_GRID) - n * log_moments(a.window) for k in hits])
    runs = [np.stack([log_evalues(int(k), a.window) for k in way]) for way in hits]
    grids = [average([multiplied(way, x.groups[:n]) for way in runs]) for x in (a, b)]
    return min(grids, key=mix_log_evalue)


def _own(cosine: Floats, index: Ints, other: Ints) -> Bools:
    """Which rows of a table have their best partner, in their own window, under their number."""
    best = cosine.argmax(axis=1)
    is_own: Bools = (other[best] == index) & (cosine[np.arange(len(best)), best] > -2.0)
    return is_own


def _pair(a: Narrow, b: Narrow) -> Grid:
    cosine = a.rows @ b.rows.T  # (n_a, n_b)
    best_b, best_a = cosine.argmax(axis=1), cosine.argmax(axis=0)
    if a.n_units == b.n_units:
        forward = int((b.index[best_b] == a.index).sum())
        backward = int((a.index[best_a] == b.index).sum())
        return average([log_evalues(forward), log_evalues(backward)])
    rank_a, rank_b = np.argsort(np.argsort(a.index)), np.argsort(np.argsort(b.index))
    sorted_a, sorted_b = np.argsort(a.index), np.argsort(b.index)
    matching = Matching(
        rank_b[best_b][sorted_a], rank_a[best_a][sorted_b], cosine[np.ix_(sorted_a, sorted_b)]
    )
    found = longest_in_order(matching)
    return np.full(len(Z_GRID), log_evalue(found.length, found.n_units))
