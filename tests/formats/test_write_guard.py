"""Claim: no path inside a model's folder may be written to, whether or not the model was named."""

import pytest

from weightkin.errors import UsageError
from weightkin.formats.write_guard import models_among, refuse_inside


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("model.safetensors",),
        ("pytorch_model.bin.index.json",),
        ("adapter_model.safetensors",),
        ("config.json", "odd.safetensors"),
        ("config.json", "x.gguf"),
    ],
)
def test_a_folder_is_known_as_a_models_by_its_files(tmp_path, names):
    folder = touch(tmp_path / "model", *names)
    for target in (folder, folder / "new", folder / "new" / "deeper"):
        with pytest.raises(UsageError, match="inside the model"):
            refuse_inside(target)
    refuse_inside(tmp_path / "new")
    refuse_inside(tmp_path)


def test_other_folders_may_hold_files_that_look_like_weights(tmp_path):
    touch(tmp_path, "a.sketch.safetensors", "maps.safetensors", "b.gguf")
    refuse_inside(tmp_path / "new")
    config = touch(tmp_path / "site", "config.json")
    refuse_inside(config / "new")
    touch(tmp_path / "home", "model.safetensors")
    refuse_inside(touch(tmp_path / "home" / "work") / "new")  # no config: the folder alone


def test_a_folder_below_a_model_belongs_to_it(tmp_path):
    folder = touch(tmp_path / "model", "config.json", "model.safetensors")
    with pytest.raises(UsageError, match="inside the model"):
        refuse_inside(touch(folder / "there") / "new")


def test_named_folders_are_refused_whatever_they_hold(tmp_path):
    a, b = touch(tmp_path / "a"), touch(tmp_path / "b", "adapter.bin")
    for target in (a / "new", b / "x" / "new"):
        with pytest.raises(UsageError, match="inside the model"):
            refuse_inside(target, ["org/name", f"{a}+{b}"])
    with pytest.raises(UsageError, match="inside the model"):
        refuse_inside(b, [b / "adapter.bin"])
    refuse_inside(b / "new", [b / "adapter.bin"])


def test_a_link_into_a_model_is_followed(tmp_path):
    folder = touch(tmp_path / "model", "model.safetensors")
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UsageError, match="inside the model"):
        refuse_inside(tmp_path / "link" / "new")


@pytest.mark.parametrize("name", ["\0", "x" * 5000])
def test_impossible_names_are_one_clear_line(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be written"):
        refuse_inside(tmp_path / name)
    refuse_inside(tmp_path / "new", [name])


def test_a_folder_of_folders_is_no_model_into_which_nothing_may_be_written(tmp_path):
    touch(tmp_path / "models" / "a", "config.json", "model.safetensors")
    pipeline = touch(tmp_path / "pipeline", "model_index.json")
    single = touch(tmp_path / "single", "odd.gguf")
    named = [str(tmp_path / "models" / "a"), str(pipeline), str(single), "org/name", "\0"]
    assert models_among([str(tmp_path / "models"), *named]) == named
