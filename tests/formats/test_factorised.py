"""Claim: two factors in the place of a matrix are read as their product, and nothing else is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from weightkin.formats import model_from_arrays, open_model

AT = "model.layers.0."
Q, UP, DOWN = AT + "self_attn.q_proj", AT + "mlp.up_proj", AT + "mlp.down_proj"
U_Q, V_Q = AT + "self_attn.q_u_proj.weight", AT + "self_attn.q_v_proj.weight"


def drawn(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def stored(rng, stem, names, shape, rank, *, is_turned=False):
    """Two factors of a matrix, and the matrix by its definition."""
    left, right = drawn(rng, shape[0], rank), drawn(rng, rank, shape[1])
    product = sum(np.outer(left[:, k], right[k]).astype(float) for k in range(rank))
    parts = {names[0]: left, names[1]: np.ascontiguousarray(right.T) if is_turned else right}
    return parts, {f"{stem}.weight": product}


NAMES = {
    "linears in a row": (Q + ".1.weight", Q + ".0.weight"),
    "u and v below": (Q + ".U", Q + ".V"),
    "u and v beside": (U_Q, V_Q),
    "u and v behind": (Q + "_u.weight", Q + "_v.weight"),
    "a and b": (Q + ".ALinear.weight", Q + ".BLinear.weight"),
    "any words": (Q + ".first.weight", Q + ".second.weight"),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_product_is_shown_in_their_place(names, rank, rng):
    parts, expected = stored(rng, Q, names, (8, 12), rank)
    model = model_from_arrays(parts | {"model.norm.weight": drawn(rng, 12)})
    assert set(model.tensors) == {"model.norm.weight", *expected}
    info = model.tensors[Q + ".weight"]
    assert (info.shape, info.dtype, info.packed) == ((8, 12), "F32", f"factors of rank {rank}")
    found = model.rows(Q + ".weight")
    np.testing.assert_allclose(found, expected[Q + ".weight"], rtol=1e-5, atol=1e-6)


def test_a_right_factor_may_be_stored_by_columns_with_values_between(rng):
    parts, expected = stored(rng, UP, (UP + ".U", UP + ".V"), (12, 8), 4, is_turned=True)
    scales = drawn(rng, 4)
    left, right = parts[UP + ".U"].astype(float), parts[UP + ".V"].astype(float)
    assert np.allclose(left @ right.T, expected[UP + ".weight"])
    model = model_from_arrays({**parts, UP + ".S": scales})
    assert set(model.tensors) == {UP + ".weight"}
    found = model.rows(UP + ".weight")
    np.testing.assert_allclose(found, left * scales @ right.T, rtol=1e-5, atol=1e-6)


def test_square_factors_are_multiplied_as_those_of_other_modules(rng):
    """``a`` has the outputs in both: shapes say so of one module alone."""
    wide, of_wide = stored(rng, DOWN, (DOWN + ".a", DOWN + ".b"), (8, 12), 8)
    square, of_square = stored(rng, Q, (Q + ".a", Q + ".b"), (8, 8), 8)
    model = model_from_arrays(wide | square)
    for name, expected in (of_wide | of_square).items():
        np.testing.assert_allclose(model.rows(name), expected, rtol=1e-5, atol=1e-5)
    alone = model_from_arrays(square)
    assert set(alone.tensors) == set(square)  # nothing says which comes first


def test_it_is_so_in_a_file_and_rows_read_little(rng, tmp_path):
    parts, expected = stored(rng, UP, (UP + ".1.weight", UP + ".0.weight"), (4096, 8), 2)
    save_file(parts, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    model = open_model(tmp_path)
    row = model.storage.read(UP + ".weight", 8, 16)
    np.testing.assert_allclose(row, expected[UP + ".weight"][1], rtol=1e-5, atol=1e-6)
    assert model.bytes_read < 40_000 < 4096 * 2 * 4 + 20_000


LEFT_ALONE = {
    "latent attention": {AT + "self_attn.q_a_proj": (3, 8), AT + "self_attn.q_b_proj": (8, 3)},
    "grouped outputs": {AT + "attn.wo_a": (3, 8), AT + "attn.wo_b": (8, 3)},
    "gates of T5": {AT + "mlp.wi_0": (8, 8), AT + "mlp.wi_1": (8, 8)},
    "something between": {Q + ".0": (3, 8), Q + ".2": (8, 3)},
    "a module that nobody knows": {AT + "adapter.down": (3, 8), AT + "adapter.up": (8, 3)},
    "three of them": {Q + ".0": (3, 8), Q + ".1": (4, 3), Q + ".2": (8, 4)},
    "a matrix beside": {Q: (8, 8), Q + ".lora_A": (3, 8), Q + ".lora_B": (8, 3)},
    "shapes that do not fit": {Q + ".0": (3, 8), Q + ".1": (8, 4)},
}


@pytest.mark.parametrize("shapes", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_is_no_pair_of_factors_stays_as_stored(shapes, rng):
    arrays = {f"{name}.weight": drawn(rng, *shape) for name, shape in shapes.items()}
    assert set(model_from_arrays(arrays).tensors) == set(arrays)


def test_a_bias_between_says_that_it_is_no_product(rng):
    parts, _ = stored(rng, Q, (Q + ".1.weight", Q + ".0.weight"), (8, 8), 3)
    inner, outer = {Q + ".0.bias": drawn(rng, 3)}, {Q + ".1.bias": drawn(rng, 8)}
    assert set(model_from_arrays(parts | inner).tensors) == {*parts, *inner}
    assert set(model_from_arrays(parts | outer).tensors) == {Q + ".weight", *outer}
