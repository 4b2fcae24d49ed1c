"""Claim: suffixes and first bytes of formats stand in one table, and one place reads names."""

import ast
from pathlib import Path

import pytest

import weightkin
from weightkin.formats.finder import is_one_model, kind_of, models_in
from weightkin.formats.table import FORMATS, begun_as, format_of, is_model

SOURCE = Path(weightkin.__file__).parent
# a reader checks the first bytes of its own format; `ranks` knows names of pieces
OWN = {"table", "torch_zip", "zip_archive", "torch_legacy", "gguf_file", "ranks"}
OWN |= {"hdf5_blocks", "numpy_file"}
NAMES = {
    "model.safetensors": "standard",
    "Pytorch_Model.BIN": "standard",
    "model.gguf": "standard",
    "model-00001-of-00002.safetensors": "shard",
    "model.safetensors.index.json": "index",
    "model.safetensors.index.fp16.json": "index",
    "unet.ckpt": "weights",
    ".hidden.onnx": "weights",
    "a.sketch.safetensors": "sketch",
    "adapter_model.bin": "adapter",
    "optimizer-00001-of-00002.pt": "trainer",
    "rng_state_3.pth": "trainer",
    "config.json": "",
    "weights.h5": "weights",
    "model.json": "standard",
    "tokenizer_model.json": "",
    "adapter_model.txt": "",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_what_a_file_is_to_a_model(name):
    assert kind_of(name) == NAMES[name]


def test_a_folder_is_one_model_by_an_index_a_shard_or_a_standard_name():
    assert {name for name in NAMES if is_one_model([name])} == {
        name for name, kind in NAMES.items() if kind in ("index", "shard", "standard")
    }


def test_models_of_a_folder_and_below(tmp_path):
    for name in (
        "a.gguf",
        ".b.gguf",
        "optimizer.pt",
        "c/x.bin",
        "c/d/y.pt",
        "e/s.sketch.safetensors",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = models_in(tmp_path)
    assert found.models == (tmp_path / "a.gguf", tmp_path / "c")
    assert found.deeper == (tmp_path / "c" / "d",)
    (tmp_path / "model.onnx").touch()
    assert models_in(tmp_path).models == (tmp_path, tmp_path / "c")


def test_first_bytes_tell_a_model_that_its_name_hides():
    header = (100).to_bytes(8, "little") + b'{"a":'
    for head in (header, b"GGUF\2\0\0\0", b"PK\3\4" + bytes(12), b"\x89HDF\r\n\x1a\n"):
        assert is_model("notes.txt", head)
    for head in (b"\x80\x04", b"\x1f\x8b\x08", bytes(16), b"PK\5\6", bytes(8) + b"{", b""):
        assert not is_model("notes.txt", head)
    assert is_model("x.pt", b"\x80\x04")
    assert not is_model("x.pt", b"anything")  # values beside a graph may be called so
    assert is_model("x.gguf", b"anything")


def test_no_format_has_a_suffix_of_another():
    suffixes = [suffix for x in FORMATS for suffix in x.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(format_of(f"x{y}") is x for x in FORMATS if x.read for y in x.suffixes)


def test_no_other_module_lists_suffixes_or_first_bytes():
    suffixes = {suffix for x in FORMATS for suffix in x.suffixes}
    found = {}
    for path in SOURCE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        for value in (x.value for x in nodes if isinstance(x, ast.Constant)):
            is_suffix = isinstance(value, str) and value.lower() in suffixes
            if is_suffix or (isinstance(value, bytes) and len(value) > 3 and begun_as(value)):
                found.setdefault(path.relative_to(SOURCE).as_posix(), []).append(value)
    assert found.keys() == {f"formats/{name}.py" for name in OWN}, found
