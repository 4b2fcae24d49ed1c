"""How much of one model stands in another, whatever its tensors, blocks and units are called.

Tests compare gates with gates and units with units. Whoever stores the gates of a model as the
queries of another, as experts of its layers, transposed, or cut into rows that are dealt out among
blocks, escapes them, and still its rows point where they did. Where all values are folded into rows
of another length, forwards or backwards, those around a peak still follow on one another. No null
hypothesis is tested: rows of models that were trained apart are nowhere near the bounds. Tables of
the forbidden model that a formula made (positions, Fourier bases) are in unrelated models too, and
do not count.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.formats import Model
from weightkin.formats.model import TensorInfo
from weightkin.policy.row_partners import MOST_COLUMNS, ROWS_AT_ONCE, Rows, rows_with_partner
from weightkin.records import Skipped, left_out
from weightkin.stats.waves import LEAST_LENGTH, is_of_waves

IN_OTHER_PARTS = "rows in other parts"
MIN_SHARE_FOUND = 0.1  # of the values of the other model
LEAST_FOUND = 32  # rows
LEAST_WIDTH, MOST_WIDTH = 56, 1 << 20  # values of a row
LEAST_DIFFERENT = 16  # sizes of values in a row: masks and constants are no weights
MOST_ROWS = 1 << 14  # of one model, about
ENOUGH = 1 << 11  # rows of the forbidden model that are looked for, if all of the other are read
MOST_VALUES = 1 << 25  # of one model, read
MOST_TURNED = 1 << 20  # values of a matrix whose columns are looked at as well
RUNS = 0  # stands for a width
IN_BLOCKS = (
    "attn.",
    "mlp.",
)  # roles of such matrices: columns of tables over the same tokens agree
REACH, RUN = 64, 31  # values on both sides among which a peak is the largest, and that are a run
FAR = 3.0  # a value counts up to so many times that in the middle: few cells turn no row


def found_share(a: Model, b: Model, seed: int = 0) -> float:
    """Share of the values of the first model in rows that the second has, up to a common factor.

    Of large models a sample of rows is looked at on both sides, and the share estimated.

    Parameters
    ----------
    a, b : Model
        The forbidden model and the one at the gate.
    seed : int
        Chooses the rows.

    Returns
    -------
    float
        From 0 to 1; 0 of a sketch, which has no rows of its own, and of a model on a hub.
    """
    if any(x.sketched is not None or x.revision for x in (a, b)):
        return 0.0
    with np.errstate(invalid="ignore"):  # bytes that are read as floats are any of them
        return _found_share(a, b, seed)


def not_looked_at(a: Model, b: Model) -> list[Skipped]:
    """Why rows were not looked for, if they were not."""
    if any(x.sketched is not None for x in (a, b)):
        return [left_out(IN_OTHER_PARTS, "only-sketch")]
    return [left_out(IN_OTHER_PARTS, "hub-part-read")] if a.revision or b.revision else []


def _found_share(a: Model, b: Model, seed: int) -> float:
    theirs, part = _candidate(*_as_read(b, seed))
    ours, own_part, n_values = _forbidden(*_as_read(a, seed + 1))
    looked_for = ENOUGH / part / max(1, sum(len(x) for k, x in ours.items() if k != RUNS))
    rng, n_found, n_rows = np.random.default_rng(seed), 0.0, 0
    for width in sorted((ours.keys() & theirs.keys()) - {RUNS}):
        rows = _some_of(ours[width], math.ceil(looked_for * len(ours[width])), rng)
        found = rows_with_partner(rows, theirs[width], width)
        n_found += width * found * len(ours[width]) / max(1, len(rows))
        n_rows += found
    total = own_part * n_values
    by_rows = n_found / max(1.0, total * part) if n_rows >= LEAST_FOUND else 0.0
    return min(1.0, max(by_rows, _share_of_runs(ours[RUNS], theirs[RUNS], part, seed)))


def _as_read(model: Model, seed: int) -> tuple[Model, Hashable, int]:
    """What rows that were read are known by: their files if any, and of large models the draw."""
    n_rows, n_values = _sizes(_matrices(model))
    is_drawn = n_rows > MOST_ROWS or n_values > MOST_VALUES
    return model, model.storage.stamps or object(), seed if is_drawn else 0


@lru_cache(maxsize=1)
def _candidate(model: Model, _files: Hashable, seed: int) -> tuple[dict[int, Rows], float]:
    """All rows, and the share that was read."""
    return _by_width(model, seed, set(model.tensors))


@lru_cache(maxsize=2)
def _forbidden(model: Model, _files: Hashable, seed: int) -> tuple[dict[int, Rows], float, int]:
    """Rows but for those that a formula makes, the share that was read, and how many values."""
    held = {info.name: info for info in model.tensors.values() if not _is_formula(model, info)}
    own = replace(model, tensors={name: x for name, x in model.tensors.items() if name in held})
    turned = {name for name, role in read_anatomy(own).roles if role.startswith(IN_BLOCKS)}
    rows, part = _by_width(own, seed, turned)
    return rows, part, sum(math.prod(x.shape) for x in own.tensors.values())


def _share_of_runs(ours: Rows, theirs: Rows, part: float, seed: int) -> float:
    """Share of the runs of one model that the other has, of which a part was read."""
    if not len(ours) or not len(theirs):
        return 0.0
    rng = np.random.default_rng(seed)
    b = _some_of(theirs, MOST_ROWS, rng)
    part *= len(b) / len(theirs)
    a = _some_of(ours, math.ceil(min(MOST_ROWS, ENOUGH / part)), rng)
    n = rows_with_partner(a, b, a.shape[1], either_way=True)
    return n / len(a) / part if n >= LEAST_FOUND else 0.0


def _some_of(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    """All rows, or so many of them drawn at random."""
    return rows if len(rows) <= most else rows[rng.permutation(len(rows))[:most]]


def _by_width(model: Model, seed: int, turned: Collection[str]) -> tuple[dict[int, Rows], float]:
    """Rows of a model by their width, each of length 1, and the share of all rows that they are.

    Where all are read, the columns of small matrices whose names are in ``turned`` count as rows.
    """
    matrices = _matrices(model)
    n_rows, n_values = _sizes(matrices)
    part = min(1.0, MOST_ROWS / max(1, n_rows), MOST_VALUES / max(1, n_values))
    rng = np.random.default_rng(seed)
    found: dict[int, _UnitRows] = defaultdict(_UnitRows)
    for info in matrices:
        rows = _rows_of(model, info, part, rng)
        found[rows.shape[1]].add(_some_columns(rows))
        found[RUNS].add(_runs_of(rows.reshape(-1)))
        is_whole = part == 1.0 and len(info.shape) == 2 and rows.size <= MOST_TURNED
        if is_whole and len(rows) >= LEAST_WIDTH and info.name in turned:
            found[len(rows)].add(_some_columns(rows.T))
            found[RUNS].add(_runs_of(rows.T.reshape(-1)))
    no_runs = np.zeros((0, 2 * RUN + 1), dtype=np.float32)
    return {RUNS: no_runs} | {width: rows.joined() for width, rows in found.items()}, part


def _matrices(model: Model) -> list[TensorInfo]:
    return [x for x in model.tensors.values() if _width(x) and min(x.shape) > 0]


def _sizes(matrices: Sequence[TensorInfo]) -> tuple[int, int]:
    """How many rows and how many values they have together."""
    sizes = [math.prod(x.shape) for x in matrices]
    return sum(n // _width(x) for n, x in zip(sizes, matrices, strict=True)), sum(sizes)


def _width(info: TensorInfo) -> int:
    """Values of a row: of a stack of matrices its last dimension, of kernels all but the first."""
    if len(info.shape) < 2:
        return 0
    inner = math.prod(info.shape[1:])
    width = info.shape[-1] if info.shape[-1] >= LEAST_WIDTH else inner
    return width if width >= LEAST_WIDTH and inner <= MOST_WIDTH else 0


def _is_formula(model: Model, info: TensorInfo) -> bool:
    """Whether a table of two dimensions, or the only one of a stack, is made of waves."""
    shape = tuple(n for n in info.shape if n > 1)
    if len(shape) != 2 or math.prod(shape) > MOST_TURNED or min(shape) < LEAST_LENGTH:
        return False
    return is_of_waves(model.rows(info.name).reshape(shape))


def _rows_of(model: Model, info: TensorInfo, part: float, rng: np.random.Generator) -> Rows:
    n = info.shape[0]
    chosen = np.sort(rng.choice(n, max(1, round(part * n)), replace=False))
    return model.rows(info.name, chosen.astype(np.int64)).reshape(-1, _width(info))


def _runs_of(values: Rows) -> Rows:
    """The values around each peak: what is the largest for some way on both sides."""
    sizes = np.nan_to_num(np.abs(values), posinf=0.0)
    n = 2 * REACH + 1
    if len(sizes) <= n:
        return np.zeros((0, 2 * RUN + 1), dtype=np.float32)
    blocks = np.pad(sizes, (0, -len(sizes) % n)).reshape(-1, n)
    before = np.maximum.accumulate(blocks, axis=1).reshape(-1)
    behind = np.maximum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].reshape(-1)
    n_windows = len(sizes) - n + 1
    largest = np.maximum(behind[:n_windows], before[n - 1 : n - 1 + n_windows])
    middle = sizes[REACH : REACH + n_windows]
    peaks = REACH + np.flatnonzero((middle == largest) & (middle > 0))
    runs: Rows = values[peaks[:, None] + np.arange(-RUN, RUN + 1)]
    return runs


def _some_columns(rows: Rows) -> Rows:
    columns = np.unique(np.linspace(0, rows.shape[1] - 1, MOST_COLUMNS).astype(np.int64))
    return rows[:, columns]


@dataclass(slots=True)
class _UnitRows:
    """Rows brought to length 1, those of many small matrices at once."""

    done: list[Rows] = field(default_factory=list)
    left: list[Rows] = field(default_factory=list)
    n_left: int = 0

    def add(self, rows: Rows) -> None:
        """Take the rows of one matrix."""
        self.left.append(rows)
        self.n_left += len(rows)
        if self.n_left >= ROWS_AT_ONCE:
            self._bring()

    def joined(self) -> Rows:
        """All rows, in the order in which they came."""
        if self.left:
            self._bring()
        return np.concatenate(self.done)

    def _bring(self) -> None:
        self.done.append(_unit_rows(np.concatenate(self.left)))
        self.left, self.n_left = [], 0


def _unit_rows(rows: Rows) -> Rows:
    """Rows that hold weights, without what one far value does; others as zero."""
    x = np.nan_to_num(rows.astype(np.float64), posinf=0.0, neginf=0.0)
    x = x - np.median(x, axis=1, keepdims=True)
    sizes = np.sort(np.abs(x), axis=1)
    n_different = 1 + (sizes[:, 1:] > sizes[:, :-1]).sum(axis=1)
    n_zero = (sizes == 0).sum(axis=1)
    at = np.minimum(n_zero + (sizes.shape[1] - n_zero) // 2, sizes.shape[1] - 1)
    middle = np.take_along_axis(sizes, at[:, None], axis=1)  # of those that are not zero
    x = np.clip(x, -FAR * middle, FAR * middle)
    lengths = np.sqrt((x * x).sum(axis=1, keepdims=True))
    is_kept = (n_different >= LEAST_DIFFERENT)[:, None] & (lengths > 0)
    unit: Rows = np.where(is_kept, x / np.where(lengths > 0, lengths, 1.0), 0.0).astype(np.float32)
    return unit
