"""Claim: where no position turns queries and keys, their signs are coins, exact."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from zoo import truth

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.evasions import (
    change_value_basis,
    flip_value_signs,
    permute_heads,
    permute_units,
    rotate_residual,
)
from weightkin.evidence.blind import SignPlan, run_signs
from weightkin.evidence.block_pairs import pair_axes
from weightkin.evidence.key_signs import KeyGuard, key_axes
from weightkin.evidence.views import frames
from weightkin.formats import model_from_arrays, open_model

WIDTH = 8


def _gpt(rng, width=WIDTH):
    """GPT-2-like, two heads, one block."""
    shapes = {"wte": (20, width), "wpe": (10, width), "ln_f": (width,)}
    shapes |= {f"h.0.{name}": (width,) for name in ("ln_1", "ln_2")}
    shapes |= {"h.0.attn.c_attn": (width, 3 * width), "h.0.attn.c_proj": (width, width)}
    shapes |= {"h.0.mlp.c_fc": (width, 16), "h.0.mlp.c_proj": (16, width)}
    return {
        f"transformer.{name}.weight": rng.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def _side(arrays, **more):
    config = {"model_type": "gpt2", "n_head": 2, "n_embd": WIDTH, **more}
    model = model_from_arrays(arrays, config={k: v for k, v in config.items() if v is not None})
    return Side(model, read_anatomy(model))


def _named(name):
    model = open_model(truth.ROOT / truth.load()[name]["path"])
    return Side(model, read_anatomy(model))


def _run(a, b, through=None):
    pairs = pair_axes(key_axes(a), key_axes(b), {})
    return run_signs(a, b, 0, through, SignPlan(KeyGuard(a, b).untied(pairs)[0]))


@pytest.mark.claim
def test_all_sign_patterns_give_the_binomial_law(rng):
    """Six of eight dimensions of queries and keys turned or not, 2^6 ways: partners stay."""
    a, arrays = _side(_gpt(rng)), _gpt(rng)
    name = "transformer.h.0.attn.c_attn.weight"
    partners, agreed = set(), []
    for flips in product((1, -1), repeat=WIDTH - 2):
        flips = (*flips, 1, 1)
        turned = dict(arrays)
        turned[name] = arrays[name] * np.float32([*flips, *flips, *[1] * WIDTH])
        _, (m,) = _run(a, _side(turned))
        partners.add((tuple(m.units_a), tuple(m.units_b)))
        agreed.append(m.n_agree)
    assert len(partners) == 1
    n_free = len([u for u in m.units_b if u < WIDTH - 2])
    kept = min(agreed)
    share = np.bincount(np.array(agreed) - kept, minlength=n_free + 1) / len(agreed)
    np.testing.assert_allclose(share, binom.pmf(np.arange(n_free + 1), n_free, 0.5), atol=1e-12)


def test_keys_must_be_certain(rng):
    arrays = _gpt(rng)
    assert [x.name for x in key_axes(_side(arrays))] == ["qk"]
    assert not key_axes(_side(arrays, model_type=None))
    assert not key_axes(_side(arrays, position_embedding_type="relative_key"))
    assert not key_axes(_side(arrays, rotary=True))
    assert not key_axes(_named("llama-a"))


def test_queries_and_keys_that_began_as_a_formula_have_no_coins(rng):
    arrays = _gpt(rng, width=64)
    name = "transformer.h.0.attn.c_attn.weight"
    plain = _side(arrays, n_embd=64)
    eye = np.tile(np.eye(64, dtype=np.float32), 2)
    arrays = {**arrays, name: np.concatenate([eye, arrays[name][:, 128:]], axis=1)}
    pairs = pair_axes(key_axes(plain), key_axes(plain), {})
    assert KeyGuard(plain, plain).untied(pairs)[0] == pairs
    kept, (skipped,) = KeyGuard(_side(arrays, n_embd=64), plain).untied(pairs)
    assert (kept, skipped.code) == ([], "no-coins")


@pytest.mark.parametrize(("name", "other"), [("gpt-a", "gpt-b"), ("vit-a", "vit-b")])
def test_signs_of_unrelated_trained_models_are_coins(zoo, name, other):
    a, b = _named(name), _named(other)
    shared = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)[:2]
    stage, matches = _run(a, b, shared)
    n, k = sum(len(m.signs) for m in matches), sum(m.n_agree for m in matches)
    assert n > 40
    assert 1e-3 < binom.sf(k - 1, n, 0.5) < 1 - 1e-3
    assert stage.effect.ratio < 1.25
    assert stage.effect.agreement < 0.2


@pytest.mark.claim
@pytest.mark.parametrize("name", ["gpt-a-ft1", "gpt-a-long", "vit-a", "gpt-b"])
def test_copies_hidden_in_all_ways_but_queries_and_keys_are_found(zoo, rng, name):
    side = _named(name)
    arrays = {tensor: side.model.rows(tensor) for tensor in side.model.tensors}
    for rewrite in (flip_value_signs, change_value_basis, permute_units, permute_heads):
        arrays = rewrite(arrays, side.anatomy, rng).arrays
    arrays = rotate_residual(arrays, side.anatomy, rng).arrays
    hidden = model_from_arrays(arrays, config=side.model.config)
    base = f"{name.split('-')[0]}-a"
    record = compare(truth.ROOT / truth.load()[base]["path"], hidden)
    signs = next(axis for axis in record.axes if axis.axis == "key signs")
    if name == "gpt-b":
        assert (record.verdict, signs.passes) == ("no-evidence", False)
        return
    assert (record.verdict, signs.passes) == ("dependent", True)
    assert record.basis in ("exact-unconfirmed", "calibrated")  # signs are turned for nothing
    assert signs.log10_pvalue < -50
