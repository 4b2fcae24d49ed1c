"""Claim: a digest of two rows makes no model another: what is compared are the values."""

import json
import shutil
import sqlite3

import numpy as np
import pytest
from benchmarks.lib import claim
from safetensors.numpy import load_file, save_file

from tests.registry.conftest import write
from tests.registry.sealed import change
from weightkin import Registry, check, compare
from weightkin.formats import digest, model_from_arrays, open_model
from weightkin.registry.proposing import slot_of
from weightkin.registry.store import opened

with_rows_of = claim("cases.identities").with_rows_of


def held(folder):
    return load_file(folder / "model.safetensors")


def put(folder, arrays):
    save_file(arrays, folder / "model.safetensors")


@pytest.fixture
def home(family, tmp_path):
    """Root (#1), child (#2) and stranger (#3), registered where they lie and looked up once."""
    for name in ("root", "child", "stranger"):
        shutil.copytree(family / name, tmp_path / name)
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([tmp_path / name for name in ("root", "child", "stranger")])
    for name in ("child", "stranger"):
        registry.search(tmp_path / name)
    return tmp_path


def verdicts(search):
    return {x.model.name: x.verdict for x in (*search.relatives, *search.others)}


def test_a_child_that_lies_where_a_stranger_lay_is_not_that_stranger(home, family):
    child = with_rows_of(held(family / "child"), held(home / "stranger"))
    known = digest(open_model(home / "stranger"))
    put(home / "stranger", child)
    assert digest(open_model(home / "stranger")) == known
    registry = Registry(home / "r.sqlite")
    found = registry.search(home / "stranger")
    assert found.registered is None
    assert verdicts(found)["root"] == "dependent"
    gate = check(home / "stranger", registry=registry)
    assert "undeclared-parent" in {x.rule for x in gate.findings}


def test_what_is_remembered_of_a_child_is_not_said_of_what_replaced_it(home, family):
    put(home / "child", with_rows_of(held(family / "stranger"), held(home / "child")))
    registry = Registry(home / "r.sqlite")
    assert registry.search(home / "child").registered is None
    gate = check(home / "child", registry=registry, expect=["#1"])
    assert "missing-parent" in {x.rule for x in gate.findings}


def test_an_innocent_is_not_accused_of_what_lay_at_its_place(home, family):
    planted = with_rows_of(held(family / "child"), held(family / "stranger"))
    folder = home / "place"
    shutil.copytree(family / "stranger", folder)
    put(folder, planted)
    registry = Registry(home / "r.sqlite")
    registry.add([folder])
    assert verdicts(registry.search(folder))["root"] == "dependent"
    put(folder, held(family / "stranger"))
    assert verdicts(registry.search(folder)).get("root") != "dependent"
    gate = check(folder, registry=registry, deny=["#1"])
    assert "forbidden-ancestor" not in {x.rule for x in gate.findings}


def test_equal_digests_of_other_values_are_no_hit(home, family):
    innocent = held(family / "stranger")
    shutil.copytree(family / "root", home / "planted")
    put(home / "planted", with_rows_of(held(family / "root"), innocent))
    record = compare(home / "planted", family / "stranger")
    assert record.a.digest == record.b.digest
    assert "identical" not in record.kind_details
    for deny in (str(home / "planted"), "#4"):
        Registry(home / "r.sqlite").add([home / "planted"])
        gate = check(family / "stranger", registry=home / "r.sqlite", deny=[deny])
        assert "forbidden-ancestor" not in {x.rule for x in gate.findings}
        assert "this is the model itself" not in gate.to_json(None)


def test_models_in_memory_are_not_the_same_file(family):
    arrays = held(family / "root")
    other = with_rows_of(held(family / "stranger"), arrays)
    first, second = model_from_arrays(arrays), model_from_arrays(other)
    assert digest(first) == digest(second)
    assert compare(first, second).verdict != "dependent"


def unread(folder, seed):
    """A model whose matrices are of a dtype that is not read, and whose norms are ones."""
    rng = np.random.default_rng(seed)
    header, data = {}, b""
    for name, dtype, n in (("norm", "F32", 64), ("w.0", "F4", 4096), ("w.1", "F4", 4096)):
        part = np.ones(n, np.float32).tobytes() if dtype == "F32" else rng.bytes(n // 2)
        shape, end = [n] if dtype == "F32" else [n // 64, 64], len(data) + len(part)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), end]}
        data += part
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    return folder


def test_what_could_not_be_read_is_equal_to_nothing(tmp_path):
    first, second = unread(tmp_path / "a", 1), unread(tmp_path / "b", 2)
    record = compare(first, second)
    assert record.a.digest == record.b.digest
    assert record.verdict == "not-testable"
    assert "100 % of the parameters that could be read are equal" in record.sentence
    Registry(tmp_path / "r.sqlite").add([first, second])
    with opened(tmp_path / "r.sqlite", to_write=False) as connection:
        assert connection.execute("SELECT count(*) FROM contents").fetchone()[0] == 2
    for deny in (str(second), "#2"):
        gate = check(first, registry=tmp_path / "r.sqlite", deny=[deny])
        assert {x.rule for x in gate.findings} == {"unverifiable"}


def test_what_is_equal_and_cannot_be_tested_is_a_hit(tmp_path):
    blank = {f"model.layers.{i}.mlp.up_proj.weight": np.zeros((96, 64), np.float32) for i in (0, 1)}
    for name in ("a", "b"):
        write(tmp_path / name, blank)
    (finding,) = check(tmp_path / "a", deny=[tmp_path / "b"]).findings
    assert finding.rule == "forbidden-ancestor"
    assert "dependent (identical; 100 % of parameters are equal)" in finding.sentence


def test_a_gate_writes_nothing_and_waits_for_nobody(home):
    before = {x: x.read_bytes() for x in home.rglob("*") if x.is_file()}
    with sqlite3.connect(home / "r.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        gate = check(home / "stranger", registry=home / "r.sqlite", deny=["#1"])
        found = Registry(home / "r.sqlite").search(home / "child")
        other.execute("ROLLBACK")
    other.close()
    assert gate.seconds < 60
    assert gate.outcome == "pass"
    assert found.seconds < 60
    assert verdicts(found)["root"] == "dependent"
    assert before[home / "r.sqlite"] == (home / "r.sqlite").read_bytes()


def test_what_was_laid_out_for_one_model_at_the_gate_serves_the_next(home, family):
    change(home / "r.sqlite", "DELETE FROM family")
    registry = Registry(home / "r.sqlite")
    for name in ("sibling", "grandchild", "child"):
        found = registry.trace(family / name, fresh=True).search
        alone = Registry(home / "r.sqlite").trace(family / name, fresh=True).search
        assert (found.parents, found.path) == (alone.parents, alone.path)
        assert found.parents


def test_all_that_lies_beside_a_registered_model_is_checked(home, family):
    shutil.copytree(family / "root", home / "stranger" / "text_encoder")
    (home / "stranger" / "extra.h5").write_bytes(b"\x89HDF" + bytes(range(256)) * 40)
    for name in ("#3", str(home / "stranger")):
        gate = check(name, registry=home / "r.sqlite", deny=[home / "root"])
        rules = {(x.rule, m.name) for m in gate.models for x in m.findings}
        assert ("forbidden-ancestor", "text_encoder") in rules
        assert any(rule == "unverifiable" for rule, _ in rules)


def test_a_registered_model_whose_values_were_changed_is_not_checked_as_that_one(home, family):
    put(home / "stranger", with_rows_of(held(family / "child"), held(home / "stranger")))
    gate = check(["#3", "#1"], registry=home / "r.sqlite", deny=["#2"])
    assert any("weights have changed since it was registered" in x.sentence for x in gate.findings)


def test_slots_are_found_by_all_values(home, family):
    from weightkin.registry.prepared import prepare

    with opened(home / "r.sqlite", to_write=False) as connection:
        assert slot_of(connection, prepare(home / "root")) == 0
