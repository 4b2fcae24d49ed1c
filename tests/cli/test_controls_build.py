"""Claim: a list of unrelated models becomes controls, over a hub too, and a stopped run goes on."""

import json
from collections import Counter

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG, WIDTH

from tests import models
from tests.commands import command
from tests.hub_server import COMMIT, serving
from weightkin.api.controls_list import Candidate, paired, read_list
from weightkin.cli.main import INTERRUPTED
from weightkin.evidence.calibrated import Form
from weightkin.evidence.controls import load_controls
from weightkin.sources.hub import is_hub_name, repository_of

HALF = {**CONFIG, "head_dim": CONFIG["head_dim"] // 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return models.write_pair(tmp_path_factory.mktemp("listed"), "b", "c", "d", "e")


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    with serving() as served:
        served.repositories = {f"org/{x.name}": x for x in folder.iterdir()}
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr("weightkin.sources.transfer.BACKOFF", 0.001)
        yield served


@pytest.fixture
def build(tmp_path):
    own = tmp_path / "own.json"

    def run(*sources, more=()):
        listed = tmp_path / "list.txt"
        listed.write_text("\n".join(map(str, sources)) + "\n")
        return command("controls", "build", "--list", listed, "--controls", own, *more)

    run.own = own
    return run


def pairs_in(path):
    return [(c["source_a"], c["source_b"]) for c in json.loads(path.read_text())["controls"]]


def test_models_of_a_hub_become_controls_and_are_used(hub, build, folder):
    done = build("org/a", "org/b@main", "org/c", "org/d", more=("--json",))
    assert (done.returncode, done.stderr) == (0, "")
    assert pairs_in(build.own) == [("org/a", "org/b@main"), ("org/c", "org/d")]
    record = json.loads(done.stdout)
    assert [c["model_class"] for c in record["controls"]] == ["gated language"] * 2
    assert f"hf://org/a ({COMMIT})" in record["controls"][0]["documented"]
    assert "skipped" not in record
    n = len(load_controls())
    assert len(load_controls(build.own)) == n + 2


def test_a_stopped_run_goes_on_and_opens_nothing_twice(hub, build, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("weightkin.api.controls_list.write_new", stop_at_the_second())
        assert build("org/a", "org/b", "org/c", "org/d").returncode == INTERRUPTED
    assert pairs_in(build.own) == [("org/a", "org/b")]
    hub.requests.clear()
    assert build("org/a", "org/b", "org/c", "org/d").returncode == 0
    assert pairs_in(build.own) == [("org/a", "org/b"), ("org/c", "org/d")]
    assert not any("/org/a/" in path or "/org/b/" in path for _, path, _ in hub.requests)
    hub.requests.clear()
    assert build("org/a", "org/b", "org/c", "org/d").returncode == 0
    assert hub.requests == []


def stop_at_the_second():
    from weightkin.api.controls import write_new

    calls = Counter()

    def write(*given):
        calls["n"] += 1
        if calls["n"] == 2:
            raise KeyboardInterrupt
        write_new(*given)

    return write


def test_a_model_that_fails_is_named_and_left_out(hub, build):
    done = build("org/none", "org/a", "org/b", "org/c")
    assert done.returncode == 2
    assert "org/none: " in done.stderr
    assert "org/c: no control: no other model of the list is gated language" in done.stderr
    assert pairs_in(build.own) == [("org/a", "org/b")]


def test_a_related_pair_is_refused(build, folder):
    done = build(folder / "a", folder / "child")
    assert done.returncode == 2
    assert "cannot be a control: dependent (" in done.stderr
    assert not build.own.exists()


def test_a_model_without_partner_is_no_failure(build, folder):
    done = build(folder / "a", folder / "b", folder / "c")
    assert done.returncode == 0
    assert "no other model of the list" in done.stderr


def test_a_model_that_needs_more_is_left_out(build, folder):
    done = build(folder / "a", folder / "b", more=("--most", "0"))
    assert done.returncode == 2
    assert "bytes would be read, at most 0 are" in done.stderr


def test_nothing_that_can_be_read_is_an_error_of_reading(build, tmp_path):
    assert build(tmp_path / "x", tmp_path / "y").returncode == 3
    assert command("controls", "build", "--list", tmp_path / "none").returncode == 3


def test_no_hub_is_an_incomplete_run(build, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert build("org/a", "org/b").returncode == 2


@pytest.mark.parametrize("sources", [("org/a", "org/a"), ("org/a",), ()])
def test_a_list_that_cannot_be_meant_is_refused(build, sources):
    assert build(*sources).returncode == 4


def test_pairs_are_of_one_class_and_near_in_size():
    rng = np.random.default_rng(0)
    found = [
        Candidate(str(k), Form(str(rng.choice(["x", "y"])), *(2 ** rng.integers(3, 9, 2))))
        for k in range(200)
    ]
    pairs, alone = paired(found)
    assert sorted([x for pair in pairs for x in pair] + alone, key=found.index) == found
    for a, b in pairs:
        assert a.form.model_class == b.form.model_class
        for x, y in ((a.form.width, b.form.width), (a.form.n_units, b.form.n_units)):
            assert max(x, y) <= 3 * min(x, y)


def test_models_of_two_sizes_can_be_a_pair(build, folder, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    small = {k: half(v) for k, v in models.base(rng).items()}
    models.write(tmp_path / "small", small, HALF)
    done = build(folder / "a", tmp_path / "small")
    assert done.returncode == 0, done.stderr


def half(array):
    return array[tuple(slice(n // 2 if n == WIDTH else n) for n in array.shape)]


def test_the_shipped_list_names_models_of_a_hub_once():
    listed = read_list(None)
    asked = [repository_of(x) for x in listed]
    assert all(is_hub_name(x) for x in listed)
    assert len({x.repository.lower() for x in asked}) == len(listed)
    assert all(x.revision for x in asked)
