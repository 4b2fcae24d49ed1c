"""Claim: files that gptqmodel and llama.cpp wrote hold the values their own code unpacks.

`tests/fixtures/make.py` wrote the files, and what their libraries make of them.
"""

from pathlib import Path

import numpy as np
import pytest

from weightkin import compare
from weightkin.formats import open_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
PACKED = {"gptq4": "gptq 4 bits", "gptq3": "gptq 3 bits", "awq": "awq 4 bits"}


@pytest.fixture(scope="module")
def unpacked():
    """Rows by file and tensor."""
    with np.load(FIXTURES / "unpacked.npz") as held:
        return {name: held[name] for name in held.files}


@pytest.mark.parametrize("name", PACKED)
def test_rows_are_those_that_gptqmodel_unpacks(name, unpacked):
    model = open_model(FIXTURES / name)
    rows = {k.partition("/")[2]: v for k, v in unpacked.items() if k.startswith(f"{name}/")}
    assert set(rows) == {n for n, info in model.tensors.items() if info.packed}
    for tensor, expected in rows.items():
        assert model.tensors[tensor].packed == PACKED[name]
        found = model.rows(tensor, slice(0, len(expected)))
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)  # float16 there


@pytest.mark.parametrize("name", PACKED)
def test_they_are_quantised_from_their_base(name):
    record = compare(FIXTURES / "base", FIXTURES / name)
    assert record.verdict == "dependent"
    assert "quantised" in record.kind
    assert record.kind_details["packed"] == PACKED[name]
    assert record.direction.parent != "b"


def test_rows_of_a_gguf_are_those_that_ggml_unpacks(unpacked):
    pytest.importorskip("gguf")
    model = open_model(FIXTURES / "wide.Q4_K.gguf")
    plain = open_model(FIXTURES / "wide.safetensors")
    kinds = {key.rpartition("/")[2] for key in unpacked if key.startswith("gguf/")}
    assert kinds == {"Q4_K", "Q5_0", "Q6_K"} == {t.packed for t in model.tensors.values()} - {""}
    stored = {
        "model.embed_tokens": "token_embd",
        "lm_head": "output",
        "model.layers.0.mlp.up_proj": "blk.0.ffn_up",
        "model.layers.0.mlp.down_proj": "blk.0.ffn_down",
        "model.layers.0.self_attn.o_proj": "blk.0.attn_output",
        "model.layers.0.self_attn.v_proj": "blk.0.attn_v",
    }
    for ours, theirs in stored.items():
        name = f"{ours}.weight"
        key = f"gguf/{theirs}.weight/{model.tensors[name].packed}"
        np.testing.assert_array_equal(model.rows(name, slice(0, 8)), unpacked[key])
    for name in plain.tensors:  # queries and keys in the order of rows before conversion
        x, y = plain.rows(name), model.rows(name, slice(0, 8))
        assert np.linalg.norm(x - y) < 0.1 * np.linalg.norm(x), name
