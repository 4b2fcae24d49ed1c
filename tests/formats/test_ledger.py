"""Claim: every byte of a file is in one state, and a recount by another parser agrees with it."""

import json
import math
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tests.conftest import ROOT
from weightkin.errors import UnreadableModel
from weightkin.formats import open_model, table
from weightkin.formats.ledger import ledger_of, own_ledger, stores_of
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.formats.storage import Claim

ZOO = sorted(p.parent for kind in ("models", "derived") for p in
             (ROOT / "zoo" / kind).glob("*/model.safetensors"))  # fmt: skip
FIXTURES = ROOT / "tests" / "fixtures"
RNG = np.random.default_rng(5)
NOISE = RNG.standard_normal(200_000).astype(np.float32)
STATE = {f"layers.{i}.weight": NOISE[i * 600 : (i + 1) * 600].reshape(20, 30) for i in range(3)}


def in_safetensors(path):
    with safe_open(path, "np") as held:
        slices = {name: held.get_slice(name) for name in held.keys()}  # noqa: SIM118
        return {k: math.prod(x.get_shape()) * WIDTHS[x.get_dtype()] for k, x in slices.items()}


WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I32": 4, "I64": 8, "U8": 1, "I8": 1}


def in_torch(path):
    import torch

    return {k: x.numel() * x.element_size() for k, x in torch.load(path).items()}


def in_gguf(path):
    from gguf import GGUFReader

    return {x.name: int(x.n_bytes) for x in GGUFReader(path).tensors}


def in_onnx(path):
    import onnx

    held = onnx.load(path, load_external_data=True).graph
    inside = [a.t for n in held.node for a in n.attribute if n.op_type == "Constant"]
    return {x.name or str(i): onnx.numpy_helper.to_array(x).nbytes for i, x in
            enumerate((*held.initializer, *inside))}  # fmt: skip


PARSERS = {
    ".safetensors": in_safetensors,
    ".pt": in_torch,
    ".gguf": in_gguf,
    ".onnx": in_onnx,
}


def recount(source):
    """Hold the ledger of a model against its files, and its tensors against another parser."""
    model = open_model(source)
    files = own_ledger(model).files
    for told in files:
        assert told.is_read, told
        assert told.payload + told.container + told.not_weights == told.n_bytes
    (store,) = stores_of(model.storage)
    for path in {x.file.path for x in store.places.values()} | {x.path for x in store.files}:
        held = [x for x in store.places.values() if x.file.path == path]
        if held and all(not x.strides for x in held):  # claims and payload share no byte
            spans = {(x.offset, x.offset + math.prod(x.shape) * x.dtype.itemsize) for x in held}
            spans |= {tuple(s) for c in store.claims if c.file.path == path for s in c.spans}
            assert sum(b - a for a, b in spans) == path.stat().st_size, path
    first = next(x.path for x in store.files if x.path.suffix in PARSERS)
    expected = PARSERS[first.suffix](first)
    sizes = [math.prod(x.shape) * x.dtype.itemsize for x in store.places.values()]
    assert sorted(sizes) == sorted(expected.values())
    return model


@pytest.mark.parametrize("folder", ZOO, ids=lambda x: x.name)
def test_every_model_of_the_zoo_is_whole_and_recounted(folder):
    model = recount(folder)
    held = ledger_of(model)
    assert held.is_whole
    assert sum(x.n_bytes for x in held.files) == sum(x.stat().st_size for x in folder.iterdir())
    assert held.n_parameters == sum(math.prod(x.shape) for x in model.tensors.values())


FILES = ("base", "gptq4", "gptq3", "awq", "wide.Q4_K.gguf", "wide.safetensors", "onnx-base",
         "onnx-beside", "onnx-inside")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_that_libraries_wrote_are_whole_and_recounted(name):
    assert ledger_of(recount(FIXTURES / name)).is_whole


@pytest.mark.parametrize("is_new", [True, False])
def test_views_and_ties_of_torch_count_once(tmp_path, is_new):
    import torch

    x = torch.from_numpy(NOISE.copy()).reshape(400, 500)
    state = {"w": x, "tied": x, "turned": x.t(), "b": torch.zeros(7, dtype=torch.bfloat16)}
    torch.save(state, tmp_path / "m.pt", _use_new_zipfile_serialization=is_new)
    held = own_ledger(recount(tmp_path / "m.pt"))
    assert held.files[0].payload == 800_000 + 14
    assert held.n_parameters == 200_007


def test_packed_layers_count_as_what_they_stand_for(tmp_path):
    base, packed = (own_ledger(open_model(FIXTURES / x)) for x in ("base", "gptq4"))
    assert packed.n_parameters == base.n_parameters
    adapted = f"{ROOT}/zoo/models/gpt-a+{ROOT}/zoo/models/gpt-a-lora4-adapter"
    model = open_model(adapted)
    alone = ledger_of(open_model(ROOT / "zoo" / "models" / "gpt-a"))
    held = ledger_of(model)
    assert held.is_whole
    assert {x.file.split("/")[0] for x in held.files} == {"gpt-a", "gpt-a-lora4-adapter"}
    assert held.n_parameters - alone.n_parameters == held.files[2].payload // 4


def dropping(file):
    """A reader that leaves out a tensor."""
    contents = read_safetensors(file)
    name = min(contents.tensors)
    del contents.tensors[name], contents.places[name]
    return contents


def covering(file):
    """A reader that leaves one out, and calls its bytes something else."""
    contents = dropping(file)
    contents.claims.append(Claim(file, [(0, file.size)], "container"))
    return contents


def calling_all_weights(file):
    """A reader that shows the header as a part of the first tensor."""
    contents = read_safetensors(file)
    name = min(contents.places, key=lambda x: contents.places[x].offset)
    place = contents.places[name]
    contents.places[name] = replace(place, offset=0, shape=(file.size // 8,))
    return contents


@pytest.mark.parametrize("reader", [dropping, covering, calling_all_weights])
def test_a_reader_that_leaves_out_a_tensor_or_claims_too_much_is_found(monkeypatch, reader):
    formats = (replace(table.FORMATS[0], read=table.alone(reader)), *table.FORMATS[1:])
    monkeypatch.setattr(table, "FORMATS", formats)
    with pytest.raises(AssertionError):
        recount(FIXTURES / "wide.safetensors")


def torch_file(path):
    import torch

    torch.save({k: torch.from_numpy(x.copy()) for k, x in STATE.items()}, path)


def append(path):
    with path.open("ab") as file:
        file.write(NOISE[:500].tobytes())


def zip_entry(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data/9", NOISE[:500].tobytes())


def zip_comment(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = NOISE[:5000].tobytes()


def zip_filler(path):
    """Other bytes in place of those by which torch puts data at a multiple of 64 bytes."""
    raw = path.read_bytes()
    at = raw.index(b"Z" * 20)
    path.write_bytes(raw[:at] + NOISE[:5].tobytes() + raw[at + 20 :])


def dense_metadata(path):
    save_file(STATE, path, metadata={"note": NOISE.tobytes().hex() * 2})


def gap_in_gguf(path):
    """Bytes other than zero between the header and the first tensor."""
    from gguf import GGUFReader

    start = min(int(x.data_offset) for x in GGUFReader(path).tensors)
    raw = bytearray(path.read_bytes())
    assert not any(raw[start - 4 : start])
    raw[start - 4 : start] = b"\1\2\3\4"
    path.write_bytes(raw)


def made(kind, path):
    if kind == "safetensors":
        save_file(STATE, path)
    elif kind == "pt":
        torch_file(path)
    else:
        path.write_bytes((FIXTURES / f"wide.Q4_K.{kind}").read_bytes())
    return path


HIDDEN = [("safetensors", dense_metadata, "too-dense"), ("pt", zip_entry, "zip-entry"),
          ("pt", zip_comment, "no-tensor"), ("pt", zip_filler, "no-tensor"),
          ("gguf", gap_in_gguf, "not-blank"), ("gguf", append, "no-tensor")]  # fmt: skip


@pytest.mark.parametrize(("kind", "hide", "code"), HIDDEN)
def test_hidden_bytes_are_unread(tmp_path, kind, hide, code):
    path = made(kind, tmp_path / f"m.{kind}")
    assert own_ledger(open_model(path)).is_whole
    hide(path)
    (told,) = own_ledger(open_model(path)).files
    assert told.unread
    assert code in told.codes
    assert told.payload + told.container + told.not_weights + told.unread == told.n_bytes


def test_values_beside_an_onnx_graph_may_be_aligned_with_zeros_alone(tmp_path):
    for name in ("model.onnx", "model.onnx.data"):
        (tmp_path / name).write_bytes((FIXTURES / "onnx-beside" / name).read_bytes())
    with (tmp_path / "model.onnx.data").open("ab") as file:
        file.write(bytes(5000))
    assert own_ledger(open_model(tmp_path)).is_whole
    append(tmp_path / "model.onnx.data")
    told = own_ledger(open_model(tmp_path)).files[1]
    assert (told.unread, told.codes) == (7000, ("not-blank",))


def test_files_beside_are_no_weights_for_certain_or_unread(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    torch_file(tmp_path / "pytorch_model.bin")
    (tmp_path / "sub").mkdir()
    append(tmp_path / "sub" / ".hidden")
    (tmp_path / "README.md").write_text("# A model\n")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "x.nemo").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "away").symlink_to("/etc/hostname")
    held = ledger_of(open_model(tmp_path))
    assert {x.file: (x.is_read, x.codes) for x in held.files} == {
        "model.safetensors": (True, ()),
        "README.md": (True, ("text-file",)),
        "tokenizer.json": (True, ("settings",)),
        "pytorch_model.bin": (False, ("other-weights",)),
        "x.nemo": (False, ("not-as-named",)),
        "sub/.hidden": (False, ("unknown-kind",)),
        "pipe": (False, ("no-regular-file",)),
        "away": (False, ("link-outside",)),
    }
    assert not held.is_whole


def test_a_sketch_has_a_ledger_and_a_model_in_memory_an_empty_one(tmp_path):
    from weightkin import take_sketch, write_sketch
    from weightkin.api.models import open_model as opened

    path = tmp_path / "s.sketch.safetensors"
    write_sketch(take_sketch(ROOT / "zoo" / "models" / "gpt-b"), path)
    (told,) = own_ledger(opened(path)).files
    assert told.is_read
    assert told.payload == sum(x.nbytes for x in load_file(path).values())
    held = ledger_of(opened(STATE))
    assert (held.files, held.n_parameters) == ((), 1800)


def test_a_file_that_changed_since_is_an_error(tmp_path):
    path = made("gguf", tmp_path / "m.gguf")
    model = open_model(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UnreadableModel, match="shorter than when it was opened"):
        own_ledger(model)
