"""Claim: a pair can be added to one's own controls once, and only if it is known to be innocent."""

import json

import pytest

from tests import models
from tests.commands import run


@pytest.fixture(scope="module")
def trio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trio")
    return models.write_pair(folder, "b", "c", "d")


def test_shipped_controls_are_listed_by_class(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = run("controls", "list")
    assert found.returncode == 0
    for name in ("gated language", "plain language", "plain vision"):
        assert name in found.stdout


@pytest.mark.claim
def test_a_pair_is_added_and_compare_counts_it(trio, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    before = json.loads(run("compare", trio / "c", trio / "d", "--json").stdout)
    added = run("controls", "add", trio / "a", trio / "b", "--class", "gated language")
    assert (added.returncode, added.stderr) == (0, "")
    assert (tmp_path / "weightkin" / "controls.json").exists()
    after = json.loads(run("compare", trio / "c", trio / "d", "--json").stdout)
    n = before["calibration"]["n_controls"]
    assert after["calibration"]["n_controls"] == n + 1
    assert after["calibration"]["controls"] != before["calibration"]["controls"]


def test_a_model_stands_in_one_control_only(trio, tmp_path):
    own = tmp_path / "mine.json"
    assert run("controls", "add", trio / "a", trio / "b", "--controls", own).returncode == 0
    again = run("controls", "add", trio / "c", trio / "b", "--controls", own)
    assert again.returncode == 4
    assert "is already part of another control" in again.stderr
    assert len(json.loads(own.read_text())["controls"]) == 1


@pytest.mark.parametrize(
    ("a", "b", "options", "said"),
    [
        ("a", "child", (), "cannot be a control: dependent ("),
        ("a", "a", (), "a and b are the same model"),
        ("a", "b", ("--class", "plain vision"), "is gated language, not plain vision"),
    ],
)
def test_other_pairs_are_refused_in_one_line(trio, tmp_path, a, b, options, said):
    own = tmp_path / "mine.json"
    found = run("controls", "add", trio / a, trio / b, "--controls", own, *options)
    assert found.returncode == 4
    assert said in found.stderr
    assert not own.exists()


def test_a_named_file_of_controls_must_exist(trio, tmp_path):
    found = run("compare", trio / "a", trio / "b", "--controls", tmp_path / "none.json")
    assert found.returncode == 3
    assert "none.json: no such file or folder" in found.stderr
    related = run("compare", trio / "a", trio / "child", "--controls", tmp_path / "none.json")
    assert (related.returncode, related.stdout) == (3, "")  # said although no control is needed
