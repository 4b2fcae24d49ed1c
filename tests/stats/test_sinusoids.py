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


def on_a_grid(n, width):
    """A class token and a square of patches: half of the width for each coordinate."""
    side = int(np.sqrt(n))
    row, column = np.divmod(np.arange(side * side), side)
    halves = [np.hstack(_waves(at, width // 2, width // 4)) for at in (column, row)]
    return np.vstack([np.zeros(width), np.hstack(halves)])


@pytest.mark.parametrize("layout", [in_turn, in_halves, shifted, on_a_grid])
@pytest.mark.parametrize(("n", "width"), [(64, 96), (256, 384)])
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
        assert not is_sinusoidal(table.astype(np.float32))
