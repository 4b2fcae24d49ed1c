"""Claim: units are seen through the norm they read, however its gains are stored; no table ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.anatomy.tiny import MAKERS, make
from tests.models import CONFIG, base, child
from weightkin import compare, evasions, take_sketch
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.gains import gain_before, last_gain
from weightkin.anatomy.types import Place
from weightkin.catalogue import by_model_type, layouts, norm_names
from weightkin.formats import model_from_arrays
from weightkin.formats.gguf_metadata import config_of
from weightkin.sketch.invariant import invariant_vector

GEMMA = CONFIG | {"model_type": "gemma"}
OF_GEMMA = dict.fromkeys(("paligemma", "colpali", "shieldgemma2"), "gemma")  # their text model
UP = "model.layers.0.mlp.up_proj.weight"


def gemma_like(rng):
    """Random weights whose norms hold the distance of their gains from one."""
    arrays = base(rng)
    return {
        k: rng.uniform(-0.6, 0.6, v.shape).astype(np.float32) if "norm" in k else v
        for k, v in arrays.items()
    }


def rotated(arrays, rng):
    model = model_from_arrays(arrays, config=GEMMA)
    done = evasions.rotate_residual(arrays, read_anatomy(model), rng, gain_offset=1.0)
    return model_from_arrays(done.arrays, config=GEMMA, name="rotated")


def test_a_rotated_copy_of_a_model_that_stores_gains_less_one_is_found(rng):
    arrays = gemma_like(rng)
    record = compare(model_from_arrays(arrays, config=GEMMA, name="a"), rotated(arrays, rng))
    assert (record.verdict, record.basis) == ("dependent", "exact")
    innocent = model_from_arrays(gemma_like(rng), config=GEMMA, name="b")
    assert compare(innocent, rotated(arrays, rng)).verdict == "no-evidence"


def test_conversion_to_gguf_has_added_the_one(rng):
    """The rotated copy is written as GGUF stores it: gains whole, and its own word for them."""
    arrays = gemma_like(rng)
    copy = rotated(arrays, rng)
    whole = {k: copy.rows(k) + (1.0 if "norm" in k else 0.0) for k in copy.tensors}
    converted = model_from_arrays(
        whole, config=CONFIG | config_of({"general.architecture": "gemma"})
    )
    record = compare(model_from_arrays(arrays, config=GEMMA, name="a"), converted)
    assert (record.verdict, record.basis) == ("dependent", "exact")


def test_the_published_code_of_every_type_named_multiplies_by_one_plus_weight():
    import transformers
    from transformers.models.auto.configuration_auto import (
        CONFIG_MAPPING_NAMES,
        model_type_to_module_name,
    )

    models = Path(transformers.__file__).parent / "models"
    known = [t for t, x in by_model_type().items() if x.gain_offset and t in CONFIG_MAPPING_NAMES]
    assert len(known) > 10
    for model_type in known:
        module = OF_GEMMA.get(model_type, model_type_to_module_name(model_type))
        source = (models / module / f"modeling_{module}.py").read_text()
        assert "(1.0 + self.weight" in source or "self.weight + 1.0" in source, model_type


def test_a_tower_beside_the_language_model_has_gains_of_its_own(rng):
    arrays = gemma_like(rng)
    config = {"model_type": "paligemma", "text_config": {"model_type": "gemma"}}
    model = model_from_arrays(arrays, config=config)
    place = Place(UP, 0, 0, 256, "mlp.up")
    stored = arrays["model.layers.0.post_attention_layernorm.weight"]
    np.testing.assert_allclose(gain_before(model, "decoder", place), stored + 1)
    np.testing.assert_allclose(gain_before(model, "vision", place), stored)


def test_both_halves_of_a_block_read_through_its_only_norm(rng):
    arrays = {k: v for k, v in base(rng).items() if "post_attention" not in k}
    gain = rng.uniform(0.5, 2, arrays["model.norm.weight"].shape).astype(np.float32)
    arrays["model.layers.0.input_layernorm.weight"] = gain
    model = model_from_arrays(arrays, config=CONFIG)
    np.testing.assert_array_equal(gain_before(model, "decoder", Place(UP, 0, 0, 9, "mlp.up")), gain)


@pytest.mark.parametrize("longer", ["embed_tokens", "lm_head"])
def test_token_tables_of_different_length_are_seen_through_the_rows_of_both(longer, rng):
    """In both models one table is padded; what is drawn lies in the shorter one."""
    arrays = base(rng)
    name = next(k for k in arrays if longer in k)
    more = rng.standard_normal((2000, arrays[name].shape[1])).astype(np.float32)
    long = arrays | {name: np.concatenate([arrays[name], more])}
    a = model_from_arrays(long, config=CONFIG, name="a")
    copy = model_from_arrays(child(long, rng, 0.05), config=CONFIG, name="b")
    seen = compare(a, copy, effort="thorough")
    assert any(x.axis == "token units" and x.passes for x in seen.axes)


@pytest.mark.claim
@pytest.mark.parametrize("family", [*MAKERS])
def test_every_family_is_compared_with_a_relative_to_the_end(family, tmp_path, rng):
    """Whatever is stacked, fused, tied or transposed: an answer, never an exception."""
    made = make(family, tmp_path)
    noisy = {
        k: (v + 0.05 * v.std() * rng.standard_normal(v.shape)).astype(v.dtype)
        if v.dtype.kind == "f"
        else v
        for k, v in made.arrays.items()
    }
    other = model_from_arrays(noisy, config=made.config, name="noisy")
    record = compare(made.model, other)
    assert record.verdict in ("dependent", "aligned-only", "no-evidence", "not-testable")
    unlike = {k: rng.permutation(v.ravel()).reshape(v.shape) for k, v in noisy.items()}
    record = compare(made.model, model_from_arrays(unlike, config=made.config, name="unlike"))
    assert record.verdict in ("no-evidence", "not-testable")


def test_the_last_norm_may_store_its_gains_otherwise(rng):
    arrays = gemma_like(rng)
    stored = arrays["model.norm.weight"]
    for model_type, expected in (("gemma", stored + 1), ("muse_glimmer", stored)):
        model = model_from_arrays(arrays, config={"model_type": model_type})
        found = last_gain(model, "decoder", iter(["model.norm.weight"]), len(stored))
        np.testing.assert_array_equal(found, expected)
        first = gain_before(model, "decoder", Place(UP, 0, 0, 256, "mlp.up"))
        second = arrays["model.layers.0.post_attention_layernorm.weight"]
        np.testing.assert_array_equal(first, second + 1)


def test_spectra_see_through_gains_that_are_stored_less_one(rng):
    """The invariant vector of a rotated Gemma is that of the original."""
    arrays = gemma_like(rng)
    vectors = []
    for model in (model_from_arrays(arrays, config=GEMMA), rotated(arrays, rng)):
        vectors.append(invariant_vector(model, read_anatomy(model), take_sketch(model)))
    assert vectors[0] @ vectors[1] > 0.999


def test_norm_names_are_in_an_order_that_every_entry_agrees_with():
    for attr in ("attn", "mlp", "last"):
        joined = getattr(norm_names(), attr)
        for entry in layouts():
            places = [joined.index(name) for name in getattr(entry.norms, attr)]
            assert places == sorted(places), entry.name
