"""Claim: of every format, a reader that drops a tensor or claims too much is found out."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import ROOT
from weightkin.errors import UnreadableModel
from weightkin.formats import open_model, ranks, table
from weightkin.formats.byte_pieces import as_pieces, both, length, touched
from weightkin.formats.ledger import own_ledger, stores_of
from weightkin.formats.storage import Claim

FIXTURES = ROOT / "tests" / "fixtures"
SOURCES = {  # by the first suffix of a format, or its name
    ".safetensors": ("wide.safetensors", "base", "ranks/whole.safetensors"),
    "model.json": ("containers/tfjs",),
    ".bin": ("torch-objects/module.pt", "torch-objects/module-old.pt", "torch-objects/traced.jit",
             "torch-objects/lightning.ckpt", "torch-objects/exported.pt2"),
    "ranks": ("ranks/fsdp",),
    ".gguf": ("wide.Q4_K.gguf",),
    ".onnx": ("onnx-inside", "onnx-beside", "onnx-runtime/float.onnx", "onnx-runtime/qdq.onnx"),
    ".h5": ("containers/keras.weights.h5", "containers/chunks.h5", "containers/latest.h5"),
    ".keras": ("containers/model.keras",),
    ".distcp": ("ranks/dcp",),
    ".msgpack": ("containers/flax.msgpack", "containers/flax-chunks.msgpack"),
    ".npz": ("containers/expected.npz", "unpacked.npz"),
    ".npy": ("one.npy",),
    "model.bin": ("containers/ct2-float32", "containers/ct2-int8"),
}  # fmt: skip
EVERY = [(key, name) for key, names in SOURCES.items() for name in names]


def key_of(kind):
    return (*kind.suffixes, *kind.names, "model.bin")[0]


def source_of(name, folder):
    """A fixture; the one array of numpy is written, as small as it is."""
    if name != "one.npy":
        return FIXTURES / name
    np.save(folder / name, np.arange(600, dtype=np.float32).reshape(20, 30))
    return folder / name


def stored_in(value, places):
    """Names of the places that a recipe reads, wherever they stand in it."""
    if isinstance(value, str):
        return {value} & places.keys()
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        return set().union(*(stored_in(x, places) for x in value))
    return set()


def dropping(contents, _file):
    """Leave out the tensor that has the most bytes to itself."""
    held = {}
    for name in contents.tensors:
        held[name] = stored_in(contents.recipes.get(name), contents.places)
        held[name] |= {name} & contents.places.keys()
    n_own = {name: sum(own_bytes(contents, x) for x in names) for name, names in held.items()}
    name = max(n_own, key=n_own.__getitem__)
    if n_own[name]:  # the first of several files may hold none of its own
        del contents.tensors[name]
        contents.recipes.pop(name, None)
        for stored in held[name]:
            del contents.places[stored]
    return contents


def own_bytes(contents, name):
    """Bytes of a place; none where another place begins there too."""
    place = contents.places[name]
    others = [x for k, x in contents.places.items() if k != name and x.file is place.file]
    taken = any(x.offset == place.offset for x in others)
    return 0 if taken else length(touched([place]))


def covering(contents, _file):
    """Call whole files the container."""
    files = {x.file.path: x.file for x in contents.places.values()}
    contents.claims += [Claim(x, [(0, x.size)], "container") for x in files.values()]
    return contents


def spoil(monkeypatch, key, change):
    """Put a reader into the table that changes what the honest one found."""
    if key == "ranks":  # files of several processes, which are read together
        honest = ranks.read_torch_zip
        monkeypatch.setattr(ranks, "read_torch_zip", lambda f, *how: change(honest(f, *how), f))

    def spoiled(kind):
        if kind.read is None or key_of(kind) != key:
            return kind
        read = kind.read
        return dataclasses.replace(kind, read=lambda f, o, b: change(read(f, o, b), f))

    monkeypatch.setattr(table, "FORMATS", tuple(spoiled(kind) for kind in table.FORMATS))


def claimed_twice(source):
    """Bytes that are claimed to be none of a tensor's, and are."""
    (store,) = stores_of(open_model(source).storage)
    n = 0
    for file in {x.file for x in store.claims if x.narrow is None}:
        held = touched(x for x in store.places.values() if x.file is file)
        for claim in (x for x in store.claims if x.file is file and x.narrow is None):
            n += length(both(as_pieces(claim.spans, file.size), held, file.size))
    return n


def test_every_format_that_is_read_is_tried():
    assert {key_of(kind) for kind in table.read_formats()} == SOURCES.keys() - {"ranks"}


@pytest.mark.parametrize(("key", "name"), EVERY)
def test_a_tensor_that_a_reader_drops_is_unread(monkeypatch, tmp_path, key, name):
    source = source_of(name, tmp_path)
    before = sum(x.unread for x in own_ledger(open_model(source)).files)
    spoil(monkeypatch, key, dropping)
    if name == "one.npy":  # without its one tensor it is no model
        with pytest.raises(UnreadableModel, match="no tensors"):
            open_model(source)
        return
    assert sum(x.unread for x in own_ledger(open_model(source)).files) > before


@pytest.mark.parametrize(("key", "name"), EVERY)
def test_no_byte_of_a_tensor_is_claimed_and_too_much_is_found(monkeypatch, tmp_path, key, name):
    source = source_of(name, tmp_path)
    assert claimed_twice(source) == 0
    spoil(monkeypatch, key, covering)
    assert claimed_twice(source) > 0
