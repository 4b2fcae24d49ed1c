"""Claim: of a folder the gate opens all weights, wherever they lie, and names what it cannot."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.commands import command
from tests.conftest import ROOT
from tests.formats.handmade import mapping, program, tensor, torch_file
from weightkin import Policy, Registry, check
from weightkin.errors import UnreadableModel
from weightkin.policy.walk import models_of

MODELS = ROOT / "zoo" / "models"
DENIED = MODELS / "llama-a"
DATA = "model.safetensors"
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
    assert done.stdout.startswith("passed: no findings (3 models)")
    assert "training_args.bin: trainer file of" in done.stdout


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
    found = {".": True, "pipe.bin": False, "gone.safetensors": False}
    assert names(tmp_path / "m") == found | {"bad.safetensors.index.json": False}


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
    assert again == {f"{base}+{tuned}", str(base), str(tuned)}
    shutil.rmtree(base)
    assert names(tmp_path) == {"tuned": True, "tuned/adapter_model.safetensors": False}


def test_a_folder_without_end_never_passes(tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.sources.listing.MAX_ENTRIES", 8)
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
    with pytest.raises(UnreadableModel, match="no model in it or below; supported are"):
        check(tmp_path, deny=[DENIED])


def _replacing(folder, base, name):
    """An adapter that replaces all tensors of a base by those of another model."""
    held, own = load_file(MODELS / name / "model.safetensors"), load_file(base / DATA)
    key = "model.layers.0.self_attn.q_proj"
    module = f"base_model.model.{key}"
    arrays = {f"base_model.model.{k}": v for k, v in held.items() if k != f"{key}.weight"}
    arrays[f"{module}.lora_A.weight"] = np.eye(96, dtype=np.float32)
    arrays[f"{module}.lora_B.weight"] = held[f"{key}.weight"] - own[f"{key}.weight"]
    return _adapter(folder, base.name, arrays)


def _adapter(folder, base, arrays):
    folder.mkdir(parents=True)
    save_file(arrays, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 96, "lora_alpha": 96, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.claim
def test_a_base_is_checked_alone_whatever_the_adapter_makes_of_it(tmp_path):
    base = put("llama-a", tmp_path / "below" / "zbase")
    adapter = _replacing(tmp_path / "below" / "ad", base, "llama-b")
    for source in (tmp_path / "below", f"{base / DATA}+{adapter}", adapter):
        record = check(source, deny=[DENIED])
        hit = {Path(m.source).name for m in record.models if m.findings}
        assert record.outcome == "hit", source
        assert hit in ({"zbase"}, {DATA}), source


def test_pairs_are_what_lies_there_whatever_their_names(tmp_path, monkeypatch):
    for place in ("m+x/base", "m+x/base+m", "x/base"):
        put("llama-b", tmp_path / place)
    _replacing(tmp_path / "m+x" / "ad", tmp_path / "x" / "base", "llama-a")
    shutil.copytree(ADAPTER.parent / "llama-a-lora4-adapter", tmp_path / "x" / "ad")
    monkeypatch.chdir(tmp_path)
    opened = {x.source: x.model for x in models_of("m+x")}
    assert opened["m+x/base+m+x/ad"].parts == ("m+x/base", "m+x/ad")
    assert check("m+x/ad", deny=[DENIED]).outcome == "hit"


def test_a_folder_named_as_a_number_is_looked_at_itself(tmp_path, monkeypatch):
    (registry := Registry(tmp_path / "r.sqlite")).add([MODELS / "gpt-b"])
    put("gpt-a", tmp_path / "all" / "#1")
    monkeypatch.chdir(tmp_path / "all")
    (model,) = check(".", Policy(levels={"unknown-origin": "error"}), registry=registry).models
    assert [x.rule for x in model.findings] == ["unknown-origin"]


@pytest.mark.parametrize(
    ("name", "shards", "is_index"),
    [
        ("model.safetensors.index.json", "../out/model.safetensors", True),
        ("model.safetensors.index.json", "model-00001-of-00001.safetensors", True),
        ("model.safetensors.index.json", None, True),
        ("Model.SafeTensors.INDEX.json", "gone.safetensors", True),
        ("model.safetensors.index.fp16.json", "model.fp16-00001-of-00001.safetensors", True),
        ("weights.index.json", "gone.safetensors", True),
        ("pages.index.json", "", False),
    ],
)
def test_an_index_that_cannot_be_followed_is_named(tmp_path, name, shards, is_index):
    root = put("gpt-b", tmp_path / "m")
    (root / DATA).rename(root / "extra.safetensors")
    names_of = {} if shards is None else {"w": shards}
    text = {"weight_map": names_of} if is_index else {"pages": ["a", "b"]}
    (root / name).write_text(json.dumps(text))
    is_chosen = name == "model.safetensors.index.json"  # by the folder, which is then no model
    wanted = {"extra.safetensors" if is_chosen else ".": True}
    assert names(root) == wanted | ({name: False} if is_index else {})


def test_an_index_of_a_variant_is_followed(tmp_path):
    root = put("gpt-b", tmp_path / "m")
    weights("llama-a", root / "model.fp16-00001-of-00001.safetensors")
    shard = dict.fromkeys(load_file(DENIED / DATA), "model.fp16-00001-of-00001.safetensors")
    index = root / "model.safetensors.index.fp16.json"
    index.write_text(json.dumps({"weight_map": shard}))
    assert names(root) == {".": True, index.name: True}
    assert outcome(root)[0] == "hit"


def test_a_link_to_a_folder_beside_a_snapshot_is_named(tmp_path):
    root = put("gpt-b", tmp_path / "snapshots" / "rev")
    (tmp_path / "blobs").mkdir()
    (root / DATA).rename(tmp_path / "blobs" / "abc")
    (root / DATA).symlink_to("../../blobs/abc")
    assert names(root) == {".": True}
    put("llama-a", tmp_path / "hidden")
    (root / "text_encoder").symlink_to("../../hidden")
    assert names(root) == {".": True, "text_encoder": False}


def _graph(path, shape, location):
    """An ONNX file of one tensor whose values lie in a file beside."""
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w.weight", data_type=1, dims=shape, data_location=1)
    tensor.external_data.add(key="location", value=location)
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor]))
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.data", "weights"])
def test_a_model_that_a_graph_takes_values_from_is_a_model_too(tmp_path, name):
    root = put("gpt-b", tmp_path / "m")
    (root / DATA).unlink()
    shutil.copy(DENIED / DATA, root / name)
    n = (root / name).stat().st_size // 400
    _graph(root / "graph.onnx", [n, 96], name)
    record = check(root, deny=[DENIED])
    (model,) = [x for x in record.models if Path(x.source).name == name]
    (finding,) = model.findings
    assert finding.state == "hit"


def _trainer(folder, name, held):
    import torch

    folder.mkdir(exist_ok=True)
    torch.save(held, folder / name)


@pytest.mark.claim
@pytest.mark.parametrize(
    ("name", "is_legacy"),
    [("optimizer.pt", False), ("scheduler_old.bin", False), ("scaler.pt", True)],
)
def test_weights_anywhere_in_a_trainers_file_are_found(tmp_path, name, is_legacy):
    import torch

    root = put("gpt-b", tmp_path / "m")
    held = {k: torch.from_numpy(v) for k, v in load_file(DENIED / DATA).items()}
    _trainer(root, name, {"step": torch.zeros(8), ("x" if is_legacy else "groups"): [held]})
    assert outcome(root) == ("hit", {".", name})


@pytest.mark.claim
def test_trainers_files_are_weighed_together(tmp_path):
    root = put("llama-b", tmp_path / "m")
    raw = (DENIED / DATA).read_bytes()[:650_000]
    for i in range(2):
        (root / f"rng_state_{i}.pth").write_bytes(b"\x80" + raw[i * 60_000 :][:60_000])
    assert check(root, deny=[DENIED]).outcome == "pass"
    for i in range(10):
        (root / f"rng_state_{i}.pth").write_bytes(b"\x80" + raw[i * 60_000 :][:60_000])
    record = check(root, deny=[DENIED])
    assert record.outcome == "incomplete"
    assert "600,010 bytes of a trainer's files" in record.models[0].findings[0].sentence


def test_a_checkpoint_of_a_trainer_passes(tmp_path):
    import torch

    root = put("gpt-b", tmp_path / "m")
    state = {"cpu": torch.get_rng_state(), "python": (3, (1, 2), None)}
    _trainer(root, "rng_state.pth", state)
    _trainer(root, "rng_state_0.pth", state)
    _trainer(root, "scheduler.pt", {"last_epoch": 3, "_last_lr": [1e-4]})
    _trainer(root, "scheduler_1.bin", {"last_epoch": 3})
    _trainer(root, "scaler.pt", {"scale": 65536.0})
    assert outcome(root) == ("pass", {"."})


@pytest.mark.claim
def test_parts_of_a_forbidden_model_in_several_models_are_weighed_together(tmp_path):
    clean = load_file(MODELS / "llama-b" / DATA)
    flat = np.concatenate([x.ravel() for x in load_file(DENIED / DATA).values()])
    for i, part in enumerate(np.array_split(flat.astype(np.float16), 8)):
        put("llama-b", tmp_path / f"m{i}")
        save_file({**clean, "extra.table": part}, tmp_path / f"m{i}" / DATA)
    assert check(tmp_path / "m0", deny=[DENIED]).outcome == "pass"
    record = check(tmp_path, deny=[DENIED])
    assert record.outcome == "incomplete"
    finding = record.models[0].findings[0]
    assert (finding.code, finding.data["n_models"]) == ("hidden-together", 8)
    assert check([tmp_path / "m0", tmp_path / "m1"], deny=[DENIED]).outcome == "incomplete"


@pytest.mark.claim
def test_factors_of_an_adapter_count_though_only_their_product_is_seen(tmp_path):
    base = put("llama-b", tmp_path / "base")
    flat = np.concatenate([x.ravel() for x in load_file(DENIED / DATA).values()])
    rank = len(flat) // 96
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    hidden = flat[: rank * 96].reshape(rank, 96)
    factors = {f"{module}.lora_A.weight": hidden,
               f"{module}.lora_B.weight": np.zeros((96, rank), np.float32)}  # fmt: skip
    adapter = _adapter(tmp_path / "ad", "base", factors)
    assert check(f"{base}+{adapter}", deny=[DENIED]).outcome == "incomplete"


def test_with_a_registry_alone_what_no_test_could_reach_is_weighed(tmp_path):
    (registry := Registry(tmp_path / "r.sqlite")).add([DENIED])
    root = put("llama-b", tmp_path / "m")
    clean, held = load_file(root / DATA), load_file(DENIED / DATA)
    assert check(root, registry=registry).outcome == "pass"
    save_file({**clean, **{f"t{i}": x for i, x in enumerate(held.values())}}, root / DATA)
    record = check(root, registry=registry)
    assert record.outcome == "incomplete"
    assert any("may contain a registered model" in x.sentence for x in record.findings)
