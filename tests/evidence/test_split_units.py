"""Claim: units split so that a piece looks like another model's are not that model's."""

import numpy as np
import pytest
from benchmarks.lib.framed_splits import split_to_match

from tests.conftest import ROOT
from weightkin import compare, evasions, open_model
from weightkin.anatomy import read_anatomy
from weightkin.evidence import calibrate, coin_matches, standing_out
from weightkin.evidence.standing_out import beside_clones
from weightkin.formats import model_from_arrays

MODELS = ROOT / "zoo" / "models"


def opened(*names):
    return [open_model(MODELS / name) for name in names]


def mlp(model, x, block=0):
    """What the first block's MLP makes of some vectors, but for biases of what it writes."""
    if "llama" in model.name:
        rows = [
            model.rows(f"model.layers.{block}.mlp.{k}_proj.weight") for k in ("gate", "up", "down")
        ]
        gate, up, down = (r.astype("f8") for r in rows)
        z = x @ gate.T
        return (z / (1 + np.exp(-z)) * (x @ up.T)) @ down.T
    at = f"transformer.h.{block}.mlp."
    up, bias, down = (model.rows(at + k) for k in ("c_fc.weight", "c_fc.bias", "c_proj.weight"))
    return np.maximum(x @ up.astype("f8") + bias, 0) @ down.astype("f8")


@pytest.mark.parametrize(
    "pair", [("llama-a", "llama-b"), ("llama-b", "llama-c"), ("gpt-a", "gpt-b")]
)
def test_what_a_split_sets_is_no_evidence(pair):
    a, b = opened(*pair)
    split = split_to_match(a, b)
    x = np.random.default_rng(1).normal(size=(32, 96))
    np.testing.assert_allclose(mlp(split, x), mlp(b, x), atol=1e-5 * np.abs(mlp(b, x)).max())
    record = compare(a, split, seed=0)
    assert record.verdict in ("aligned-only", "no-evidence")


def test_an_effect_of_what_a_split_sets_would_pass(monkeypatch):
    """The signs of up rows through tokens, with the effect of these rows and not of gates."""
    a, b = opened("llama-a", "llama-b")
    split = split_to_match(a, b)
    monkeypatch.setattr(coin_matches, "GATE", "")
    record = compare(a, split, seed=0)
    assert (record.verdict, record.basis) == ("dependent", "exact")


def test_calibrated_evidence_asks_units_that_stand_out_on_what_no_split_changes(monkeypatch):
    a, b = opened("llama-a", "llama-b")
    split = split_to_match(a, b)
    monkeypatch.setattr(calibrate, "LEAST_SHARE", 0.05)  # so far this split comes
    monkeypatch.setattr(calibrate, "exceeds", lambda *_: True)
    record = compare(a, split, seed=0, effort="thorough")
    assert record.calibration.statistic > 0.05
    assert not record.calibration.is_above
    assert "split-units" in {x.code for x in record.skipped}


@pytest.mark.parametrize("name", ["llama-a-long", "llama-a-ft1"])
def test_a_child_whose_units_were_split_is_found_all_the_same(name, rng):
    a, child = opened("llama-a", name)
    arrays = {k: np.array(child.rows(k)) for k in child.tensors}
    made = evasions.split_units(arrays, read_anatomy(child), rng, shuffle=True)
    model = model_from_arrays(made.arrays, name="m", config=child.config)
    assert compare(a, model, seed=0).verdict == "dependent"


def test_the_best_other_is_no_clone(rng):
    """By the definition: of every matched unit, the best other one that is not the same twice."""
    x, y = rng.normal(size=(30, 12)), rng.normal(size=(40, 12))
    x[3], y[5], y[9] = y[7] + 0.1 * rng.normal(size=12), 2 * y[7], y[7]
    units_a, units_b = np.array([3, 4, 20]), np.array([7, 1, 30])
    found, others = beside_clones(x, y, units_a, units_b)

    def cosine(u, v):
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    least = standing_out.MIN_COSINE_GATE
    for k, (i, j) in enumerate(zip(units_a, units_b, strict=True)):
        of_b = [cosine(x[i], v) for v in y if cosine(v, y[j]) < least]
        of_a = [cosine(u, y[j]) for u in x if cosine(u, x[i]) < least]
        assert found[k] == pytest.approx(cosine(x[i], y[j]), abs=1e-5)
        assert others[k] == pytest.approx((max(of_b) + max(of_a)) / 2, abs=1e-5)
    assert others[0] < 0.9  # its clones at 5 and 9 do not count
