"""Claim: the commands of the registry print records, say one line for bad input, exit as stated."""

import json

import pytest

from tests.commands import run


@pytest.fixture(scope="module")
def file(family, tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "r.sqlite"
    done = run("add", family / "root", family / "child", "--registry", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 added, 0 already registered, in ")
    assert done.stdout.endswith("\n\n  added       #1 root\n  added       #2 child\n")
    return path


def test_search_and_trace_print_their_records(file, family):
    found = run("search", family / "grandchild", "--registry", file, "--json")
    record = json.loads(found.stdout)
    assert found.returncode == 0
    assert record["schema"] == "weightkin/search/2"
    assert record["relatives"][0]["model"]["name"] == "child"
    assert record["relatives"][0]["summary"]["verdict"] == "dependent"
    traced = json.loads(run("trace", "child", "--registry", file, "--json").stdout)
    assert traced["schema"] == "weightkin/trace/2"
    assert [s["parent"] for s in traced["search"]["path"]] in (["root"], [])


@pytest.mark.claim
def test_people_read_the_path_on_one_line(file, family):
    said = run("trace", family / "grandchild", "--registry", file).stdout
    assert said.startswith("grandchild: 2 relatives among 2 models\n")
    assert "\n  path        root -" in said
    assert "undeclared  child: " in said
    assert "query" not in said
    assert "#1  root" in run("list", "--registry", file).stdout


@pytest.mark.claim
def test_exit_codes_are_kept(file, family, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    own = tmp_path / "own.sqlite"
    some = run("add", family / "root", tmp_path / "bad.safetensors", "--registry", own)
    assert some.returncode == 2
    assert some.stderr.count("\n") == 1
    assert run("add", tmp_path / "bad.safetensors", "--registry", own).returncode == 3
    assert run("add", "--registry", own).returncode == 4
    assert run("add", "--resume", "--registry", own).returncode == 0
    assert run("search", family / "root", "--registry", tmp_path / "no").returncode == 3
    assert run("search", family / "root", "--registry", own, "--alpha", "2").returncode == 4
    assert run("remove", "nobody", "--yes", "--registry", own).returncode == 3


@pytest.mark.claim
def test_the_registry_of_the_user_lies_in_the_data_folder(family, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert run("add", family / "root").returncode == 0
    assert (tmp_path / "weightkin" / "registry.sqlite").is_file()


@pytest.mark.claim
def test_what_is_exported_is_imported_elsewhere(file, tmp_path):
    assert run("export", tmp_path / "all.zip", "--registry", file).returncode == 0
    done = run("import", tmp_path / "all.zip", "--registry", tmp_path / "new.sqlite", "--json")
    assert [m["name"] for m in json.loads(done.stdout)["added"]] == ["root", "child"]
    assert run("import", tmp_path / "no", "--registry", tmp_path / "new.sqlite").returncode == 3
