"""Tables that a formula makes: equal in two models, they say nothing about where those come from.

Transforms (Fourier, cosine), window functions, position tables of any base, rotary frequencies,
slopes of biases, grids of anchors: along one of its dimensions each line of such a table follows a
linear recurrence of low order (a wave, a geometric or an arithmetic series, a wave under a window),
which no trained or random line does. Filter banks (mel) are told by their form: bands of few
entries that are not zero, each beginning where the one before it does or behind it.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from weightkin.arrays import Doubles, Floats, Ints

MOST = 64  # lines that are looked at
LINE = 32  # entries of a line in which a recurrence is looked for
FIRST = 8  # lines that are looked at before all others
ORDERS = (3, 6)  # a wave about any level; a wave under a window of three terms
SHARE = 0.9  # of lines that must follow the recurrence
TOLERANCE = {"fp32": 2e-4, "fp64": 2e-4, "fp16": 2e-3, "fp16&bf16": 1e-2, "bf16": 1e-2}
MOST_BENDS = 8  # changes of step that a grid takes
MIN_LINE = 16  # entries of a line that stands alone
MIN_ZEROS = 0.6  # of a filter bank
MIN_BANDS = 4
MAX_VALUE = 1e100  # bytes that are read as floats hold anything


class Sampled(Protocol):
    """What is read here of the sample of a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole tensor."""

    @property
    def lattice(self) -> str:
        """Narrowest format of numbers that holds all values."""

    @property
    def values(self) -> Floats:
        """``(len(rows), len(columns))``."""

    @property
    def rows(self) -> Ints:
        """Rows that are held, the first ``n_run`` of them in runs."""

    @property
    def columns(self) -> Ints:
        """Columns that are held."""

    @property
    def n_run(self) -> int:
        """Rows in runs."""


def is_table(tensor: Sampled) -> bool:
    """Whether what is held of a tensor is a table that a formula makes."""
    tolerance = TOLERANCE.get(tensor.lattice)
    x = _beginning(tensor)
    if x is None:
        return False
    if tolerance is not None and (_follows(x, tolerance) or _follows(x.T, tolerance)):
        return True
    if tolerance is not None and any(_follows(lines, tolerance) for lines in _grids(x)):
        return True
    return is_counted(x) or _is_filter_bank(x)


def is_counted(x: Doubles | Floats) -> bool:
    """Whether values rise by steps that seldom change: counts, grids, indices made of them."""
    flat = x.reshape(-1)
    n_bends = len(np.unique(np.diff(flat, 2)))
    return n_bends == 1 or (n_bends <= MOST_BENDS and 2 * n_bends < len(np.unique(flat)))


def _beginning(tensor: Sampled) -> Doubles | None:
    """The first rows and columns as far as they follow each other; None where there are few."""
    shape = tuple(n for n in tensor.shape if n > 1)
    with np.errstate(invalid="ignore", over="ignore"):
        values = tensor.values.astype(np.float64)
    is_whole = values.size == math.prod(tensor.shape)
    if len(shape) < 2:
        x = values.reshape(1, -1)[:, :MOST] if is_whole else None
    elif is_whole:
        x = values.reshape(shape[0], -1)[: 4 * MOST, :MOST]
    else:
        n = _run(tensor.rows[: tensor.n_run])
        x = values[:n, : _run(tensor.columns)][: 4 * MOST, :MOST]
    is_usual = x is not None and x.size >= MIN_LINE and bool((np.abs(x) < MAX_VALUE).all())
    return x if is_usual else None


def _run(index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    breaks = np.flatnonzero(np.diff(index) != 1)
    return int(breaks[0]) + 1 if len(breaks) else len(index)


def _follows(lines: Doubles, tolerance: float) -> bool:
    """Whether nearly all lines that vary follow a recurrence of low order, each its own."""
    lines = lines[:, :LINE]
    peak = np.abs(lines).max(axis=1, initial=0.0)
    is_varied = np.ptp(lines, axis=1) > 4 * tolerance * peak if lines.size else peak > 0
    varied = lines[is_varied][:MOST]
    if not len(varied) or 2 * len(varied) < min(len(lines), MOST):
        return False
    for order in ORDERS:
        least = max(4 * order, MIN_LINE if len(varied) < FIRST else 0)
        if varied.shape[1] < least:
            continue
        few = _share(varied[:FIRST], order, tolerance)
        if few >= SHARE / 2 and _share(varied, order, tolerance) >= SHARE:
            return True
    return False


def _share(lines: Doubles, order: int, tolerance: float) -> float:
    """Share of lines whose every entry is a fixed combination of those before it."""
    windows = np.lib.stride_tricks.sliding_window_view(lines, order + 1, axis=1)
    before, behind = windows[..., :-1], windows[..., -1]  # (n_lines, n_equations, order)
    factors = np.einsum("ijk,ik->ij", np.linalg.pinv(before, rcond=1e-9), behind)
    left = np.abs(np.einsum("ikj,ij->ik", before, factors) - behind).max(axis=1)
    allowed = tolerance * np.abs(lines).max(axis=1) * (1 + np.abs(factors).sum(axis=1))
    is_bounded = np.abs(factors).sum(axis=1) <= 4.0**order
    return float(np.mean((left <= allowed) & is_bounded))


def _grids(x: Doubles) -> list[Doubles]:
    """Lines of a square of positions, in either direction, where rows may be one."""
    found = []
    for n_extra in range(3):  # tokens before the first position
        side = math.isqrt(max(0, len(x) - n_extra))
        if side < 2 * FIRST or side * side != len(x) - n_extra:
            continue
        square = x[n_extra:].reshape(side, side, -1)
        half = max(1, square.shape[2] // 2)
        found.append(np.concatenate(
            [square[0, :, :half].T, square[:, 0, half:].T]))  # fmt: skip
        found.append(np.concatenate(
            [square[:, 0, :half].T, square[0, :, half:].T]))  # fmt: skip
    return found


def _is_filter_bank(x: Doubles) -> bool:
    """Whether rows are bands that rise and fall once, in the order of where they begin."""
    held = x[(x != 0).any(axis=1)]
    if len(held) < MIN_BANDS or x.shape[1] < MIN_BANDS or (x < 0).any():
        return False
    is_held = held != 0
    first = is_held.argmax(axis=1)
    last = held.shape[1] - 1 - is_held[:, ::-1].argmax(axis=1)
    n_held = is_held.sum(axis=1)
    if (last - first + 1 != n_held).any() or 1 - is_held.mean() < MIN_ZEROS:
        return False
    turns = np.diff(np.sign(np.diff(np.pad(held, ((0, 0), (1, 1))), axis=1)), axis=1)
    rises_once = (np.count_nonzero(turns < 0, axis=1) <= 2).all()
    is_ordered = (np.diff(first) >= 0).all() or (np.diff(first) <= 0).all()
    return bool(rises_once and is_ordered and first.max() > first.min() and len(np.unique(x)) > 2)
