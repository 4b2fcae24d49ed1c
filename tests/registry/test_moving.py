"""Claim: evidence travels with a registry, marked as imported, and is never believed."""

import copy
import json
import os
import sqlite3
import zipfile

import pytest

from weightkin import Registry
from weightkin.errors import UnreadableModel


@pytest.fixture(scope="module")
def exported(family, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    registry = Registry(folder / "r.sqlite")
    registry.add([family / x for x in ("stranger", "root", "child", "sibling")])
    registry.remove("stranger")  # numbers there are not those here
    registry.family()
    registry.trace("child")
    registry.export(folder / "all.zip")
    return folder / "all.zip", registry


def rewritten(source, target, change):
    """The same file with another listing."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "models.json":
                listing = json.loads(data)
                change(listing)
                data = json.dumps(listing).encode()
            new.writestr(name, data)
    return target


def rows(path, table):
    connection = sqlite3.connect(path)
    found = connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.close()
    return found


def test_comparisons_and_the_graph_go_with_the_models(exported, tmp_path):
    file, there = exported
    here = Registry(tmp_path / "r.sqlite")
    here.import_(file)
    assert [m.id for m in here.list()] == [1, 2, 3]
    assert [m.id for m in there.list()] == [2, 3, 4]
    assert [m.added for m in here.list()] == [m.added for m in there.list()]
    assert all(m.imported for m in here.list())
    assert not any(m.imported for m in there.list())
    kept = rows(here.path, "edges")
    assert [(a, b) for a, b, *_ in kept] == [(2, 1), (2, 3)]
    assert {json.loads(row[-2])["looked_at"] for row in kept} == {"imported"}
    graph = here.family()
    assert [n.registered for n in graph.nodes if n.observed] == [(1,), (2,), (3,)]
    assert {(e.parent, e.child) for e in graph.edges} == {
        (e.parent, e.child) for e in there.family().edges
    }
    assert all(e.evidence[-1].code == "imported" for e in graph.edges)
    here.trace("child")  # compares anew
    assert {json.loads(row[-2])["looked_at"] for row in rows(here.path, "edges")} == {"sketch"}


def test_a_graph_is_not_taken_into_a_registry_that_holds_models(exported, family, tmp_path):
    here = Registry(tmp_path / "r.sqlite")
    here.add([family / "stranger"])
    here.import_(exported[0])
    assert rows(here.path, "family") == []
    assert len(rows(here.path, "edges")) == 2


def test_a_lying_verdict_is_not_believed(exported, family, tmp_path):
    def lie(listing):
        for entry in listing["comparisons"]:
            entry["evidence"]["verdict"] = "no-evidence"
            entry["evidence"]["alpha"] = 0.0

    file = rewritten(exported[0], tmp_path / "lie.zip", lie)
    here = Registry(tmp_path / "r.sqlite")
    here.import_(file)
    assert {x.model.name for x in here.search("child").relatives} == {"root", "sibling"}


@pytest.mark.parametrize(
    "change",
    [
        {"family": {"schema": "weightkin/family/2"}},
        {"family": []},
        {"family": {"nodes": 1}},
        {"comparisons": [{"a": 1}, 3, {"a": "x"}]},
        {"comparisons": {"a": 1}},
    ],
)
def test_malformed_evidence_costs_only_itself(exported, tmp_path, change):
    file = rewritten(exported[0], tmp_path / "bad.zip", lambda listing: listing.update(change))
    here = Registry(tmp_path / "r.sqlite")
    record = here.import_(file)
    assert len(record.added) == 3
    assert record.incomplete == ("family" in change)


def test_a_graph_of_other_models_is_refused(exported, tmp_path):
    def forge(listing):
        for node in listing["family"]["nodes"]:
            node["digest"] = "wk1-forged"

    here = Registry(tmp_path / "r.sqlite")
    record = here.import_(rewritten(exported[0], tmp_path / "bad.zip", forge))
    assert "of the family graph is not a model of this file" in record.skipped[0].sentence
    assert rows(here.path, "family") == []


def test_texts_that_cannot_be_kept_are_refused(exported, tmp_path):
    def break_name(listing):
        listing["models"][0]["name"] = "\ud800"

    here = Registry(tmp_path / "r.sqlite")
    assert len(here.import_(rewritten(exported[0], tmp_path / "a.zip", break_name)).added) == 2

    def break_number(listing):
        listing["comparisons"][0]["evidence"]["log10_pvalue"] = float("nan")

    with pytest.raises(UnreadableModel, match="not a file of `weightkin export`"):
        here.import_(rewritten(exported[0], tmp_path / "b.zip", break_number))


@pytest.mark.parametrize(
    "how", ["deflated", "brackets", "encrypted", "long name", "fifo", "twice", "names"]
)
def test_a_file_that_costs_more_than_it_holds_is_refused(exported, tmp_path, how):
    file = tmp_path / "bad.zip"
    here = Registry(tmp_path / "r.sqlite")
    if how == "fifo":
        os.mkfifo(file)
    elif how == "twice":  # many members, all of them the same bytes
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("sketches/0", bytes(100_000))
            first = archive.infolist()[0]
            for k in range(1, 1000):
                more = copy.copy(first)
                more.filename = f"sketches/{k}"
                archive.filelist.append(more)
                archive.NameToInfo[more.filename] = more
            archive.writestr("models.json", b'{"schema":"weightkin/registry-export/1","models":[]}')
    elif how == "names":  # a list of members of over 16 MB
        with zipfile.ZipFile(file, "w") as archive:
            for k in range(280):
                archive.writestr(f"{k:065000}", b"")
    elif how == "long name":

        def lengthen(listing):
            listing["models"][0]["name"] = "n" * 10_000
            listing["models"][1]["parents"] = ["p"] * 1_000

        rewritten(exported[0], file, lengthen)
        record = here.import_(file)
        assert len(record.added) == 1
        assert all(len(x.sentence) < 500 for x in record.skipped)
        return
    else:
        text = b'{"schema":"weightkin/registry-export/1","models":[' + b"[]," * 100_000 + b"{}]}"
        kind = zipfile.ZIP_DEFLATED if how == "deflated" else zipfile.ZIP_STORED
        with zipfile.ZipFile(file, "w", kind) as archive:
            archive.writestr("models.json", text if how == "brackets" else b"{}" * 1_000)
        if how == "encrypted":
            data = bytearray(file.read_bytes())
            data[data.index(b"PK\1\2") + 8] |= 1
            file.write_bytes(data)
    with pytest.raises(UnreadableModel, match="not a file of `weightkin export`") as caught:
        here.import_(file)
    assert "\n" not in str(caught.value)
    assert how != "names" or "list of members" in str(caught.value)


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "a\\b", "a\x1b[2J", "a\nb", "#1", "wk1-0"])
def test_a_name_that_stands_for_something_else_is_refused(exported, tmp_path, name):
    def rename(listing):
        listing["models"][0]["name"] = name

    here = Registry(tmp_path / "r.sqlite")
    record = here.import_(rewritten(exported[0], tmp_path / "n.zip", rename))
    assert len(record.added) == 2
    assert "not allowed as a name" in record.skipped[0].sentence
    assert record.skipped[0].sentence.isprintable()


def test_a_damaged_sketch_costs_itself_alone(exported, tmp_path):
    data = bytearray(exported[0].read_bytes())
    data[data.index(b"PK\1\2") // 6] ^= 1  # in the first of three sketches
    (tmp_path / "d.zip").write_bytes(data)
    record = Registry(tmp_path / "r.sqlite").import_(tmp_path / "d.zip")
    assert (len(record.added), len(record.skipped)) == (2, 2)  # the family graph names it too


def test_an_imported_family_is_shown_and_places_nothing(exported, tmp_path):
    def turn(listing):
        for edge in listing["family"]["edges"]:
            edge["parent"], edge["child"] = edge["child"], edge["parent"]

    here = Registry(tmp_path / "r.sqlite")
    true = exported[1].trace("child").search
    here.import_(rewritten(exported[0], tmp_path / "lie.zip", turn))
    assert here.family().parameters["imported"]
    found = here.trace("child").search
    assert {s.parent for s in found.parents} == {s.parent for s in true.parents}
    assert found.placed_among == true.placed_among == "registry"  # laid out here, of few models


def test_evidence_that_pages_cannot_show_is_left_out(exported, tmp_path):
    def odd(listing):
        for entry, wrong in zip(listing["comparisons"], ({"log10_pvalue": 1.0}, {"kind": ["x"]}),
                                strict=True):  # fmt: skip
            entry["evidence"].update(wrong)

    here = Registry(tmp_path / "r.sqlite")
    here.import_(rewritten(exported[0], tmp_path / "odd.zip", odd))
    assert rows(here.path, "edges") == []


def test_a_graph_of_models_that_were_removed_stays_at_home(family, tmp_path):
    there = Registry(tmp_path / "there.sqlite")
    there.add([family / x for x in ("root", "child", "sibling")])
    there.family()
    there.remove("sibling")
    there.export(tmp_path / "all.zip")
    found = Registry(tmp_path / "here.sqlite").import_(tmp_path / "all.zip")
    assert len(found.added) == 2
    assert not found.skipped
