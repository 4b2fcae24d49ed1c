"""Claim: the published JSON Schemas are up to date, and hold for every record that is printed."""

import importlib.util
import json
import sys

import jsonschema
import numpy as np
import pytest

from tests.commands import command
from tests.conftest import ROOT
from tests.lineage.simulated import base, trained_on
from tests.registry.conftest import write
from weightkin import Registry

FOLDER = ROOT / "docs" / "schema"


@pytest.fixture(scope="module")
def written():
    about = importlib.util.spec_from_file_location("make_schemas", FOLDER / "make.py")
    module = sys.modules[about.name] = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module.schemas()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    home = tmp_path_factory.mktemp("printed")
    rng = np.random.default_rng(31)
    root = base(rng)
    write(home / "all" / "root", root)
    write(home / "all" / "child", trained_on(root, rng))
    write(home / "all" / "stranger", base(rng))
    Registry(home / "r.sqlite").add([home / "all" / "root", home / "all" / "stranger"])
    (home / "bad").mkdir()
    (home / "bad" / "model.safetensors").write_bytes(b"no model")
    return home


def test_the_files_are_those_that_make_writes(written):
    assert {p.name for p in FOLDER.glob("*.json")} == set(written)
    for name, text in written.items():
        assert (FOLDER / name).read_text() == text, f"run docs/schema/make.py: {name}"


def test_they_are_schemas_that_allow_more_and_refuse_less(written):
    for name, text in written.items():
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert '"additionalProperties": false' not in text
        validator = jsonschema.Draft202012Validator(schema)
        assert not validator.is_valid({"schema": schema["properties"]["schema"]["const"]}), name


PRINTED = {
    "comparison": ("compare", "all/root", "all/child"),
    "location": ("locate", "all/root", "all/child"),
    "family": ("tree", "all"),
    "model": ("show", "all/root"),
    "sketching": ("sketch", "all/root", "bad", "--out", "sketches"),
    "estimate": ("compare", "all/root", "all/child", "--estimate"),
    "adding": ("add", "all/child", "bad", "--registry", "new.sqlite"),
    "listing": ("list", "--registry", "r.sqlite"),
    "search": ("search", "all/child", "--registry", "r.sqlite"),
    "trace": ("trace", "all/child", "--registry", "r.sqlite"),
    "descendants": ("descendants", "all/root", "--registry", "r.sqlite"),
    "check": ("check", "all/child", "--registry", "r.sqlite", "--deny", "all/root"),
    "controls": ("controls", "list"),
}


def test_every_schema_has_a_command_that_prints_it(written):
    assert {name.removesuffix(".json") for name in written} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_is_valid(models, monkeypatch, name):
    monkeypatch.chdir(models)
    done = command(*PRINTED[name], "--json")
    record = json.loads(done.stdout)
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(record)
    assert record["schema"] == schema["properties"]["schema"]["const"]
    assert not validator.is_valid({**record, "schema": "another/1"})
    assert validator.is_valid({**record, "more": 1})
