"""Claim: settings, completion, lists and questions work as people of the terminal expect."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from tests import models
from tests.commands import command
from weightkin.cli.selecting import selected
from weightkin.errors import AmbiguousName
from weightkin.records.listing import Described, Listing
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.report.lists import count_words, listing_lines


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two models, one under the name of the other, in a registry."""
    rng = np.random.default_rng(8)
    folder = tmp_path_factory.mktemp("home")
    models.write(folder / "a", models.base(rng))
    models.write(folder / "twice" / "a", models.base(rng))
    done = command("add", folder / "a", folder / "twice" / "a", "--registry", folder / "r.sqlite")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def registry(home, tmp_path):
    shutil.copy(home / "r.sqlite", tmp_path / "r.sqlite")
    shutil.copytree(home / "r.sqlite.files", tmp_path / "r.sqlite.files")
    return tmp_path / "r.sqlite"


def settings(monkeypatch, tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    monkeypatch.setenv("WEIGHTKIN_CONFIG", str(path))


def test_settings_are_defaults_and_the_command_line_comes_first(home, monkeypatch, tmp_path):
    text = f'registry = "{home / "r.sqlite"}"\n[list]\nwhere = ["name=nobody"]\n'
    settings(monkeypatch, tmp_path, text)
    assert command("list").stdout == "no models\n"
    assert command("list", "--where", "name=a").stdout.count("\n") == 3
    assert command("tree").stdout.startswith("2 models: ")
    assert command("tree", home / "a").stdout.startswith("1 model: ")
    monkeypatch.setenv("WEIGHTKIN_REGISTRY", str(tmp_path / "none.sqlite"))
    assert command("list").returncode == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("registri = 1\n", "registri: no option or command has this name"),
        ("[list]\neffort = 'quick'\n", "`list` has no option of this name"),
        ("[lists]\n", "lists: no option or command"),
        ("registry = \n", "not a TOML file"),
    ],
)
def test_wrong_settings_are_one_line(monkeypatch, tmp_path, text, words):
    settings(monkeypatch, tmp_path, text)
    done = command("list")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert words in done.stderr


def test_bash_completes_commands_options_and_values():
    script = command("completion", "bash").stdout
    ask = """
    t() {
        COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=()
        _weightkin; echo "${COMPREPLY[@]}"
    }
    t weightkin comp; t weightkin compare --eff; t weightkin compare --effort ""
    t weightkin controls ""; t weightkin compare x"""
    done = subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "compare completion", "--effort", "quick standard thorough", "list add build", "",
    ]  # fmt: skip


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_of_a_shell_can_be_read_by_it(shell, tmp_path):
    script = command("completion", shell).stdout
    assert "compare" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def registered(n, name, **more):
    model = Registered(id=n, name=name, source=name, revision="", digest="", full_digest="",
                       added=f"2026-11-2{n}T10:00:00+00:00")  # fmt: skip
    return model, Described(id=n, **more)


def test_a_list_says_what_each_model_is(home):
    store = ("--registry", home / "r.sqlite")
    lines = command("list", *store).stdout.splitlines()
    assert lines[0].split() == ["model", "architecture", "parameters", "dtype"]
    assert [x.split()[:2] for x in lines[1:]] == [["#1", "a"], ["#2", "a"]]
    record = json.loads(command("list", *store, "--json").stdout)
    assert [x["dtype"] for x in record["described"]] == ["F32", "F32"]
    assert str(home / "twice" / "a") in command("list", *store, "-v").stdout


def test_lists_are_narrowed_and_sorted():
    rows = [
        registered(1, "small", architecture="LlamaForCausalLM", n_parameters=350_000_000),
        registered(2, "large", architecture="LlamaForCausalLM", n_parameters=7 * 10**9,
                   dtype="BF16"),
        registered(3, "other", architecture="GPT2LMHeadModel", family="small"),
    ]  # fmt: skip
    record = Listing(models=tuple(m for m, _ in rows), described=tuple(x for _, x in rows))

    def names(*where, sort=None):
        return [m.name for m in selected(record, where, sort).models]

    assert names("architecture=llama*") == ["small", "large"]
    assert names("parameters>=1b") == ["large"]
    assert names("parameters < 350M") == ["other"]
    assert names("dtype=bf16") == ["large"]
    assert names("family=small") == ["other"]
    assert names(sort="-parameters") == ["large", "small", "other"]
    assert names(sort="name") == ["large", "other", "small"]
    assert listing_lines(record)[2].endswith("7B  BF16")


@pytest.mark.parametrize(
    "words",
    [("--where", "colour=red"), ("--where", "dtype"), ("--where", "dtype>=F16"),
     ("--where", "parameters=many"), ("--sort", "size")],
)  # fmt: skip
def test_a_wrong_condition_is_one_line(home, words):
    done = command("list", "--registry", home / "r.sqlite", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)


def test_a_damaged_sketch_has_no_description(registry):
    first = min((registry.parent / "r.sqlite.files" / "sketches").iterdir())
    first.write_bytes(b"damaged")
    lines = command("list", "--registry", registry).stdout.splitlines()
    assert sum("F32" in x for x in lines) == 1
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0"), (999, "999"), (707_808, "708K"), (7_241_732_096, "7.24B")]
)
def test_parameters_are_counted_as_people_do(n, words):
    assert count_words(n) == words


@pytest.mark.parametrize("verb", ["search", "trace", "descendants"])
def test_a_name_of_several_models_is_refused_and_their_numbers_are_listed(home, verb):
    store = ("--registry", home / "r.sqlite")
    refused = command(verb, "a", *store)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1)
    for number, source in ((1, home / "a"), (2, home / "twice" / "a")):
        assert f"#{number} ({source}, " in refused.stderr
        assert command(verb, f"#{number}", *store).returncode == 0
        assert command(verb, source, *store).returncode == 0  # a path is a path


def test_a_query_in_python_refuses_such_a_name_with_the_numbers(home):
    registry = Registry(home / "r.sqlite")
    for query in (registry.search, registry.trace, registry.descendants):
        with pytest.raises(AmbiguousName) as refused:
            query("a")
        assert refused.value.numbers == (1, 2)


def test_the_gate_and_remove_list_the_numbers_of_such_a_name(home, registry):
    store = ("--registry", registry)
    denied = command("check", home / "a", "--deny", "a", *store)
    checked = command("check", "a", *store)
    asked = command("remove", "a", *store)
    assert [x.returncode for x in (denied, checked, asked)] == [2, 3, 4]
    for done in (denied, checked, asked):
        assert all(number in done.stdout + done.stderr for number in ("#1", "#2"))
    assert len(Registry(registry).list()) == 2


def test_what_may_not_be_read_is_no_wrong_command_line(home, monkeypatch, tmp_path):
    model, locked = home / "a", tmp_path / "locked"
    locked.write_bytes(b"locked")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    for words in (("list", "--registry"), ("check", model, "--policy"), ("import",),
                  ("compare", model, model, "--controls")):  # fmt: skip
        refused = command(*words, locked)
        assert "Invalid value" not in refused.stderr
        assert (refused.returncode == 3) == ("--policy" not in words)  # read, and no policy


def test_the_help_of_the_registry_names_the_variable(home, monkeypatch):
    for verb in ("check", "tree", "search"):
        assert "without WEIGHTKIN_REGISTRY" in " ".join(command(verb, "--help").stdout.split())
    monkeypatch.setenv("WEIGHTKIN_REGISTRY", str(home / "nowhere"))
    refused = command("check", home / "a")
    assert "nowhere: no such registry" in refused.stdout + refused.stderr


def test_a_name_that_is_nowhere_is_told_in_one_way(registry):
    for words in (("remove", "--yes"), ("search",), ("trace",), ("descendants",)):
        refused = command(words[0], "#99", *words[1:], "--registry", registry)
        assert refused.returncode == 3
        assert "no model of this name" in refused.stderr.replace("no such path, and ", "")


def test_a_missing_export_is_no_such_file(registry, tmp_path):
    refused = command("import", tmp_path / "missing.zip", "--registry", registry)
    assert refused.returncode == 3
    assert refused.stderr.endswith("missing.zip: no such file\n")


def test_remove_asks_first(registry):
    store = ("--registry", registry)
    refused = command("remove", "a", *store)
    assert refused.returncode == 4
    assert "#1 a" in refused.stderr
    assert "--yes" in refused.stderr
    assert len(Registry(registry).list()) == 2
    assert command("remove", "#1", "--yes", *store).stdout == "removed #1 a\n"
    assert len(Registry(registry).list()) == 1


def test_export_overwrites_only_an_export_and_only_if_told(registry, tmp_path):
    store = ("--registry", registry)
    target, other = tmp_path / "all.zip", tmp_path / "notes"
    other.write_text("mine")
    assert command("export", target, *store).returncode == 0
    refused = command("export", target, *store)
    assert (refused.returncode, "--force overwrites it" in refused.stderr) == (4, True)
    assert command("export", target, "--force", *store).returncode == 0
    assert command("export", other, "--force", *store).returncode == 4
    assert other.read_text() == "mine"
