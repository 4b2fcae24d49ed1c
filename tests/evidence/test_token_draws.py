"""Claim: which tokens are looked at is drawn with the sample, and the record says by whom."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG, gaussian

from tests import models
from weightkin import compare, evasions
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import Options
from weightkin.api.verify import refreshed, verify
from weightkin.evidence.calibrated import agreement
from weightkin.evidence.confirm import Draw
from weightkin.evidence.draws import Draws
from weightkin.evidence.plan import Plan
from weightkin.evidence.token_draws import N_TOKENS, shared_tokens, token_runs
from weightkin.formats import model_from_arrays
from weightkin.records import Comparison

N_VOCABULARY = 900
TOKENS = ("model.embed_tokens.weight", "lm_head.weight")
OWN = "own:00112233445566778899aabbccddeeff"


def _draws(k):
    return Draws(k.to_bytes(16, "big"), "one two")


def _model(rng, n_vocabulary):
    arrays = models.base(rng, blocks=2)
    return arrays | {name: gaussian(rng, n_vocabulary, 16) for name in TOKENS}


def _side(arrays):
    model = model_from_arrays(arrays, config=CONFIG)
    return Side(model, read_anatomy(model))


def _hidden(arrays, rng):
    for rewrite in (evasions.permute_units, evasions.rotate_residual):
        arrays = rewrite(arrays, read_anatomy(model_from_arrays(arrays, config=CONFIG)), rng).arrays
    return arrays


def _pair(rng, n_vocabulary=N_VOCABULARY):
    arrays = _model(rng, n_vocabulary)
    both = arrays, _hidden(models.child(arrays, rng), rng)
    return [model_from_arrays(x, config=CONFIG) for x in both]


def _effects(record):
    return [x.effect.observed for x in record.axes if x.effect is not None]


def test_the_tokens_follow_from_the_bytes_and_both_models(rng):
    side = _side(models.base(rng))
    model = side.model

    def tokens(draws):
        seed = Draw(side, side, Plan(64, draws=draws), 0).token_seed
        return tuple(shared_tokens(model, model, 5000, 5000, seed, 64).rows_a[:64])

    others = [_draws(2), replace(_draws(1), names="one three"), None]
    assert tokens(_draws(1)) == tokens(_draws(1))
    assert len({tokens(x) for x in (_draws(1), *others)}) == 4


@pytest.mark.parametrize("n", [129, 143, 1000, 5000])
def test_runs_of_tokens_are_drawn_and_cover_the_vocabulary(n):
    plan = Plan(64)
    counts = np.zeros(n, dtype=int)
    n_draws = 2000
    for k in range(n_draws):
        rows = token_runs(n, replace(plan, draws=_draws(k)))
        assert len(set(rows)) == plan.n_tokens  # runs never overlap
        counts[rows] += 1
    expected = n_draws * plan.n_tokens / n  # but for rounding of the stretches
    deviation = np.sqrt(expected * (1 - plan.n_tokens / n))
    assert np.abs(counts - expected).max() < 5 * deviation + 0.06 * expected
    fixed = token_runs(n, plan)
    assert fixed[0] == 0
    assert fixed[-1] == n - 1


def test_a_table_that_is_read_whole_is_not_drawn():
    plan = Plan(64)
    for draws in (None, _draws(1)):
        assert (token_runs(128, replace(plan, draws=draws)) == np.arange(128)).all()


@pytest.mark.claim
def test_a_record_says_that_tokens_were_drawn_and_comes_out_again(rng):
    a, b = _pair(rng)
    record = compare(a, b)
    assert record.parameters["views"]["n_rows"] == N_TOKENS
    assert record.challenge.drawn == "own"
    assert verify(Comparison.from_json(record.to_json()), a, b) == []
    again = refreshed(record, a, b).record
    assert again.challenge.hex != record.challenge.hex
    assert again.verdict == record.verdict == "dependent"
    other = compare(a, b, options=Options(challenge=OWN))
    assert _effects(other) != _effects(record)


def test_nothing_is_drawn_of_few_tokens(rng):
    a, b = _pair(rng, 400)
    record = compare(a, b)
    assert record.parameters["views"]["n_rows"] == 400
    assert record.challenge is None
    assert _effects(record) == _effects(compare(a, b))


def test_calibrated_evidence_sees_the_tokens_that_were_drawn(rng):
    arrays = _model(rng, N_VOCABULARY)
    pair = [_side(x) for x in (arrays, models.child(arrays, rng, noise=1.5))]
    found = [agreement(*pair, seed=seed) for seed in (1, 1, 2)]
    assert all(x.are_tokens_drawn for x in found)
    units = [[m.units_a.tolist() for m in x.matches] for x in found]
    assert units[0] == units[1] != units[2]


@pytest.mark.claim
def test_a_record_of_unrelated_models_says_that_tokens_were_drawn(rng):
    unrelated = [_side(_model(rng, N_VOCABULARY)).model for _ in range(2)]
    records = [compare(*unrelated, options=Options(challenge=OWN)) for _ in range(2)]
    assert [x.challenge.hex for x in records] == [OWN.removeprefix("own:")] * 2
    assert records[0].calibration == records[1].calibration is not None
