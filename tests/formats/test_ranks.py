"""Claim: parts of ranks are joined where they say how, else named with what joins them.

`tests/fixtures/writers/ranks.py` wrote the checkpoints of two ranks.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.formats.handmade import mapping, program, refusal, tensor, torch_file
from weightkin.errors import UnreadableModel
from weightkin.formats import digest, open_model
from weightkin.formats.ledger import own_ledger

RANKS = Path(__file__).parents[1] / "fixtures" / "ranks"
WHOLE = program(mapping({"w": tensor()}))


@pytest.mark.parametrize("name", ["dcp", "dcp/__0_0.distcp", "dcp/__1_0.distcp", "fsdp"])
def test_parts_of_two_ranks_are_the_whole_model(name):
    model, whole = open_model(RANKS / name), open_model(RANKS / "whole.safetensors")
    assert not model.problems
    assert {x for x in model.tensors if not x.startswith("optim")} == set(whole.tensors)
    for tensor_name in whole.tensors:
        np.testing.assert_array_equal(model.rows(tensor_name), whole.rows(tensor_name))
        some = np.array([7, 0, 5])
        np.testing.assert_array_equal(model.rows(tensor_name, some), whole.rows(tensor_name, some))
    assert own_ledger(model).is_whole
    if name == "fsdp":
        assert digest(model) == digest(whole)


def test_padding_of_an_uneven_part_is_container_if_it_is_zero(tmp_path):
    import torch

    for last in (0, 3):
        x = torch.ones(4, 5)
        x[3, 4], x[3, 3] = last, 0
        torch.save({"w": x.reshape(-1)[:18].reshape(9, 2)}, tmp_path / "m.pt")
        (told,) = own_ledger(open_model(tmp_path / "m.pt")).files
        assert (told.payload, told.unread) == (72, 8 if last else 0)
        assert told.codes == (("not-blank",) if last else ())


def test_a_part_that_is_missing_or_changed_is_told(tmp_path):
    shutil.copytree(RANKS / "dcp", tmp_path / "dcp")
    (tmp_path / "dcp" / "__1_0.distcp").unlink()
    with pytest.raises(UnreadableModel, match="__1_0.distcp"):
        open_model(tmp_path / "dcp")
    (tmp_path / "dcp" / ".metadata").unlink()
    with pytest.raises(UnreadableModel, match="metadata"):
        open_model(tmp_path / "dcp")
    shutil.copytree(RANKS / "fsdp", tmp_path / "fsdp")
    (tmp_path / "fsdp" / "model_world_size_2_rank_1.pt").unlink()
    with pytest.raises(UnreadableModel, match="rank_1.pt: no such file"):
        open_model(tmp_path / "fsdp")


def llama_of_meta(rng):
    """A layer under the names of Meta."""
    block = "layers.0."
    shapes = {
        "tok_embeddings.weight": (32, 16),
        "norm.weight": (16,),
        "output.weight": (32, 16),
        f"{block}attention.wq.weight": (16, 16),
        f"{block}attention.wo.weight": (16, 16),
        f"{block}feed_forward.w1.weight": (24, 16),
        f"{block}feed_forward.w2.weight": (16, 24),
        f"{block}ffn_norm.weight": (16,),
    }
    return {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}


def cut(whole, n, columns):
    """Parts of tensor-parallel ranks."""
    parts = [{} for _ in range(n)]
    for name, x in whole.items():
        dim = 1 if any(word in name for word in columns) else 0
        pieces = [x] * n if x.ndim == 1 else np.split(x, n, axis=dim)
        for part, piece in zip(parts, pieces, strict=True):
            part[name] = np.ascontiguousarray(piece)
    return parts


def save(parts, folder, name):
    torch = pytest.importorskip("torch")
    folder.mkdir(exist_ok=True)
    for i, part in enumerate(parts):
        path = folder / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({k: torch.tensor(v) for k, v in part.items()}, path)


@pytest.mark.parametrize("columns", [("wo", "w2", "tok_emb"), ("wo", "w2")])
def test_parts_of_meta_are_joined_by_the_rules_of_their_names(tmp_path, rng, columns):
    whole = llama_of_meta(rng)
    save(cut(whole, 4, columns), tmp_path, "consolidated.{:02d}.pth")
    for source in (tmp_path, tmp_path / "consolidated.02.pth"):
        model = open_model(source)
        assert model.tensors.keys() == whole.keys()
        for name, x in whole.items():
            np.testing.assert_array_equal(model.rows(name), x)
            np.testing.assert_array_equal(model.rows(name, slice(3, 9)), x[3:9])


def test_parts_that_do_not_fit_are_refused(tmp_path, rng):
    whole = llama_of_meta(rng)
    parts = cut(whole, 4, ("wo", "w2", "tok_emb"))
    save(parts[:3], tmp_path / "a", "consolidated.{:02d}.pth")
    with pytest.raises(UnreadableModel, match="parts are missing"):
        open_model(tmp_path / "a")
    parts[1]["norm.weight"] = parts[1]["norm.weight"] + 1
    save(parts, tmp_path / "b", "consolidated.{:02d}.pth")
    with pytest.raises(UnreadableModel, match="'norm.weight' differs between parts"):
        open_model(tmp_path / "b")
    for part in parts:
        part["norm.weight"] = whole["norm.weight"]
        part["vision.weight"] = np.ones((2, 2), np.float32)
    save(parts, tmp_path / "c", "consolidated.{:02d}.pth")
    with pytest.raises(UnreadableModel, match="how tensor 'vision.weight' is cut"):
        open_model(tmp_path / "c")


def test_gate_and_up_of_megatron_come_together_again(tmp_path, rng):
    block = "decoder.layers.0."
    gate, up = (rng.standard_normal((12, 8)).astype(np.float32) for _ in range(2))
    plain = {
        "embedding.word_embeddings.weight": rng.standard_normal((16, 8)).astype(np.float32),
        f"{block}mlp.linear_fc2.weight": rng.standard_normal((8, 12)).astype(np.float32),
        f"{block}mlp.linear_fc1.layer_norm_weight": np.ones(8, np.float32),
    }
    parts = cut(plain, 2, ("linear_fc2",))
    for part, a, b in zip(parts, np.split(gate, 2), np.split(up, 2), strict=True):
        part[f"{block}mlp.linear_fc1.weight"] = np.concatenate([a, b])
    save(parts, tmp_path / "iter_0000005", "mp_rank_{:02d}/model_optim_rng.pt")
    model = open_model(tmp_path / "iter_0000005")
    fused = model.rows(f"{block}mlp.linear_fc1.weight")
    np.testing.assert_array_equal(fused, np.concatenate([gate, up]))
    for name, x in plain.items():
        np.testing.assert_array_equal(model.rows(name), x)
    with pytest.raises(UnreadableModel, match="name the folder of all mp_rank_NN"):
        open_model(tmp_path / "iter_0000005" / "mp_rank_01")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model_world_size_2_rank_1.pt", "verl.model_merger"),
        ("zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_to_fp32.py"),
        ("bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", "zero_to_fp32.py"),
    ],
)
def test_a_piece_that_says_nothing_is_refused_in_its_folder_and_alone(tmp_path, name, said):
    path = torch_file(tmp_path / name, WHOLE)
    torch_file(tmp_path / "model_world_size_2_rank_0.pt", WHOLE)
    assert said in refusal(path)


def test_the_module_of_deepspeed_is_the_model(tmp_path):
    state = program(mapping({"module": mapping({"w": tensor()})}))
    torch_file(tmp_path / "mp_rank_00_model_states.pt", state)
    torch_file(tmp_path / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", WHOLE)
    assert list(open_model(tmp_path).tensors) == ["w"]


def test_megatron_is_known_by_its_folders(tmp_path):
    for number in ("00", "01"):
        folder = tmp_path / "iter_0000005" / f"mp_rank_{number}"
        folder.mkdir(parents=True)
        path = torch_file(folder / "model_optim_rng.pt", WHOLE)
    assert "Megatron" in refusal(path)
    assert list(open_model(shutil.copy(path, tmp_path / "model_optim_rng.pt")).tensors) == ["w"]


def test_a_first_shard_alone_is_the_model(tmp_path):
    first = torch_file(tmp_path / "consolidated.00.pth", WHOLE)
    assert list(open_model(first).tensors) == ["w"]
    torch_file(tmp_path / "consolidated.01.pth", WHOLE)
    assert "without the norm that Meta's have" in refusal(first)


def test_a_model_beside_pieces_is_read(tmp_path):
    torch_file(tmp_path / "pytorch_model.bin", WHOLE)
    torch_file(tmp_path / "mp_rank_00_model_states.pt", WHOLE)
    assert list(open_model(tmp_path).tensors) == ["w"]
