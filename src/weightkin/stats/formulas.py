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

from weightkin.stats.matching import Floats, Ints
from weightkin.stats.sums import tied

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

    sizes: dict[str, int] = field(default_factory=dict)  # reading: m, offsets or steps of a rule
    hits: dict[str, list[Ints]] = field(default_factory=dict)  # reading: look * m + offset, by view
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
        for name in other.hits:
            self.sizes[name] = other.sizes[name]
            self.hits[name] = self.hits.get(name, []) + other.hits[name]
            self.rates[name] = self.rates.get(name, 0.0) + other.rates[name]
            self.smooth[name] = self.smooth.get(name, 0.0) + other.smooth[name]

    def best(self) -> tuple[float, str]:
        """Smallest log10 p, paid for offsets, rules and readings, and the reading behind it."""
        found = [(0.0, "")]
        n_looks = max(1, len(self.hits)) * (N_LOOKS + N_SMOOTH)
        for name, hits in self.hits.items():
            cells, counts = np.unique(np.concatenate(hits), return_counts=True)
            most, rates = np.zeros(N_LOOKS), self.rates[name]
            np.maximum.at(most, cells // self.sizes[name], counts)
            with np.errstate(divide="ignore"):
                log_p = most * np.log(np.maximum(rates, 1e-9)) - gammaln(most + 1)
            log_p = np.where((most > rates) & (rates > 0), log_p, 0.0) + math.log(self.sizes[name])
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
        run_of = np.arange(n // size)[:, None]
        ranks, own = tied((reading + (n_values + 1) * run_of).ravel())  # run after run
        own = own.reshape(reading.shape)
        found.sizes[name] = n_values
        hits, found.rates[name] = _hits(reading, n_values, own)
        found.hits[name] = [hits]
        found.smooth[name] = _smoothness(ranks.reshape(reading.shape) - size * run_of)
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


def _hits(reading: Ints, m: int, own: Ints) -> tuple[Ints, Doubles]:
    """Look and offset (or step) of every hit, as ``look * m + offset``, and the rate of each look.

    ``reading`` is ``(n_runs, size)`` with -1 where a unit has none; ``own`` is how many units of
    its run share it.
    """
    n_runs, size = reading.shape
    is_read = reading >= 0
    position = np.arange(n_runs * size).reshape(n_runs, size)
    offset = reading - np.multiply.outer(STRIDES, position)
    places = [-(-size // (m // math.gcd(stride, m))) for stride in STRIDES]  # of a value in a run
    largest = np.where(is_read, own, 0).max(axis=1)
    rates = np.zeros(N_LOOKS)
    rates[: len(STRIDES)] = np.minimum.outer(places, largest).sum(axis=1)
    is_kept = is_read & (own <= 4 * -(-size // m))  # shared more often, a reading carries no rule
    lags = np.array(LAGS)
    later = np.minimum(np.arange(size) + lags[:, None], size - 1)
    step = np.swapaxes(reading[:, later] - reading[:, None], 0, 1)
    both = np.swapaxes(is_kept[:, later] & is_kept[:, None], 0, 1).copy()
    for is_stepped, lag in zip(both, LAGS, strict=True):
        is_stepped[:, -lag:] = False
    rates[len(STRIDES) :][lags < size] = np.where(is_kept, own, 0).max(axis=1).sum()
    is_looked_at = np.concatenate([np.broadcast_to(is_read, offset.shape), both])
    hits = np.concatenate([offset, step]) % m + m * np.arange(N_LOOKS)[:, None, None]
    return hits[is_looked_at], rates


def _smoothness(ranks: Doubles) -> Doubles:
    """Rank correlation of a reading with the index, and with itself at every lag, as z."""
    size = ranks.shape[1]
    found = np.zeros(N_SMOOTH)
    if size < MIN_SMOOTH:
        return found
    ranks = ranks - (size + 1) / 2
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
