"""Which runs of labels of ONE model are copies of each other, told by content.

Windows of V/O dimensions, hidden units of blocks or experts, channels, residual dimensions: where
one run was made from another (heads written several times, one seed per rank, stacked blocks,
upcycled experts), both carry the same labels, and their evidence is averaged, never multiplied.
A false finding costs power, a missed one costs validity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.arrays import Floats
from weightkin.stats.matching import unit_rows

LEVEL = 1e-3  # chance that any two runs of one model are taken for copies wrongly
FEATURES = 256  # kept of a row: a fixed projection acts alike on all units
MAX_COPY_ROWS = 8192  # rows of all runs together that are compared
MAX_COSINES = 1 << 18  # computed at a time
MIN_RUN_ROWS = 4  # of one run, however many runs there are
MIN_COSINE_COPY = 0.9  # median cosine of best partners: copies whose labels were moved as well
MIN_FEATURES_COPY = 16  # under these, rows that are no copies come as near

Run = Mapping[str, Floats]  # view to (n_labels, n_features)
Groups = tuple[int, ...]  # one number a run; copies share it


def copied_runs(runs: Sequence[Run], *, is_sign_blind: bool = False) -> Groups:
    """Group runs of labels of one model that are copies of each other, in any view.

    Two runs are copies when units of equal position are more alike than the runs' other pairs of
    units: the trace of their table of cosines, in standard deviations over all relabellings,
    passes the level that is left to it after all pairs, views and both ways of looking (cosines,
    absolute cosines: copies may have other signs) are paid for. Or when most units of one have a
    partner of cosine 0.9 in the other, wherever it stands. Copies of copies are copies.

    Null hypothesis of a single look: the labels of the two runs are uniform given each other; the
    level of the trace is normal, which only decides what is averaged.

    Parameters
    ----------
    runs : sequence of mappings
        Views of each run of labels; only views of equal shape are compared.
    is_sign_blind : bool
        Look at absolute cosines alone, so that the answer stays when any row changes its sign.

    Returns
    -------
    tuple of int
        The number of the first run of its group, for every run.
    """
    tables = list(_tables(runs))
    n_looks = sum(len(t) * (len(t) - 1) // 2 for _, t in tables) * (1 if is_sign_blind else 2)
    if not n_looks:
        return tuple(range(len(runs)))
    cut = float(-scipy.special.ndtri(LEVEL / n_looks))
    edges = [
        (members[i], members[j])
        for members, table in tables
        for i, j in _copies(table, cut, is_sign_blind=is_sign_blind)
    ]
    return groups_of(len(runs), edges)


def copied_units(views: Run, least: Mapping[str, float], signed: Sequence[str] = ()) -> Groups:
    """Group units of one run that are clones: all views in ``least`` are at least so alike.

    A fact about one model, without a p-value. Cost ``O(n_units ** 2)`` cosines for each view.

    Parameters
    ----------
    views : mapping of str to ndarray
        Views of the run, ``(n_units, n_features)``.
    least : mapping of str to float
        Smallest cosine of clones, for each view that counts.
    signed : sequence of str
        Views whose cosines count with their sign; those of others count without.

    Returns
    -------
    tuple of int
        The number of the first unit of its group, for every unit.
    """
    alike: npt.NDArray[np.bool_] | None = None
    n = len(next(iter(views.values())))
    for role, cut in least.items():
        rows = narrowed(views[role])
        cosine = rows @ rows.T
        here = (cosine if role in signed else np.abs(cosine)) >= cut
        alike = here if alike is None else alike & here
    if alike is None:
        return tuple(range(n))
    return groups_of(n, np.argwhere(np.triu(alike, 1)).tolist())


def groups_of(n: int, edges: Sequence[Sequence[int]]) -> Groups:
    """Transitive closure: the first member of each one's group."""
    first = list(range(n))
    if not len(edges):
        return tuple(first)

    def of(i: int) -> int:
        while first[i] != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    for i, j in edges:
        x, y = of(i), of(j)
        first[max(x, y)] = min(x, y)
    return tuple(map(of, range(n)))


def narrowed(rows: Floats) -> Floats:
    """Rows of length one in few features: summed in groups with fixed random signs."""
    n, n_features = rows.shape
    rows = unit_rows(rows)
    if n_features <= FEATURES:
        return rows
    padded = np.zeros((n, -(-n_features // FEATURES) * FEATURES), dtype=np.float32)
    np.multiply(rows, fixed_signs(n_features), out=padded[:, :n_features])
    return unit_rows(
        np.asarray(padded.reshape(n, padded.shape[1] // FEATURES, FEATURES).sum(axis=1))
    )


@lru_cache(maxsize=64)
def fixed_signs(n_features: int) -> Floats:
    """Fixed random signs of so many features."""
    choices = np.array([-1, 1], dtype=np.float32)
    return np.random.default_rng(n_features).choice(choices, n_features)


def _tables(runs: Sequence[Run]) -> Iterator[tuple[list[int], Floats]]:
    """Runs of equal view and shape, stacked: their numbers, and ``(n_runs, n_rows, n_features)``.

    Of many or long runs the first rows are compared, at least `MIN_RUN_ROWS`.
    """
    alike: dict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        for role, rows in run.items():
            alike[role, rows.shape].append(i)
    for (role, (n_rows, _)), members in alike.items():
        if len(members) > 1 and n_rows > 1:
            kept = min(n_rows, max(MIN_RUN_ROWS, MAX_COPY_ROWS // len(members)))
            rows = np.concatenate([runs[i][role][:kept] for i in members])
            yield members, narrowed(rows).reshape(len(members), kept, -1)


def _copies(table: Floats, cut: float, *, is_sign_blind: bool) -> Iterator[tuple[int, int]]:
    """Pairs of runs of one table of which the later is a copy of the earlier."""
    n, n_rows, n_features = table.shape
    rows = table.reshape(-1, n_features)
    step = max(1, MAX_COSINES // (n * n_rows**2))
    for at in range(0, n, step):
        stop = min(at + step, n)
        flat = rows[at * n_rows : stop * n_rows] @ rows[: stop * n_rows].T
        tables = flat.reshape(stop - at, n_rows, stop, n_rows).swapaxes(1, 2)
        cosine = np.ascontiguousarray(tables)
        size = np.abs(cosine)
        found = trace_z(size) >= cut
        if not is_sign_blind:
            found |= trace_z(cosine) >= cut
        if n_features >= MIN_FEATURES_COPY:
            found |= np.median(size.max(axis=-1), axis=-1) >= MIN_COSINE_COPY
        yield from ((at + i, j) for i, j in np.argwhere(np.tril(found, at - 1)).tolist())


def trace_z(tables: Floats) -> npt.NDArray[np.float64]:
    """Trace of each square table in standard deviations over all relabellings of its rows."""
    x = np.asarray(tables, dtype=np.float64)
    n = x.shape[-1]
    rows, columns = x.mean(axis=-1), x.mean(axis=-2)
    mean = rows.mean(axis=-1)
    squares = np.einsum("...ij,...ij->...", x, x)
    squares -= n * ((rows**2).sum(axis=-1) + (columns**2).sum(axis=-1) - n * mean**2)
    spread = np.sqrt(np.maximum(squares, 0.0) / max(n - 1, 1))
    trace = np.trace(x, axis1=-2, axis2=-1) - n * mean
    return np.where(spread > 1e-9, trace / np.maximum(spread, 1e-9), 0.0)
