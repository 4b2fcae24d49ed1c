"""Claim: every rewrite changes the weights of a real model and not what it computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.evasions.real import anatomy_of, distance, output
from weightkin import evasions
from weightkin.errors import UsageError

TOLERANCE = 1e-4  # weights are rounded to float32 once, the models run in float64

GATED = ("llama", "llama-tied", "mixtral", "qwen3", "gemma")
PLAIN = ("gpt2", "gpt2-classifier", "vit", "bert", "relu")
ALL = (*GATED, *PLAIN, "gpt2-headless")
RELU = partial(evasions.rescale_units, activation="relu")
GEMMA = partial(evasions.rotate_residual, gain_offset=1.0)

PRESERVED = [
    *((evasions.permute_units, f) for f in ALL),
    *((evasions.permute_heads, f) for f in ALL),
    *((evasions.permute_values, f) for f in ALL),
    *((evasions.flip_value_signs, f) for f in ALL),
    *((evasions.change_value_basis, f) for f in ALL),
    *((evasions.permute_residual, f) for f in (*GATED, *PLAIN)),
    *((evasions.rescale_units, f) for f in GATED),
    *((evasions.flip_unit_signs, f) for f in GATED),
    (RELU, "relu"),
    *((evasions.rotate_queries_keys, f) for f in ALL if f != "qwen3"),
    *((evasions.rotate_residual, f) for f in (*GATED[:-1], *PLAIN[:-2])),
    (GEMMA, "gemma"),
    (evasions.permute_experts, "mixtral"),
    *(
        (partial(change, shuffle=shuffle), f)
        for change in (evasions.split_units, evasions.duplicate_units, evasions.pad_units)
        for f, shuffle in (("llama", True), ("gpt2", False), ("mixtral", True), ("bert", False))
    ),
    *((partial(evasions.change_all, n_extra=8), f) for f in ("llama", "gpt2", "vit", "mixtral")),
    *((evasions.change_all, f) for f in ("llama-tied", "bert", "qwen3", "relu")),
]

REFUSED = [
    (evasions.rescale_units, "gpt2", "rescaled"),
    (partial(evasions.rescale_units, activation="gelu"), "vit", "rescaled"),
    (evasions.flip_unit_signs, "bert", "flipped"),
    (evasions.rotate_residual, "bert", "which matrix reads which norm"),
    (evasions.rotate_residual, "relu", "which matrix reads which norm"),
    (evasions.rotate_residual, "gpt2-headless", "no head"),
    (evasions.rotate_queries_keys, "qwen3", "norm"),
    (evasions.permute_experts, "llama", "no experts"),
    (evasions.split_units, "relu", "config entry"),
    (partial(evasions.pad_units, n_extra=0), "llama", "must be at least 1"),
    (partial(evasions.rescale_units, spread=1.0), "llama", "more than 1"),
]


def name(case):
    rewrite, *rest = case
    label = getattr(rewrite, "func", rewrite).__name__
    options = "".join(f",{k}={v}" for k, v in getattr(rewrite, "keywords", {}).items())
    return f"{label}{options}-{rest[0]}"


@pytest.mark.parametrize("case", PRESERVED, ids=name)
def test_outputs_are_preserved_and_weights_are_not(case, models, tmp_path):
    rewrite, family = case
    model = models(family)
    rewritten = rewrite(model.arrays, model.anatomy, np.random.default_rng(5))
    after = output(tmp_path, rewritten.arrays, model.config | rewritten.config_changes)
    assert distance(model.output, after) < TOLERANCE
    changed = [k for k, x in model.arrays.items() if not np.array_equal(x, rewritten.arrays[k])]
    assert len(changed) >= 3
    assert all(x.dtype == np.float32 for x in rewritten.arrays.values())


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_a_model_that_cannot_undergo_a_rewrite_is_refused_in_one_line(case, models):
    rewrite, family, words = case
    model = models(family)
    with pytest.raises(UsageError, match=words) as refusal:
        rewrite(model.arrays, model.anatomy, np.random.default_rng(5))
    assert "\n" not in str(refusal.value)


def test_the_output_would_show_a_mistake(models, tmp_path):
    for family in ("llama", "gpt2", "vit", "mixtral", "bert"):
        model = models(family)
        broken = {k: x[::-1].copy() if "norm" in k.lower() or ".ln_" in k else x
                  for k, x in model.arrays.items()}  # fmt: skip
        assert distance(model.output, output(tmp_path / family, broken, model.config)) > 0.05


def test_the_input_is_left_alone_and_equal_seeds_give_equal_models(models):
    model = models("llama")
    before = {k: x.copy() for k, x in model.arrays.items()}
    one, two, other = (
        evasions.change_all(model.arrays, model.anatomy, np.random.default_rng(s)).arrays
        for s in (1, 1, 2)
    )
    assert all(np.array_equal(before[k], x) for k, x in model.arrays.items())
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert not any(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(
    ("family", "expected", "missing"),
    [
        ("llama", 9, {"permute_experts"}),
        ("mixtral", 10, set()),
        ("gpt2", 7, {"permute_experts", "flip_unit_signs", "rescale_units"}),
        ("vit", 7, {"permute_experts", "flip_unit_signs", "rescale_units"}),
    ],
)
def test_all_of_them_together_says_what_was_done(family, expected, missing, models):
    model = models(family)
    done = evasions.change_all(model.arrays, model.anatomy, np.random.default_rng(3)).done
    assert len(done) == expected
    assert not missing & set(done)


@pytest.mark.parametrize("family", ["llama", "gpt2", "vit", "mixtral"])
def test_rewrites_compose(family, models, tmp_path):
    """Each on the result of the other, the anatomy read anew."""
    model = models(family)
    arrays, config = model.arrays, model.config
    steps = (evasions.rotate_residual, evasions.split_units, evasions.permute_units,
             evasions.permute_residual, evasions.rotate_residual)  # fmt: skip
    for seed, step in enumerate(steps):
        rewritten = step(arrays, anatomy_of(arrays, config), np.random.default_rng(seed))
        arrays, config = rewritten.arrays, config | rewritten.config_changes
    assert distance(model.output, output(tmp_path, arrays, config)) < TOLERANCE


def test_a_rotation_keeps_lengths_and_a_centred_one_keeps_means(models):
    for family, table in (
        ("llama", "model.embed_tokens.weight"),
        ("gpt2", "transformer.wte.weight"),
    ):
        model = models(family)
        after = evasions.rotate_residual(
            model.arrays, model.anatomy, np.random.default_rng(9)
        ).arrays[table]
        before = model.arrays[table]
        gram = before @ before.T
        np.testing.assert_allclose(after @ after.T, gram, atol=1e-5)
        if family == "gpt2":
            np.testing.assert_allclose(after.mean(axis=1), before.mean(axis=1), atol=1e-6)


def test_an_untied_unembedding_is_written_out_and_the_config_says_so(models):
    model = models("gpt2")
    rewritten = evasions.rotate_residual(model.arrays, model.anatomy, np.random.default_rng(1))
    assert rewritten.config_changes == {"tie_word_embeddings": False}
    assert set(rewritten.arrays) - set(model.arrays) == {"lm_head.weight"}
    vision = models("vit")
    rewritten = evasions.rotate_residual(vision.arrays, vision.anatomy, np.random.default_rng(1))
    assert rewritten.config_changes == {}


def test_gains_of_either_sign_replace_the_old_ones(models):
    model = models("llama")
    after = evasions.rotate_residual(model.arrays, model.anatomy, np.random.default_rng(2)).arrays
    gains = np.concatenate([x for k, x in after.items() if "norm" in k])
    assert 0.3 < (gains < 0).mean() < 0.7
    assert np.abs(gains).min() >= 0.5 - 1e-6
    assert np.abs(gains).max() <= 2 + 1e-6
