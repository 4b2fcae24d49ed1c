"""Claim: files of kohya, LyCORIS and diffusers are adapters, and merged as these libraries do."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.formats.handmade import refusal
from weightkin.errors import UnreadableModel
from weightkin.formats import open_model

FILES = Path(__file__).parents[1] / "fixtures" / "adapters"
BASE = FILES / "unet.safetensors"
CHANGED = {"diffusers": 4, "kohya": 4, "old": 3, "loha": 2, "lokr": 2, "lokr-full": 2}


@pytest.mark.parametrize("name", CHANGED)
def test_each_file_gives_what_its_own_library_merges(name):
    merged = load_file(FILES / "merged.safetensors")
    base, opened = open_model(BASE), open_model(f"{BASE}+{FILES / name}.safetensors")
    changed = 0
    for key in base.tensors:
        wanted = merged[f"{name}:{key}"]
        error = np.abs(opened.rows(key) - wanted).max() / np.abs(wanted).max()
        assert error < 1e-6, (key, error)
        changed += not np.array_equal(opened.rows(key), base.rows(key))
    assert changed == CHANGED[name]
    assert opened.is_partial == (name == "kohya")  # it has factors of a text encoder as well


def test_a_file_that_is_named_may_be_a_link_and_names_the_model(tmp_path):
    folder = tmp_path / "lora"
    folder.mkdir()
    (tmp_path / "style.safetensors").symlink_to(FILES / "old.safetensors")
    (folder / "only.safetensors").write_bytes((FILES / "old.safetensors").read_bytes())
    opened = open_model(f"{BASE}+{tmp_path / 'style.safetensors'}")
    assert opened.name == "unet+style"
    assert open_model(f"{BASE}+{folder}").name == f"unet+{tmp_path.name}-lora"


@pytest.mark.parametrize("name", CHANGED)
def test_such_a_file_alone_is_no_model(name):
    assert "an adapter, which is read with its base" in refusal(f"{FILES / name}.safetensors")


def saved(folder, tensors, name="x.safetensors", metadata=None):
    arrays = {key: np.asarray(x, np.float32) for key, x in tensors.items()}
    save_file(arrays, folder / name, metadata)
    return folder / name


ONES = {"lora_down.weight": np.ones((2, 6)), "lora_up.weight": np.ones((4, 2))}


def named(start, *more):
    return {f"{start}.{key}": value for key, value in (*ONES.items(), *more)}


@pytest.mark.parametrize(
    ("tensors", "value"),
    [
        (named("lora_unet_a_fc"), 2),
        (named("lora_unet_a_fc", ("alpha", 6.0)), 6),
        (named("lycoris_a_fc"), 2),
        (named("diffusion_model.a.fc", ("alpha", [1.0])), 1),
        (named("transformer.a.fc"), 2),
        (named("lora_unet_a_fc") | named("lora_te1_b_fc"), 2),
    ],
)
def test_the_scale_is_alpha_by_rank_or_one(tensors, value, tmp_path):
    base = saved(tmp_path, {"a.fc.weight": np.zeros((4, 6))}, "base.safetensors")
    opened = open_model(f"{base}+{saved(tmp_path, tensors)}")
    assert opened.rows("a.fc.weight").max() == opened.rows("a.fc.weight").min() == value


@pytest.mark.parametrize("start", ["", "model.", "base_model.model.", "model.diffusion_model."])
def test_the_base_may_have_a_prefix_of_its_own(start, tmp_path):
    base = saved(tmp_path, {f"{start}a.1.fc.weight": np.zeros((4, 6))}, "base.safetensors")
    for name in ("lora_unet_a_1_fc", "diffusion_model.a.1.fc"):
        opened = open_model(f"{base}+{saved(tmp_path, named(name))}")
        assert opened.rows(f"{start}a.1.fc.weight")[0, 0] == 2


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (named("lora_unet_fc"), "changes 'fc', which may be any of 2 tensors"),
        (named("lora_unet_a_other"), "changes 'a_other', which base does not have"),
        (named("lora_unet_a_fc", ("dora_scale", np.ones((1, 6)))), "dora_scale.*not supported"),
        (named("lora_unet_a_fc", ("lora_mid.weight", np.ones((2, 2)))), "lora_mid.*not supported"),
        (named("lora_unet_a_fc", ("diff_b", np.ones(4))), "diff_b.*not supported"),
        (named("lora_unet_a_fc", ("alpha", np.nan)), "alpha is not one number"),
        (named("lora_unet_a_fc", ("alpha", 0.0)), "alpha is 0"),
        (named("lora_unet_a_fc", ("alpha", np.ones(2))), "alpha is not one number"),
        (named("lora_te1_a_fc") | named("lora_te2_a_fc"), "both fit the base"),
        ({"lora_unet_a_fc.lora_up.weight": np.ones((4, 2))}, "lora_B of shape 4x2 do not fit"),
        (
            {"double_blocks.0.processor.qkv_lora1.down.weight": np.ones((2, 6))},
            "without its config",
        ),
        ({"transformer.a.fc.lora_A.weight": np.ones((2, 6))}, "lora_A of shape 2x6 do not fit"),
        ({"x.y.lora_A.weight": np.ones((2, 6))}, "an adapter without its config"),
        ({"prompt_embeddings": np.ones((2, 6))}, "an adapter without its config"),
        ({"a.fc.weight": np.ones((4, 6))}, "not an adapter: it holds no factors"),
    ],
)
def test_what_does_not_fit_or_is_not_known_is_one_line(tensors, said, tmp_path):
    held = {"a.fc.weight": np.zeros((4, 6)), "b.fc.weight": np.zeros((4, 6))}
    base = saved(tmp_path, held, "base.safetensors")
    with pytest.raises(UnreadableModel, match=said) as error:
        open_model(f"{base}+{saved(tmp_path, tensors)}")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "name",
    ["prompt_embeddings", "a.oft_R.weight", "a.ia3_l", "a.hada_w1_a", "a.lokr_w1", "a.oft_blocks",
     "lora_unet_a.diff", "a.to_q_lora.up.weight", "x.lora_linear_layer.up.weight",
     "double_blocks.0.processor.proj_lora2.up.weight", "lycoris_a.w_norm", "a.vera_lambda_b"],
)  # fmt: skip
def test_every_adapter_is_known_by_what_it_holds(name, tmp_path):
    assert "an adapter, which is read" in refusal(saved(tmp_path, {name: np.ones((2, 2))}))
