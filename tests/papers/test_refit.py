"""Claim: any MLP can be refitted as a gated one, and the fits of kin agree more than strangers'."""

from pathlib import Path

import numpy as np
import pytest

from weightkin.errors import UsageError
from weightkin.papers.inputs import CannotRun
from weightkin.papers.random_inputs import gaussian_vectors
from weightkin.papers.refit import Fit, fit_glu, generalised_match
from weightkin.stats.matching import match_rows

MODELS = Path(__file__).parents[2] / "zoo" / "models"

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def glu(width, n_units, seed):
    """A random gated MLP, and its gate rows."""
    draws = torch.Generator().manual_seed(seed)
    gate, up, down = (torch.randn(s, generator=draws) for s in
                      ((n_units, width), (n_units, width), (width, n_units)))  # fmt: skip

    def function(x):
        return (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T + 3.0

    return function, gate.numpy()


def test_the_error_falls_with_the_steps():
    function, _ = glu(8, 16, seed=1)
    fits = [fit_glu(function, 8, 32, seed=3, fit=Fit(n, 128)) for n in (1, 60, 600)]
    assert fits[0].first_error == fits[1].first_error == pytest.approx(1, abs=0.1)
    assert fits[0].error > fits[1].error > fits[2].error
    assert fits[2].error < 0.1


def test_a_fit_is_the_function_it_was_fitted_to():
    function, gate = glu(8, 12, seed=2)
    fit = fit_glu(function, 8, 24, seed=0, fit=Fit(2000, 128))
    x = gaussian_vectors(8, 2000, seed=4).values
    z = x @ fit.gate.T + fit.gate_bias
    y = (z / (1 + np.exp(-z)) * (x @ fit.up.T + fit.up_bias)) @ fit.down.T + fit.down_bias
    wanted = function(torch.from_numpy(x)).numpy()
    assert ((y - wanted) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum() == pytest.approx(
        fit.error, rel=0.2
    )
    nearest = match_rows(gate, fit.gate, np.random.default_rng(0)).cosine.max(axis=1)
    assert np.median(nearest) > 0.95  # the units of the function are found again


def test_the_seed_decides_the_fit():
    function, _ = glu(8, 8, seed=1)
    same = [fit_glu(function, 8, 8, seed=[0, 1], fit=Fit(5)) for _ in "ab"]
    other = fit_glu(function, 8, 8, seed=[0, 2], fit=Fit(5))
    np.testing.assert_array_equal(same[0].gate, same[1].gate)
    assert not np.allclose(same[0].gate, other.gate)


def test_signs_that_a_fit_is_free_to_choose_do_not_show():
    from dataclasses import replace

    function, _ = glu(8, 8, seed=1)
    fit = fit_glu(function, 8, 8, seed=0, fit=Fit(50))
    flipped = replace(fit, up=-fit.up, up_bias=-fit.up_bias, down=-fit.down)
    x = gaussian_vectors(8, 50, seed=0)
    for key in ("gate", "up", "hidden"):
        first, second = (getattr(f.activations(x).blocks[0], key) for f in (fit, flipped))
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("a", "child", "stranger", "n_steps", "gap"),
    [("gpt-a", "gpt-a-ft1", "gpt-b", 600, 0.03), ("llama-a", "llama-a-ft1", "llama-b", 500, 0.1)],
)
@pytest.mark.claim
def test_fits_of_kin_agree_and_those_of_strangers_do_not(a, child, stranger, n_steps, gap):
    shares = []
    for other in (child, stranger):
        tests = generalised_match(MODELS / a, MODELS / other, fit=Fit(n_steps))
        names = [t.name.removeprefix("generalised_phi_MATCH") for t in tests]
        assert names == ["", "_agreement", "_nearest"]
        assert tests[1].null == "calibrated"
        assert tests[1].log10_pvalue == 0.0
        assert "refit with" in tests[1].view
        shares.append(tests[1].statistic)
    assert shares[0] > shares[1] + gap
    assert shares[1] < 0.02


def test_a_common_start_would_make_strangers_match():
    """The reason why the two fits never share a seed."""
    first, second = glu(16, 16, seed=1)[0], glu(16, 16, seed=2)[0]
    x = gaussian_vectors(16, 500, seed=0)
    shares = []
    for seed in (0, 1):
        fits = [fit_glu(f, 16, 64, seed=s, fit=Fit(30))
                for f, s in ((first, 0), (second, seed))]  # fmt: skip
        gates = [f.activations(x).blocks[0].gate for f in fits]
        nearest = match_rows(gates[0], gates[1], np.random.default_rng(0)).forward
        shares.append(np.mean(nearest == np.arange(64)))
    assert shares[0] > 0.5
    assert shares[1] < 0.2


def test_what_cannot_be_refitted_is_refused():
    with pytest.raises(CannotRun, match="vary by 0"):
        fit_glu(torch.zeros_like, 4, 4, seed=0, fit=Fit(1))
    with pytest.raises(CannotRun, match="vary by nan"):
        fit_glu(lambda x: x * float("nan"), 4, 4, seed=0, fit=Fit(1))
    with pytest.raises(UsageError, match="units, steps and batch of a fit"):
        fit_glu(torch.zeros_like, 4, 0, seed=0)
    with pytest.raises(CannotRun, match="widths differ"):
        generalised_match(MODELS / "gpt-a", MODELS / "vit-a", fit=Fit(1))
    with pytest.raises(UsageError, match="no MLP number 9 among 4"):
        generalised_match(MODELS / "gpt-a", MODELS / "gpt-b", (0, 9), fit=Fit(1))
    with pytest.raises(UsageError, match="experts"):
        generalised_match(MODELS / "moe-a", MODELS / "moe-b", fit=Fit(1))
