"""Claim: `base+adapter` is the model that merging gives; an adapter alone is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.formats.handmade import refusal
from weightkin.api.compare import compare
from weightkin.errors import UnreadableModel
from weightkin.formats import open_model
from weightkin.formats.source import open_pair

MODELS = Path(__file__).parents[2] / "zoo" / "models"
LORA4, LORA16 = MODELS / "llama-a-lora4-adapter", MODELS / "llama-a-lora16-adapter"
BASES = [
    *(("llama-a", "llama-a-lora4"), ("llama-a", "llama-a-lora16")),
    *(("gpt-a", "gpt-a-lora4"), ("vit-a", "vit-a-lora4")),
]


@pytest.mark.parametrize(("base", "child"), BASES)
def test_a_base_and_its_adapter_are_the_merged_model(zoo, base, child):
    model = open_model(f"{MODELS / base}+{MODELS / child}-adapter")
    merged = open_model(zoo / "derived" / child)
    assert {n: (i.dtype, i.shape) for n, i in model.tensors.items()} == {
        n: (i.dtype, i.shape) for n, i in merged.tensors.items()
    }
    for name in merged.tensors:
        np.testing.assert_allclose(model.rows(name), merged.rows(name), rtol=0, atol=1e-6)


PEFT = {
    "rank-stabilised": ("llama-a", {"use_rslora": True, "target_modules": ["q_proj", "o_proj"]}),
    "alpha by module": (
        "llama-a",
        {
            "target_modules": ["v_proj", "down_proj"],
            "alpha_pattern": {"down_proj": 3},
            "rank_pattern": {"v_proj": 2},
        },
    ),
    "inputs as rows": ("gpt-a", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    "tokens and a head": (
        "llama-a",
        {"target_modules": ["embed_tokens", "q_proj"], "modules_to_save": ["lm_head"]},
    ),
}


@pytest.mark.parametrize("case", PEFT)
def test_what_peft_writes_is_what_peft_merges(case, tmp_path):
    peft = pytest.importorskip("peft")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    base, options = PEFT[case]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(MODELS / base, dtype=torch.float32)
    config = peft.LoraConfig(
        r=4, lora_alpha=8, init_lora_weights=False, task_type="CAUSAL_LM", **options
    )
    adapted = peft.get_peft_model(model, config)
    if "modules_to_save" in options:
        saved = adapted.base_model.model.lm_head.modules_to_save["default"].weight
        saved.data += 0.01 * torch.randn_like(saved)
    adapted.save_pretrained(tmp_path, save_embedding_layers=False)
    merged = adapted.merge_and_unload().state_dict()
    opened = open_model(f"{MODELS / base}+{tmp_path}")
    plain = open_model(MODELS / base)
    changed = 0
    for name in opened.tensors:
        rows = opened.rows(name)
        np.testing.assert_allclose(rows, merged[name].numpy(), rtol=1e-6, atol=2e-6, err_msg=name)
        changed += not np.array_equal(rows, plain.rows(name))
    assert changed >= 7


def test_rows_of_a_merged_model_are_read_alone():
    model = open_model(f"{MODELS / 'llama-a'}+{LORA16}")
    name = "model.layers.2.mlp.down_proj.weight"
    some = model.rows(name, np.array([5, 90, 6, 5]))
    np.testing.assert_array_equal(some, model.rows(name)[[5, 90, 6, 5]])


def test_the_kind_of_an_adapted_model_is_lora():
    record = compare(MODELS / "llama-a", f"{MODELS / 'llama-a'}+{LORA16}")
    assert record.verdict == "dependent"
    assert record.kind == ("lora",)
    assert record.kind_details["rank"] == 16


@pytest.mark.claim
def test_an_adapted_model_and_a_stranger_show_nothing():
    record = compare(f"{MODELS / 'llama-a'}+{LORA4}", MODELS / "llama-b")
    assert record.verdict == "no-evidence"


@pytest.mark.parametrize("source", [LORA4, LORA4 / "adapter_model.safetensors"])
def test_an_adapter_alone_is_refused_in_one_line(source):
    message = refusal(str(source))
    assert "an adapter, which is read with its base: name path/to/base+path/to/adapter" in message


def test_two_adapters_of_one_base_trained_apart_are_not_compared():
    with pytest.raises(UnreadableModel, match="an adapter, which is read with its base"):
        compare(LORA4, LORA16)


def test_an_adapter_on_another_base_is_refused():
    message = refusal(f"{MODELS / 'gpt-a'}+{LORA4}")
    assert "which gpt-a does not have" in message


def test_what_an_adapter_says_is_checked(tmp_path):
    folder = tmp_path / "x"
    shutil.copytree(LORA4, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    for change, found in (
        ({"use_dora": True}, "use_dora and lora_magnitude_vector"),
        ({"peft_type": "VERA"}, "peft_type 'VERA' is not supported"),
        ({"lora_alpha": "x"}, "lora_alpha is 'x', not a number"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, not a number"),
    ):
        (folder / "adapter_config.json").write_text(json.dumps(config | change))
        assert found in refusal(f"{MODELS / 'llama-a'}+{folder}")
    (folder / "adapter_config.json").unlink()
    assert "(needs adapter_config.json and" in refusal(f"{MODELS / 'llama-a'}+{folder}")


def test_a_folder_whose_name_has_a_plus_is_a_folder(tmp_path):
    shutil.copytree(MODELS / "llama-a", tmp_path / "a+b")
    assert open_model(tmp_path / "a+b").name == "a+b"
    model = open_model(f"{tmp_path / 'a+b'}+{LORA4}")
    assert model.name == "a+b+llama-a-lora4-adapter"


def saved_adapter(folder, base, tensors, **config):
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    whole = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, **config}
    (folder / "adapter_config.json").write_text(json.dumps(whole))
    return f"{base}+{folder}"


FACTORS = {
    "base_model.model.fc.lora_A.weight": np.ones((2, 6), np.float32),
    "base_model.model.fc.lora_B.weight": np.ones((4, 2), np.float32),
}


def test_a_folder_of_several_adapters_names_them(tmp_path):
    base = tmp_path / "base.safetensors"
    save_file({"fc.weight": np.zeros((4, 6), np.float32)}, base)
    (tmp_path / "two").mkdir()
    for name in ("first", "second"):
        saved_adapter(tmp_path / "two" / name, base, FACTORS)
    with pytest.raises(UnreadableModel, match="two/first, two/second"):
        open_model(f"{base}+{tmp_path / 'two'}")


@pytest.mark.parametrize(
    "more",
    [
        {"base_model.model.fc.lora_A.other.weight": np.ones((2, 6), np.float32)},
        {"base_model.model.fc.lora_B.other.weight": np.ones((4, 2), np.float32)},
        {"base_model.model.fc.lora_A": np.ones((2, 6), np.float32)},
        {"base_model.model.fc.weight": np.ones((4, 6), np.float32)},
        {
            "model.fc.lora_A.weight": np.ones((2, 6), np.float32),
            "model.fc.lora_B.weight": np.ones((4, 2), np.float32),
        },
    ],
)
def test_a_second_change_of_one_tensor_is_refused(tmp_path, more):
    base = tmp_path / "base.safetensors"
    save_file({"fc.weight": np.zeros((4, 6), np.float32)}, base)
    with pytest.raises(UnreadableModel, match=r"a second (time|lora_[AB] of)"):
        open_model(saved_adapter(tmp_path / "adapter", base, {**FACTORS, **more}))


def test_the_file_of_an_adapter_that_is_named_is_read(tmp_path):
    base = tmp_path / "base.safetensors"
    save_file({"fc.weight": np.zeros((4, 6), np.float32)}, base)
    folder = saved_adapter(tmp_path / "adapter", base, FACTORS)
    other = {name: value * 3 for name, value in FACTORS.items()}
    save_file(other, tmp_path / "adapter" / "other.safetensors")
    assert open_model(folder).rows("fc.weight")[0, 0] == 4
    assert open_model(f"{folder}/other.safetensors").rows("fc.weight")[0, 0] == 36
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(b"no weights")
    for name in ("adapter_model.bin", "adapter_config.json"):
        with pytest.raises(UnreadableModel, match=name):
            open_model(f"{folder}/{name}")


def test_a_name_that_stands_for_several_pairs_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m", "m+x"):
        Path(name).mkdir()
        save_file({"fc.weight": np.zeros((4, 6), np.float32)}, f"{name}/model.safetensors")
    for folder, scale in (("x+ad", 1), ("ad", 2)):
        held = {name: value * scale for name, value in FACTORS.items()}
        saved_adapter(tmp_path / folder, "", held)
    with pytest.raises(UnreadableModel, match=r"2 ways to read it as base\+adapter"):
        open_model("m+x+ad")
    assert open_pair("m", "x+ad").rows("fc.weight")[0, 0] == 4
    assert open_pair("m+x", "ad").rows("fc.weight")[0, 0] == 16
    shutil.rmtree("m")
    opened = open_model("m+x+ad")
    assert (opened.rows("fc.weight")[0, 0], opened.parts) == (16, ("m+x", "ad"))
