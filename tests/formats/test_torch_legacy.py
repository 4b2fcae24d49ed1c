"""Claim: torch files from before 1.6 are the same model, and nothing in a hostile one is run."""

import re
import struct
import tarfile

import numpy as np
import pytest

from tests.formats.handmade import refusal
from weightkin.formats import open_model

torch = pytest.importorskip("torch")


def saved(path, value):
    """As torch before 1.6 wrote it, by torch itself."""
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def state():
    """Tensors of several types, a view, a shared storage, an empty one."""
    torch.manual_seed(0)
    x = torch.randn(5, 7)
    return {
        "a.weight": x,
        "a.turned": x.T,
        "a.part": x[1:3],
        "half": torch.randn(4).half(),
        "brain": torch.randn(4, 2).bfloat16(),
        "whole": torch.arange(6),
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
    }


def test_values_are_those_that_were_saved(tmp_path):
    tensors = state()
    model = open_model(saved(tmp_path / "x.bin", tensors))
    assert set(model.tensors) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(model.rows(name), tensor.float().numpy(), err_msg=name)


def test_a_file_may_end_with_a_storage_without_elements(tmp_path):
    model = open_model(saved(tmp_path / "x.bin", {"none": torch.zeros(0, 3)}))
    assert model.rows("none").shape == (0, 3)


def test_a_training_checkpoint_is_unwrapped(tmp_path):
    kept = {"state": {0: {"mean": torch.ones(9)}, 1: {"mean": torch.ones(3)}}}
    path = saved(tmp_path / "x.pt", {"optimizer": kept, "state_dict": state(), "step": 7})
    moments = {f"optimizer.state.{i}.mean" for i in (0, 1)}
    assert set(open_model(path).tensors) == set(state()) | moments


def test_types_that_are_not_read_do_not_shift_the_others(tmp_path):
    mixed = {"a": torch.zeros(3, dtype=torch.complex128), "b": torch.arange(4.0)}
    model = open_model(saved(tmp_path / "x.bin", mixed))
    assert model.is_partial
    np.testing.assert_array_equal(model.rows("b"), np.arange(4))


def test_a_state_dict_larger_than_the_first_read(tmp_path):
    many = {f"layer.{i}.{'long' * 20}.weight": torch.full((2,), float(i)) for i in range(1500)}
    model = open_model(saved(tmp_path / "x.bin", many))
    assert len(model.tensors) == 1500
    assert model.rows(f"layer.77.{'long' * 20}.weight")[0] == 77


def test_whole_modules_are_read_and_nothing_is_called(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LSTM(2, 3))
    model = open_model(saved(tmp_path / "x.pt", module))
    assert set(model.tensors) == set(module.state_dict())
    raw = saved(tmp_path / "y.pt", {"w": torch.ones(2)}).read_bytes()
    at = raw.index(b"ctorch._utils\n_rebuild_tensor_v2\n")
    call = b"cos\nsystem\n" + raw[at + len(b"ctorch._utils\n_rebuild_tensor_v2\n") :]
    (tmp_path / "y.pt").write_bytes(raw[:at] + call)
    assert "no tensors" in refusal(tmp_path / "y.pt")


def test_a_tar_of_the_first_torch_is_refused(tmp_path):
    (tmp_path / "sys_info").write_text("{}")
    with tarfile.open(tmp_path / "x.pt", "w") as archive:
        archive.add(tmp_path / "sys_info", "sys_info")
    assert "a tar archive of torch 0.1 (2016)" in refusal(tmp_path / "x.pt")


def test_a_file_cut_anywhere_is_one_line(tmp_path):
    raw = saved(tmp_path / "x.bin", {"w": torch.arange(64.0), "b": torch.ones(3)}).read_bytes()
    for n in range(0, len(raw), 7):
        (tmp_path / "cut.bin").write_bytes(raw[:n])
        refusal(tmp_path / "cut.bin")


def test_a_storage_that_lies_about_its_size(tmp_path):
    path = saved(tmp_path / "x.bin", {"w": torch.arange(64.0)})
    raw = path.read_bytes()
    for n in (63, 65, -1, 2**62):
        path.write_bytes(raw[: -64 * 4 - 8] + struct.pack("<q", n) + raw[-64 * 4 :])
        assert f"has {n} elements, not 64" in refusal(path)


def test_storages_that_are_listed_twice_or_belong_to_nothing_are_refused(tmp_path):
    """Keys stand with the tensors, and once more in a list before the values."""
    path = saved(tmp_path / "x.bin", {"w": torch.arange(4.0), "b": torch.ones(4)})
    raw = path.read_bytes()
    listed = raw.rindex(b"\x80\x02]")
    first, second = re.findall(rb"X....[0-9]+", raw[listed:], re.DOTALL)
    for other in (second, b"X\x01\0\0\x009"):
        path.write_bytes(raw[:listed] + raw[listed:].replace(first, other))
        assert "repeated or used by no tensor" in refusal(path)
