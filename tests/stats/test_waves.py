"""Claim: tables that a formula made of waves are told from trained and random matrices."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.conftest import ROOT
from weightkin.stats.waves import is_of_waves


def positions(n, width):
    angle = np.arange(n)[:, None] * 1e4 ** (-2 * (np.arange(width) // 2) / width)
    return np.where(np.arange(width) % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def grid(side, width):
    frequency = 1e4 ** (-np.arange(width // 4) / (width // 4))
    angles = [x[:, None] * frequency for x in np.divmod(np.arange(side * side), side)]
    return np.hstack([f(x) for x in angles for f in (np.sin, np.cos)]).astype(np.float32)


def fourier(n):
    angle = 2 * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n
    return (np.concatenate([np.cos(angle), np.sin(angle)]) * np.hanning(n)).astype(np.float32)


@pytest.mark.parametrize(
    "table",
    [positions(512, 64), positions(1500, 384), 8 * positions(64, 64), grid(14, 64), fourier(256)],
)
def test_tables_of_waves(table):
    assert is_of_waves(table)


def test_random_walks_noise_and_constants_are_none(rng):
    for table in (
        rng.standard_normal((256, 64)),
        np.cumsum(rng.standard_normal((256, 64)), axis=0),
        np.ones((64, 64)),
        np.zeros((0, 64)),
        np.full((64, 64), np.nan),
        positions(512, 64) + rng.standard_normal((512, 64)),
    ):
        assert not is_of_waves(table.astype(np.float32))


@pytest.mark.parametrize("name", ["llama-a", "gpt-a", "vit-a"])
def test_no_trained_matrix_is_one(name):
    weights = load_file(ROOT / "zoo/models" / name / "model.safetensors")
    assert not [k for k, x in weights.items() if x.ndim == 2 and is_of_waves(x)]
