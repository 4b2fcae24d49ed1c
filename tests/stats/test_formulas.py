"""Claim: rows that follow any rule of their index are found; random ones are not."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from benchmarks.lib.formula_starts import cosines, identity, noisy, walsh, waves
from scipy import linalg, stats

from tests import naive
from weightkin.stats.formulas import (
    N_LOOKS,
    N_SMOOTH,
    Readings,
    count_looks,
    hits_log_sf,
    read_rows,
    walsh_transform,
)

N, D = 256, 96
ROW, COLUMN = np.mgrid[:N, :D]
REVERSED = np.array([int(f"{i:08b}"[::-1], 2) for i in range(N)])
GRID = np.mgrid[-5:6, -5:6]


def gabor():
    """64 kernels: eight orientations, four wavelengths, two phases, three equal channels."""
    k = np.arange(64)[:, None, None]
    angle, length = np.pi * (k % 8) / 8, 2.0 + (k // 8) % 4
    along = GRID[1] * np.cos(angle) + GRID[0] * np.sin(angle)
    wave = np.cos(2 * np.pi * along / length + np.pi / 2 * (k // 32))
    return np.repeat((np.exp(-(GRID**2).sum(0) / 12) * wave)[:, None], 3, axis=1).reshape(64, -1)


FORMULAS = {
    "identity": identity(N, D),
    "identity, each row again and again": ROW // 3 == COLUMN,
    "identity in another order": (7 * ROW + 5) % D == COLUMN,
    "identity, bits reversed": REVERSED[:, None] % D == COLUMN,
    "identity from another offset": (ROW + 11) % D == COLUMN,
    "cosine transform": cosines(N, D),
    "sine transform": np.sin(np.pi * (ROW + 1) * (COLUMN + 1) / (N + 1)),
    "cosine transform, tiled": np.tile(cosines(64, D), (4, 1)),
    "Hartley": np.cos(2 * np.pi * ROW * COLUMN / N) + np.sin(2 * np.pi * ROW * COLUMN / N),
    "sine of the product": np.sin(ROW * COLUMN),
    "Hadamard": walsh(N, D),
    "Gray code": (np.arange(N) ^ np.arange(N) >> 1)[:, None] % D == COLUMN,
    "sinusoids, any base": waves(D, N, 37.0).T,
    "Legendre-like": np.cos(COLUMN * np.arccos(np.linspace(-1, 1, N)[:, None])),
    "bumps along a line": np.exp(-((ROW * D / N - COLUMN) ** 2) / 4),
    "blocks": ROW // 32 == COLUMN // 12,
    "cosines in a third of the features": np.where(COLUMN < 32, cosines(N, D), 0.0),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_found_under_noise(name, rng):
    rows = noisy(rng, FORMULAS[name], 0.5)
    assert read_rows(rows).best()[0] < -6


def test_kernels_are_found(rng):
    assert read_rows(noisy(rng, gabor(), 0.5), (11, 11)).best()[0] < -3
    dirac = np.zeros((32, 32, 3, 3))
    dirac[np.arange(32), np.arange(32), 1, 1] = 1
    assert read_rows(noisy(rng, dirac.reshape(32, -1), 0.3), (3, 3)).best()[0] < -6


def test_formulas_inside_heads_are_found(rng):
    assert read_rows(noisy(rng, np.eye(96), 0.5), run=24).best()[0] < -6


def test_several_views_add_up(rng):
    views = [read_rows(noisy(rng, cosines(32, 64), 0.06)) for _ in range(24)]
    pooled = views[0]
    for view in views[1:]:
        pooled.add(view)
    assert np.median([v.best()[0] for v in views]) > -2
    assert pooled.best()[0] < -4


@pytest.mark.parametrize(("n", "d", "run"), [(64, 96, 0), (32, 16, 0), (96, 96, 24), (12, 200, 0)])
def test_random_rows_are_flagged_less_often_than_the_level(n, d, run, rng):
    """Heavy tails and outlier features too: what is exchangeable follows no index."""
    loud = np.exp(1.5 * rng.standard_normal(d))
    found = [
        read_rows((rng.standard_t(2, (n, d)) * loud).astype(np.float32), run=run).best()[0]
        for _ in range(100)
    ]
    assert sum(p <= -1 for p in found) <= 20
    assert sum(p <= -2 for p in found) <= 5


def _exact(n, d, k):
    """Chance of k hits, the worst over all readings: row i wants i mod d, every order counts."""
    worst = 0.0
    for reading in itertools.combinations_with_replacement(range(d), n):
        hits = [
            sum(v == i % d for i, v in enumerate(order))
            for order in itertools.permutations(reading)
        ]
        worst = max(worst, sum(h >= k for h in hits) / len(hits))
    return worst


@pytest.mark.parametrize(("n", "d"), [(4, 4), (4, 2), (5, 2), (5, 3), (6, 3), (6, 4)])
def test_the_bound_on_hits_holds_for_every_reading(n, d):
    rate = math.ceil(n / d)
    for k in range(1, n + 1):
        bound = float(hits_log_sf(np.array(k), np.array(rate)))
        assert math.log(max(_exact(n, d, k), 1e-300)) <= min(0.0, bound) + 1e-9


def test_the_number_of_rows_a_period_is_rounded_up():
    """Five units that all read row 0, which rows 0 and 4 of four want: two hits, always."""
    assert _exact(5, 4, 2) == 1.0
    assert (5 / 4) ** 2 / 2 < 1.0  # what n/d itself would allow
    assert hits_log_sf(np.array(2), np.array(2.0)) == 0.0


def test_nothing_is_said_of_rows_that_are_zero_or_few():
    assert read_rows(np.zeros((16, 8), np.float32)).best()[0] == 0.0
    assert read_rows(np.ones((3, 8), np.float32)).best()[0] == 0.0
    assert read_rows(np.ones((16, 8), np.float32)).best()[0] == 0.0


@pytest.mark.parametrize(("n_runs", "size", "m"), [(1, 40, 7), (3, 12, 64), (5, 33, 12), (2, 4, 3)])
def test_hits_and_rates_are_those_of_the_definition(n_runs, size, m, rng):
    for share in (0.0, 0.3, 1.0):
        reading = rng.integers(0, m, (n_runs, size))
        reading[rng.random(reading.shape) < share] = -1
        other = rng.integers(0, m + 5, reading.shape)  # looked at together
        hits, rates, _ = count_looks(np.stack([reading, other]), np.array([m, m + 5]))
        found = [Counter((hits[0][hits[0] // m == i] % m).tolist()) for i in range(N_LOOKS)]
        lists = [[None if v < 0 else v for v in run] for run in reading.tolist()]
        assert (found, rates[0].tolist()) == naive.hits_of_rules(lists, m)


@pytest.mark.parametrize("d", [4, 16, 32, 256])
def test_walsh_transform_is_that_of_its_matrix(d, rng):
    x = rng.integers(-9, 9, (5, d)).astype(np.float32)
    assert np.array_equal(walsh_transform(x), x @ linalg.hadamard(d))


def test_ranks_inside_runs_are_those_of_each_run(rng):
    """Smoothness of several runs is the sum over runs of their own."""
    x = rng.standard_normal((48, 24)).astype(np.float32)
    several = read_rows(x, run=16).smooth["single entries"]
    alone = [read_rows(x[i : i + 16]).smooth["single entries"] for i in (0, 16, 32)]
    assert several == pytest.approx(np.sum(alone, axis=0) / math.sqrt(3))


def test_smoothness_is_the_rank_correlation_of_each_run(rng):
    reading = rng.integers(0, 9, (2, 3, 20))
    reading[1, 1] = 4  # says nothing
    found = count_looks(reading, np.array([9, 9]))[2]
    for one, z in zip(reading, found, strict=True):
        varied = [stats.zscore(stats.rankdata(run)) for run in one if np.ptp(run)]
        n = len(varied)
        rising = sum(stats.zscore(np.arange(20)) @ q for q in varied) / math.sqrt(n * 20)
        alike = sum(q[2:] @ q[:-2] + 18 / 19 for q in varied) / math.sqrt(n * 18)
        assert (z[0], z[2]) == pytest.approx((rising, alike))
    assert not count_looks(np.full((1, 2, 20), 3), np.array([9]))[2].any()


# --- what is read in a row, by definition


def read(found, name):
    """What each unit reads: its offset by a stride of one is what a reading keeps of it."""
    m = found.sizes[name]
    (hits,) = found.hits[name]
    offsets = hits[hits // m == 0] % m
    return (offsets + np.arange(len(offsets))) % m


def loudest(rows, waves):
    """Index of the wave (a row of the second matrix) that is strongest in each row."""
    return np.abs(rows.astype(np.complex128) @ waves.T).argmax(axis=1)


def dft(d, n_bins):
    return np.exp(-2j * np.pi * np.outer(np.arange(n_bins // 2 + 1), np.arange(d)) / n_bins)


def haar(d):
    """Mean, then differences of halves, quarters and so on, from left to right."""
    rows, width = [np.ones(d)], d
    while width > 1:
        for start in range(0, d, width):
            row = np.zeros(d)
            row[start : start + width // 2] = 1
            row[start + width // 2 : start + width] = -1
            rows.append(row)
        width //= 2
    return np.array([row / np.linalg.norm(row) for row in rows])


@pytest.fixture
def levelled(rng):
    """Rows with a loud feature, and what is left of them once it is brought down."""
    rows = rng.standard_normal((40, 96)).astype(np.float32)
    rows[:, 5] *= 20
    level = np.sqrt((rows.astype(np.float64) ** 2).mean(axis=0))
    return rows, rows / np.maximum(level / np.median(level), 1)


def test_single_entries_are_read_as_they_stand_and_levelled(levelled):
    rows, quiet = levelled
    found = read_rows(rows)
    assert read(found, "single entries").tolist() == np.abs(rows).argmax(axis=1).tolist()
    name = "single entries, features levelled"
    assert read(found, name).tolist() == np.abs(quiet).argmax(axis=1).tolist()
    assert (found.sizes["single entries"], found.sizes[name], found.n_views) == (96, 96, 1)


def test_features_that_are_zero_are_no_level(rng):
    rows = rng.standard_normal((16, 32)).astype(np.float32)
    rows[:, 8:] = 0
    rows[:, 2] *= 30
    level = np.sqrt((rows[:, :8].astype(np.float64) ** 2).mean(axis=0))
    quiet = rows[:, :8] / np.maximum(level / np.median(level), 1)
    found = read(read_rows(rows), "single entries, features levelled")
    assert found.tolist() == np.abs(quiet).argmax(axis=1).tolist()


def test_waves_are_read_as_the_strongest_frequency_of_the_row_and_of_its_quarters(levelled):
    rows, quiet = levelled
    found = read_rows(rows)
    assert read(found, "waves").tolist() == loudest(quiet, dft(96, 128)).tolist()
    assert found.sizes["waves"] == 65
    for i in range(4):
        name = f"waves in quarter {i + 1} of the row"
        expected = loudest(quiet[:, 24 * i : 24 * i + 24], dft(24, 32))
        assert read(found, name).tolist() == expected.tolist()
    assert not any("quarter" in name for name in read_rows(rows[:, :63]).hits)
    assert any("quarter" in name for name in read_rows(rows[:, :64]).hits)


def test_rows_are_read_in_the_walsh_and_haar_bases(levelled):
    rows, quiet = levelled
    found = read_rows(rows)
    padded = np.pad(quiet, ((0, 0), (0, 32)))
    assert read(found, "Hadamard rows").tolist() == loudest(padded, linalg.hadamard(128)).tolist()
    assert read(found, "Haar rows").tolist() == loudest(padded, haar(128)).tolist()
    assert found.sizes["Haar rows"] == found.sizes["Hadamard rows"] == 128


def test_kernels_are_read_by_their_strongest_wave_over_the_taps(rng):
    kernels = rng.standard_normal((20, 3, 5, 3)).astype(np.float32)
    found = read_rows(kernels.reshape(20, -1), (5, 3))
    power = (np.abs(np.fft.fft2(kernels, s=(16, 8))[..., :5]) ** 2).sum(axis=1)
    row, column = np.divmod(power.reshape(20, -1).argmax(axis=1), 5)
    assert read(found, "waves over the taps").tolist() == (5 * row + column).tolist()
    assert read(found, "rows of taps").tolist() == np.minimum(row, 16 - row).tolist()
    assert read(found, "columns of taps").tolist() == column.tolist()
    sizes = [found.sizes[x] for x in ("waves over the taps", "rows of taps", "columns of taps")]
    assert sizes == [80, 9, 5]
    assert "rows of taps" not in read_rows(kernels.reshape(20, -1)).hits


def test_units_without_weights_read_nothing_and_runs_are_whole(rng):
    rows = rng.standard_normal((20, 16)).astype(np.float32)
    rows[3] = 0
    m = 16
    (hits,) = read_rows(rows).hits["single entries"]
    assert (hits // m == 0).sum() == 19
    (hits,) = read_rows(rows, run=8).hits["single entries"]  # the last four are no whole run
    assert (hits // m == 0).sum() == 15
    assert read_rows(rows, run=3).hits == {}
    assert read_rows(np.where(rows == 0, np.inf, rows)).hits == {}


# --- how probable the best rule is


def reading_of(k, m=10, rate=1.0, z=(), look=0, name="x"):
    """A view in which one offset of one look is hit k times."""
    smooth = np.zeros(N_SMOOTH)
    for i, value in dict(z).items():
        smooth[i] = value
    return Readings(
        sizes={name: m},
        hits={name: [np.full(k, look * m + m - 1)]},
        rates={name: np.full(N_LOOKS, rate)},
        smooth={name: smooth},
        n_views=1,
    )


def by_chance(k, rate):
    """Log10 of the bound on k hits."""
    return float(hits_log_sf(np.array(k), np.array(rate))) / math.log(10)


@pytest.mark.parametrize(("k", "m", "rate"), [(8, 10, 1.0), (12, 64, 2.0), (9, 3, 1.5)])
def test_the_best_rule_is_paid_for_offsets_looks_and_readings(k, m, rate):
    paid = math.log10(m) + math.log10(N_LOOKS + N_SMOOTH)
    for look in (0, N_LOOKS - 1):
        p, name = reading_of(k, m, rate, look=look).best()
        assert p == pytest.approx(min(0.0, by_chance(k, rate) + paid))
        assert name == "x"
    two = reading_of(k, m, rate)
    two.add(reading_of(1, m, rate, name="y"))
    assert two.best()[0] == pytest.approx(min(0.0, by_chance(k, rate) + paid + math.log10(2)))


def test_hits_no_more_than_their_rate_say_nothing():
    assert reading_of(3, 1, 3.0).best() == (0.0, "")
    assert reading_of(40, 1, 0.0).best() == (0.0, "")
    assert Readings().best() == (0.0, "")


@pytest.mark.parametrize("look", range(N_SMOOTH))
def test_smoothness_counts_rising_or_falling_and_likeness_only(look):
    expected = (stats.norm.logsf(7.0) + math.log(2 * (N_LOOKS + N_SMOOTH))) / math.log(10)
    assert reading_of(0, z={look: 7.0}).best()[0] == pytest.approx(expected)
    falling = reading_of(0, z={look: -7.0}).best()[0]
    assert falling == (pytest.approx(expected) if look == 0 else 0.0)


def test_views_of_one_role_add_hits_rates_and_deviations():
    one = reading_of(5, 10, 1.0, z={1: 4.0})
    one.add(reading_of(6, 10, 1.5, z={1: 4.0}))
    paid = math.log10(10) + math.log10(N_LOOKS + N_SMOOTH)
    by_hits = by_chance(11, 2.5) + paid
    z = 8.0 / math.sqrt(2)
    by_z = (stats.norm.logsf(z) + math.log(2 * (N_LOOKS + N_SMOOTH))) / math.log(10)
    assert one.best()[0] == pytest.approx(min(by_hits, by_z, 0.0))
    assert one.n_views == 2


def test_a_copy_is_a_view_with_more_than_half_of_its_peaks(rng):
    peaks = np.arange(10)
    for n_equal, is_copy in ((5, False), (6, True)):
        other = np.where(np.arange(10) < n_equal, peaks, peaks + 1)
        assert Readings(peaks=[peaks]).is_copy(Readings(peaks=[other])) is is_copy
    assert not Readings(peaks=[peaks]).is_copy(Readings(peaks=[peaks[:9]]))


STRIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 25, 49, -1, -2, -3, -4, -8)
LAGS = (1, 2, 3, 4, 8, 16, 32)


def test_units_that_read_at_each_stride_hit_one_rule_each():
    m = 997
    for look, stride in enumerate(STRIDES):
        reading = (5 + stride * np.arange(96)) % m
        hits = count_looks(reading[None, None], np.array([m]))[0][0]
        assert np.count_nonzero(hits == look * m + 5) == 96
    steps = np.random.default_rng(0).integers(0, m, 96)
    for look, lag in enumerate(LAGS, len(STRIDES)):
        reading = steps.copy()
        for i in range(lag, 96):
            reading[i] = (reading[i - lag] + 7) % m
        hits = count_looks(reading[None, None], np.array([m]))[0][0]
        assert np.count_nonzero(hits == look * m + 7) == 96 - lag
    assert len(STRIDES) + len(LAGS) == N_LOOKS


def test_taps_are_read_where_they_divide_the_features(rng):
    rows = rng.standard_normal((16, 28)).astype(np.float32)
    assert "rows of taps" in read_rows(rows[:, :27], (3, 3)).hits
    assert "rows of taps" not in read_rows(rows, (3, 3)).hits
    assert "rows of taps" not in read_rows(rows, (2, 7)).hits
    assert "rows of taps" not in read_rows(rows[:, :27], (3, 3, 3)).hits
