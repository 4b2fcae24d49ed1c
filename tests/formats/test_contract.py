"""Claim: whatever the format, a model that is open keeps one contract with whoever reads it."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import writers
from weightkin.formats import digest, open_model

LLAMA = Path(__file__).parents[2] / "zoo" / "models" / "llama-a"
EXACT = ("safetensors", "sharded", "bin", "legacy", "onnx", "onnx-beside", "npz", "npz-packed")
ROUNDED = ("gguf-F16", "gguf-Q8_0", "gguf-Q4_0", "gptq", "awq", "fp8")


def write(name, folder):
    """Write one model in a format; returns what to open."""
    if name == "safetensors":
        return LLAMA
    if name.startswith("npz"):
        save = np.savez_compressed if name == "npz-packed" else np.savez
        save(folder / "llama.npz", **load_file(LLAMA / "model.safetensors"))
        return folder / "llama.npz"
    if name.startswith("gguf"):
        pytest.importorskip("gguf")
        return writers.gguf(LLAMA, folder / "llama.gguf", name.removeprefix("gguf-"))
    if name == "sharded":
        writers.sharded(LLAMA, folder / "m")
    elif name in ("bin", "legacy"):
        pytest.importorskip("torch")
        writers.torch_file(LLAMA, folder / "m", is_legacy=name == "legacy")
    elif name.startswith("onnx"):
        pytest.importorskip("onnx")
        writers.onnx(LLAMA, folder / "m", beside=name == "onnx-beside")
    else:
        writers.by_layout(LLAMA, folder / "m", name)
    return folder / "m"


@pytest.fixture(scope="module", params=EXACT + ROUNDED)
def written(request, tmp_path_factory):
    """A format, and where the model stands in it."""
    return request.param, write(request.param, tmp_path_factory.mktemp(request.param))


def n_bytes(source):
    """Bytes of all files of a model."""
    paths = [source] if source.is_file() else source.rglob("*")
    return sum(path.stat().st_size for path in paths if path.is_file())


def test_names_come_sorted_with_shapes_and_bytes_that_fit(written):
    model = open_model(written[1])
    assert list(model.tensors) == sorted(model.tensors)
    assert not model.is_partial
    for name, info in model.tensors.items():
        assert (info.name, model.rows(name).shape) == (name, info.shape)
        assert 0 < info.n_bytes <= 8 * math.prod(info.shape)


def test_some_rows_are_those_of_all_rows(written, rng):
    model = open_model(written[1])
    for name, info in model.tensors.items():
        whole, n = model.rows(name), info.shape[0]
        assert whole.dtype == np.float32
        some = rng.integers(0, n, 7)
        assert np.array_equal(model.rows(name, some), whole[some])
        assert np.array_equal(model.rows(name, slice(1, n - 1)), whole[1 : n - 1])


def test_runs_are_joined_and_nothing_outside_is_read(written):
    model = open_model(written[1])
    for name, info in model.tensors.items():
        n = math.prod(info.shape)
        whole = model.storage.read(name, 0, n)
        assert whole.shape == (n,)
        runs = [(0, n // 4), (n // 3, n // 3), (n // 2, n // 2 + n // 5), (n - 1, n)]
        joined = np.concatenate([whole[start:stop] for start, stop in runs])
        model.storage.prefetch([(name, runs)])
        assert model.storage.read_runs(name, runs).tobytes() == joined.tobytes()
        for start, stop in ((0, n + 1), (-1, 3), (4, 2)):
            with pytest.raises(IndexError):
                model.storage.read(name, start, stop)


def test_bytes_are_counted_once_and_no_more_than_there_are(written):
    name, source = written
    model = open_model(source)
    after_opening = model.bytes_read
    assert 0 < after_opening < n_bytes(source)
    for tensor in model.tensors:
        before = model.bytes_read
        model.rows(tensor)
        assert model.bytes_read >= before
    assert after_opening < model.bytes_read <= n_bytes(source) + 4096 * 8
    once = model.bytes_read
    for tensor in model.tensors:
        model.rows(tensor)
    assert model.bytes_read == once


def test_an_open_model_travels_and_has_one_digest(written):
    model = open_model(written[1])
    again = pickle.loads(pickle.dumps(model))
    for name in model.tensors:
        assert np.array_equal(again.rows(name), model.rows(name))
    assert digest(again) == digest(model) == digest(open_model(written[1]))


@pytest.mark.parametrize("name", EXACT[1:])
def test_values_are_those_that_were_written(name, tmp_path):
    model, original = open_model(write(name, tmp_path)), open_model(LLAMA)
    named = model.tensors.keys() & original.tensors.keys()
    assert len(named) > 0.9 * len(original.tensors)
    for tensor in named:
        assert np.array_equal(model.rows(tensor), original.rows(tensor))
    if not name.startswith("onnx"):  # the graph holds constants of its own
        assert digest(model) == digest(original)
