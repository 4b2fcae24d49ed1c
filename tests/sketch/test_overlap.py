"""Claim: two samples are lined up on what both have."""

import numpy as np

from tests import models
from weightkin.formats import model_from_arrays
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.overlap import common, overlap, overlap_tail

SMALL = Scheme(n_rows=8, n_scattered=12, n_columns=10, n_tail=4, n_tail_columns=4)


def _tensor(array, scheme=SMALL):
    return take_sketch(model_from_arrays({"x": array}), scheme).tensors[":x"]


def test_samples_of_different_shapes_meet_on_their_common_part(rng):
    a = rng.standard_normal((300, 40)).astype(np.float32)
    b = np.concatenate([a[:200], rng.standard_normal((20, 40)).astype(np.float32)])[:, :30]
    x, y = _tensor(a), _tensor(b)
    u, v = overlap(x, y)
    both = common(x, y)
    assert both.shape == (220, 30)
    kept = np.intersect1d(x.rows, y.rows)
    assert len(kept) >= 8 + 6
    np.testing.assert_array_equal(u, a[kept, :10])
    np.testing.assert_array_equal(v, b[kept, :10])


def test_tails_meet_where_both_tables_have_them(rng):
    base = models.base(rng)
    x = take_sketch(model_from_arrays(base), SMALL).tensors["decoder.embed"]
    table = base["model.embed_tokens.weight"]
    assert x.role == "embed"
    assert x.tail_rows.tolist() == list(range(len(table) - 4, len(table)))
    u, v = overlap_tail(x, x)
    np.testing.assert_array_equal(u, table[-4:, :4])
    np.testing.assert_array_equal(u, v)


def test_nothing_in_common_lines_up_to_nothing(rng):
    x = _tensor(np.zeros((0, 4), np.float32))
    assert len(overlap(x, _tensor(rng.standard_normal((9, 4)).astype(np.float32)))[0]) == 0
