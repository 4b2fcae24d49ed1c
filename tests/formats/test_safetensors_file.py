"""Safetensors files are read as the reference library reads them, and hostile headers refused."""

import hashlib
import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.formats.handmade import entry, refusal, safetensors
from weightkin.formats import open_model
from weightkin.formats.dtypes import NUMPY

TORCH_ONLY = ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "BF16")


@pytest.mark.parametrize("code", [code for code in NUMPY if code not in TORCH_ONLY])
def test_every_numpy_dtype_reads_as_the_library_reads_it(tmp_path, code):
    rng = np.random.default_rng(1)
    written = {
        "matrix": rng.integers(0, 2, (5, 3)).astype(NUMPY[code]),
        "vector": rng.integers(0, 2, 7).astype(NUMPY[code]),
    }
    save_file(written, tmp_path / "model.safetensors")
    read = load_file(tmp_path / "model.safetensors")
    model = open_model(tmp_path / "model.safetensors")
    assert list(model.tensors) == ["matrix", "vector"]
    for key, values in read.items():
        assert model.tensors[key].dtype == code
        assert model.tensors[key].n_bytes == values.nbytes
        np.testing.assert_array_equal(model.rows(key), values.astype(np.float32))


@pytest.mark.parametrize("code", TORCH_ONLY)
def test_every_small_float_reads_as_torch_reads_it(tmp_path, code):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    dtype = {
        "BF16": torch.bfloat16,
        "F8_E4M3": torch.float8_e4m3fn,
        "F8_E5M2": torch.float8_e5m2,
        "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
        "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
        "F8_E8M0": torch.float8_e8m0fnu,
    }[code]
    every_byte = torch.arange(256, dtype=torch.uint8).reshape(16, 16).view(dtype)
    save_torch({"x": every_byte}, tmp_path / "x.safetensors")
    read = load_torch(tmp_path / "x.safetensors")["x"].float().numpy()
    model = open_model(tmp_path / "x.safetensors")
    assert model.tensors["x"].dtype == code
    np.testing.assert_array_equal(model.rows("x"), read)


def test_a_packed_or_complex_tensor_is_a_problem_and_the_rest_is_read(tmp_path):
    header = {
        "four bits": entry("F4", [4, 2], 0, 4),
        "complex": entry("C64", [1], 4, 12),
        "plain": entry("U8", [2], 12, 14),
    }
    model = open_model(safetensors(tmp_path / "x.safetensors", header, bytes(12) + b"\x05\x06"))
    assert list(model.tensors) == ["plain"]
    assert model.rows("plain").tolist() == [5, 6]
    assert {problem.what for problem in model.problems} == {"four bits", "complex"}
    assert model.is_partial


def test_metadata_and_padding_spaces_change_nothing(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "x": entry("U8", [1], 0, 1)}
    padded = json.dumps(header).encode() + b"     "
    model = open_model(safetensors(tmp_path / "x.safetensors", padded, b"\x07"))
    assert model.rows("x").tolist() == [7]
    header_of_file = struct.pack("<Q", len(padded)) + padded
    assert model.headers == (hashlib.sha256(header_of_file).hexdigest(),)


def test_zero_size_tensors_and_scalars_are_tensors(tmp_path):
    save_file(
        {"empty": np.zeros((0, 4), np.float32), "scalar": np.array(3, np.float16)},
        tmp_path / "x.safetensors",
    )
    model = open_model(tmp_path / "x.safetensors")
    assert model.rows("empty").shape == (0, 4)
    assert model.rows("scalar").shape == ()
    assert model.rows("scalar") == 3


def test_a_bool_byte_other_than_one_is_still_true(tmp_path):
    header = {"x": entry("BOOL", [3], 0, 3)}
    model = open_model(safetensors(tmp_path / "x.safetensors", header, b"\x00\x07\xff"))
    assert model.rows("x").tolist() == [0, 1, 1]


ONE = {"x": entry("F32", [2], 0, 8)}


@pytest.mark.parametrize(
    ("header", "data", "said"),
    [
        (b"not json", b"", "the header is not valid JSON (Expecting value"),
        (b"\xff\xfe", b"", "the header is not valid JSON ('utf-8' codec"),
        (b"[1, 2]", b"", "the header is a list, not a JSON object"),
        (b"", b"", "not valid JSON"),
        (b"[" * 200_000, b"", "not valid JSON"),
        (b'{"a":' * 200_000, b"", "not valid JSON"),
        (b'{"x":' + b"9" * 5000 + b"}", b"", "not valid JSON"),
        (b'{"x": 1, "x": 2}', b"", "key 'x' is repeated in the header"),
        ({"x": 3}, b"", "its entry in the header is 3, not an object"),
        ({"x": entry("F32", [2], 0, 8)}, bytes(4), "truncated (4 bytes of data, not 8)"),
        ({"x": entry("F32", [2], 0, 8)}, bytes(9), "bytes after the last tensor (9 bytes"),
        ({"x": entry("F99", [2], 0, 8)}, bytes(8), "unknown dtype 'F99'"),
        ({"x": entry(["F32"], [2], 0, 8)}, bytes(8), "unknown dtype a list"),
        ({"x": entry("F32", [-2], 0, 8)}, bytes(8), "-2 in its shape is not"),
        ({"x": entry("F32", [True, 2], 0, 8)}, bytes(8), "True in its shape is not"),
        ({"x": entry("F32", [2.0], 0, 8)}, bytes(8), "2.0 in its shape is not"),
        ({"x": entry("F32", "2", 0, 8)}, bytes(8), "its shape is '2', not a list"),
        ({"x": entry("F32", [1] * 40, 0, 4)}, bytes(4), "too many dimensions (40, at most 32)"),
        ({"x": entry("F32", [3], 0, 8)}, bytes(8), "8 bytes, not 12 (F32 of shape (3,))"),
        ({"x": entry("F32", [2**63, 2**63], 0, 8)}, bytes(8), "elements"),
        ({"x": entry("F32", [2**62, 4], 0, 0)}, b"", "elements"),
        ({"x": entry("F32", [2**64, 0], 0, 0)}, b"", "elements"),
        ({"x": entry("F32", [10**4000], 0, 0)}, b"", "an integer of"),
        ({"x": entry("F32", [2], 8, 0)}, bytes(8), "data_offsets are not"),
        ({"x": entry("F32", [2], -8, 0)}, bytes(8), "data_offsets are not"),
        ({"x": entry("U8", [1], False, True)}, bytes(1), "data_offsets are not"),
        ({"x": {"dtype": "F32", "shape": [2]}}, bytes(8), "data_offsets are not"),
        ({"x": entry("F32", [2], 10**18, 10**18 + 8)}, bytes(8), "leaves a hole after"),
        ({**ONE, "y": entry("F32", [2], 4, 12)}, bytes(12), "overlaps the tensor before it"),
        ({**ONE, "y": entry("F32", [2], 0, 8)}, bytes(8), "data begins at 0, not 8"),
        ({**ONE, "y": entry("F32", [2], 12, 20)}, bytes(20), "leaves a hole after"),
        ({**ONE, "__metadata__": {"a": 1}}, bytes(8), "__metadata__ is not an object of texts"),
        ({**ONE, "__metadata__": []}, bytes(8), "__metadata__ is not an object of texts"),
        ({"\ud800": entry("U8", [1], 0, 1)}, bytes(1), "is not valid Unicode"),
        ({}, b"", "x.safetensors: no tensors"),
    ],
)
def test_a_hostile_header_is_refused_in_one_line(tmp_path, header, data, said):
    assert said in refusal(safetensors(tmp_path / "x.safetensors", header, data))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not a safetensors file (0 bytes)"),
        (b"\x08\x00\x00", "not a safetensors file (3 bytes)"),
        (struct.pack("<Q", 50) + b"{}", "(the header claims 50 bytes, the file has 10)"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "(the header claims 1.8e+19 bytes, at most"),
        (struct.pack("<Q", 100_000_001) + b"{}", "at most 100,000,000 are allowed"),
    ],
)
def test_a_hostile_length_is_refused_before_anything_is_read(tmp_path, raw, said):
    (tmp_path / "x.safetensors").write_bytes(raw)
    assert said in refusal(tmp_path / "x.safetensors")


def test_names_from_the_file_never_reach_the_terminal_raw(tmp_path):
    for hostile in ("a\nb", "\x1b[31mred", "\u202egnp", "x" * 1_000_000):
        header = {hostile: entry("F32", [3], 0, 8)}
        refusal(safetensors(tmp_path / "x.safetensors", header, bytes(8)))
        header = {hostile: entry("C64", [1], 0, 8), "x": entry("U8", [1], 8, 9)}
        (problem,) = open_model(safetensors(tmp_path / "y.safetensors", header, bytes(9))).problems
        assert problem.what.isprintable()
        assert len(problem.what) < 200


def test_a_hostile_name_is_still_a_name(tmp_path):
    header = {"a\n\x1b[31m": entry("U8", [1], 0, 1)}
    model = open_model(safetensors(tmp_path / "x.safetensors", header, b"\x01"))
    assert model.rows("a\n\x1b[31m").tolist() == [1]


def test_the_library_refuses_what_we_refuse_about_layout(tmp_path):
    for header, data in [
        ({**ONE, "y": entry("F32", [2], 12, 20)}, bytes(20)),
        (ONE, bytes(9)),
        (ONE, bytes(7)),
    ]:
        path = safetensors(tmp_path / "x.safetensors", header, data)
        with pytest.raises(Exception, match="(?i)header|offset|metadata|buffer"):
            load_file(path)
        refusal(path)


def test_bf16_values_are_exact(tmp_path):
    values = np.array([1.5, -0.0, 3e38, 1e-40], dtype=ml_dtypes.bfloat16)
    header = {"x": entry("BF16", [4], 0, 8)}
    model = open_model(safetensors(tmp_path / "x.safetensors", header, values.tobytes()))
    np.testing.assert_array_equal(model.rows("x"), values.astype(np.float32))
