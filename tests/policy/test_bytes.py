"""Claim: bytes that no tensor owns, and numbers that no test reached, never pass unseen."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib import claim
from safetensors.numpy import save_file

from weightkin import check, compare
from weightkin.errors import UnreadableModel
from weightkin.formats import open_model
from weightkin.formats.ledger import n_outside, own_ledger
from weightkin.policy.equal_values import equal_share
from weightkin.policy.reach import Submitted

cases = claim("cases.bytes")
arrays_of, write = cases.arrays_of, cases.write
NOISE = np.random.default_rng(0).standard_normal(500_000).astype(np.float32)


def codes(path):
    """Why bytes of one file are unread, as the ledger says."""
    (told,) = own_ledger(open_model(path)).files
    assert told.payload + told.container + told.not_weights + told.unread == told.n_bytes
    return told.codes


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("gguf", lambda folder: cases.gguf_file(False, folder, b"", {"x": np.zeros(0, "f4")})),
        ("onnx", lambda folder: cases.onnx_file(folder, b"", {"x": np.zeros(0, "f4")})),
        ("pt", lambda folder: None),
    ],
)
def test_the_same_files_with_nothing_beside_are_covered(tmp_path, name, put):
    folder = write(tmp_path / "m", arrays_of(2))
    put(folder)
    if name == "pt":
        import torch

        state = {k: torch.from_numpy(v) for k, v in arrays_of(2).items()}
        (folder / "model.safetensors").unlink()
        torch.save(state, folder / "pytorch_model.bin")
    assert own_ledger(open_model(folder)).is_whole
    denied = write(tmp_path / "denied", arrays_of(1))
    assert check(folder, deny=[denied]).outcome == "pass"


@pytest.mark.parametrize(
    ("views", "is_covered"),
    [
        (lambda x: {"w": x}, True),
        (lambda x: {"w": x.t()}, True),
        (lambda x: {"q": x[:, :300], "k": x[:, 300:600], "v": x[:, 600:]}, True),
        (lambda x: {"w": x.reshape(2, 250, 1000).permute(2, 0, 1)}, True),
        (lambda x: {"w": x, "shared": x[0].expand(500, 1000)}, True),
        (lambda x: {"even": x[:, ::2], "odd": x[:, 1::2]}, True),
        (lambda x: {"w": x[:, 0]}, False),
        (lambda x: {"w": x.reshape(-1)[::499_999]}, False),
        (lambda x: {"w": x[:, :300]}, False),
        (lambda x: {"w": x[0].expand(500, 1000)}, False),
    ],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_views_own_the_elements_that_they_touch(tmp_path, views, is_covered, is_new):
    import torch

    path = tmp_path / "m.pt"
    held = views(torch.from_numpy(NOISE.copy()).reshape(500, 1000))
    torch.save(held, path, _use_new_zipfile_serialization=is_new)
    assert (codes(path) == ()) is is_covered
    assert (n_outside(open_model(path).storage) < 5000) is is_covered


def test_a_tensor_without_elements_raises_no_allowance(tmp_path):
    empty = {f"z{i}": np.zeros(0, np.float32) for i in range(2000)}
    path = tmp_path / "m.safetensors"
    save_file({"w": NOISE[:100], **empty}, path)
    assert codes(path) == ()
    save_file({"w": NOISE[:100], **empty}, path, metadata={"x": NOISE.tobytes().hex()})
    assert codes(path) == ("too-dense",)


def test_tensors_without_elements_are_bounded(tmp_path):
    empty = {f"z{i}": np.zeros(0, np.float32) for i in range(17_000)}
    save_file({"w": NOISE[:100], **empty}, tmp_path / "m.safetensors")
    with pytest.raises(
        UnreadableModel, match="too many tensors without elements .17000, at most 16384"
    ):
        open_model(tmp_path / "m.safetensors")


def test_padding_of_zeros_holds_nothing(tmp_path):
    folder = write(tmp_path / "m", arrays_of(2))
    cases.onnx_file(folder, b"", {"x": np.zeros(0, "f4")})
    with (folder / "w.data").open("ab") as file:
        file.write(bytes(8 << 20))
    assert own_ledger(open_model(folder)).is_whole


def test_a_negative_view_is_no_copy_of_what_its_storage_holds(tmp_path):
    import torch

    x = torch.from_numpy(NOISE[:100].copy())
    torch.save({"w": torch._neg_view(x), "v": x}, tmp_path / "m.pt")
    model = open_model(tmp_path / "m.pt")
    assert list(model.tensors) == ["v"]
    assert model.is_partial


def test_layers_that_share_one_storage_are_bounded(tmp_path):
    import torch

    x = torch.from_numpy(NOISE.copy())
    torch.save({f"w{i}": x for i in range(24)}, tmp_path / "m.pt")
    assert len(open_model(tmp_path / "m.pt").tensors) == 24
    torch.save({f"w{i}": x for i in range(50)}, tmp_path / "m.pt")
    with pytest.raises(UnreadableModel, match="views of .* bytes in all, over"):
        open_model(tmp_path / "m.pt")


@pytest.mark.parametrize("shape", [[0, 2**59], [2**59, 0], [0, 1_500_000_000]])
def test_a_side_without_elements_costs_nothing(tmp_path, shape):
    entries, body = {}, b""
    for name, value in arrays_of(2).items():
        is_side = name.endswith("0.self_attn.v_proj.weight")
        data = b"" if is_side else value.tobytes()
        sizes = shape if is_side else list(value.shape)
        span = [len(body), len(body) + len(data)]
        entries[name] = {"dtype": "F32", "shape": sizes, "data_offsets": span}
        body += data
    folder = write(tmp_path / "m", arrays_of(2))
    head = json.dumps(entries).encode()
    raw = struct.pack("<Q", len(head)) + head + body
    (folder / "model.safetensors").write_bytes(raw)
    record = compare(write(tmp_path / "denied", arrays_of(1)), folder)
    assert any("without elements" in x.sentence for x in record.skipped)


class Broken:
    """A storage that runs out of memory whatever is asked of it."""

    bytes_touched = 0
    stamps = ()

    def read(self, name, start, stop):
        raise MemoryError

    read_runs = prefetch = lambda self, *_: self.read("", 0, 0)


def test_what_goes_wrong_in_one_model_is_its_own_finding(tmp_path):
    denied = write(tmp_path / "denied", arrays_of(1))
    broken = replace(open_model(denied), storage=Broken(), source="broken")
    record = check([broken, denied], deny=[denied])
    assert record.outcome == "incomplete"
    first, second = record.models
    assert "out of memory in test_bytes.py" in first.findings[0].sentence
    assert [x.rule for x in second.findings] == ["forbidden-ancestor"]


def test_rows_beyond_those_of_the_other_model_are_not_in_reach(tmp_path):
    a, clean = open_model(write(tmp_path / "a", arrays_of(1))), arrays_of(2)
    b = open_model(write(tmp_path / "b", clean))
    assert Submitted(b).reach(compare(a, b), a).share > 0.99
    table = clean[cases.EMBEDDING]
    longer = {**clean, cases.EMBEDDING: np.concatenate([table, table + 1, table - 1])}
    c = open_model(write(tmp_path / "c", longer))
    reach = Submitted(c).reach(compare(a, c), a)
    assert reach.hidden >= 2 * table.nbytes
    assert reach.share < 0.95


def test_equal_values_are_seen_where_rows_point_elsewhere(tmp_path):
    a, b = arrays_of(1), arrays_of(2)
    changed = {k: v.copy() for k, v in a.items()}
    for value in changed.values():
        if value.ndim == 2:
            value[:, 0] = 300.0
    models = [open_model(write(tmp_path / str(i), x)) for i, x in enumerate((a, b, changed))]
    assert equal_share(models[0], models[2]) > 0.8
    assert equal_share(models[0], models[1]) < 0.01
    other_shape = open_model(write(tmp_path / "s", {"x.weight": np.ones((70, 30), "f4")}))
    assert equal_share(models[0], other_shape) == 0
    negative = {f"renamed.{k}": -2 * v for k, v in a.items()}
    assert equal_share(models[0], open_model(write(tmp_path / "n", negative))) > 0.9
