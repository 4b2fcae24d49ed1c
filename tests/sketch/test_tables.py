"""Claim: a table that a formula makes is known by its contents, and trained weights never are."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from tests.conftest import ROOT
from weightkin import compare, open_model
from weightkin.formats.memory import model_from_arrays
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.row_keys import row_keys
from weightkin.sketch.tables import is_table


def positions(n=60, width=32, base=10_000.0, halves=False):
    at = np.arange(n)[:, None] / base ** (np.arange(width // 2) / (width // 2))
    waves = (np.sin(at), np.cos(at))
    x = np.concatenate(waves, axis=1) if halves else np.stack(waves, axis=2).reshape(n, width)
    return x.astype(np.float32)


def grid(side=16, width=32, extra=1):
    line = positions(side, width // 2, halves=True)
    row, column = np.divmod(np.arange(side * side), side)
    x = np.concatenate([line[column], line[row]], axis=1)
    return np.concatenate([np.zeros((extra, width), np.float32), x])[None]


def fourier(n=64, window="hann"):
    t = np.arange(n)
    w = {"hann": 0.5 - 0.5 * np.cos(2 * np.pi * t / n), "kaiser": np.kaiser(n, 8.0)}[window]
    k = np.arange(n // 2 + 1)[:, None]
    both = np.concatenate([np.cos(2 * np.pi * k * t / n), -np.sin(2 * np.pi * k * t / n)])
    return (both * w)[:, None].astype(np.float32)


def mel(n_mels=40, n_bins=201, rate=16_000):
    """Triangles as torchaudio makes them: (n_bins, n_mels)."""
    at = np.linspace(0, rate / 2, n_bins)
    edges = np.linspace(0, 2595 * math.log10(1 + rate / 2 / 700), n_mels + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    slopes = hertz[None] - at[:, None]
    down, up = -slopes[:, :-2] / np.diff(hertz)[:-1], slopes[:, 2:] / np.diff(hertz)[1:]
    return np.maximum(0, np.minimum(down, up)).astype(np.float32)


def cosines(n=40, n_out=13):
    t = np.arange(n)[:, None] + 0.5
    return (np.cos(np.pi / n * t * np.arange(n_out)) * math.sqrt(2 / n)).astype(np.float32)


TABLES = {
    "positions": positions(),
    "positions of another base, in halves": positions(base=500.0, halves=True),
    "positions of a grid": grid(),
    "fourier, hann": fourier(),
    "fourier, kaiser": fourier(window="kaiser"),
    "cosine transform": cosines(),
    "mel": mel(),
    "mel, turned": mel().T.copy(),
    "rotary frequencies": (1 / 10_000 ** (np.arange(0, 64, 2) / 64)).astype(np.float32),
    "slopes": (2.0 ** (-0.5 * np.arange(1, 17))).astype(np.float32),
    "window": np.hanning(400).astype(np.float32),
    "anchors": np.stack(np.divmod(np.arange(400), 20)).astype(np.float32) + 0.5,
}
OTHERS = {
    "causal mask": np.tril(np.ones((128, 128), np.float32)),
    "additive mask": np.triu(np.full((64, 64), -1e9, np.float32), 1),
    "identity": np.eye(64, dtype=np.float32),
    "means of images": np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1),
    "relative positions": (
        (np.arange(49)[:, None] // 7 - np.arange(49) // 7 + 6) * 13
        + (np.arange(49)[:, None] % 7 - np.arange(49) % 7 + 6)
    ).astype(np.int64),
}


def sketched(x):
    return take_sketch(model_from_arrays({"t": x}), Scheme.whole())


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("stored", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_tables_are_known_in_every_format(name, stored):
    if stored is not np.float32 and name in ("anchors", "slopes"):
        pytest.skip("exact in every format")
    sketch = sketched(TABLES[name].astype(stored))
    assert is_table(*sketch.tensors.values())
    assert row_keys(sketch) == ()


@pytest.mark.parametrize("name", [*TABLES, *OTHERS])
def test_models_that_share_tables_alone_share_nothing(name, rng):
    table = (TABLES | OTHERS)[name]
    a, b = (
        {"front.table": table} | {f"blocks.{i}.w": _random(rng) for i in range(2)} for _ in range(2)
    )
    record = compare(a, b)
    assert record.verdict != "dependent"
    small = compare({"front.table": table, "x": _random(rng, 2)}, b)
    assert small.verdict != "dependent"
    assert record.equal.tables == (table.size if name in TABLES else 0)


def _random(rng, n=24):
    return rng.standard_normal((n, n)).astype(np.float32)


@pytest.mark.parametrize("name", ["llama-a", "gpt-a", "vit-a", "moe-a"])
def test_no_trained_matrix_is_a_table(name):
    sketch = take_sketch(open_model(ROOT / "zoo" / "models" / name), Scheme.whole())
    found = [t.name for t in sketch.tensors.values() if is_table(t)]
    assert not found


def test_random_and_smooth_matrices_are_no_tables(rng):
    smooth = np.cumsum(rng.standard_normal((64, 64)), axis=0).astype(np.float32)
    sparse = _random(rng, 64) * (rng.random((64, 64)) < 0.1)
    moved = positions() + 0.01 * rng.standard_normal((60, 32)).astype(np.float32)
    for x in (_random(rng, 64), smooth, sparse, np.abs(sparse), moved):
        assert not is_table(*sketched(x).tensors.values())
