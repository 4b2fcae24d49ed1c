"""Claim: a GGUF file is the model it was converted from, in its names and its order of rows."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests import writers
from tests.formats.handmade import refusal
from weightkin.anatomy import read_anatomy
from weightkin.errors import WeightkinError
from weightkin.formats import open_model
from weightkin.formats.gguf_blocks import PACKED

package = pytest.importorskip("gguf")

LLAMA = Path(__file__).parents[2] / "zoo" / "models" / "llama-a"
ERRORS = {"F32": 0, "F16": 1e-3, "BF16": 4e-3, "Q8_0": 0.01, "Q4_0": 0.13, "Q4_K": 0.13}


@pytest.mark.parametrize("kind", ERRORS)
def test_names_shapes_rows_and_anatomy_are_those_before_conversion(tmp_path, kind):
    path = writers.gguf(LLAMA, tmp_path / "llama.gguf", kind)
    model, plain = open_model(path), open_model(LLAMA)
    assert {n: i.shape for n, i in model.tensors.items()} == {
        n: i.shape for n, i in plain.tensors.items()
    }
    for name in plain.tensors:
        x, y = plain.rows(name), model.rows(name)
        assert np.linalg.norm(x - y) <= ERRORS[kind] * np.linalg.norm(x), name
        some = np.array([5, 40, 6, 5])
        np.testing.assert_array_equal(model.rows(name, some), y[some])
    assert read_anatomy(model).axes == read_anatomy(plain).axes
    packed = {info.packed for info in model.tensors.values()}
    assert packed == {
        "Q4_K": {"", "Q4_0", "Q4_K"},
        **{k: {"", k} for k in ("Q8_0", "Q4_0")},
    }.get(kind, {""})


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_K"])
def test_rows_are_those_that_the_package_unpacks(tmp_path, kind):
    path = writers.gguf(LLAMA, tmp_path / "llama.gguf", kind)
    model = open_model(path)
    for tensor in package.GGUFReader(path).tensors:
        if tensor.name == "blk.3.ffn_down.weight":
            expected = package.quants.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(
                model.rows("model.layers.3.mlp.down_proj.weight"), expected
            )
            return
    raise AssertionError("no such tensor")


def test_only_the_rows_asked_for_are_read(tmp_path):
    path = writers.gguf(LLAMA, tmp_path / "llama.gguf", "Q8_0")
    model = open_model(path)
    before = model.bytes_read
    assert before <= 2 * 65536  # the header, in windows
    model.rows("model.layers.5.mlp.gate_proj.weight", slice(30, 40))
    assert model.bytes_read - before <= 2 * 4096


def test_declared_base_models_are_read_as_declared(tmp_path):
    path = writers.gguf(LLAMA, tmp_path / "llama.gguf", "F16", base="llama-zero")
    assert open_model(path).config["declared_base_models"] == [
        {"name": "llama-zero", "repo_url": "https://example.org/llama-zero"}
    ]


def test_sizes_of_blocks_are_those_of_the_package():
    """And no type that it unpacks is missing, up to the newest of ours."""
    for code, (n, n_bytes) in package.GGML_QUANT_SIZES.items():
        if n > 1 and code <= max(PACKED):
            with suppress(NotImplementedError):  # what is made in working memory only
                package.quants.dequantize(np.zeros((1, n_bytes), np.uint8), code)
                assert PACKED[code] == (code.name, n, n_bytes)
    assert set(PACKED) <= {int(code) for code in package.GGML_QUANT_SIZES}


def test_cut_and_changed_files_are_refused_or_read_but_never_fail(tmp_path, rng):
    path = writers.gguf(LLAMA, tmp_path / "llama.gguf", "Q4_0")
    data = path.read_bytes()
    other = tmp_path / "other.gguf"
    for n in (0, 3, 4, 20, 300, 8000, len(data) - 100):
        other.write_bytes(data[:n])
        refusal(other)
    for _ in range(300):
        changed = bytearray(data[:20_000])
        for at in rng.integers(0, 16_000, 3):
            changed[at] = rng.integers(256)
        other.write_bytes(bytes(changed) + data[20_000:])
        with suppress(WeightkinError):
            model = open_model(other)
            for name in model.tensors:
                model.rows(name, slice(0, 1))


def test_other_versions_and_byte_orders_are_refused(tmp_path):
    for number, said in ((b"\1\0\0\0", "version 1"), (b"\0\0\0\3", "version 50331648")):
        (tmp_path / "x.gguf").write_bytes(b"GGUF" + number + struct.pack("<QQ", 0, 0))
        assert said in refusal(tmp_path / "x.gguf")


def test_a_file_in_parts_is_one_model_by_folder_or_by_any_part(tmp_path):
    writers.gguf(LLAMA, tmp_path / "llama.gguf", "Q8_0", tensors_a_part=20)
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert parts == [f"llama-0000{i}-of-00003.gguf" for i in (1, 2, 3)]
    plain = open_model(LLAMA)
    for source in (tmp_path, *(tmp_path / part for part in parts)):
        model = open_model(source)
        assert set(model.tensors) == set(plain.tensors)
        assert not model.is_partial
    x, y = (m.rows("model.layers.5.self_attn.k_proj.weight") for m in (model, plain))
    assert np.linalg.norm(x - y) < 0.01 * np.linalg.norm(y)  # rows in order, in a later part
    (tmp_path / parts[2]).unlink()
    for source in (tmp_path, tmp_path / parts[0]):
        partial = open_model(source)
        assert partial.is_partial
        assert len(partial.tensors) == 40
    (tmp_path / parts[0]).unlink()
    assert "a later part of a split file needs the first one" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "kind", "said"),
    [
        ("llama", "adapter", "a LoRA adapter in GGUF"),
        ("imatrix", "imatrix", "an importance matrix"),
        ("controlvector", None, "a control vector"),
    ],
)
def test_what_is_no_model_is_named(tmp_path, architecture, kind, said):
    writer = package.GGUFWriter(str(tmp_path / "x.gguf"), architecture)
    if kind:
        writer.add_type(kind)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", np.ones((2, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert said in refusal(tmp_path / "x.gguf")


def test_texts_of_arrays_and_counts_are_bounded(tmp_path):
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a"
    path = tmp_path / "x.gguf"
    path.write_bytes(start + struct.pack("<IIQ", 9, 8, (1 << 21) + 1) + bytes(1 << 16))
    assert "too many texts in arrays (2097153, at most 2097152)" in refusal(path)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, (1 << 17) + 1, 0) + bytes(64))
    assert "too many tensors or metadata entries (131073 and 0," in refusal(path)


def test_as_many_texts_as_are_allowed_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.formats.gguf_header.MAX_TEXTS", 5)
    for n, is_read in ((5, True), (6, False)):
        path = tmp_path / f"{n}.gguf"
        writer = package.GGUFWriter(path, "none")
        writer.add_array("words", [f"word {i}" for i in range(n)])
        writer.add_tensor("w", np.ones((4, 4), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if is_read:
            assert open_model(path).rows("w").sum() == 16
        else:
            assert "texts in arrays" in refusal(path)
