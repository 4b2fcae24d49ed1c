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
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, log_ndtr  # type: ignore[import-untyped,unused-ignore]
from scipy.stats import rankdata  # type: ignore[import-untyped,unused-ignore]

from weightkin.stats.matching import Floats, Ints

Doubles = npt.NDArray[np.float64]
LOG10 = math.log(10.0)
STRIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 25, 49, -1, -2, -3, -4, -8)  # taps of kernels among them
LAGS = (1, 2, 3, 4, 8, 16, 32)
MIN_UNITS = 4
MIN_SMOOTH = 8  # units from which ranks are near enough to normal
MIN_SEGMENT = 16  # features of a quarter of a row in which waves are looked for too
COPY_SHARE = 0.5  # of equal peaks, from which two views are copies and say nothing new
N_LOOKS = len(STRIDES) + len(LAGS)
N_SMOOTH = 1 + len(LAGS)


def hits_log10_sf(k: int, rate: float) -> float:
    """Log10 of a bound on the chance that ``k`` units stand where a formula puts them.

    Null hypothesis: the labels of the units are uniform (inside each run of labels, if there are
    several). A unit may be right in ``c`` places of its run at most, c of 1 where no two rows of
    the formula are alike, so E[C(K, k)] <= c^k / k! for one run and (sum c)^k / k! for independent
    ones, and P(K >= k) is no more. With n units and d different rows of a formula that repeats,
    c is n / d rounded *up*: n / d itself is too small where d does not divide n.

    Parameters
    ----------
    k : int
        Units in their place.
    rate : float
        Sum of c over the runs.

    Examples
    --------
    >>> round(hits_log10_sf(8, 1.0), 3)  # 1/8!
    -4.606
    >>> round(hits_log10_sf(8, 3.0), 3)  # 3^8/8!
    -0.789
    """
    if k <= rate:
        return 0.0
    return min(0.0, (k * math.log(rate) - math.lgamma(k + 1)) / LOG10) if rate > 0 else 0.0


@dataclass(slots=True)
class Readings:
    """Hits of every rule and smoothness of every reading, of one view or summed over views."""

    counts: dict[str, Ints] = field(default_factory=dict)  # reading: (N_LOOKS, m)
    rates: dict[str, Doubles] = field(default_factory=dict)  # reading: (N_LOOKS,)
    smooth: dict[str, Doubles] = field(default_factory=dict)  # reading: (N_SMOOTH,) sums of z
    peaks: list[Ints] = field(default_factory=list)  # entry at which each row of each view peaks
    n_views: int = 0

    def is_copy(self, other: Readings) -> bool:
        """Whether most rows of another view peak where those of a view added before do."""
        return any(
            len(x) == len(y) and float((x == y).mean()) > COPY_SHARE
            for x in self.peaks
            for y in other.peaks
        )

    def add(self, other: Readings) -> None:
        """Add a view of the same role and width: hits of one rule add up, so do rates and z."""
        self.n_views += other.n_views
        self.peaks += other.peaks
        for name in other.counts:
            if name not in self.counts:
                self.counts[name] = other.counts[name].copy()
                self.rates[name] = other.rates[name].copy()
                self.smooth[name] = other.smooth[name].copy()
            else:
                self.counts[name] += other.counts[name]
                self.rates[name] += other.rates[name]
                self.smooth[name] += other.smooth[name]

    def best(self) -> tuple[float, str]:
        """Smallest log10 p, paid for offsets, rules and readings, and the reading behind it."""
        found = [(0.0, "")]
        n_looks = max(1, len(self.counts)) * (N_LOOKS + N_SMOOTH)
        for name, counts in self.counts.items():
            most, rates = counts.max(axis=1), self.rates[name]
            with np.errstate(divide="ignore"):
                log_p = most * np.log(np.maximum(rates, 1e-9)) - gammaln(most + 1)
            log_p = np.where((most > rates) & (rates > 0), log_p, 0.0) + math.log(counts.shape[1])
            found.append((float(log_p.min()), name))
            z = self.smooth[name] / math.sqrt(max(1, self.n_views))
            z[0] = abs(z[0])  # rising or falling; at a lag only likeness is a rule
            found.append((float((log_ndtr(-z) + math.log(2.0)).min()), name))
        log_p, name = min(found)
        return min(0.0, (log_p + math.log(n_looks)) / LOG10), name


def read_rows(rows: Floats, taps: tuple[int, ...] = (), run: int = 0) -> Readings:
    """Every reading of the rows of one view against every rule of the index.

    Rules: the reading moves by a fixed stride from unit to unit (from any offset, modulo its
    range); it differs by one fixed step between units at a fixed lag (strides of any size, offsets
    that start anew, bit-reversed and Gray orders); it rises or falls with the index, or units at a
    fixed lag read alike (logarithmic spacing, grids, blocks, rows repeated).

    Parameters
    ----------
    rows : ndarray
        Shape ``(n_units, n_features)``, finite.
    taps : tuple of int
        Shape of a convolution kernel, the last dimensions of the features.
    run : int
        Units that are exchangeable among themselves (the dimensions of a head); 0: all.
    """
    size = run or len(rows)
    n = len(rows) // size * size if size else 0
    if size < MIN_UNITS or n == 0:
        return Readings()
    x = np.asarray(rows[:n], dtype=np.float32)
    peak = np.abs(x).max()
    if not 0 < peak < np.inf:
        return Readings()
    found = Readings(n_views=1)
    is_live = np.abs(x).max(axis=1) > 0
    for name, values, n_values in _readings(x / peak, taps):
        if n_values < 2:
            continue
        reading = np.where(is_live, values, -1).reshape(-1, size)
        found.peaks = found.peaks or [reading.ravel()]
        counts, rates = _hits(reading, n_values)
        found.counts[name], found.rates[name] = counts, rates
        found.smooth[name] = _smoothness(reading)
    return found


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
    if d >= MIN_UNITS:
        padded = np.zeros((n, 1 << (d - 1).bit_length()), dtype=np.float32)
        padded[:, :d] = quiet
        yield "Hadamard rows", np.abs(_walsh(padded)).argmax(axis=1), padded.shape[1]
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


def _walsh(x: Floats) -> Floats:
    """Walsh-Hadamard transform of rows whose length is a power of two."""
    n, d = x.shape
    half = 1
    while half < d:
        pairs = x.reshape(n, -1, 2, half)
        x = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
        half *= 2
    return x.reshape(n, d)


def _haar(x: Floats) -> Floats:
    """Haar transform of rows whose length is a power of two, coarse to fine."""
    found = []
    while x.shape[1] > 1:
        even, odd = x[:, ::2], x[:, 1::2]
        found.append((even - odd) * np.float32(math.sqrt(0.5)))
        x = (even + odd) * np.float32(math.sqrt(0.5))
    return np.concatenate([x, *found[::-1]], axis=1)


def _hits(reading: Ints, m: int) -> tuple[Ints, Doubles]:
    """Counts of every offset (or step) of every rule, ``(N_LOOKS, m)``, and the rate of each.

    ``reading`` is ``(n_runs, size)`` with -1 where a unit has none.
    """
    n_runs, size = reading.shape
    counts = np.zeros((N_LOOKS, m), dtype=np.int64)
    rates = np.zeros(N_LOOKS)
    is_read = reading >= 0
    own = np.zeros((n_runs, m), dtype=np.int64)
    np.add.at(own, (np.nonzero(is_read)[0], reading[is_read]), 1)
    position = np.arange(n_runs * size).reshape(n_runs, size)
    for look, stride in enumerate(STRIDES):
        offset = (reading - stride * position) % m
        counts[look] = np.bincount(offset[is_read], minlength=m)
        places = -(-size // (m // math.gcd(stride, m)))  # of one value in a run
        rates[look] = np.minimum(own.max(axis=1), places).sum()
    most = 4 * -(-size // m)  # units that share a reading more often carry no rule
    is_kept = is_read & (np.take_along_axis(own, np.maximum(reading, 0), axis=1) <= most)
    rate = float(np.where(own <= most, own, 0).max(axis=1).sum())
    for look, lag in enumerate(LAGS, len(STRIDES)):
        if lag < size:
            both = is_kept[:, lag:] & is_kept[:, :-lag]
            step = (reading[:, lag:] - reading[:, :-lag]) % m
            counts[look] = np.bincount(step[both], minlength=m)
            rates[look] = rate
    return counts, rates


def _smoothness(reading: Ints) -> Doubles:
    """Rank correlation of a reading with the index, and with itself at every lag, as z."""
    n_runs, size = reading.shape
    found = np.zeros(N_SMOOTH)
    if size < MIN_SMOOTH:
        return found
    ranks = rankdata(reading, axis=1) - (size + 1) / 2
    spread = np.sqrt((ranks**2).mean(axis=1, keepdims=True))
    is_varied = spread[:, 0] > 0
    n = int(is_varied.sum())
    if n == 0:
        return found
    q = ranks[is_varied] / spread[is_varied]
    index = np.arange(size) - (size - 1) / 2
    found[0] = (q @ (index / index.std())).sum() / math.sqrt(n * size)
    for i, lag in enumerate(LAGS, 1):
        if size - lag >= MIN_SMOOTH:
            total = float((q[:, lag:] * q[:, :-lag]).sum()) + n * (size - lag) / (size - 1)
            found[i] = total / math.sqrt(n * (size - lag))
    return found
