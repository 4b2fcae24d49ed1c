"""Claim: estimates from a sketch are right on average, and their standard errors are honest."""

import numpy as np
import pytest

from tests import models
from weightkin import sketch as room
from weightkin.formats import model_from_arrays
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.overlap import common, overlap_tail

SMALL = Scheme(n_rows=8, n_scattered=12, n_columns=10, n_tail=4, n_tail_columns=4)


def _tensor(array, scheme=SMALL):
    return take_sketch(model_from_arrays({"x": array}), scheme).tensors["x"]


def _pair(rng, shape=(200, 40)):
    a = rng.standard_normal(shape).astype(np.float32)
    return a, (a + 0.3 * rng.standard_normal(shape)).astype(np.float32)


def _whole(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return {
        "squared_distance": ((a - b) ** 2).sum(),
        "inner_product": (a * b).sum(),
    }


def test_the_whole_scheme_is_exact(rng):
    a, b = _pair(rng)
    x, y = _tensor(a, Scheme.whole()), _tensor(b, Scheme.whole())
    for name, expected in _whole(a, b).items():
        found = getattr(room, name)(x, y)
        assert found.value == pytest.approx(expected, rel=1e-9)
        assert found.standard_error == 0
    assert room.squared_norm(x).value == pytest.approx(float((a.astype(float) ** 2).sum()))


@pytest.mark.parametrize("name", ["squared_distance", "inner_product"])
def test_estimates_are_unbiased_over_random_rows(rng, name):
    """The rows beyond the run and the columns are shuffled, the run stays: it may be special."""
    a, b = _pair(rng)
    a[:8] *= 3
    b[:8] *= 3
    expected, found, errors = _whole(a, b)[name], [], []
    for _ in range(300):
        rows = np.concatenate([np.arange(8), 8 + rng.permutation(192)])
        columns = rng.permutation(40)
        estimate = getattr(room, name)(_tensor(a[rows][:, columns]), _tensor(b[rows][:, columns]))
        found.append(estimate.value)
        errors.append(estimate.standard_error)
    spread = np.std(found)
    assert abs(np.mean(found) - expected) < 4 * spread / np.sqrt(300)
    assert 0.7 < np.median(errors) / spread < 1.4


def test_pooling_the_run_is_biased_where_the_run_is_special(rng):
    a = rng.standard_normal((200, 40)).astype(np.float32)
    a[:8] *= 10
    whole = float((a.astype(np.float64) ** 2).sum())
    apart, pooled = room.squared_norm(_tensor(a)), room.squared_norm(_tensor(a), run_is_sample=True)
    assert abs(apart.value - whole) < 0.35 * whole < pooled.value - whole


def test_pooling_the_run_has_the_smaller_error_where_rows_are_alike(rng):
    x = _tensor(rng.standard_normal((200, 40)).astype(np.float32))
    pooled = room.squared_norm(x, run_is_sample=True)
    assert pooled.standard_error < room.squared_norm(x).standard_error


def test_samples_of_different_shapes_meet_on_their_common_part(rng):
    a, _ = _pair(rng, (300, 40))
    b = np.concatenate([a[:200], rng.standard_normal((20, 40)).astype(np.float32)])[:, :30]
    x, y = _tensor(a), _tensor(b)
    u, v = room.overlap(x, y)
    both = common(x, y)
    assert both.shape == (220, 30)
    kept = np.intersect1d(x.rows, y.rows)
    assert len(kept) >= 8 + 6
    np.testing.assert_array_equal(u, a[kept, :10])
    np.testing.assert_array_equal(v, b[kept, :10])


def test_tails_meet_where_both_tables_have_them(rng):
    base = models.base(rng)
    x = take_sketch(model_from_arrays(base), SMALL).tensors["model.embed_tokens.weight"]
    table = base["model.embed_tokens.weight"]
    assert x.role == "embed"
    assert x.tail_rows.tolist() == list(range(len(table) - 4, len(table)))
    u, v = overlap_tail(x, x)
    np.testing.assert_array_equal(u, table[-4:, :4])
    np.testing.assert_array_equal(u, v)


def test_nothing_in_common_is_no_estimate(rng):
    x = _tensor(np.zeros((0, 4), np.float32))
    assert room.squared_norm(x).value == 0
    assert len(room.overlap(x, _tensor(rng.standard_normal((9, 4)).astype(np.float32)))[0]) == 0
