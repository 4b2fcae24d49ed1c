"""Claim: a sketch holds the model's own values, bit for bit, and little else of it is read."""

import json

import ml_dtypes
import numpy as np
import pytest

from tests import models
from weightkin.errors import UsageError
from weightkin.formats import digest, full_digest, model_from_arrays
from weightkin.sketch import Scheme, take_sketch, write_sketch
from weightkin.sketch.facts import facts_of
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import stand_in

LLAMA_7B = {"blocks": 32, "width": 4096, "hidden": 11008, "vocabulary": 32000}


def _expected(array, tensor):
    matrix = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
    return matrix[np.ix_(tensor.rows, tensor.columns)]


def _empty_model(path, *, blocks, width, hidden, vocabulary):
    """A file of the right size that takes no room: holes read as zeros."""
    shapes = dict.fromkeys(["model.embed_tokens.weight", "lm_head.weight"], (vocabulary, width))
    for i in range(blocks):
        at = f"model.layers.{i}."
        shapes |= {f"{at}self_attn.{x}_proj.weight": (width, width) for x in "qkvo"}
        shapes |= {f"{at}mlp.{x}_proj.weight": (hidden, width) for x in ("gate", "up")}
        shapes[f"{at}mlp.down_proj.weight"] = (width, hidden)
        shapes |= {f"{at}{x}_layernorm.weight": (width,) for x in ("input", "post_attention")}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        handle.truncate(8 + len(text) + end)


def test_values_are_those_of_the_model(rng):
    arrays = models.base(rng)
    sketch = take_sketch(model_from_arrays(arrays))
    assert [t.stored_name for t in sketch.tensors.values()] == sorted(arrays)
    for name, tensor in models.by_stored_name(sketch).items():
        np.testing.assert_array_equal(tensor.values, _expected(arrays[name], tensor))
        assert tensor.shape == arrays[name].shape
    assert sketch.n_parameters == sum(array.size for array in arrays.values())


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.int64])
def test_values_keep_the_dtype_of_the_source(rng, dtype, tmp_path):
    array = (100 * rng.standard_normal((70, 110))).astype(dtype)
    tensor = take_sketch(model_from_arrays({"x": array})).tensors[":x"]
    assert tensor.stored.dtype == array.dtype
    np.testing.assert_array_equal(tensor.stored, _expected(array, tensor))


def test_tensors_of_any_number_of_dimensions_become_matrices(rng):
    shapes = {"scalar": (), "vector": (2000,), "conv": (70, 8, 3, 3), "empty": (0, 5)}
    arrays = {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    tensors = models.by_stored_name(take_sketch(model_from_arrays(arrays)))
    assert {k: t.stored.shape for k, t in tensors.items()} == {
        "conv": (64, 72), "empty": (0, 5), "scalar": (1, 1), "vector": (1024, 1)}  # fmt: skip
    for name in ("scalar", "vector", "conv"):
        np.testing.assert_array_equal(tensors[name].values, _expected(arrays[name], tensors[name]))


def _stacked_experts(rng):
    at = "model.layers.0."
    shapes = {f"{at}self_attn.{x}_proj.weight": (64, 64) for x in "qkvo"} | {
        f"{at}mlp.experts.gate_up_proj": (6, 200, 64),
        f"{at}mlp.experts.down_proj": (6, 64, 100),
        f"{at}mlp.router.weight": (6, 64),
        f"{at}post_attention_layernorm.weight": (64,),
        "model.embed_tokens.weight": (300, 64),
    }
    return {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}


def test_stacked_experts_are_sampled_one_by_one_and_fused_parts_apart(rng):
    arrays = _stacked_experts(rng)
    sketch = take_sketch(model_from_arrays(arrays))
    tensors = models.by_stored_name(sketch)
    stacked = [name for name in tensors if name.endswith("]")]
    assert len(stacked) == 8
    for name in stacked:
        tensor, whole = tensors[name], arrays[name[:-3]][int(name[-2])]
        assert tensor.shape == whole.shape
        np.testing.assert_array_equal(tensor.values, _expected(whole, tensor))
    places = {a.name: a.places for a in sketch.anatomy.axes if a.kind == "units"}
    assert sorted(places) == ["mlp.0", "mlp.1", "mlp.2", "mlp.3"]
    gate, up, _ = places["mlp.3"]
    fused = arrays["model.layers.0.mlp.experts.gate_up_proj"][3]
    held = stand_in(sketch).rows(up.tensor)
    assert (gate.role, up.role, gate.tensor) == ("mlp.gate", "mlp.up", up.tensor)
    np.testing.assert_array_equal(held[gate.start : gate.start + 48], fused[:48, :96])
    np.testing.assert_array_equal(held[up.start : up.start + 48], fused[100:148, :96])


def test_blocks_and_roles_are_those_of_the_anatomy(rng):
    tensors = take_sketch(model_from_arrays(models.base(rng))).tensors
    gate = tensors["decoder.2.mlp.gate"]
    assert gate.stored_name == "model.layers.2.mlp.gate_proj.weight"
    assert (gate.role, gate.stack, gate.block) == ("mlp.gate", "decoder", 2)
    embed = tensors["decoder.embed"]
    assert (embed.role, embed.block) == ("embed", -1)
    assert not len(embed.tail_rows)  # all 40 rows are in the run


def test_a_model_of_seven_billion_parameters_gives_three_megabytes(tmp_path):
    _empty_model(tmp_path / "big.safetensors", **LLAMA_7B)
    model = open_model(tmp_path / "big.safetensors")
    sketch = take_sketch(model)
    size = write_sketch(sketch, tmp_path / "big.sketch.safetensors")
    assert 3 << 20 < size < 3.5e6
    assert sketch.bytes_read < 0.0085 * model.n_bytes
    model = open_model(tmp_path / "big.safetensors")
    without = take_sketch(model, Scheme(has_views=False))
    assert size < 1.14 * write_sketch(without, tmp_path / "old.sketch.safetensors")
    assert without.bytes_read < 0.005 * model.n_bytes
    assert sketch.n_parameters > 6.7e9


def test_digests_are_those_of_the_model(rng):
    model = model_from_arrays(models.base(rng))
    sketch = take_sketch(model, with_full_digest=True)
    other = stand_in(sketch)
    assert (digest(other), full_digest(other)) == (digest(model), full_digest(model))
    with pytest.raises(UsageError, match="this sketch has no full digest"):
        full_digest(stand_in(take_sketch(model)))


def test_a_sketch_is_not_sketched_again(rng):
    with pytest.raises(UsageError, match="already a sketch"):
        take_sketch(stand_in(take_sketch(model_from_arrays(models.base(rng)))))


@pytest.mark.parametrize(
    ("through", "lattice"),
    [
        (ml_dtypes.float8_e4m3fn, "fp8_e4m3"),
        (ml_dtypes.float8_e5m2, "fp8_e5m2"),
        (np.float16, "fp16"),
        (ml_dtypes.bfloat16, "bf16"),
        (np.float32, "fp32"),
        (np.float64, "fp64"),
    ],
)
def test_the_lattice_is_the_narrowest_that_holds_all_values(rng, through, lattice):
    values = (0.03 * rng.standard_normal(4000)).astype(through).astype(np.float64)
    if lattice == "bf16":
        values[0] = 1e-30  # beyond fp16
        values = values.astype(through).astype(np.float64)
    assert facts_of(values).lattice == lattice


def test_values_in_both_halves_are_said_to_be():
    values = np.array([1 + 1 / 128, 0.25, -3.0])  # too fine for eight bits
    assert facts_of(values).lattice == "fp16&bf16"


def test_facts_are_those_of_the_finite_values():
    facts = facts_of(np.array([0.0, 1.0, -1.0, 4.0, np.nan, np.inf]))
    assert (facts.n_finite, facts.share_zeros, facts.mean, facts.sum_squares) == (4, 0.25, 1.0, 18)
    assert facts.fourth_moment == pytest.approx((1 + 0 + 16 + 81) / 4)
    assert facts_of(np.full(3, np.nan)).lattice == "none"


def test_a_scheme_may_keep_everything(rng):
    arrays = models.base(rng)
    sketch = take_sketch(model_from_arrays(arrays), Scheme.whole())
    for name, tensor in models.by_stored_name(sketch).items():
        np.testing.assert_array_equal(tensor.values.reshape(tensor.shape), arrays[name])
