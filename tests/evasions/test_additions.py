"""Claim: what is added to a model, or numbered anew, changes nothing of what it computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.evasions.real import anatomy_of, distance, output
from tests.evasions.test_rewrites import ALL, GATED, TOLERANCE, name
from weightkin import evasions
from weightkin.errors import UsageError

WIDENED = ("llama", "llama-tied", "mixtral", "gpt2", "vit", "bert")
READ = ("llama", "llama-tied", "mixtral", "qwen3", "gpt2", "vit")  # whose norm is whose is known
TEXT = tuple(x for x in ALL if x != "vit")
QUARTERS = partial(evasions.turn_planes, is_quarter=True)
UNUSED = partial(evasions.enlarge_rows, rows=(0, 1, 63))  # inputs of these tests use 2 to 62

PRESERVED = [
    *(
        (partial(evasions.insert_blocks, before=at), f)
        for at in ((0,), (1, 2, 2))
        for f in READ
        if f != "qwen3"  # its config has a list with an entry for each block
    ),
    (partial(evasions.insert_blocks, size=1e-6), "llama"),
    *((evasions.cancel_units, f) for f in WIDENED),
    (partial(evasions.cancel_units, n_pairs=1, shuffle=True), "llama"),
    *((evasions.spread_units, f) for f in ("llama", "llama-tied", "mixtral", "gemma")),
    (partial(evasions.spread_units, n_extra=40, shuffle=True), "llama"),
    *((turn, f) for turn in (evasions.turn_planes, QUARTERS) for f in GATED if f != "qwen3"),
    *((UNUSED, f) for f in READ if f != "vit"),
]
REFUSED = [
    (evasions.insert_blocks, "bert", "which matrix reads which norm"),
    (partial(evasions.insert_blocks, before=(3,)), "llama", "blocks go before 0 to 2"),
    (partial(evasions.insert_blocks, before=()), "llama", "blocks go before 0 to 2"),
    (evasions.spread_units, "gpt2", "no 8 gated units"),
    (partial(evasions.spread_units, n_extra=41), "llama", "no 41 gated units"),
    (evasions.cancel_units, "relu", "config entry"),
    (evasions.turn_planes, "gpt2", "no rotary planes"),
    (evasions.turn_planes, "qwen3", "norm"),
    (evasions.permute_vocabulary, "vit", "no embedding of tokens"),
    (UNUSED, "vit", "no embedding of tokens"),
    (UNUSED, "bert", "which matrix reads which norm"),
    (partial(evasions.enlarge_rows, rows=(64,)), "llama", "rows are from 0 to 63"),
]


@pytest.mark.parametrize("case", PRESERVED, ids=name)
def test_outputs_are_preserved_and_weights_are_not(case, models, tmp_path):
    rewrite, family = case
    model = models(family)
    rewritten = rewrite(model.arrays, model.anatomy, np.random.default_rng(5))
    after = output(tmp_path, rewritten.arrays, model.config | rewritten.config_changes)
    assert distance(model.output, after) < TOLERANCE
    changed = {k for k, x in model.arrays.items() if not np.array_equal(x, rewritten.arrays[k])}
    assert changed or set(rewritten.arrays) - set(model.arrays)
    assert all(x.dtype == np.float32 for x in rewritten.arrays.values())
    anatomy_of(rewritten.arrays, model.config | rewritten.config_changes)


@pytest.mark.parametrize("family", TEXT)
def test_tokens_of_new_numbers_have_the_outputs_of_the_old_ones(family, models, tmp_path):
    model = models(family)
    rewritten = evasions.permute_vocabulary(model.arrays, model.anatomy, np.random.default_rng(5))
    order = rewritten.token_order
    tokens = np.argsort(order)
    config = dict(model.config)
    if (pad := config.get("pad_token_id")) is not None:
        config["pad_token_id"] = int(tokens[pad])
    after = output(tmp_path, rewritten.arrays, config, tokens)
    before = model.output[..., order] if model.output.shape[-1] == len(order) else model.output
    assert distance(before, after) < TOLERANCE
    assert distance(before, output(tmp_path / "old", rewritten.arrays, config)) > 0.05


def test_a_second_table_of_tokens_that_nobody_knows_is_refused(models):
    model = models("llama")
    arrays = {**model.arrays, "extra.weight": np.zeros((64, 3), np.float32)}
    with pytest.raises(UsageError, match=r"extra\.weight: whether it has a row"):
        evasions.permute_vocabulary(arrays, model.anatomy, np.random.default_rng(5))


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_a_model_that_cannot_undergo_a_rewrite_is_refused_in_one_line(case, models):
    rewrite, family, words = case
    model = models(family)
    with pytest.raises(UsageError, match=words) as refusal:
        rewrite(model.arrays, model.anatomy, np.random.default_rng(5))
    assert "\n" not in str(refusal.value)


def test_inserted_blocks_stand_where_they_were_put(models):
    model = models("llama")
    rewritten = evasions.insert_blocks(
        model.arrays, model.anatomy, np.random.default_rng(1), before=(0, 2)
    )
    assert rewritten.config_changes == {"num_hidden_layers": 4}
    for old, new in ((0, 1), (1, 2)):
        for key in ("mlp.up_proj.weight", "input_layernorm.weight"):
            before = model.arrays[f"model.layers.{old}.{key}"]
            assert np.array_equal(before, rewritten.arrays[f"model.layers.{new}.{key}"])
    for new in (0, 3):
        for key in ("self_attn.o_proj", "mlp.down_proj"):
            assert not rewritten.arrays[f"model.layers.{new}.{key}.weight"].any()
            assert not rewritten.arrays[f"model.layers.{new}.{key}.bias"].any()
        assert rewritten.arrays[f"model.layers.{new}.mlp.up_proj.weight"].any()


def test_quarter_turns_make_no_new_value_and_turns_keep_lengths(models):
    model = models("mixtral")
    key = "model.layers.0.self_attn.k_proj.weight"
    before = model.arrays[key]
    quarter = QUARTERS(model.arrays, model.anatomy, np.random.default_rng(2)).arrays[key]
    assert np.array_equal(np.sort(np.abs(quarter), axis=0), np.sort(np.abs(before), axis=0))
    turned = evasions.turn_planes(model.arrays, model.anatomy, np.random.default_rng(2)).arrays[key]
    half = before.reshape(2, 2, -1, before.shape[1])  # heads, halves, planes
    lengths = (half**2).sum(axis=(1, 3))
    after = (turned.reshape(half.shape) ** 2).sum(axis=(1, 3))
    np.testing.assert_allclose(after, lengths, rtol=1e-5)
    assert not np.allclose(turned, before)


def test_no_added_unit_is_silent_but_padded_ones(models):
    model = models("llama")
    for change in (evasions.cancel_units, evasions.spread_units):
        arrays = change(model.arrays, model.anatomy, np.random.default_rng(3)).arrays
        down = np.linalg.norm(arrays["model.layers.1.mlp.down_proj.weight"], axis=0)
        assert down.min() > 0.1 * np.median(down)
