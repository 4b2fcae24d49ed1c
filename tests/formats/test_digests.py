"""Digests depend on names, dtypes, shapes and values, and on nothing else."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.formats.handmade import entry, index, safetensors
from weightkin.formats import digest, full_digest, model_from_arrays, open_model
from weightkin.formats.digests import PIECE


@pytest.fixture
def arrays():
    rng = np.random.default_rng(7)
    return {
        "embed": rng.standard_normal((11, 40_000)).astype(np.float32),
        "norm": rng.standard_normal(5).astype(np.float16),
        "one row": rng.standard_normal((1, 3)),
        "scalar": np.array(2, np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }


def changed(arrays, name, position):
    copy = {key: value.copy() for key, value in arrays.items()}
    raw = copy[name].reshape(-1).view(np.uint8)
    raw[position] ^= 1
    return model_from_arrays(copy)


def test_the_digest_is_what_its_definition_says(arrays):
    total = hashlib.sha256()
    codes = {"f4": "F32", "f2": "F16", "f8": "F64", "i8": "I64"}
    for name in sorted(arrays):
        array = arrays[name]
        if array.ndim < 2:
            pieces = [array.tobytes()[:65536]]
        else:
            n = len(array)
            pieces = [array[row].tobytes()[:65536] for row in sorted({0, n // 2}) if n]
        sample = b"".join(pieces)
        head = [name, codes[array.dtype.str[1:]], list(array.shape), len(sample)]
        total.update(json.dumps(head, separators=(",", ":")).encode() + b"\n" + sample)
    assert digest(model_from_arrays(arrays)) == "wk1-" + total.hexdigest()


def test_the_full_digest_is_what_its_definition_says(arrays):
    total = hashlib.sha256()
    codes = {"f4": "F32", "f2": "F16", "f8": "F64", "i8": "I64"}
    for name in sorted(arrays):
        array = arrays[name]
        contents = hashlib.sha256(array.tobytes()).hexdigest()
        head = [name, codes[array.dtype.str[1:]], list(array.shape), contents]
        total.update(json.dumps(head, separators=(",", ":")).encode() + b"\n")
    assert full_digest(model_from_arrays(arrays)) == "wkfull1-" + total.hexdigest()


def test_order_in_the_file_and_metadata_change_nothing(tmp_path):
    a, b = entry("U8", [2], 0, 2), entry("U8", [1], 2, 3)
    one = open_model(safetensors(tmp_path / "1.safetensors", {"a": a, "b": b}, b"\1\2\3"))
    swapped = {
        "__metadata__": {"x": "y"},
        "b": entry("U8", [1], 0, 1),
        "a": entry("U8", [2], 1, 3),
    }
    two = open_model(safetensors(tmp_path / "2.safetensors", swapped, b"\3\1\2"))
    assert digest(one) == digest(two)
    assert full_digest(one) == full_digest(two)


def test_sharding_changes_nothing(tmp_path, arrays):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    save_file(arrays, whole / "model.safetensors")
    names = {}
    for number, (name, array) in enumerate(arrays.items()):
        names[name] = f"part-{number}.safetensors"
        save_file({name: array}, cut / names[name])
    index(cut, names)
    assert digest(open_model(whole)) == digest(open_model(cut)) == digest(model_from_arrays(arrays))
    assert full_digest(open_model(whole)) == full_digest(open_model(cut))


def test_the_file_format_changes_nothing(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    generator = torch.Generator().manual_seed(0)
    base = torch.randn(40, 30, generator=generator)
    state = {
        "a": base,
        "b": base.bfloat16(),
        "c": base.to(torch.float8_e4m3fn),
        "d": torch.tensor(5),
        "e": base > 0,
        "t": base.t().contiguous(),
    }
    save_torch(state, tmp_path / "x.safetensors")
    torch.save({**state, "t": base.t()}, tmp_path / "x.bin")
    safe, pickled = open_model(tmp_path / "x.safetensors"), open_model(tmp_path / "x.bin")
    assert zipfile.is_zipfile(tmp_path / "x.bin")
    assert digest(safe) == digest(pickled)
    assert full_digest(safe) == full_digest(pickled)


def test_one_sampled_byte_changes_the_digest(arrays):
    base = digest(model_from_arrays(arrays))
    row = 40_000 * 4
    for position in (0, PIECE - 1, 5 * row, 5 * row + PIECE - 1):
        assert digest(changed(arrays, "embed", position)) != base
    for name in ("norm", "one row", "scalar"):
        assert digest(changed(arrays, name, 0)) != base
    for position in (PIECE, 4 * row, 6 * row):  # not sampled
        assert digest(changed(arrays, "embed", position)) == base


def test_any_byte_changes_the_full_digest(arrays):
    base = full_digest(model_from_arrays(arrays))
    rng = np.random.default_rng(1)
    for position in rng.integers(0, arrays["embed"].nbytes, 5).tolist():
        assert full_digest(changed(arrays, "embed", position)) != base


def test_name_dtype_and_shape_change_both_digests():
    zeros = np.zeros((2, 6), np.float32)
    variants = [
        {"a": zeros},
        {"b": zeros},
        {"a": zeros.reshape(3, 4)},
        {"a": zeros.reshape(12)},
        {"a": zeros.view(np.int32)},
        {"a": zeros[:0]},
        {"a": zeros, "b": zeros},
    ]
    for scheme in (digest, full_digest):
        assert len({scheme(model_from_arrays(variant)) for variant in variants}) == len(variants)


def test_the_full_digest_reads_in_chunks_and_does_not_depend_on_them(monkeypatch, arrays):
    model = model_from_arrays(arrays)
    base = full_digest(model)
    monkeypatch.setattr("weightkin.formats.digests.CHUNK", 1000)
    assert full_digest(model) == base


def test_missing_tensors_make_a_partial_digest_and_a_broken_config_does_not(tmp_path):
    header = {"a": entry("C64", [1], 0, 8), "b": entry("U8", [1], 8, 9)}
    safetensors(tmp_path / "model.safetensors", header, bytes(9))
    model = open_model(tmp_path)
    assert digest(model).endswith("-partial")
    assert full_digest(model).endswith("-partial")
    (tmp_path / "model.safetensors").unlink()
    safetensors(tmp_path / "model.safetensors", {"b": entry("U8", [1], 0, 1)}, bytes(1))
    (tmp_path / "config.json").write_text("{")
    model = open_model(tmp_path)
    assert len(model.problems) == 1
    assert not digest(model).endswith("-partial")


def test_the_digest_reads_little(tmp_path):
    save_file({"w": np.zeros((4096, 2048), np.float32)}, tmp_path / "x.safetensors")
    model = open_model(tmp_path / "x.safetensors")
    digest(model)
    assert model.bytes_read <= 8 * 4096
