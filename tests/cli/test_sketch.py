"""Claim: `sketch` writes one file a model, touches no model's folder, and says what it missed."""

import json

import numpy as np
import pytest

from tests import models
from tests.commands import run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    models.write_pair(folder)
    (folder / "bad").mkdir()
    (folder / "bad" / "model.safetensors").write_bytes(b"\xff" * 20)
    return folder


def test_one_line_for_each_model(shelf, tmp_path):
    found = run("sketch", shelf / "a", shelf / "child", "--out", tmp_path / "new" / "folder")
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0].startswith("2 files written, ")
    assert [x.split()[0] for x in lines[3:]] == ["sketch", "sketch"]
    assert " read)" in lines[3]
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == ["a.sketch.safetensors", "child.sketch.safetensors"]
    compared = run("compare", tmp_path / "new" / "folder" / names[0], shelf / "child")
    assert compared.stdout.startswith("dependent (p <= 1e-")
    shown = run("show", tmp_path / "new" / "folder" / names[0])
    assert shown.returncode == 0


def test_json_is_exactly_the_record(shelf, tmp_path):
    found = run("sketch", shelf / "a", "--out", tmp_path, "--json", "--full-digest", "--whole")
    record = json.loads(found.stdout)
    assert record["schema"] == "weightkin/sketching/2"
    (sketch,) = record["sketches"]
    assert sketch["scheme"] == "ws1-whole"
    assert sketch["full_digest"].startswith("wkfull1-")
    assert sketch["size"] == (tmp_path / "a.sketch.safetensors").stat().st_size


def test_one_bad_model_does_not_stop_the_others(shelf, tmp_path):
    found = run("sketch", shelf / "bad", shelf / "a", shelf / "missing", "--out", tmp_path)
    assert found.returncode == 2
    assert found.stdout.startswith("1 file written, 2 could not be made")
    assert len(found.stderr.splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.sketch.safetensors"]


def test_nothing_readable_is_exit_three(shelf, tmp_path):
    found = run("sketch", shelf / "bad", shelf / "missing", "--out", tmp_path / "out")
    assert found.returncode == 3
    assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.claim
def test_models_and_files_stay_as_they_are(shelf, tmp_path):
    assert run("sketch", shelf / "a", "--out", shelf / "a").returncode == 4
    assert run("sketch", shelf / "a", "--out", shelf / "a" / "inside").returncode == 4
    assert run("sketch", shelf / "a", cwd=shelf / "a").returncode == 4
    assert run("sketch", shelf / "a" / "model.safetensors", "--out", shelf / "a").returncode == 4
    assert sorted(p.name for p in (shelf / "a").iterdir()) == ["config.json", "model.safetensors"]
    assert run("sketch", shelf / "a", "--out", tmp_path).returncode == 0
    again = run("sketch", shelf / "child", shelf / "a", "--out", tmp_path)
    assert again.returncode == 4
    assert "already exists" in again.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_two_models_of_one_name_get_two_files(shelf, tmp_path):
    models.write(tmp_path / "other" / "a", models.base(np.random.default_rng(6)))
    found = run("sketch", shelf / "a", tmp_path / "other" / "a", "--out", tmp_path / "out")
    assert found.returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
