"""Claim: what is added is found again by its weights, with its place and what it declared."""

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from tests.registry.sealed import reseal
from weightkin import Execution, Registry, read_sketch, take_sketch, write_sketch
from weightkin.errors import UnreadableModel, UnusableRegistry, UsageError
from weightkin.records.registry import Search, Trace
from weightkin.registry import adding
from weightkin.registry.adding import begin
from weightkin.registry.store import opened


@pytest.fixture(scope="module")
def filled(family, tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("registry") / "r.sqlite")
    names = ("root", "child", "sibling", "stranger")
    record = registry.add([family / name for name in names])
    assert [m.name for m in record.added] == list(names)
    return registry


def test_a_newcomer_finds_its_relatives_and_its_parent(filled, family):
    found = filled.search(family / "grandchild")
    assert {x.model.name for x in found.relatives} == {"root", "child", "sibling"}
    assert found.relatives[0].model.name == "child"
    assert {s.parent for s in found.parents} == {"child"}
    assert found.n_scanned == 4
    assert found.paid_alpha == found.alpha / 4
    assert found.first_registered == ""  # one call added them all
    assert Search.from_json(found.to_json()) == found


def test_a_disguised_copy_is_found_through_the_invariant_vector(filled, family):
    found = filled.search(family / "hidden")
    root = next(x for x in found.relatives if x.model.name == "root")
    assert root.cosine < 0.5 < root.invariant_cosine
    assert root.verdict == "dependent"
    assert "stranger" not in {x.model.name for x in found.relatives}


def test_first_is_only_who_was_added_by_an_earlier_call(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root", family / "sibling"])
    assert registry.search(family / "child").first_registered == ""
    registry = Registry(tmp_path / "s.sqlite")
    registry.add([family / "sibling"])
    with sqlite3.connect(registry.path) as connection:  # a day earlier than what follows
        connection.execute("UPDATE models SET added = '2000-01-01T00:00:00+00:00'")
    reseal(registry.path)
    registry.add([family / "root", family / "sibling"])  # known already
    assert registry.search(family / "child").first_registered == "sibling"


def test_what_one_call_adds_has_one_date_however_long_it_takes(family, tmp_path, monkeypatch):
    registry = Registry(tmp_path / "r.sqlite")
    take_up = adding.keep

    def slowly(*args, **kwargs):
        time.sleep(1.1)  # dates are written to the second
        return take_up(*args, **kwargs)

    monkeypatch.setattr(adding, "keep", slowly)
    record = registry.add([family / "root", family / "child"])
    assert len({x.added for x in record.added}) == 1
    monkeypatch.undo()
    assert registry.search("child").first_registered == ""
    (said,) = registry.trace("child").declared
    assert said.name == "root"
    assert "is_registered_first" not in said.data  # neither is: one call added both
    time.sleep(1.1)
    registry.add([family / "sibling"])
    (said,) = registry.trace("sibling").declared
    assert said.data["is_registered_first"] is True


def test_a_stranger_has_no_relatives(filled, crowd):
    found = filled.trace(crowd[0])
    assert found.search.relatives == ()
    assert found.path == ()
    assert found.search.sentence.startswith("m00: no relatives found among 4 models")
    assert Trace.from_json(found.to_json()) == found


def test_a_registered_model_is_found_by_name_and_number_and_is_not_its_own_relative(filled):
    by_name, by_number = filled.search("child"), filled.search("#2")
    assert by_name.name == by_number.name == "child"
    assert "child" not in {x.model.name for x in by_name.relatives}
    assert [x.sentence for x in by_name.relatives] == [x.sentence for x in by_number.relatives]
    assert by_name.registered == filled.list()[1]
    assert Search.from_json(by_name.to_json()) == by_name
    assert filled.search("root").first_registered == ""  # one call added them all
    with pytest.raises(UnreadableModel, match="nosuch: no such path, and no model of this name"):
        filled.search("nosuch")


def test_a_source_that_waits_twice_is_one_item(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "stranger"])
    with opened(registry.path, to_write=True) as stopped:
        begin(stopped, [str((family / name).resolve()) for name in ("root", "child")])
    done = registry.add([family / "root", family / "root"], resume=True)
    assert [m.name for m in done.added] == ["root", "child"]
    assert not done.known
    again = registry.add([], resume=True)
    assert not again.added
    assert not again.known


def test_adding_again_changes_nothing_and_a_copy_is_called_one(filled, family, tmp_path):
    again = filled.add([family / "root"])
    assert not again.added
    assert [m.id for m in again.known] == [1]
    shutil.copytree(family / "root", tmp_path / "renamed")
    copy = filled.add([tmp_path / "renamed"]).added[0]
    assert "identical to root (#1) on the sample" in [x.sentence for x in copy.notes]
    assert filled.search(tmp_path / "renamed").n_scanned == 4
    assert [m.name for m in filled.remove("renamed")] == ["renamed"]
    assert filled.search("root").n_scanned == 4


def test_a_model_that_changed_under_its_name_is_kept_twice(family, crowd, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    shutil.copytree(family / "root", tmp_path / "model")
    registry.add([tmp_path / "model"])
    shutil.copy(crowd[0] / "model.safetensors", tmp_path / "model")
    second = registry.add([tmp_path / "model"]).added[0]
    assert [(x.code, x.data["id"]) for x in second.notes] == [("other-contents", 1)]
    assert len(registry.list()) == 2


def test_declared_parents_are_held_against_the_weights(filled, family, tmp_path):
    card = "---\nlicense: mit\nbase_model:\n- org/child\n- stranger\n- org/unknown\n---\ntext\n"
    shutil.copytree(family / "grandchild", tmp_path / "claims")
    (tmp_path / "claims" / "README.md").write_text(card)
    found = filled.trace(tmp_path / "claims")
    states = {x.name: x.state for x in found.declared}
    assert states == {
        "org/child": "confirmed",
        "stranger": "contradicted",
        "org/unknown": "unverifiable",
    }
    assert found.licence == "mit"
    silent = filled.trace(family / "grandchild")
    assert [(x.name, x.state) for x in silent.declared] == [("child", "undeclared")]


def test_one_bad_model_never_stops_the_rest(family, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no model")
    record = Registry(tmp_path / "r.sqlite").add(
        [family / "root", tmp_path / "broken", tmp_path / "missing", family / "child"],
        execution=Execution(workers=2),
    )
    assert [m.name for m in record.added] == ["root", "child"]
    assert len(record.skipped) == 2
    assert record.incomplete


def test_a_sketch_is_a_source(filled, family, tmp_path):
    write_sketch(take_sketch(family / "grandchild"), tmp_path / "g.sketch.safetensors")
    found = filled.search(tmp_path / "g.sketch.safetensors")
    assert found.relatives[0].model.name == "child"
    assert read_sketch(tmp_path / "g.sketch.safetensors").digest == found.digest


def test_what_is_exported_is_imported(filled, family, tmp_path):
    assert filled.export(tmp_path / "all.zip") == len(filled.list())
    other = Registry(tmp_path / "other.sqlite")
    assert len(other.import_(tmp_path / "all.zip").added) == len(filled.list())
    assert not other.import_(tmp_path / "all.zip").added
    assert [(m.name, m.added) for m in other.list()] == [(m.name, m.added) for m in filled.list()]
    here, there = filled.search(family / "grandchild"), other.search(family / "grandchild")
    assert [x.sentence for x in here.relatives] == [x.sentence for x in there.relatives]
    with pytest.raises(UsageError, match="already exists"):
        filled.export(tmp_path / "all.zip")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(UnreadableModel, match="not a file of `weightkin export`"):
        other.import_(tmp_path / "bad.zip")


def test_removing_leaves_nothing_behind(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root", family / "child"])
    registry.remove("root")
    assert [m.name for m in registry.list()] == ["child"]
    assert len(list((tmp_path / "r.sqlite.files" / "sketches").iterdir())) == 1
    assert [x.model.name for x in registry.search(family / "root").relatives] == ["child"]
    with pytest.raises(UnreadableModel, match="no model of this name"):
        registry.remove("root")


def test_an_empty_registry_answers(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    with pytest.raises(UnusableRegistry, match="no such registry"):
        registry.search(family / "root")
    registry.add([family / "root"])
    registry.remove("#1")
    assert registry.search(family / "root").relatives == ()


def _says(registry, pattern):
    with pytest.raises(UnusableRegistry, match=pattern) as caught:
        registry.list()
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_used_is_told_in_one_line(family, tmp_path):
    path = tmp_path / "r.sqlite"
    registry = Registry(path)
    registry.add([family / "root"])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 6")
    connection.close()
    _says(registry, "a registry of version 6, not 5")
    path.write_bytes(b"this is no database, and long enough to be looked at as one" * 40)
    _says(registry, "not a database")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t(x)")
    connection.close()
    _says(registry, "not a registry")
    with pytest.raises(UnusableRegistry, match="another database"):
        registry.add([family / "root"])


def test_damaged_pages_and_short_vectors_are_told_in_one_line(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root", family / "child"])
    with (tmp_path / "r.sqlite.files" / "aligned.vectors").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(UnusableRegistry, match="truncated .100 bytes, at least"):
        registry.search(family / "root")
    size = (tmp_path / "r.sqlite").stat().st_size
    with (tmp_path / "r.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    _says(registry, "the registry cannot be used")


def test_a_folder_that_cannot_be_written_is_told_in_one_line(family, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableRegistry, match="cannot be made"):
        Registry(tmp_path / "file" / "r.sqlite").add([family / "root"])


def test_a_damaged_sketch_costs_one_candidate(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root", family / "child"])
    target = next((tmp_path / "r.sqlite.files" / "sketches").iterdir())
    target.write_bytes(b"short")
    found = registry.search(family / "grandchild")
    assert len(found.relatives) == 1
    assert len(found.skipped) == 1


def test_vectors_and_names_survive_hostile_text(family, tmp_path):
    shutil.copytree(family / "root", tmp_path / "a'; DROP TABLE models; --")
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([tmp_path / "a'; DROP TABLE models; --"])
    assert registry.list()[0].name == "a'; DROP TABLE models; --"
    assert json.loads(registry.search(family / "child").to_json())["n_scanned"] == 1


def test_a_registry_that_cannot_be_written_is_searched_all_the_same(family, tmp_path, monkeypatch):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root"])
    monkeypatch.setattr("os.access", lambda *_: False)
    assert [x.model.name for x in registry.search(family / "child").relatives] == ["root"]
    registry.trace("root")  # nothing is remembered, and nothing fails


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_adding_to_a_read_only_folder_is_told_in_one_line(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root"])
    for path in (tmp_path / "r.sqlite", tmp_path / "r.sqlite.files", tmp_path):
        path.chmod(0o555)
    with pytest.raises(UnusableRegistry):
        registry.add([family / "child"])
    assert [m.name for m in registry.list()] == ["root"]
    tmp_path.chmod(0o755)
