"""Claim: of a folder the gate opens all weights, wherever they lie, and names what it cannot."""

import json
import os
import shutil

import pytest
from safetensors.numpy import load_file, save_file

from tests.commands import command
from tests.conftest import ROOT
from tests.weights.handmade import mapping, program, tensor, torch_file
from weightkin import check
from weightkin.errors import UnreadableModel
from weightkin.policy import walk
from weightkin.policy.walk import models_of

MODELS = ROOT / "zoo" / "models"
DENIED = MODELS / "llama-a"
ADAPTER = MODELS / "gpt-a-lora4-adapter"


def put(name, where):
    where.parent.mkdir(parents=True, exist_ok=True)
    return shutil.copytree(MODELS / name, where)


def weights(name, where):
    where.parent.mkdir(parents=True, exist_ok=True)
    return shutil.copy(MODELS / name / "model.safetensors", where)


def outcome(folder):
    """What the gate says of a folder, llama-a denied, and what it checked below it."""
    record = check(folder, deny=[DENIED])
    return record.outcome, {os.path.relpath(m.source, folder) for m in record.models}


def _failed(found):
    return isinstance(found.model, Exception)


def names(folder):
    """What is found below a folder: where, and whether it could be opened."""
    return {
        os.path.relpath(x.source, folder): not _failed(x)
        for x in models_of(folder)
        if not x.is_state
    }


@pytest.fixture
def clean(tmp_path):
    """A folder of models, some deeper or hidden, none of them denied."""
    put("gpt-b", tmp_path / "models" / "ok")
    put("gpt-a", tmp_path / "models" / "team" / "ours")
    put("gpt-a", tmp_path / "models" / ".kept" / "ours")
    return tmp_path / "models"


def test_a_clean_folder_of_folders_passes(clean):
    torch_file(clean / "ok" / "training_args.bin", program(mapping({})))
    (clean / "ok" / "notes.txt").write_text("of no interest")
    done = command("check", clean, "--deny", DENIED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("passed: nothing found (3 models)")
    assert "training_args.bin: of a trainer" in done.stdout


def test_denied_models_are_found_wherever_they_lie(tmp_path):
    put("gpt-b", tmp_path / "ok")
    hidden = {"team/evil", "deep/a/b/c", ".evil", "ok/evil"}
    for where in hidden:
        put("llama-a", tmp_path / where)
    record = check(tmp_path, deny=[DENIED])
    hit = {os.path.relpath(m.source, tmp_path) for m in record.models if m.findings}
    assert (record.outcome, hit) == ("hit", hidden)


def test_below_a_model_that_is_named_itself_as_well(tmp_path):
    root = put("gpt-b", tmp_path / "rootm")
    put("llama-a", root / "evil")
    assert outcome(root) == ("hit", {".", "evil"})


def test_files_that_opening_the_folder_does_not_read_are_checked(tmp_path):
    root = put("gpt-b", tmp_path / "m")
    beside = {"consolidated.safetensors", "diffusion_pytorch_model.safetensors",
              ".model.safetensors", "text_encoder/weights.safetensors", "MODEL2.SafeTensors",
              "optimizer.safetensors", "x.sketch.safetensors"}  # fmt: skip
    for name in beside:
        weights("llama-a", root / name)
    folder = {"text_encoder" if "/" in name else name for name in beside}
    found = {os.path.relpath(x.source, root) for x in models_of(root) if not _failed(x)}
    assert found == {".", *folder}
    for name in beside - {"consolidated.safetensors", "optimizer.safetensors"}:
        (root / name).unlink()
    wanted = {".", "consolidated.safetensors", "optimizer.safetensors"}
    assert outcome(root) == ("hit", wanted)


def test_a_torch_file_beside_is_opened(tmp_path):
    root = put("gpt-b", tmp_path / "m")
    torch_file(root / "pytorch_model.bin", program(mapping({"w": tensor()})))
    assert names(root) == {".": True, "pytorch_model.bin": True}


def test_files_that_are_joined_without_an_index_are_checked_alone_too(tmp_path):
    held = load_file(DENIED / "model.safetensors")
    root = put("gpt-b", tmp_path / "m")
    (root / "model.safetensors").rename(root / "model-00001-of-00001.safetensors")
    save_file({f"more.{k}": x for k, x in held.items()}, root / "z.safetensors")
    assert names(root) == {".": True, "z.safetensors": True}


def test_shards_of_an_index_are_one_model(tmp_path):
    root = put("gpt-b", tmp_path / "m")
    held = load_file(root / "model.safetensors")
    (root / "model.safetensors").unlink()
    index = {}
    for i, key in enumerate(sorted(held)):
        index[key] = f"model-0000{1 + i % 2}-of-00002.safetensors"
    for shard in set(index.values()):
        save_file({k: held[k] for k in held if index[k] == shard}, root / shard)
    (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert names(root) == {".": True}
    weights("gpt-a", root / "model-00003-of-00002.safetensors")
    assert names(root) == {".": True, "model-00003-of-00002.safetensors": True}


def test_weights_that_cannot_be_opened_never_pass(tmp_path):
    root = put("gpt-b", tmp_path / "m")
    lost = {"evil/model.safetensors", "pytorch_model.bin", ".x.gguf", "tf_model.h5",
            "a/.safetensors"}  # fmt: skip
    for name in lost:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"no weights")
    record = check(root, deny=[DENIED])
    assert record.outcome == "incomplete"
    found = {os.path.relpath(m.source, root): m.findings for m in record.models if m.findings}
    assert set(found) == lost
    assert {x.state for (x,) in found.values()} == {"unverifiable"}


def test_what_is_neither_file_nor_folder_nor_readable_never_passes(tmp_path):
    put("gpt-b", tmp_path / "m")
    os.mkfifo(tmp_path / "m" / "pipe.bin")
    (tmp_path / "m" / "gone.safetensors").symlink_to(tmp_path / "gone")
    (tmp_path / "m" / "bad.safetensors.index.json").write_text("{}")
    found = {"model.safetensors": True, "pipe.bin": False, "gone.safetensors": False}
    assert names(tmp_path / "m") == found


def test_no_link_leads_out_of_the_folder_or_round_in_it(tmp_path):
    put("llama-a", tmp_path / "elsewhere")
    root = put("gpt-b", tmp_path / "m")
    (root / "round").symlink_to(root)
    assert names(root) == {".": True}
    (root / "out").symlink_to(tmp_path / "elsewhere")
    assert names(root) == {".": True, "out": False}
    os.remove(root / "out")
    (root / "linked.safetensors").symlink_to(tmp_path / "elsewhere" / "model.safetensors")
    assert outcome(root) == ("incomplete", {".", "linked.safetensors"})
    shutil.copy(DENIED / "model.safetensors", root / "kept.safetensors")
    (root / "linked.safetensors").unlink()
    (root / "linked.safetensors").symlink_to("kept.safetensors")
    assert outcome(root) == ("hit", {".", "kept.safetensors"})


def test_an_adapter_stands_with_its_base_or_is_unverifiable(tmp_path):
    put("gpt-a", tmp_path / "gpt-a")
    shutil.copytree(ADAPTER, tmp_path / "tuned")
    found = {x.source: x.model for x in models_of(tmp_path)}
    base, tuned = tmp_path / "gpt-a", tmp_path / "tuned"
    assert set(found) == {str(base), f"{base}+{tuned}"}
    weights("gpt-b", tuned / "model.safetensors")
    again = {x.source for x in models_of(f"{base}+{tuned}")}
    assert again == {f"{base}+{tuned}", str(tuned)}
    shutil.rmtree(base)
    assert names(tmp_path) == {"tuned": True, "tuned/adapter_model.safetensors": False}


def test_a_folder_without_end_never_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(walk, "MOST", 8)
    root = put("gpt-b", tmp_path / "m")
    for i in range(3):
        (root / f"d{i}").mkdir()
    assert names(root) == {".": True}
    for i in range(6):
        (root / f"d{i}.txt").touch()
    found = [str(x.model) for x in models_of(root) if _failed(x)]
    assert ["more than 8 entries" in x for x in found] == [True]


def test_a_folder_of_nothing_is_unreadable(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "optimizer.pt").write_bytes(b"no weights")
    assert outcome(tmp_path) == ("incomplete", {"a/optimizer.pt"})
    (tmp_path / "a" / "optimizer.pt").unlink()
    with pytest.raises(UnreadableModel, match="found no model"):
        check(tmp_path, deny=[DENIED])
