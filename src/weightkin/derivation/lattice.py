"""The number lattices that values lie on: formats they passed through, levels of a quantiser.

A quantised matrix shows its levels also after it was written back as float32: in every group the
differences of values are multiples of one step. The group and the step are found from the values
alone; a truncated sample can only find groups that it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import ml_dtypes
import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles, Floats
from weightkin.sketch.types import Lattice, SketchedTensor

GROUPS = (256, 128, 64, 32, 16)
MAX_LEVELS = 256  # eight bits
ENOUGH = 0.95  # share of the groups that must lie on levels
DISTINCT = 0.97  # share of distinct values in a row above which nothing is looked for
MAX_LEVEL_ROWS = 32  # rows looked at
N_FIRST_GROUPS = 8  # groups looked at before all are
TOLERANCE = 2e-3  # of a step
FORMATS: dict[str, Any] = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}
PRECISION = {  # bits behind the leading one, exponent of the smallest normal number
    "bf16": (7, -126),
    "fp16": (10, -14),
    "fp8_e4m3": (3, -6),
    "fp8_e5m2": (2, -14),
}
ORDER: tuple[Lattice, ...] = (
    *("fp8_e4m3", "fp8_e5m2", "fp16&bf16", "bf16", "fp16", "fp32", "fp64"),
)
NF4 = np.array(  # Dettmers et al., QLoRA (2023), appendix E
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ]
)


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of a quantised matrix."""

    bits: int
    n_levels: int  # most levels spanned by a group
    group: int | None  # None: one scale a row (or column, or matrix)
    scope: Literal["group", "row", "matrix"]
    along: Literal["columns", "rows"]  # the dimension that a group runs along
    scheme: Literal["symmetric", "asymmetric", "nf4"]
    step: float  # median over the groups


@dataclass
class KnownLevels:
    """Levels of tensors, and the steps of their entries, found once for each tensor."""

    _levels: dict[SketchedTensor, Levels | None] = field(default_factory=dict)
    _steps: dict[SketchedTensor, tuple[npt.NDArray[np.float32], Doubles]] = field(
        default_factory=dict
    )

    def levels(self, tensor: SketchedTensor) -> Levels | None:
        """Levels of a matrix, or nothing: `find_levels`."""
        if tensor not in self._levels:
            self._levels[tensor] = find_levels(tensor)
        return self._levels[tensor]

    def steps(
        self, tensor: SketchedTensor, values: npt.NDArray[np.float32], levels: Levels
    ) -> Doubles:
        """Step at every entry of the whole sample of a tensor: `steps_of`."""
        known = self._steps.get(tensor)
        if known is None or not np.array_equal(known[0], values):  # or in another order
            n_along = tensor.stored.shape[1 if levels.along == "columns" else 0]
            known = values, steps_of(values, levels, n_along=n_along)
            self._steps[tensor] = known
        return known[1]


def is_narrower(x: Lattice, y: Lattice) -> bool:
    """Whether x is a narrower format than y."""
    return x in ORDER and y in ORDER and ORDER.index(x) < ORDER.index(y)


def cast_to(values: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """Round to a format, to nearest and ties to even, and back."""
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(FORMATS[name]).astype(np.float32))


def mantissa_step(values: Doubles, name: str) -> Doubles:
    """Distance to the next number of a format; NaN at powers of two, where there are two."""
    n_bits, lowest = PRECISION[name]
    fractions, exponents = np.frexp(values)
    step = np.exp2(np.maximum(exponents - 1, lowest) - n_bits)
    return np.where(np.abs(fractions) == 0.5, np.nan, step)


def find_levels(tensor: SketchedTensor) -> Levels | None:
    """Levels of a matrix: the widest groups that lie on few of them, or nothing.

    Both dimensions are tried for the inputs of a layer, whole rows before groups.
    """
    run = tensor.values[: tensor.n_run]
    if run.ndim != 2 or min(run.shape) < 16 or not np.isfinite(run).all():
        return None
    for along, x in (("columns", run), ("rows", run.T)):
        whole = tensor.matrix_shape[1 if along == "columns" else 0]
        found = _levels(x[:MAX_LEVEL_ROWS].astype(np.float64), whole, along)  # type: ignore[arg-type]
        if found is not None:
            return found
    return None


def steps_of(values: npt.NDArray[np.float32], levels: Levels, *, n_along: int) -> Doubles:
    """Step at every entry, as found in its own group; NaN where none is found or looked for.

    Only the first rows (columns, where groups run along rows) are looked at.

    Parameters
    ----------
    values : array, ``(n_rows, n_columns)``, float32
        Sampled values of a matrix.
    levels : Levels
        Its levels.
    n_along : int
        Length of the dimension that groups run along, where they have no size.

    Returns
    -------
    array of float64, ``(n_rows, n_columns)``
        Steps in the unit of the values.
    """
    x = values.astype(np.float64)
    x = x if levels.along == "columns" else x.T
    size = levels.group or n_along
    steps = np.full_like(x, np.nan)
    for start in range(0, x.shape[1], size):
        for i, row in enumerate(x[:MAX_LEVEL_ROWS, start : start + size]):
            step = levels.step if levels.scope == "matrix" else _step(row)
            steps[i, start : start + size] = step or np.nan
    return steps if levels.along == "columns" else steps.T


def _levels(x: Doubles, whole: int, along: Literal["columns", "rows"]) -> Levels | None:
    """Try rows of x as inputs of one output each: one step a row, then one a group."""
    is_new = np.diff(np.sort(x[:N_FIRST_GROUPS], axis=1), axis=1) > 0  # (n_rows, n_columns - 1)
    if float(np.median(is_new.sum(axis=1) + 1)) > DISTINCT * x.shape[1]:
        return None
    tries: list[tuple[int | None, int]] = [(None, x.shape[1])]
    tries += [(g, g) for g in GROUPS if g < whole and g <= x.shape[1]]
    for group, size in tries:
        n = x.shape[1] // size
        parts = x[:, : n * size].reshape(-1, size)
        parts = parts[np.any(parts != 0, axis=1)]
        if not len(parts):
            return None
        is_nf4 = _nf4(parts) if group else False
        few = [
            _step(part) > 0
            for part in parts[:: max(1, len(parts) // N_FIRST_GROUPS)][:N_FIRST_GROUPS]
        ]
        if not is_nf4 and np.mean(few) < ENOUGH / 2:
            continue
        steps = np.array([_step(part) for part in parts])
        good = steps > 0
        if is_nf4:
            step = float(np.median(np.abs(parts).max(axis=1)))
            return Levels(4, 16, group, "group", along, "nf4", step)
        if good.mean() < ENOUGH:
            continue
        return _described(parts[good], steps[good], group, along)
    return None


def _described(
    parts: Doubles, steps: Doubles, group: int | None, along: Literal["columns", "rows"]
) -> Levels | None:
    spans = np.rint((parts.max(axis=1) - parts.min(axis=1)) / steps) + 1
    offsets = parts / steps[:, None]
    is_centred = np.abs(offsets - np.rint(offsets)).max(axis=1) < 0.05
    most = np.abs(np.rint(offsets)).max(axis=1)
    n_levels = int(np.quantile(spans, 0.99))
    bits = max(1, int(np.ceil(np.log2(n_levels))))
    is_symmetric = is_centred.mean() >= ENOUGH and most.max() <= 2 ** (bits - 1)
    one = bool(np.ptp(steps) < 1e-5 * np.median(steps))
    return Levels(
        bits=int(bits),
        n_levels=n_levels,
        group=None if one else group,
        scope="matrix" if one else "group" if group else "row",
        along=along,
        scheme="symmetric" if is_symmetric else "asymmetric",
        step=float(np.median(steps)),
    )


def _step(row: Doubles) -> float:
    """Step of the levels of one group; 0.0 where its values lie on none."""
    values = np.unique(row)
    gaps = np.diff(values)
    gaps = gaps[gaps > 1e-6 * np.abs(values).max(initial=0.0)]
    if len(gaps) < 2:
        return 0.0
    for divisor in (1, 2, 3):
        step = float(gaps.min()) / divisor
        for _ in range(3):  # least squares through more and more levels
            counts = np.rint((values - values[0]) / step)
            step = float(counts @ (values - values[0]) / (counts @ counts))
        counts = (values - values[0]) / step
        is_fit = np.abs(counts - np.rint(counts)).max() < TOLERANCE * 10
        if is_fit and counts[-1] < MAX_LEVELS and len(values) > 2:
            return step
    return 0.0


def _nf4(parts: Doubles) -> bool:
    scaled = parts / np.abs(parts).max(axis=1, keepdims=True)
    nearest = np.abs(scaled[:, :, None] - NF4).min(axis=2)
    also = np.abs(-scaled[:, :, None] - NF4).min(axis=2)
    return bool((np.minimum(nearest.max(axis=1), also.max(axis=1)) < 5e-3).mean() >= ENOUGH)


N_SHARING_LEVELS = 16  # neighbours in a row that share their levels in every packed format
ORDER_ROWS = 64  # rows of a matrix that are asked for their order
DISORDER = 1e-3  # share of neighbours in order that may be exchanged: ties of narrow formats
UNIFORM = 2.2  # kurtosis of errors, in runs of 16: 1.9 where uniform, 2.6 where normal


def is_rounded(x: Floats, y: Floats, child: SketchedTensor) -> bool:
    """Whether y is x rounded to levels that neighbours in a row share, whatever the levels are.

    Rounding keeps the order of what shares its levels, and its errors are uniform: their kurtosis
    is 1.8. A change made on top of the levels, which keeps the order as long as it is small, has
    the 3 of a normal law or more.

    Parameters
    ----------
    x, y : array, ``(n_rows, n_columns)``, float32
        Values of parent and child, in equal order.
    child : SketchedTensor
        The child's tensor, which says in which columns they stand.

    Returns
    -------
    bool
        Whether it is; False too where too little is seen. A fixed cut, without a p-value.
    """
    if len(child.shape) != 2 or y.shape != child.stored.shape:
        return False
    x, y = x[:ORDER_ROWS].astype(np.float64), y[:ORDER_ROWS].astype(np.float64)
    n_rows, n_columns = y.shape
    if n_columns < N_SHARING_LEVELS:
        return False
    runs = (
        np.arange(n_rows)[:, None] * (child.shape[1] // N_SHARING_LEVELS + 1)
        + child.columns // N_SHARING_LEVELS
    )
    order = np.lexsort((y.ravel(), x.ravel(), runs.ravel()))
    run, up, down = runs.ravel()[order], x.ravel()[order], y.ravel()[order]
    is_near = np.diff(run) == 0
    is_wrong = (np.diff(down) < 0) | ((np.diff(up) == 0) & (np.diff(down) != 0))
    if not is_near.any() or np.mean(is_wrong[is_near]) > DISORDER:
        return False
    _, start = np.unique(run, return_index=True)
    size = np.diff([*start, len(run)])
    error = (up - down) - np.repeat(np.add.reduceat(up - down, start) / size, size)
    square = np.add.reduceat(error**2, start)
    is_told = (square > 0) & (size == N_SHARING_LEVELS)
    if not is_told.any():
        return False
    kurtosis = size * np.add.reduceat(error**4, start) / np.maximum(square, 1e-300) ** 2
    return float(np.mean(kurtosis[is_told])) < UNIFORM
