"""Does the unit order carry meaning? What sorting, nesting or copying leaves in the index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats
from weightkin.stats.matching import unit_rows
from weightkin.stats.sums import tied

Z_TREND = 4.5  # two-sided 7e-6 a look: an honest model is seldom flagged, sorted ones always are
MIN_TREND_UNITS = 8


@dataclass(frozen=True, slots=True)
class Trend:
    """Index statistics of one block of units: mean zero and variance about one if exchangeable."""

    norm: float  # row norms against the index
    neighbour: float  # likeness of units next to each other
    lag: float  # likeness of units at the most suspicious fixed distance, less its expected maximum


def measure_trend(x: Floats) -> Trend | None:
    """Index statistics of one matrix of units (rows), None under 2 usable rows.

    Sorting or nesting moves the norm against the index, smooth inits make neighbours alike,
    copies and one seed per rank make units alike at one fixed distance. Under 8 units only the
    norm is looked at: it tells nothing alone, but adds up over blocks.
    """
    peak = np.abs(x).max(axis=1, initial=0.0)
    rows = x[np.isfinite(peak) & (peak > 0)]
    if len(rows) < 2:
        return None
    if len(rows) < MIN_TREND_UNITS:
        return Trend(norm=_norm_z(rows), neighbour=0.0, lag=0.0)
    at_lag = lag_z(rows)
    excess = float(at_lag.max()) - math.sqrt(2 * math.log(len(at_lag) + 1))
    return Trend(norm=_norm_z(rows), neighbour=float(at_lag[0]), lag=excess)


def judge_trends(trends: Sequence[Trend]) -> str | None:
    """Say which index trend the blocks of one model show, singly or summed, or None.

    ``sorted``: row norms follow the index; else what `judge_likeness` says.
    """
    if _is_flagged([abs(t.norm) for t in trends], abs(sum(t.norm for t in trends))):
        return "sorted"
    return judge_likeness(trends)


def judge_likeness(trends: Sequence[Trend]) -> str | None:
    """Say which units of one model are alike by their index: ``neighbours``, ``twins`` or None.

    Twins resemble each other at a fixed distance.
    Sorting does not make them so; smooth or repeated starts do, and fix their signs as well.
    """
    if _is_flagged([t.neighbour for t in trends], sum(t.neighbour for t in trends)):
        return "neighbours"
    if _is_flagged([t.lag for t in trends], sum(t.lag for t in trends)):
        return "twins"
    return None


def is_structured(rows: Floats, run: int = 32, n_levels: int = 20) -> bool:
    """Whether rows along the unit axis are grouped by index: n:m zeros, or group-quantised.

    Such rows say where a unit stands, so they are no evidence when both models show it. A rule of
    thumb, without a p-value; cost: one sort of all entries.

    Parameters
    ----------
    rows : ndarray
        ``(n_rows, n_units)``: units are columns.
    run : int
        Units of a group; units behind the last whole group are not looked at.
    n_levels : int
        Distinct values of a group up to which it counts as quantised.

    Returns
    -------
    bool
        Whether 2 of every 4 entries are zero, or values are so few, in (nearly) every group.
    """
    n = rows.shape[1] // run * run
    if n == 0 or not rows.any():
        return False
    quads = rows[:, : n // 4 * 4].reshape(len(rows), -1, 4)
    is_masked = float(((quads == 0).sum(axis=2) >= 2).mean()) > 0.99
    runs = np.sort(rows[:, :n].reshape(-1, run), axis=1)
    levels = 1 + (np.diff(runs, axis=1) != 0).sum(axis=1)
    return is_masked or float((levels <= n_levels).mean()) > 0.95


def _is_flagged(zs: list[float], total: float) -> bool:
    if not zs:
        return False
    largest = max(zs) - math.sqrt(2 * math.log(len(zs) + 1))  # the largest of many is looked at
    return largest > Z_TREND or total / math.sqrt(len(zs)) > Z_TREND


def _norm_z(rows: Floats) -> float:
    """Spearman correlation of row norm and index in standard deviations (Fisher's z from n = 8)."""
    norm = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    ranks, _ = tied(norm)
    ranks -= ranks.mean()
    index = np.arange(len(rows)) - (len(rows) - 1) / 2
    size = math.sqrt((ranks @ ranks) * (index @ index))
    if size == 0:
        return 0.0
    r = float(ranks @ index) / size
    if len(rows) < MIN_TREND_UNITS:
        return r * math.sqrt(len(rows) - 1)
    return math.atanh(min(max(r, -0.999999), 0.999999)) * math.sqrt((len(rows) - 3) / 1.06)


def lag_z(rows: Floats) -> npt.NDArray[np.float64]:
    """How alike units ``lag`` apart are, in standard deviations, for every lag up to n - 8."""
    n = len(rows)
    unit = unit_rows(rows)
    cosine = np.asarray(unit @ unit.T, dtype=np.float64)
    np.fill_diagonal(cosine, 0.0)
    means = cosine.sum(axis=1) / (n - 1)
    centred = cosine - means[:, None]
    centred -= means  # in place: a table of 1,024 units has 8 MB
    centred += _off_diagonal(cosine).mean()
    beside = _off_diagonal(centred)
    beside -= beside.mean()
    beside *= beside
    spread = math.sqrt(beside.mean())
    if spread == 0.0:
        return np.zeros(1)
    lags = np.arange(1, max(2, n - MIN_TREND_UNITS + 1))
    return np.asarray(_diagonal_sums(centred)[: len(lags)] / np.sqrt(n - lags) / spread)


def _off_diagonal(square: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Entries beside the diagonal, flat: behind each entry on it stand n others."""
    n = len(square)
    return square.reshape(-1)[1:].reshape(n - 1, n + 1)[:, :-1].ravel()


def _diagonal_sums(square: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sums of the diagonals 1, 2, ... n - 1 above the main one: columns, when rows are sheared."""
    n = len(square)
    sheared = np.zeros(n * (2 * n + 1))
    sheared[: 2 * n * n].reshape(n, 2 * n)[:, n:] = square
    return np.asarray(sheared.reshape(n, 2 * n + 1).sum(axis=0)[n + 1 : 2 * n])
