"""All block pairs on narrow rows: which blocks moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats
from weightkin.stats.coincidences import Z_GRID, log_evalues
from weightkin.stats.combining import Grid, average
from weightkin.stats.copies import narrowed
from weightkin.stats.matching import Matching, usable_rows
from weightkin.stats.order import log_evalue, longest_in_order


@dataclass(frozen=True, slots=True)
class Narrow:
    """A block's units in few features, shuffled once (seeded), with their own indices."""

    rows: Floats  # (n_usable, few features), unit length
    index: npt.NDArray[np.int64]  # (n_usable,)
    n_units: int  # of the whole axis
    n_features: int  # before narrowing


def narrow(x: Floats, n_units: int, rng: np.random.Generator) -> Narrow:
    """Keep what a scan over block pairs needs of one view: memory no longer grows with width.

    Parameters
    ----------
    x : ndarray
        ``(n, n_features)``, one view of the units that were read.
    n_units : int
        Units of the whole axis.
    rng : Generator
        Draws the order of the rows.

    Returns
    -------
    Narrow
        Usable rows in a random order, with their indices.
    """
    n_features = x.shape[1]
    kept = rng.permutation(np.flatnonzero(usable_rows(x)))
    return Narrow(narrowed(x[kept]), kept, n_units, n_features)


def scan_pairs(
    blocks_a: list[Narrow], blocks_b: list[Narrow]
) -> tuple[Grid, npt.NDArray[np.bool_]]:
    """Log e-values of all pairs of blocks, ``(n_a, n_b, n_z)``, and which pairs could be tested.

    Null hypothesis: as for one pair (`stats.coincidences`, `stats.order`).
    """
    table = np.zeros((len(blocks_a), len(blocks_b), len(Z_GRID)))
    is_testable = np.zeros(table.shape[:2], dtype=bool)
    for i, a in enumerate(blocks_a):
        for j, b in enumerate(blocks_b):
            if a.n_features == b.n_features and len(a.index) and len(b.index):
                is_testable[i, j] = True
                table[i, j] = _pair(a, b)
    return table, is_testable


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
