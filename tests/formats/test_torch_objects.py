"""Claim: weights beside objects of any library, whole modules and programs are read, none is run.

`tests/fixtures/writers/torch_objects.py` wrote the files, and the same weights as safetensors.
"""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.formats.accounting import account
from tests.formats.handmade import refusal
from weightkin.cli.sources import named
from weightkin.formats import open_model

FILES = Path(__file__).parents[1] / "fixtures" / "torch-objects"
NAMES = {
    "lightning.ckpt": "lightning",
    "module.pt": "module",
    "module-old.pt": "module",
    "traced.jit": "traced",
    "exported.pt2": "traced",
}


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_those_that_the_library_saved(name):
    model = open_model(FILES / name)
    plain = open_model(FILES / f"{NAMES[name]}.safetensors")
    beside = {x for x in model.tensors if x.startswith(("optimizer_states.", "sample_inputs."))}
    assert set(model.tensors) - beside == set(plain.tensors)
    assert len(beside) == {"lightning.ckpt": 24, "exported.pt2": 1}.get(name, 0)
    assert not model.problems
    for key in plain.tensors:
        np.testing.assert_array_equal(model.rows(key), plain.rows(key))


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_is_accounted_for(name):
    found = account(FILES / name)
    assert set(found) - {"program-text"} == {"payload", "container"}
    assert ("program-text" in found) == name.endswith((".jit", ".pt2"))


def test_every_tensor_is_one_that_torch_finds():
    torch = pytest.importorskip("torch")
    loaded = torch.jit.load(FILES / "traced.jit").state_dict()
    model = open_model(FILES / "traced.jit")
    assert set(model.tensors) == set(loaded)
    for key, values in loaded.items():
        np.testing.assert_array_equal(model.rows(key), values.numpy())
    whole = torch.load(FILES / "module.pt", weights_only=False).state_dict()
    assert set(open_model(FILES / "module.pt").tensors) == set(whole)


def test_arrays_of_numpy_in_a_checkpoint_are_tensors(tmp_path, rng):
    torch = pytest.importorskip("torch")
    arrays = {
        "matrix": rng.standard_normal((3, 4)),
        "columns": np.asfortranarray(rng.standard_normal((3, 4)).astype(np.float32)),
        "big": np.arange(6, dtype=">i4").reshape(2, 3),
        "empty": np.zeros((0, 3), np.float16),
        "scalar": np.float32(2.5),
        "flags": np.array([True, False]),
    }
    for protocol in (2, 4, 5):
        torch.save({**arrays, "w": torch.ones(2)}, tmp_path / "x.pt", pickle_protocol=protocol)
        model = open_model(tmp_path / "x.pt")
        assert set(model.tensors) == {*arrays, "w"}
        for name, x in arrays.items():
            np.testing.assert_array_equal(model.rows(name), np.asarray(x, dtype=np.float32))


def test_quantised_tensors_of_torch_are_their_values(tmp_path):
    torch = pytest.importorskip("torch")
    x = torch.randn(6, 40)
    scales = torch.linspace(0.01, 0.1, 6)
    with pytest.warns(UserWarning, match="deprecated"):
        held = {
            "whole": torch.quantize_per_tensor(x, 0.05, 7, torch.quint8),
            "turned": torch.quantize_per_tensor(x, 0.05, -3, torch.qint8).t(),
            "wide": torch.quantize_per_tensor(x, 0.001, 0, torch.qint32),
            "rows": torch.quantize_per_channel(x, scales, torch.arange(6), 0, torch.qint8),
        }
    for is_new in (True, False):
        path = tmp_path / f"{is_new}.pt"
        torch.save({**held, "plain": x}, path, _use_new_zipfile_serialization=is_new)
        model = open_model(path)
        assert not model.problems
        assert set(account(path)) == {"payload", "container"}
        for name, values in held.items():
            expected = values.dequantize().numpy()
            np.testing.assert_allclose(model.rows(name), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "suffix",
    [".ckpt", ".pth.tar", ".pth", ".th", ".jit", ".model", ".sft", ".onnx", ".weights", ""],
)
@pytest.mark.parametrize("stored", ["module.pt", "module-old.pt", "module.safetensors"])
def test_a_file_is_what_its_first_bytes_say(stored, suffix, tmp_path):
    path = tmp_path / f"m{suffix}"
    shutil.copy(FILES / stored, path)
    expected = open_model(FILES / stored)
    for source in (path, tmp_path):
        model = open_model(source)
        assert set(model.tensors) == set(expected.tensors)
        np.testing.assert_array_equal(model.rows("0.weight"), expected.rows("0.weight"))


def test_folders_of_such_files_are_searched(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(FILES / "module.pt", tmp_path / name / "weights.model")
        (tmp_path / name / "notes.data").write_text("nothing")
    assert named([str(tmp_path)]) == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert named([str(tmp_path / "a")]) == [str(tmp_path / "a" / "weights.model")]


def test_archives_of_numpy_are_known_under_any_name(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(3))
    (tmp_path / "x.npz").rename(tmp_path / "x.bin")
    assert list(open_model(tmp_path / "x.bin").tensors) == ["a"]


def test_what_is_compressed_is_refused_or_read(tmp_path):
    for name, method in (("all", zipfile.ZIP_DEFLATED), ("pickle", zipfile.ZIP_STORED)):
        with (
            zipfile.ZipFile(FILES / "module.pt") as old,
            zipfile.ZipFile(tmp_path / f"{name}.pt", "w", method) as new,
        ):
            for info in old.infolist():
                is_pickle = info.filename.endswith(".pkl")
                how = zipfile.ZIP_DEFLATED if is_pickle else method
                new.writestr(info.filename, old.read(info), how)
    assert "compressed" in refusal(tmp_path / "all.pt")
    assert len(open_model(tmp_path / "pickle.pt").tensors) == 11
    assert set(account(tmp_path / "pickle.pt")) == {"payload", "container"}


def test_what_no_reader_understands_is_not_accounted_for(tmp_path):
    raw = (FILES / "module-old.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(raw + bytes(100))
    assert account(tmp_path / "x.pt")["nothing"] == 100
    shutil.copy(FILES / "module.pt", tmp_path / "y.pt")
    with zipfile.ZipFile(tmp_path / "y.pt", "a") as archive:
        archive.comment = bytes(1000)
    assert account(tmp_path / "y.pt")["nothing"] > 1000
