"""Shards make one model; broken shards are said and left out; indexes cannot reach outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.formats.handmade import (
    entry,
    index,
    mapping,
    program,
    refusal,
    safetensors,
    tensor,
    torch_file,
)
from weightkin.formats import digest, open_model

CONTAINERS = Path(__file__).parents[1] / "fixtures" / "containers"


@pytest.fixture
def folder(tmp_path):
    save_file({"a": np.full((2, 2), 1.0, np.float32)}, tmp_path / "1.safetensors")
    save_file({"b": np.full(3, 2.0, np.float32)}, tmp_path / "2.safetensors")
    index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors"})
    return tmp_path


def test_shards_make_one_model(folder):
    model = open_model(folder)
    assert list(model.tensors) == ["a", "b"]
    assert model.rows("b").tolist() == [2, 2, 2]
    assert model.problems == ()


def test_the_index_itself_is_a_source(folder):
    model = open_model(folder / "model.safetensors.index.json")
    assert digest(model) == digest(open_model(folder))
    assert model.name == folder.name


def test_shards_without_an_index_make_the_same_model(folder):
    whole = digest(open_model(folder))
    (folder / "model.safetensors.index.json").unlink()
    assert digest(open_model(folder)) == whole


def test_a_sharded_transformers_model_reads_whole(tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        vocab_size=200,
    )
    network = transformers.LlamaForCausalLM(config)
    network.save_pretrained(tmp_path / "cut", max_shard_size="40KB")
    network.save_pretrained(tmp_path / "whole")
    cut, whole = open_model(tmp_path / "cut"), open_model(tmp_path / "whole")
    assert len(list((tmp_path / "cut").glob("*.safetensors"))) > 2
    assert digest(cut) == digest(whole)
    assert cut.config["model_type"] == "llama"
    assert cut.name == "cut"
    for name, values in network.state_dict().items():
        np.testing.assert_array_equal(cut.rows(name), values.float().numpy())


def test_the_file_that_the_library_loads_counts(folder):
    """Transformers takes a whole file before an index, diffusers an index before a whole file."""
    save_file({"c": np.ones(3, np.float32)}, folder / "model.safetensors")
    assert list(open_model(folder).tensors) == ["c"]
    (folder / "model.safetensors").rename(folder / "diffusion_pytorch_model.safetensors")
    assert list(open_model(folder).tensors) == ["a", "b"]


def test_an_index_of_flax_names_its_tensors_in_its_own_way(tmp_path):
    whole = CONTAINERS / "flax.msgpack"
    (tmp_path / "flax_model-1.msgpack").write_bytes(whole.read_bytes())
    names = ["embed/embedding", "layers/0/dense/kernel", "layers/0/dense/bias"]
    names += ["layers/0/norm/scale", "layers/0/norm/bias"]
    listed = dict.fromkeys(names, "flax_model-1.msgpack")
    index(tmp_path, listed, "flax_model.msgpack.index.json")
    model = open_model(tmp_path)
    assert not model.problems
    assert digest(model) == digest(open_model(whole))


def test_torch_shards_make_one_model(tmp_path):
    for key in "ab":
        torch_file(tmp_path / f"pytorch_model-{key}.bin", program(mapping({key: tensor()})))
    names = {key: f"pytorch_model-{key}.bin" for key in "ab"}
    index(tmp_path, names, "pytorch_model.bin.index.json")
    (tmp_path / "training_args.bin").write_bytes(b"\x80")
    assert list(open_model(tmp_path).tensors) == ["a", "b"]
    (tmp_path / "pytorch_model.bin.index.json").unlink()
    assert list(open_model(tmp_path).tensors) == ["a", "b"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("absent", "no such file or folder"),
        ("truncated", "truncated ("),
        ("empty", "not a safetensors file (0 bytes)"),
        ("no header", "not a safetensors file (the header claims"),
    ],
)
def test_a_broken_shard_is_a_problem_and_the_rest_is_read(folder, damage, said):
    shard = folder / "2.safetensors"
    if damage == "absent":
        shard.unlink()
    else:
        kept = {"truncated": shard.read_bytes()[:-1], "empty": b"", "no header": b"x" * 100}
        shard.write_bytes(kept[damage])
    model = open_model(folder)
    assert list(model.tensors) == ["a"]
    (problem,) = model.problems
    assert problem.what == "2.safetensors"
    assert problem.why.startswith(f"{shard}: {said}")
    assert model.is_partial


def test_a_model_whose_shards_are_all_broken_is_unreadable(folder):
    (folder / "1.safetensors").unlink()
    (folder / "2.safetensors").write_bytes(b"")
    assert "1.safetensors: no such file or folder" in refusal(folder)


def test_a_tensor_missing_from_its_shard_is_a_problem(folder):
    index(folder, {"a": "1.safetensors", "c": "1.safetensors", "b": "2.safetensors"})
    model = open_model(folder)
    (problem,) = model.problems
    assert problem.what == "1.safetensors"
    assert "'c'" in problem.why
    assert model.is_partial


def test_a_tensor_found_in_another_shard_is_not_lost(folder):
    index(folder, {"a": "2.safetensors", "b": "2.safetensors", "x": "1.safetensors"})
    assert len(open_model(folder).problems) == 2
    index(folder, {"a": "2.safetensors", "b": "1.safetensors"})
    model = open_model(folder)
    assert len(model.problems) == 2
    assert not model.is_partial


def test_an_unsupported_tensor_is_told_once(folder):
    header = {"b": entry("U8", [1], 0, 1), "c": entry("C64", [1], 1, 9)}
    safetensors(folder / "2.safetensors", header, bytes(9))
    index(folder, {"a": "1.safetensors", "b": "2.safetensors", "c": "2.safetensors"})
    assert [problem.what for problem in open_model(folder).problems] == ["c"]


def test_one_name_in_two_shards_is_refused(folder):
    save_file({"a": np.zeros(1, np.float32)}, folder / "2.safetensors")
    assert "2.safetensors: tensor 'a' is in another file as well" in refusal(folder)


@pytest.mark.parametrize(
    "shard",
    [
        "../secret.safetensors",
        "/etc/passwd",
        "sub/1.safetensors",
        "..",
        ".",
        "",
        "a\\b.safetensors",
        "C:x.safetensors",
        "a\0.safetensors",
        3,
        None,
        ["1.safetensors"],
    ],
)
def test_an_index_that_reaches_outside_is_refused(folder, shard):
    index(folder, {"a": "1.safetensors", "b": shard})
    assert "is not the name of a file in the same folder" in refusal(folder)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"a": 1, "a": 2}', "[" * 100_000],
)
def test_a_broken_index_is_refused(folder, content):
    (folder / "model.safetensors.index.json").write_text(content)
    refusal(folder)


def test_a_shard_of_an_unknown_kind_is_a_problem(folder):
    (folder / "notes.txt").write_text("hello")
    index(folder, {"a": "1.safetensors", "b": "notes.txt"})
    (problem,) = open_model(folder).problems
    assert problem.what == "notes.txt"


def test_a_long_index_of_absent_tensors_is_one_problem(folder):
    names = {f"t{number}": "1.safetensors" for number in range(10_000)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    (problem,) = open_model(folder).problems
    assert "10000 tensors" in problem.why
