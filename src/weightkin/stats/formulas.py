"""Does the index of a unit say what its row looks like? Then the rows began as a formula.

Two models that both start from one formula (identity, Dirac, cosine banks, Hadamard, sinusoids,
Gabor kernels ...) resemble each other unit by unit and share no random number. Each shows it alone:
under a random start the labels of its units are uniform given any fixed matrix, so a reading of the
rows (where a row peaks, as it stands and in the bases that formulas are made of) follows no rule of
the index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.arrays import Doubles, Floats, Ints
from weightkin.stats.sums import tied

LOG10 = math.log(10.0)
STRIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 25, 49, -1, -2, -3, -4, -8)  # taps of kernels among them
LAGS = (1, 2, 3, 4, 8, 16, 32)
MIN_FORMULA_UNITS = 4
MIN_SMOOTH = 8  # units from which ranks are near enough to normal
MIN_SEGMENT = 16  # features of a quarter of a row in which waves are looked for too
COPY_SHARE = 0.5  # of equal peaks, from which two views are copies and say nothing new
N_LOOKS = len(STRIDES) + len(LAGS)
FEW_CELLS = 16  # for each hit: counting them all costs less than sorting the hits
N_SMOOTH = 1 + len(LAGS)


def hits_log_sf(k: Ints, rate: Doubles) -> Doubles:
    """Log of a bound on the chance that ``k`` units stand where a formula puts them.

    Null hypothesis: the labels of the units are uniform (inside each run of labels, if there are
    several). A unit may be right in ``c`` places of its run at most, c of 1 where no two rows of
    the formula are alike, so E[C(K, k)] <= c^k / k! for one run and (sum c)^k / k! for independent
    ones (``rate`` is that sum), and P(K >= k) is no more. With n units and d different rows of a
    formula that repeats, c is n / d rounded *up*: n / d itself is too small where d does not
    divide n.

    By the same moments E[z^K] <= e^{rate (z - 1)}, so P(K >= k) is no more than
    e^{k - rate} (rate / k)^k either, which is less where the rate is large.

    Examples
    --------
    >>> hits_log_sf(np.array([8, 8, 2]), np.array([1.0, 3.0, 2.0])).round(2).tolist()
    [-10.6, -2.85, 0.0]
    """
    log_rate, most = np.log(np.maximum(rate, 1e-9)), np.maximum(k, 1)
    log_p = np.minimum(
        k * log_rate - scipy.special.gammaln(k + 1), k - rate - k * (np.log(most) - log_rate)
    )
    return np.where((k > rate) & (rate > 0), log_p, 0.0)


@dataclass(slots=True)
class Readings:
    """Hits of every rule and smoothness of every reading, of one view or summed over views."""

    sizes: dict[str, int] = field(default_factory=dict)  # reading: m, offsets or steps of a rule
    hits: dict[str, list[Ints]] = field(default_factory=dict)  # reading: look * m + offset, by view
    rates: dict[str, Doubles] = field(default_factory=dict)  # reading: (N_LOOKS,)
    smooth: dict[str, Doubles] = field(default_factory=dict)  # reading: (N_SMOOTH,) sums of z
    peaks: list[Ints] = field(default_factory=list)  # entry at which each row of each view peaks
    n_views: int = 0

    def is_copy(self, other: Readings) -> bool:
        """Whether most rows of another view peak where those of a view added before do."""
        for x in self.peaks:
            others = [y for y in other.peaks if len(y) == len(x)]
            equal = np.count_nonzero(np.array(others) == x, axis=1) if others else np.zeros(0)
            if (equal > COPY_SHARE * len(x)).any():
                return True
        return False

    def without_smoothness(self) -> Readings:
        """Hits alone: where units of one cell may be alike for another reason than their index."""
        return replace(self, smooth={name: np.zeros(N_SMOOTH) for name in self.smooth})

    def add(self, other: Readings) -> None:
        """Add a view of the same role and width: hits of one rule add up, so do rates and z."""
        self.n_views += other.n_views
        self.peaks += other.peaks
        for name in other.hits:
            self.sizes[name] = other.sizes[name]
            self.hits[name] = self.hits.get(name, []) + other.hits[name]
            self.rates[name] = self.rates.get(name, 0.0) + other.rates[name]
            self.smooth[name] = self.smooth.get(name, 0.0) + other.smooth[name]

    def best(self) -> tuple[float, str]:
        """Smallest log10 p, paid for offsets, rules and readings, and the reading behind it."""
        if not self.hits:
            return 0.0, ""
        names = list(self.hits)
        m = np.array([self.sizes[name] for name in names])
        rates = np.array([self.rates[name] for name in names])  # (n_readings, N_LOOKS)
        most = np.array([_most(self.hits[name], self.sizes[name]) for name in names])
        log_p = hits_log_sf(most, rates) + np.log(m)[:, None]
        z = np.array([self.smooth[name] for name in names]) / math.sqrt(max(1, self.n_views))
        z[:, 0] = np.abs(z[:, 0])  # rising or falling; at a lag only likeness is a rule
        log_p = np.concatenate([log_p, scipy.special.log_ndtr(-z) + math.log(2.0)], axis=1)
        best, name = min((0.0, ""), *zip(log_p.min(axis=1).tolist(), names, strict=True))
        return min(0.0, (best + math.log(log_p.size)) / LOG10), name


def read_rows(rows: Floats, taps: tuple[int, ...] = (), run: int = 0) -> Readings:
    """Every reading of the rows of one view against every rule of the index.

    Rules: the reading moves by a fixed stride from unit to unit (from any offset, modulo its
    range); it differs by one fixed step between units at a fixed lag (strides of any size, offsets
    that start anew, bit-reversed and Gray orders); it rises or falls with the index, or units at a
    fixed lag read alike (logarithmic spacing, grids, blocks, rows repeated).

    Null hypothesis, for `Readings.best`: the units are exchangeable, in runs where there are any.

    Parameters
    ----------
    rows : ndarray
        Shape ``(n_units, n_features)``, finite.
    taps : tuple of int
        Shape of a convolution kernel, the last dimensions of the features.
    run : int
        Units that are exchangeable among themselves (the dimensions of a head); 0: all.

    Returns
    -------
    Readings
        Hits, rates and sums of z of every reading; empty where there are too few units to tell.
    """
    size = run or len(rows)
    n = len(rows) // size * size if size else 0
    if size < MIN_FORMULA_UNITS or n == 0:
        return Readings()
    x = np.asarray(rows[:n], dtype=np.float32)
    peak = np.abs(x).max()
    if not 0 < peak < np.inf:
        return Readings()
    is_live = np.abs(x).max(axis=1) > 0
    named = [one for one in _readings(x / peak, taps) if one[2] > 1]
    reading = np.stack([np.where(is_live, one, -1) for _, one, _ in named])
    m = np.array([n_values for _, _, n_values in named])
    hits, rates, smooth = count_looks(reading.reshape(len(named), -1, size), m)
    names = [name for name, _, _ in named]
    return Readings(
        sizes=dict(zip(names, m.tolist(), strict=True)),
        hits={name: [one] for name, one in zip(names, hits, strict=True)},
        rates=dict(zip(names, rates, strict=True)),
        smooth=dict(zip(names, smooth, strict=True)),
        peaks=[reading[0]],
        n_views=1,
    )


def _most(hits: list[Ints], m: int) -> Ints:
    """Most hits of any offset, for each look."""
    every = np.concatenate(hits)  # a look has m cells
    if N_LOOKS * m <= FEW_CELLS * max(1, len(every)):
        counted = np.bincount(every, minlength=N_LOOKS * m).reshape(N_LOOKS, m)
        return np.asarray(counted.max(axis=1))
    cells, counts = np.unique(every, return_counts=True)
    most = np.zeros(N_LOOKS, dtype=np.int64)
    np.maximum.at(most, cells // m, counts)
    return most


def _readings(x: Floats, taps: tuple[int, ...]) -> Iterator[tuple[str, Ints, int]]:
    """Where each row peaks: as it stands, as waves, in the Walsh and Haar bases, over its taps."""
    n, d = x.shape
    yield "single entries", np.abs(x).argmax(axis=1), d
    level = np.sqrt(np.einsum("ij,ij->j", x, x, dtype=np.float64) / n)
    loud = level / max(float(np.median(level[level > 0], axis=0)), 1e-30) if level.any() else level
    quiet = (x / np.maximum(loud, 1.0)).astype(np.float32)  # outlier features brought down
    yield "single entries, features levelled", np.abs(quiet).argmax(axis=1), d
    yield "waves", *_wave(quiet)
    if d >= 4 * MIN_SEGMENT:
        for i, piece in enumerate(np.array_split(quiet, 4, axis=1)):
            yield f"waves in quarter {i + 1} of the row", *_wave(piece)
    if d >= MIN_FORMULA_UNITS:
        padded = np.zeros((n, 1 << (d - 1).bit_length()), dtype=np.float32)
        padded[:, :d] = quiet
        yield "Hadamard rows", np.abs(walsh_transform(padded)).argmax(axis=1), padded.shape[1]
        yield "Haar rows", np.abs(_haar(padded)).argmax(axis=1), padded.shape[1]
    if len(taps) == 2 and min(taps) >= 3 and d % math.prod(taps) == 0:
        kernels = x.reshape(n, -1, *taps)
        sides = [2 * (1 << (t - 1).bit_length()) for t in taps]
        power = (np.abs(np.fft.rfft2(kernels, s=sides)) ** 2).sum(axis=1)
        bins = power.reshape(n, -1).argmax(axis=1)
        row, column = np.divmod(bins, power.shape[2])
        yield "waves over the taps", bins, power[0].size
        yield "rows of taps", np.minimum(row, sides[0] - row), sides[0] // 2 + 1
        yield "columns of taps", column, power.shape[2]


def _wave(x: Floats) -> tuple[Ints, int]:
    """Frequency of the strongest wave of each row, in at most half turns over the row."""
    n_bins = 1 << x.shape[1].bit_length()
    power = np.abs(np.fft.rfft(x, n_bins, axis=1))
    return power.argmax(axis=1), power.shape[1]


def walsh_transform(x: Floats) -> Floats:
    """Walsh-Hadamard transform of rows whose length is a power of two."""
    n, d = x.shape
    near = min(d, 16)  # entries so near are moved apart first: long runs are added faster
    x = _butterflies(np.ascontiguousarray(x.reshape(-1, near).T), near)
    return _butterflies(np.ascontiguousarray(x.reshape(near, -1).T), d // near).reshape(n, d)


def _butterflies(x: Floats, n: int) -> Floats:
    """Sums and differences of rows 1, 2, 4 ... apart, in each ``n`` rows that follow each other."""
    width, half = x.shape[1], 1
    while half < n:
        pairs = x.reshape(-1, 2, half * width)
        x = np.empty_like(pairs)
        np.add(pairs[:, 0], pairs[:, 1], out=x[:, 0])
        np.subtract(pairs[:, 0], pairs[:, 1], out=x[:, 1])
        half *= 2
    return x


def _haar(x: Floats) -> Floats:
    """Haar transform of rows whose length is a power of two, coarse to fine."""
    found = []
    while x.shape[1] > 1:
        even, odd = x[:, ::2], x[:, 1::2]
        found.append((even - odd) * np.float32(math.sqrt(0.5)))
        x = (even + odd) * np.float32(math.sqrt(0.5))
    return np.concatenate([x, *found[::-1]], axis=1)


def count_looks(reading: Ints, m: Ints) -> tuple[list[Ints], Doubles, Doubles]:
    """Hits and smoothness of some readings, ``(n_readings, n_runs, size)``, of ``m`` values each.

    -1 is a unit without reading. Returns, for each reading, its hits as ``look * m + offset``, the
    rate of each look, and z of each way to be smooth.
    """
    n_runs, size = reading.shape[1:]
    run = np.arange(len(m) * n_runs).reshape(len(m), n_runs, 1)
    ranks, own = tied((reading + (m.max() + 1) * run).ravel())  # run after run
    rates, is_kept = _rates(reading, m, own.reshape(reading.shape))
    smooth = _smoothness(ranks.reshape(reading.shape) - size * run)
    return _hits(reading, m, is_kept), rates, smooth


def _rates(reading: Ints, m: Ints, own: Ints) -> tuple[Doubles, npt.NDArray[np.bool_]]:
    """Rate of each look, and which units are asked for steps; ``own`` in a run share a reading."""
    size = reading.shape[2]
    own = np.where(reading >= 0, own, 0)
    places = -(-size // (m[:, None] // np.gcd.outer(m, STRIDES)))  # of one value in a run
    is_kept = own <= 4 * -(-size // m)[:, None, None]  # shared more often, it carries no rule
    of_strides = np.minimum(places[:, :, None], own.max(axis=2)[:, None]).sum(axis=2)
    of_steps = np.where(is_kept, own, 0).max(axis=2).sum(axis=1)
    of_lags = np.multiply.outer(of_steps, np.array(LAGS) < size)
    return np.concatenate([of_strides, of_lags], axis=1).astype(np.float64), is_kept & (own > 0)


def _hits(reading: Ints, m: Ints, is_kept: npt.NDArray[np.bool_]) -> list[Ints]:
    """Hits of each reading: its offset by every stride, its step at every lag."""
    n_readings, n_runs, size = reading.shape
    position = np.arange(n_runs * size).reshape(n_runs, size)
    cells = np.zeros((n_readings, N_LOOKS, n_runs, size), dtype=np.int64)
    is_hit = np.zeros(cells.shape, dtype=bool)
    n_strides = len(STRIDES)
    cells[:, :n_strides] = reading[:, None] - np.multiply.outer(STRIDES, position)
    is_hit[:, :n_strides] = (reading >= 0)[:, None]
    for look, lag in enumerate(LAGS, n_strides):
        if lag < size:
            cells[:, look, :, lag:] = reading[:, :, lag:] - reading[:, :, :-lag]
            is_hit[:, look, :, lag:] = is_kept[:, :, lag:] & is_kept[:, :, :-lag]
    hits = []
    for one, is_one, n in zip(cells, is_hit, m.tolist(), strict=True):
        hits.append((one % n + n * np.arange(N_LOOKS)[:, None, None])[is_one])
    return hits


def _smoothness(ranks: Doubles) -> Doubles:
    """Rank correlation of readings with the index, and with themselves at every lag, as z."""
    n_readings, _, size = ranks.shape
    found = np.zeros((n_readings, N_SMOOTH))
    if size < MIN_SMOOTH:
        return found
    ranks = ranks - (size + 1) / 2
    spread = np.sqrt((ranks**2).mean(axis=2, keepdims=True))
    n = (spread[:, :, 0] > 0).sum(axis=1)  # a run of equal readings adds nothing
    n_runs = np.maximum(n, 1)
    q = ranks / np.where(spread > 0, spread, 1.0)
    index = np.arange(size) - (size - 1) / 2
    found[:, 0] = (q @ (index / index.std())).sum(axis=1) / np.sqrt(n_runs * size)
    for i, lag in enumerate(LAGS, 1):
        if size - lag >= MIN_SMOOTH:
            total = np.einsum("ijk,ijk->i", q[:, :, lag:], q[:, :, :-lag])
            total += n * (size - lag) / (size - 1)
            found[:, i] = total / np.sqrt(n_runs * (size - lag))
    return found
