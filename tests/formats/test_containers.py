"""Claim: tensors of Flax, Keras, HDF5, TensorFlow.js and CTranslate2 are those of their library.

`tests/fixtures/writers/containers.py` wrote the files, and the arrays that the libraries read back.
"""

import math
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest

from weightkin.errors import UnreadableModel
from weightkin.formats import open_model
from weightkin.formats.chunked import DEFLATE, SHUFFLE, Chunked, Piece
from weightkin.formats.folder import Chosen, read_chosen
from weightkin.formats.ledger import own_ledger
from weightkin.sources.local import folder_around, folder_at

FOLDER = Path(__file__).parents[1] / "fixtures" / "containers"
LEAVES = {"kernel": "weight", "scale": "weight", "embedding": "weight", "embeddings": "weight",
          "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}  # fmt: skip
with np.load(FOLDER / "expected.npz") as held:
    EXPECTED = {name: held[name] for name in held.files}
LEFT = {"links.h5": 992}  # where the library gave blocks up
FILES = sorted({key.partition(":")[0] for key in EXPECTED})


def in_torch(path, array):
    """The name and the shape that a tensor is to have."""
    parts = path.removeprefix("params/").replace("_._", "/").split("/")
    parts = [part for part in parts if part]
    turned = parts[-1] == "kernel" and array.ndim == 2
    return ".".join([*parts[:-1], LEAVES.get(parts[-1], parts[-1])]), array.T if turned else array


def expected(name):
    """Arrays of a file by the name that they are to have; codes with scales as their values."""
    arrays = {k.partition(":")[2]: v for k, v in EXPECTED.items() if k.startswith(f"{name}:")}
    if not name.startswith("ct2"):
        return dict(in_torch(k, v) for k, v in arrays.items())
    found = {k.replace("/", "."): v for k, v in arrays.items()}
    for key in [
        k for k in found if k.endswith("_scale") and found[k.removesuffix("_scale")].size > 1
    ]:
        scale = found.pop(key)
        codes = found[key.removesuffix("_scale")].astype(np.float32)
        found[key.removesuffix("_scale")] = codes / scale.reshape(-1, 1)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_tensor_is_that_of_the_library(name):
    model, arrays = open_model(FOLDER / name), expected(name)
    assert not model.problems
    assert model.tensors.keys() == arrays.keys()
    for tensor, array in arrays.items():
        assert model.tensors[tensor].shape == array.shape
        found = model.rows(tensor)
        np.testing.assert_allclose(found, array.astype(np.float32), rtol=1e-6, atol=1e-6)
        if array.ndim > 1:
            some = np.array([len(array) - 1, 0, 2])
            np.testing.assert_array_equal(model.rows(tensor, some), found[some])
    assert pickle.loads(pickle.dumps(model)).tensors.keys() == arrays.keys()


@pytest.mark.parametrize("name", FILES)
def test_every_byte_is_a_tensors_or_parsed(name):
    storage = open_model(FOLDER / name).storage
    storage = getattr(storage, "inner", storage)
    for file in storage.files:
        held = np.zeros(file.size, dtype=np.int8)
        for place in (x for x in storage.places.values() if x.file.path == file.path):
            n = math.prod(place.shape) * place.dtype.itemsize
            held[place.offset : place.offset + n] = 1
        for claim in (x for x in claims_of(name) if x.file.path == file.path):
            for start, stop in claim.spans:
                held[start:stop] |= 2
        assert np.count_nonzero(held == 0) == LEFT.get(name, 0)


def claims_of(name):
    """What readers say the other bytes are."""
    path = FOLDER / name
    if path.is_dir():
        return read_chosen(Chosen(name, name, folder_at(path)))[0].claims
    return read_chosen(Chosen(name, name, folder_around(path, ()), path.name))[0].claims


@pytest.mark.parametrize("name", FILES)
def test_the_ledger_adds_up(name):
    model = open_model(FOLDER / name)
    found = own_ledger(model)
    for file in found.files:
        assert file.payload + file.container + file.not_weights + file.unread == file.n_bytes
    assert sum(file.unread for file in found.files) == LEFT.get(name, 0)
    assert found.n_parameters == sum(math.prod(x.shape) for x in model.tensors.values())


@pytest.mark.parametrize("name", ["chunks.h5", "flax.msgpack", "ct2-int8", "model.keras"])
def test_cut_and_changed_files_are_one_line_or_read(tmp_path, rng, name):
    source = FOLDER / name
    data = np.frombuffer((source if source.is_file() else source / "model.bin").read_bytes(), "u1")
    path = tmp_path / (name if source.is_file() else "model.bin")
    for _ in range(40):
        changed = data[: rng.integers(1, len(data))] if rng.random() < 0.3 else data.copy()
        if len(changed) == len(data):
            changed[rng.integers(0, min(4000, len(data)), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(changed.tobytes())
        assert "\n" not in refusal_of(path)


def refusal_of(path):
    """Why a file cannot be read; empty where all its rows can."""
    try:
        model = open_model(path)
        for tensor in model.tensors:
            model.rows(tensor)
    except UnreadableModel as error:
        return str(error)
    return ""


@pytest.mark.parametrize("how", ["nothing", "behind", "edge"])
def test_a_chunk_holds_nothing_beside_its_values(rng, how):
    chunked = Chunked((5, 7), np.dtype("<f4"), (4, 4), (), (SHUFFLE, DEFLATE))
    piece = Piece("stored:x:3", (4, 4), 0, 0)
    values = np.full((4, 4), 0.5, dtype=np.float32)
    values[0, :3] = rng.standard_normal(3)
    values[3, 1] = 0.25 if how == "edge" else 0.5
    shuffled = values.view(np.uint8).reshape(-1, 4).T.tobytes()
    data = zlib.compress(shuffled) + (b"more" if how == "behind" else b"")
    assert chunked.hides(piece, data) == (how != "nothing")


def test_values_past_the_edge_of_a_tensor_are_unread(tmp_path):
    data = bytearray((FOLDER / "chunks.h5").read_bytes())
    storage = open_model(FOLDER / "chunks.h5").storage
    last = storage.recipes["cut"].pieces[-1]  # 600 values in chunks of 9: 3 are past the end
    place = storage.inner.places[last.name]
    assert place.shape == (36,)
    data[place.offset + 28 : place.offset + 32] = b"more"
    (tmp_path / "x.h5").write_bytes(data)
    (told,) = own_ledger(open_model(tmp_path / "x.h5")).files
    assert (told.unread, told.codes) == (36, ("behind-values",))
