"""Claim: hub names and adapters are entries like any other, and what a model declares is kept."""

import json
import os
import shutil

import pytest

from tests.hub_server import COMMIT, serving
from tests.registry.test_commands import run
from weightkin import Registry, open_model
from weightkin.records.listing import Listing
from weightkin.report.lists import listing_lines
from weightkin.report.registry import trace_lines

CARD = "---\nlicense: mit\nbase_model: org/root\n---\n"


@pytest.fixture
def hub(family, tmp_path, monkeypatch):
    shutil.copytree(family / "child", tmp_path / "child")
    (tmp_path / "child" / "README.md").write_text(CARD)
    with serving() as served:
        served.repositories = {"org/root": family / "root", "org/child": tmp_path / "child"}
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr("weightkin.sources.transfer.BACKOFF", 0.001)
        yield served


def test_models_on_a_hub_are_registered_with_their_commit(hub, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    record = registry.add(["org/root", f"hf://org/child@{COMMIT}"])
    root, child = record.added
    assert (root.source, root.revision) == ("hf://org/root", COMMIT)
    assert (child.licence, child.declared_parents) == ("mit", ("org/root",))
    found = registry.trace("child")
    assert [(x.name, x.state) for x in found.declared] == [("org/root", "confirmed")]
    assert not registry.add(["org/root"]).added
    hub.repositories = {}
    assert registry.search("org/root").name == "root"  # known: the hub is not asked


def test_a_hub_out_of_reach_leaves_its_models_waiting(hub, family, tmp_path, monkeypatch):
    registry = Registry(tmp_path / "r.sqlite")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    record = registry.add(["org/root", family / "sibling"])
    assert ([m.name for m in record.added], record.n_waiting) == (["sibling"], 1)
    only = run("add", "org/root", "--registry", tmp_path / "only.sqlite")
    assert (only.returncode, only.stderr.count("\n")) == (2, 1)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert [m.name for m in registry.add([], resume=True).added] == ["root"]


def test_an_adapter_is_an_entry_under_the_name_of_both(zoo, tmp_path):
    base = zoo / "models" / "llama-a"
    adapter = zoo / "models" / "llama-a-lora4-adapter"
    registry = Registry(tmp_path / "r.sqlite")
    record = registry.add([base, f"{base}+{adapter}"])
    assert not record.skipped
    added = record.added[1]
    assert added.source == f"{base.resolve()}+{adapter.resolve()}"
    assert str(base.resolve()) in added.declared_parents
    assert open_model(added.source).name == added.name
    found = registry.trace(added.name)
    steps = (*found.search.parents, *found.search.children)
    assert {x for s in steps for x in (s.parent, s.child)} == {"llama-a", added.name}
    assert found.declared[0].state == "confirmed"
    assert not registry.add([f"{base}+{adapter}"]).added


def test_the_four_states_of_a_declared_parent(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / x for x in ("root", "child", "stranger")])
    card = "---\nbase_model:\n- root\n- stranger\n- org/elsewhere\n---\n"
    shutil.copytree(family / "grandchild", tmp_path / "claims")
    (tmp_path / "claims" / "README.md").write_text(card)
    states = {x.name: x.state for x in registry.trace(tmp_path / "claims").declared}
    assert states == {
        "root": "confirmed",
        "stranger": "contradicted",
        "org/elsewhere": "unverifiable",
        "child": "undeclared",
    }
    registry.family()
    registry.add([tmp_path / "claims"])
    assert {x.name: x.state for x in registry.trace("claims").declared} == states


def test_a_parent_that_was_made_from_the_model_is_contradicted(zoo, tmp_path):
    models = zoo / "models"
    shutil.copytree(models / "llama-a", tmp_path / "older")
    (tmp_path / "older" / "README.md").write_text("---\nbase_model: llama-a-prune50\n---\n")
    registry = Registry(tmp_path / "r.sqlite")
    made = [models / "llama-a-ft1", zoo / "derived" / "llama-a-prune50"]
    registry.add([tmp_path / "older", *made])
    registry.family()
    stated = {x.name: x.state for x in registry.trace("older").declared}
    assert stated["llama-a-prune50"] == "contradicted"


def test_licences_are_in_listing_trace_and_export(family, tmp_path):
    shutil.copytree(family / "root", tmp_path / "root")
    (tmp_path / "root" / "README.md").write_text('---\nlicense: "<b>odd</b>\\e[31m"\n---\n')
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([tmp_path / "root"])
    listed = Listing(models=registry.list())
    assert listing_lines(listed)[1].endswith("<b>odd</b>\\x1b[31m")
    assert "licence <b>odd</b>\\x1b[31m" in listing_lines(listed, is_full=True)[-1]
    traced = registry.trace("root")
    assert "licence     <b>odd</b>\\x1b[31m (declared)" in "\n".join(trace_lines(traced))
    registry.export(tmp_path / "all.zip")
    other = Registry(tmp_path / "other.sqlite")
    assert other.import_(tmp_path / "all.zip").added[0].licence == traced.licence


def test_names_that_are_no_text_are_told(family, tmp_path):
    odd = os.fsdecode(bytes(tmp_path) + b"/m\xff")
    shutil.copytree(family / "root", odd)
    registry = Registry(tmp_path / "r.sqlite")
    record = registry.add([odd, family / "root", "a\0b", "x" * 5000])
    assert [m.name for m in record.added] == ["root"]
    assert len(record.skipped) == 3
    assert registry.search(odd).relatives[0].model.name == "root"
    json.loads(registry.search(odd).to_json())
