"""Claim: a piece of a distributed checkpoint is named with what joins it, and a whole is read."""

import shutil

import pytest

from tests.formats.handmade import mapping, program, refusal, tensor, torch_file
from weightkin.formats import open_model

WHOLE = program(mapping({"w": tensor()}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model_world_size_2_rank_1.pt", "verl.model_merger"),
        ("mp_rank_00_model_states.pt", "zero_to_fp32.py"),
        ("bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", "zero_to_fp32.py"),
        ("consolidated.01.pth", "consolidated.NN"),
    ],
)
def test_a_piece_is_refused_in_its_folder_and_alone(tmp_path, name, said):
    path = torch_file(tmp_path / name, WHOLE)
    assert said in refusal(tmp_path)
    assert said in refusal(path)


def test_megatron_is_known_by_its_folders(tmp_path):
    folder = tmp_path / "iter_0000005" / "mp_rank_00"
    folder.mkdir(parents=True)
    path = torch_file(folder / "model_optim_rng.pt", WHOLE)
    assert "Megatron" in refusal(path)
    assert list(open_model(shutil.copy(path, tmp_path / "model_optim_rng.pt")).tensors) == ["w"]


def test_a_first_shard_alone_is_the_model(tmp_path):
    first = torch_file(tmp_path / "consolidated.00.pth", WHOLE)
    assert list(open_model(first).tensors) == ["w"]
    torch_file(tmp_path / "consolidated.01.pth", WHOLE)
    assert "tensor-parallel" in refusal(first)
    assert "tensor-parallel" in refusal(tmp_path)


def test_a_model_beside_pieces_is_read(tmp_path):
    torch_file(tmp_path / "pytorch_model.bin", WHOLE)
    torch_file(tmp_path / "mp_rank_00_model_states.pt", WHOLE)
    assert list(open_model(tmp_path).tensors) == ["w"]
