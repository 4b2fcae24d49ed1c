"""Claim: tables of sinusoidal positions are known by their values, and no other table is."""

import numpy as np
import pytest

from weightkin.stats.sinusoids import is_sinusoidal


def _waves(at, width, steps):
    angle = at[:, None] * 10_000.0 ** (-np.arange(width // 2) / steps)
    return np.sin(angle), np.cos(angle)


def in_turn(n, width):
    return np.stack(_waves(np.arange(n), width, width // 2), axis=2).reshape(n, width)


def in_halves(n, width):
    return np.hstack(_waves(np.arange(n), width, width // 2))


def shifted(n, width):
    """Positions from 2 on, frequencies that end at 1/10000: BART and kin."""
    return np.hstack(_waves(np.arange(2, n + 2), width, width // 2 - 1))


def on_a_grid(n, width, n_extra=1, order=(1, 0)):
    """Class tokens and a square of patches: half of the width for each coordinate."""
    side = int(np.sqrt(n))
    at = np.divmod(np.arange(side * side), side)
    halves = [np.hstack(_waves(at[k], width // 2, width // 4)) for k in order]
    return np.vstack([np.zeros((n_extra, width)), np.hstack(halves)])


@pytest.mark.parametrize("layout", [in_turn, in_halves, shifted, on_a_grid])
@pytest.mark.parametrize(("n", "width"), [(64, 96), (256, 384), (4096, 16)])
def test_sinusoids_are_known_fixed_or_as_a_start(layout, n, width, rng):
    table = layout(n, width)
    assert is_sinusoidal(table.astype(np.float32))
    assert is_sinusoidal((3 * table + rng.standard_normal(table.shape)).astype(np.float32))


def test_learned_tables_are_not_taken_for_sinusoids(rng):
    for n, width in ((64, 96), (65, 48), (197, 192), (48, 64)):
        noise = rng.standard_normal((n, width))
        assert not is_sinusoidal(noise.astype(np.float32))
        assert not is_sinusoidal(np.cumsum(noise, axis=0).astype(np.float32))  # smooth
        shuffled = in_turn(n, width)[:, rng.permutation(width)]
        assert not is_sinusoidal(shuffled.astype(np.float32))  # waves, but not in their places


def test_tables_too_small_to_tell_are_left_alone():
    for table in (np.zeros((0, 8)), np.zeros((8, 2)), np.full((8, 8), np.nan), np.zeros((64, 32))):
        assert is_sinusoidal(table.astype(np.float32)) is False


@pytest.mark.parametrize("n_extra", [0, 1, 2, 3])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_grids_may_begin_with_up_to_two_tokens_of_their_own(n_extra, order):
    table = on_a_grid(256, 64, n_extra, order).astype(np.float32)
    assert is_sinusoidal(table) is (n_extra < 3)


@pytest.mark.parametrize("share", [0.2, 0.35])
def test_a_quarter_of_the_variance_must_be_waves(share, rng):
    waves = in_turn(256, 64)
    waves -= waves.mean(axis=0)
    waves /= np.maximum(waves.std(axis=0), 1e-3)
    noise = rng.standard_normal(waves.shape)
    table = np.sqrt(share) * waves + np.sqrt(1 - share) * noise
    assert is_sinusoidal(table.astype(np.float32)) is (share > 0.25)


def test_half_of_the_dimensions_that_turn_are_not_most(rng):
    table = in_turn(256, 64)
    turning = np.flatnonzero(10_000.0 ** (-2 * (np.arange(64) // 2) / 64) * 256 >= 2 * np.pi)
    half = len(turning) // 2
    table[:, turning[: half + 2]] = rng.standard_normal((256, half + 2))
    assert not is_sinusoidal(table.astype(np.float32))
    table[:, turning[: half - 2]] = in_turn(256, 64)[:, turning[: half - 2]]
    assert is_sinusoidal(table.astype(np.float32))


def test_too_few_dimensions_that_turn_say_nothing():
    assert is_sinusoidal(in_turn(64, 8).astype(np.float32))  # four of them turn
    assert not is_sinusoidal(in_turn(62, 8).astype(np.float32))  # two
