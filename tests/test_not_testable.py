"""Claim: where nothing was tested every output says so; equal contents are found all the same."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.commands import command
from weightkin import Registry

WRONG = re.compile(
    r"no evidence of shared|without relatives|passed|without evidence|nothing that independent",
    re.I,
)


def unknown(seed):
    """Matrices in no block that anything is known of."""
    rng = np.random.default_rng(seed)
    return {f"part_{i}.kernel": rng.standard_normal((40, 40)).astype(np.float32) for i in range(4)}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_file(unknown(0), tmp_path / "a.safetensors")
    save_file(unknown(0), tmp_path / "copy.safetensors", {"format": "pt"})
    save_file(unknown(1), tmp_path / "b.safetensors")
    save_file({n.upper(): x for n, x in unknown(0).items()}, tmp_path / "named.safetensors")
    Registry(tmp_path / "r.sqlite").add([tmp_path / "a.safetensors"])
    return tmp_path


COMMANDS = {
    "compare": (0, "compare a.safetensors b.safetensors"),
    "search": (0, "search b.safetensors --registry r.sqlite"),
    "trace": (0, "trace b.safetensors --registry r.sqlite"),
    "card": (0, "trace b.safetensors --registry r.sqlite --format model-card"),
    "tree": (0, "tree a.safetensors b.safetensors"),
    "check": (2, "check b.safetensors --registry r.sqlite"),
    "deny": (2, "check b.safetensors --deny a.safetensors"),
    "sarif": (2, "check b.safetensors --registry r.sqlite --format sarif"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_not_testable(home, name):
    code, line = COMMANDS[name]
    done = command(*line.split())
    assert done.returncode == code, done.stderr
    assert "not testable" in done.stdout
    assert not WRONG.search(done.stdout), done.stdout


@pytest.mark.parametrize("name", ["compare", "search", "trace", "tree"])
def test_every_page_says_so(home, name):
    done = command(*COMMANDS[name][1].split(), "--html", "page.html")
    assert done.returncode == 0, done.stderr
    text = re.sub(r"<(script|style).*?</\1>", "", (home / "page.html").read_text(), flags=re.S)
    text = re.sub(r"<section id=.?(limits|null).*?</section>", "", text, flags=re.S)
    assert re.search("not testable|nothing could be tested", text, re.I)
    assert not WRONG.search(text), WRONG.search(text)


def test_the_headline_says_how_much_is_equal(home):
    mixed = unknown(1) | {"else": unknown(0)["part_2.kernel"]}
    save_file(mixed, home / "mixed.safetensors")
    found = json.loads(command("compare", "a.safetensors", "mixed.safetensors", "--json").stdout)
    assert found["verdict"] == "not-testable"
    assert found["equal"] == {
        "n_parameters": 6400, "same_name": 0, "other_name": 1600, "tables": 0, "basis": "all",
    }  # fmt: skip
    said = command("compare", "a.safetensors", "mixed.safetensors").stdout
    assert "; 25 % of parameters are equal" in said.splitlines()[0]


@pytest.mark.parametrize("source", ["copy.safetensors", "named.safetensors"])
def test_equal_values_are_relatives_without_a_test(home, source):
    found = json.loads(command("compare", "a.safetensors", source, "--json").stdout)
    assert (found["verdict"], found["basis"]) == ("dependent", "equal")
    assert found["kind"] == ["header-only"]
    assert found["direction"]["parent"] == "undetermined"
    tree = json.loads(command("tree", "a.safetensors", source, "--json").stdout)
    assert len(tree["components"]) == 1
    denied = command("check", source, "--deny", "a.safetensors")
    assert denied.returncode == 1
    assert "forbidden-ancestor" in denied.stdout


def test_a_copy_is_found_in_a_registry(home):
    found = json.loads(
        command("search", "copy.safetensors", "--registry", "r.sqlite", "--json").stdout
    )
    (relative,) = found["relatives"]
    summary = relative["summary"]
    assert (summary["verdict"], summary["kind"]) == ("dependent", ["identical"])
    assert not found.get("parents")
    assert (
        command("check", "copy.safetensors", "--registry", "r.sqlite", "--deny", "#1").returncode
        == 1
    )
    card = command("trace", "copy.safetensors", "--registry", "r.sqlite", "--format", "model-card")
    assert "has the same values as a" in card.stdout
