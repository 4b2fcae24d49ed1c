"""Claim: mixtures, fused rows and rounded types of GGUF keep the roles and values they had."""

import numpy as np
import pytest

from weightkin.anatomy.roles import role_pieces
from weightkin.formats import model_from_arrays, open_model

package = pytest.importorskip("gguf")
ROUNDED = ("IQ2_XXS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M", "IQ4_NL", "IQ4_XS", "MXFP4")


def written(path, family, arrays, kinds=None):
    """A file of gguf's own writer; ``kinds`` are the types of arrays of packed bytes."""
    writer = package.GGUFWriter(path, family)
    writer.add_block_count(1)
    writer.add_head_count(4)
    for name, array in arrays.items():
        writer.add_tensor(name, array, raw_dtype=(kinds or {}).get(name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return open_model(path)


@pytest.fixture
def values(rng):
    """Random matrices by shape."""
    return lambda *shape: rng.standard_normal(shape).astype(np.float32)


def test_experts_are_the_parts_of_fused_ones(tmp_path, values):
    gate, up, down = values(3, 24, 64), values(3, 24, 64), values(3, 64, 24)
    stored = {
        "blk.0.ffn_gate_inp.weight": values(3, 64),
        "blk.0.ffn_gate_exps.weight": gate,
        "blk.0.ffn_up_exps.weight": up,
        "blk.0.ffn_down_exps.weight": down,
    }
    model = written(tmp_path / "x.gguf", "qwen3moe", stored)
    block = "model.layers.0.mlp"
    before = {
        f"{block}.gate.weight": stored["blk.0.ffn_gate_inp.weight"],
        f"{block}.experts.gate_up_proj": np.concatenate([gate, up], axis=1),
        f"{block}.experts.down_proj": down,
    }
    ours, theirs = role_pieces(model.tensors), role_pieces(model_from_arrays(before).tensors)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 1 + 3 * 3
    np.testing.assert_array_equal(model.rows(f"{block}.experts.up_proj.weight"), up)


def test_gate_and_up_of_one_matrix_keep_both_roles(tmp_path, values):
    stored = {
        "blk.0.attn_qkv.weight": values(3 * 64, 64),
        "blk.0.attn_output.weight": values(64, 64),
        "blk.0.ffn_up.weight": values(2 * 96, 64),
        "blk.0.ffn_down.weight": values(64, 96),
    }
    model = written(tmp_path / "x.gguf", "phi3", stored)
    assert "model.layers.0.mlp.gate_up_proj.weight" in model.tensors
    roles = {piece.role for piece in role_pieces(model.tensors).values()}
    assert {"mlp.gate", "mlp.up", "mlp.down", "attn.q", "attn.k", "attn.v"} <= roles


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_rows_are_those_that_the_package_unpacks(tmp_path, rng, name):
    kind = package.GGMLQuantizationType[name]
    n_values, n_bytes = package.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (2, 4, n_bytes), dtype=np.uint8)
    raw[..., :2] = np.frombuffer(np.float16(0.5).tobytes(), np.uint8)  # a scale that is finite
    model = written(tmp_path / "x.gguf", "qwen2", {"a.weight": raw}, {"a.weight": kind})
    with np.errstate(all="ignore"):
        expected = package.quants.dequantize(raw, kind)
    assert model.tensors["a.weight"].packed == name
    assert expected.shape == (2, 4, n_values)
    np.testing.assert_array_equal(model.rows("a.weight"), expected)
    np.testing.assert_array_equal(model.rows("a.weight", slice(1, 2)), expected[1:])
