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
