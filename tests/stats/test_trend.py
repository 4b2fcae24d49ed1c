"""Claim: the guard flags sorted, nested, periodic and structured axes, and seldom honest ones."""

import numpy as np
import pytest
from scipy import stats

from weightkin.stats.trend import Trend, is_structured, judge_trends, lag_z, measure_trend


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


@pytest.mark.parametrize("n", [2, 5, 7, 8, 9, 64])
def test_the_trend_of_norms_is_the_rank_correlation_in_standard_deviations(n, rng):
    x = rng.standard_normal((n, 5)).astype(np.float32)
    r = stats.spearmanr(np.linalg.norm(x, axis=1), np.arange(n)).statistic
    r = min(max(r, -0.999999), 0.999999) if n >= 8 else r
    expected = np.arctanh(r) * ((n - 3) / 1.06) ** 0.5 if n >= 8 else r * (n - 1) ** 0.5
    found = measure_trend(x)
    assert found.norm == pytest.approx(expected, rel=1e-6)
    if n >= 8:
        z = lag_z(x)
        assert found.neighbour == pytest.approx(z[0])
        assert found.lag == pytest.approx(z.max() - (2 * np.log(len(z) + 1)) ** 0.5)
    else:
        assert (found.neighbour, found.lag) == (0.0, 0.0)


def test_rows_that_are_zero_or_not_finite_are_not_looked_at(rng):
    x = rng.standard_normal((20, 5)).astype(np.float32)
    more = np.concatenate([x[:7], np.zeros((3, 5), np.float32), x[7:], [[np.inf, 0, 0, 0, 0]]])
    assert measure_trend(more.astype(np.float32)) == measure_trend(x)
    assert measure_trend(x[:1]) is None


@pytest.mark.parametrize("field", ["norm", "neighbour", "lag"])
def test_trends_are_flagged_from_four_and_a_half_deviations_on(field):
    def judged(values):
        none = dict.fromkeys(("norm", "neighbour", "lag"), 0.0)
        return judge_trends([Trend(**{**none, field: z}) for z in values]) is not None

    assert judged([4.51])
    assert not judged([4.49])
    assert judged([4.51 / 4] * 16)  # summed over blocks
    assert not judged([4.49 / 4] * 16)
    largest = 4.5 + (2 * np.log(17)) ** 0.5  # of 16, one is the largest by chance
    assert judged([largest + 0.01, *[0.0] * 15])
    assert not judged([largest - 0.01, *[0.0] * 15])
    assert judged([-4.51]) is (field == "norm")  # norms fall as well as rise; unlike is no likeness
    assert judge_trends([]) is None


def test_structure_needs_nearly_all_runs_and_few_levels(rng):
    def levels(n, share):
        runs = rng.standard_normal((100, 32))
        few = rng.choice(np.arange(1, n + 1), (100, 32))
        few[:, :n] = np.arange(1, n + 1)  # each level is there
        return np.where(np.arange(100)[:, None] < 100 * share, few, runs).astype(np.float32)

    assert is_structured(levels(20, 1.0))
    assert not is_structured(levels(21, 1.0))
    assert is_structured(levels(20, 0.96))
    assert not is_structured(levels(20, 0.95))
    masked = rng.standard_normal((100, 16, 4)).astype(np.float32)
    masked[..., 1:3] = 0
    masked[:16, 0, 1] = 1.0  # one in a hundred groups of four has one zero only
    assert not is_structured(masked.reshape(100, 64), run=64)
    masked[0, 0, 1] = 0.0
    assert is_structured(masked.reshape(100, 64), run=64)
    assert is_structured(rng.standard_normal((4, 31)).astype(np.float32)) is False
    assert is_structured(np.zeros((4, 64), np.float32)) is False


def test_units_that_all_lie_apart_alike_show_no_likeness():
    found = measure_trend(np.eye(16, dtype=np.float32))
    assert (found.norm, found.neighbour) == (0.0, 0.0)
    assert found.lag <= 0.0


def test_groups_of_four_are_whole():
    """Of 66 columns in runs of 33 the last two are no group of four."""
    rows = np.random.default_rng(0).standard_normal((50, 2 * 66)).astype(np.float32)
    rows[:, :128].reshape(50, 32, 4)[..., :2] = 0
    rows[:, 128:] = np.random.default_rng(1).standard_normal((50, 4))
    rows[:, 128:130] = 0
    assert is_structured(rows, run=66)
