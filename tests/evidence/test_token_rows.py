"""Claim: rows of tokens that nobody uses hide nothing: every row counts alike."""

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG

from tests import models
from weightkin import evasions
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.evidence.blind import run_signs
from weightkin.evidence.calibrated import agreement
from weightkin.evidence.token_tables import Rows, live_rows
from weightkin.evidence.views import frames
from weightkin.formats import model_from_arrays

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def _side(arrays, config=CONFIG):
    model = model_from_arrays(arrays, config=config)
    return Side(model, read_anatomy(model))


def _hidden(arrays, rng):
    for rewrite in (evasions.permute_units, evasions.rotate_residual):
        arrays = rewrite(arrays, read_anatomy(model_from_arrays(arrays, config=CONFIG)), rng).arrays
    return arrays


def _seen(a, b, n_tokens=512):
    return frames((a.model, a.anatomy), (b.model, b.anatomy), 0, n_tokens)


def _rows(x):
    lengths = np.linalg.norm(x, axis=1)
    return Rows(np.asarray(x), None, (lengths,))


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_unused_rows_made_large_or_zero_hide_no_copy(rng, size):
    base = models.base(rng, blocks=2)
    hidden = _hidden(base, rng)
    hidden[EMBED] = hidden[EMBED].copy()
    hidden[EMBED][::8] = size * rng.standard_normal(hidden[EMBED][::8].shape)
    a, b = _side(base), _side(hidden)
    stage, matches = run_signs(a, b, 0, _seen(a, b)[:2])
    of_units = [m for m in matches if m.a.kind == "units"]
    n_coins = sum(len(m.signs) for m in of_units)
    assert sum(m.n_agree for m in of_units) == n_coins >= 60
    assert stage.log_evalue > 20
    assert agreement(a, b).statistic > 0.9


def test_what_norms_subtract_is_taken_off(rng):
    """Added along ones, nothing that a norm with a bias lets through changes."""
    base = models.base(rng, blocks=1)
    base["model.norm.bias"] = np.zeros(len(base["model.norm.weight"]), dtype=np.float32)
    moved = dict(base)
    for name in (EMBED, HEAD):
        moved[name] = base[name] + rng.standard_normal((len(base[name]), 1)).astype(np.float32)
    seen = _seen(_side(base), _side(moved))
    for rows in ("inputs", "outputs"):
        first, second = (getattr(x, rows) for x in seen[:2])
        assert np.allclose(first, second, atol=1e-5)


def test_rows_are_dropped_if_zero_in_one_model_or_tiny_in_both(rng):
    x, y = rng.standard_normal((2, 9, 4))
    x[0], y[1] = 0, 0
    x[2] *= 1e-5  # in one: how long its other rows are is up to whoever made it
    x[3] *= 1e-5
    y[3] *= 1e-5
    x[4] = np.inf
    y[5:] *= 1e6
    assert live_rows(_rows(x), _rows(y)).tolist() == [2, 5, 6, 7, 8]


def test_other_tokens_take_the_place_of_rows_that_are_dropped(rng):
    base = models.base(rng, blocks=1)
    base[EMBED][::4] = 0
    a = _side(base)
    n = len(base[EMBED]) // 2
    seen = _seen(a, a, n)
    assert len(seen[0].inputs) == n
    assert (np.linalg.norm(seen[0].inputs, axis=1) > 0.99).all()
    assert 0 < seen[0].n_left < len(base[EMBED]) - n


def test_tokens_that_are_all_zero_show_no_unit_and_infinite_ones_are_not_shared(rng):
    base = models.base(rng, blocks=1)
    for value, is_seen in ((0, True), (np.inf, False)):
        base[EMBED] = np.full_like(base[EMBED], value)
        a = _side(base)
        seen = _seen(a, a)
        assert not seen[0].inputs.any() if is_seen else seen.code == "no-shared-token"


@pytest.mark.parametrize(("long_in", "n_rows"), [((), 40), ((0,), 40), ((0, 1), 4)])
def test_a_few_long_rows_count_as_few_tokens_if_both_models_have_them(rng, long_in, n_rows):
    """A table of 40 rows of which training used 4; one model alone proves nothing."""
    pair = [models.base(rng, blocks=1) for _ in range(2)]
    for i in long_in:
        pair[i][EMBED][:4] *= 50
    found = agreement(*map(_side, pair))
    assert found.n_rows == pytest.approx(n_rows, abs=1)
