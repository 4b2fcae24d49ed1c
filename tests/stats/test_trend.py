"""Claim: the guard flags sorted, nested, periodic and structured axes, and seldom honest ones."""

import numpy as np
import pytest

from weightkin.stats.trend import is_structured, judge_trends, lag_z, measure_trend


def _judge(blocks):
    return judge_trends([t for t in map(measure_trend, blocks) if t])


def test_honest_blocks_pass(rng):
    flagged = sum(
        _judge([rng.standard_t(3, (64, 16)).astype(np.float32) for _ in range(6)]) is not None
        for _ in range(150)
    )
    assert flagged <= 1


def test_sorted_units_are_flagged(rng):
    x = rng.standard_normal((64, 16)).astype(np.float32)
    x = x[np.argsort(np.linalg.norm(x, axis=1))]
    assert "sorted" in _judge([x])


def test_a_weak_trend_in_every_block_adds_up(rng):
    slope = np.linspace(0.9, 1.1, 64)[:, None]
    blocks = [(rng.standard_normal((64, 16)) * slope).astype(np.float32) for _ in range(32)]
    assert "sorted" in _judge(blocks)


def test_nested_subsets_are_flagged(rng):
    x = rng.standard_normal((64, 16)).astype(np.float32)
    x[:16] *= 2
    x[16:32] *= 1.5
    assert _judge([x] * 3) is not None


@pytest.mark.parametrize("period", [16, 32])
def test_twins_at_a_fixed_distance_are_flagged(rng, period):
    seed = rng.standard_normal((period, 32)).astype(np.float32)
    x = np.concatenate([seed + 0.3 * rng.standard_normal(seed.shape) for _ in range(64 // period)])
    assert "twins" in _judge([x.astype(np.float32)])


def test_smooth_neighbours_are_flagged(rng):
    walk = np.cumsum(rng.standard_normal((64, 16)), axis=0).astype(np.float32)
    assert _judge([walk]) is not None


def test_dead_blocks_say_nothing():
    assert measure_trend(np.zeros((64, 8), dtype=np.float32)) is None


def test_few_units_say_nothing_alone_and_add_up_over_blocks(rng):
    def block():
        x = rng.standard_normal((4, 32)).astype(np.float32)
        return x[np.argsort(np.linalg.norm(x, axis=1))]

    assert _judge([block()]) is None
    assert "sorted" in _judge([block() for _ in range(32)])


def test_group_quantised_and_two_of_four_rows_are_structured(rng):
    rows = rng.standard_normal((4, 256)).astype(np.float32)
    assert not is_structured(rows)
    assert not is_structured(np.zeros_like(rows))
    groups = rows.reshape(4, 8, 32)
    scale = np.abs(groups).max(axis=2, keepdims=True) / 7
    assert is_structured((np.round(groups / scale) * scale).reshape(4, 256))
    masked = rows.reshape(4, 64, 4).copy()
    masked[..., :2] = 0
    assert is_structured(masked.reshape(4, 256))


@pytest.mark.parametrize("n", [8, 9, 40])
def test_likeness_at_every_lag_is_that_of_the_definition(n, rng):
    x = rng.standard_normal((n, 5)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    cosine = {(i, j): float(unit[i] @ unit[j]) for i, j in pairs}
    mean = [np.mean([cosine[i, j] for j in range(n) if j != i]) for i in range(n)]
    centred = {(i, j): c - mean[i] - mean[j] + np.mean(mean) for (i, j), c in cosine.items()}
    spread = np.std(list(centred.values()))
    expected = [
        sum(centred[i, i + lag] for i in range(n - lag)) / (n - lag) ** 0.5 / spread
        for lag in range(1, max(2, n - 7))
    ]
    assert lag_z(x) == pytest.approx(expected, abs=1e-5)
