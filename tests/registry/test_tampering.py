"""Claim: what something else changed in a registry is one line and an exit code, no answer."""

import json
import os
import shutil
import sqlite3

import numpy as np
import pytest

from tests.registry.sealed import change, reseal
from weightkin import Registry
from weightkin.errors import UnusableRegistry, WeightkinError
from weightkin.policy import check
from weightkin.registry.sealing import mark_of
from weightkin.registry.store import folder_of
from weightkin.scan import bits_of

MODELS = ("root", "child", "stranger")


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "r.sqlite"
    registry = Registry(path)
    registry.add([family / x for x in MODELS])
    registry.family()
    registry.search("child")
    return path


@pytest.fixture
def path(whole, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(whole.parent, folder)
    return folder / whole.name


def answers(path, family):
    """What a search says, relatives or the line of its refusal, and the outcome of a gate."""
    searched = said(lambda: Registry(path).search(family / "grandchild"))
    if not isinstance(searched, str):
        names = {x.model.name for x in searched.relatives}
        searched = "incomplete" if searched.incomplete else names
    gate = said(lambda: check(family / "grandchild", registry=path))
    return searched, "incomplete" if isinstance(gate, str) else gate.outcome


def said(use):
    """What a call gives, or the line of its refusal: the command exits with 2 or 3."""
    try:
        return use()
    except WeightkinError as error:
        line, code = str(error), error.exit_code
    assert "\n" not in line
    assert code in (2, 3)
    return line


def block(path, name):
    return folder_of(path) / name


def vectors(path, name, how):
    """Zero, shuffle or draw anew the vectors (and signs) of one kind."""
    for suffix, dtype in (("vectors", np.float16), ("bits", np.uint64)):
        file = block(path, f"{name}.{suffix}")
        x = np.fromfile(file, dtype).reshape(len(MODELS), -1)
        rng = np.random.default_rng(1)
        if how == "swapped":
            x = x[[1, 0, 2]]
        elif how == "zeroed":
            x = np.zeros_like(x)
        elif how == "random":
            y = rng.standard_normal((len(x), 1024 if name == "aligned" else 512))
            y = (y / np.linalg.norm(y, axis=1, keepdims=True)).astype(np.float16)
            x = bits_of(y) if suffix == "bits" else y
        elif how == "one number" and suffix == "vectors":
            x[1, 3] += 0.5
        x.tofile(file)


@pytest.mark.parametrize("how", ["swapped", "zeroed", "random", "one number"])
@pytest.mark.parametrize("name", ["aligned", "invariant"])
def test_changed_vectors_are_no_absence_of_relatives(path, family, name, how):
    vectors(path, name, how)
    searched, gate = answers(path, family)
    assert searched == "incomplete"
    assert gate == "incomplete"
    lost = {x.what.split()[2] for x in Registry(path).verify()}
    numbers = {"one number": "2", "swapped": "12"}.get(how, "123")
    assert lost == {f"(#{x})" for x in numbers}


@pytest.mark.parametrize("how", ["swapped", "zeroed", "gone", "another"])
def test_changed_sketches_are_not_used(path, family, how):
    files = sorted(block(path, "sketches").iterdir())
    data = [x.read_bytes() for x in files]
    for k, file in enumerate(files):
        if how == "gone":
            file.unlink()
        else:
            zeros = data[k][:400] + bytes(len(data[k]) - 400)
            file.write_bytes({"swapped": data[k - 1], "zeroed": zeros, "another": data[2]}[how])
    searched, gate = answers(path, family)
    assert searched == "incomplete" or "changed by something other" in searched
    assert gate == "incomplete"


ROWS = {
    "a model removed": "DELETE FROM models WHERE id = 2",
    "contents removed": "DELETE FROM contents WHERE slot = 1",
    "a model twice": "INSERT INTO models SELECT id + 10, name, source || 'x', revision, digest,"
    " full_digest, slot, added, parents, licence, imported, claimed, seal FROM models"
    " WHERE id = 2",
    "another digest": f"UPDATE models SET digest = 'wk1-{'0' * 64}' WHERE id = 2",
    "another name": "UPDATE models SET name = 'stranger' WHERE id = 2",
    "a long name": f"UPDATE models SET name = '{'n' * 10_000}' WHERE id = 2",
    "a name that moves": "UPDATE models SET name = char(27) || '[2J' || char(8238) WHERE id = 2",
    "contents traded": "UPDATE models SET slot = 3 - slot WHERE slot > 0",
    "claims no more": "UPDATE models SET claimed = 1 - claimed",
    "no totals": "DELETE FROM totals",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON models BEGIN DELETE FROM models; END",
    "a view": "CREATE VIEW v AS SELECT * FROM models",
    "an index": "DROP INDEX models_by_slot",
}


@pytest.mark.parametrize("what", ROWS)
def test_changed_rows_are_refused_in_one_line(path, family, what):
    change(path, ROWS[what])
    registry = Registry(path)
    uses = (
        lambda: registry.search("#1"), lambda: registry.search("#2"), registry.family,
        lambda: registry.export(path.with_suffix(".zip")), registry.list,
    )  # fmt: skip
    lines = [x for x in map(said, uses) if isinstance(x, str)]
    assert lines
    assert all(x.isprintable() and len(x) < 1000 for x in lines)
    assert check(family / "grandchild", registry=path).outcome == "incomplete"


def test_what_is_as_it_was_written_answers(path, family):
    assert answers(path, family)[0] == {"root", "child"}


def test_what_can_be_found_again_is(path, family):
    change(path, "UPDATE edges SET evidence = '{}'", "UPDATE families SET nodes = '[]'")
    assert {x.code for x in Registry(path).verify()} == {"damaged-found"}
    tree = {(e.parent, e.child) for e in Registry(path).family().edges}
    assert {x.model.name for x in Registry(path).search("child").relatives} == {"root"}
    assert Registry(path).verify() == ()
    change(path, "DELETE FROM family")
    assert tree == {(e.parent, e.child) for e in Registry(path).family().edges} == {
        ("root", "child")}  # fmt: skip


def test_a_vector_sealed_anew_must_still_be_that_of_its_sketch(path, family):
    from weightkin.registry.blocks import ALIGNED, INVARIANT, read_rows
    from weightkin.registry.sealing import seal

    file = block(path, "aligned.vectors")
    rows = np.fromfile(file, np.float16).reshape(3, -1)
    rows[1, :512] = rows[1, :512][::-1]
    rows.tofile(file)
    bits_of(rows).tofile(block(path, "aligned.bits"))
    folder = folder_of(path)
    mark = mark_of(np.arange(3), *(read_rows(folder, b, 3)[0] for b in (ALIGNED, INVARIANT)))
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT contents FROM contents WHERE slot = 1").fetchone()[0]
        given = seal(1, found, rows[1].tobytes())
        connection.execute("UPDATE contents SET aligned_seal = ? WHERE slot = 1", (given,))
        connection.execute("UPDATE totals SET mark = ?", (f"{mark:016x}",))
    connection.close()
    found = Registry(path).trace(family / "grandchild", also=[2]).search
    assert found.incomplete
    assert {(x.what, x.code) for x in found.skipped} == {("#2", "registry-damaged")}


def test_marks_tell_any_two_rows_and_places_apart():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 63, (40_000, 16), np.uint64)
    slots = np.arange(len(bits))
    whole = mark_of(slots, bits, bits[:, :8])
    parts = mark_of(slots[:9], bits, bits[:, :8]) + mark_of(slots[9:], bits, bits[:, :8])
    assert whole == parts % (1 << 64)
    assert mark_of(np.array([7]), bits[7:8], bits[7:8, :8], first=7) == mark_of(
        slots[7:8], bits, bits[:, :8]
    )
    bits[[3, 4]] = bits[[4, 3]]
    assert mark_of(slots, bits, bits[:, :8]) != whole


def killed(path):
    """A registry whose last models are in its log alone, as after a kill; the log's bytes."""
    reader = sqlite3.connect(path)
    reader.execute("PRAGMA wal_autocheckpoint = 0")
    reader.execute("SELECT count(*) FROM models").fetchone()
    return reader


def test_a_log_that_is_lost_is_told(whole, family, crowd, tmp_path):
    path = tmp_path / "r" / whole.name
    shutil.copytree(whole.parent, path.parent)
    reader = killed(path)
    Registry(path).add([family / "grandchild", *crowd[:3]])
    copied = tmp_path / "copied"
    shutil.copytree(path.parent, copied)
    reader.close()
    assert len(Registry(copied / path.name).list()) == 7  # with its log all is there
    other = tmp_path / "other"
    shutil.copytree(path.parent, other)  # SQLite has taken the log up at the end: undo that
    shutil.copy(whole, other / path.name)
    with pytest.raises(UnusableRegistry, match="the last are missing"):
        Registry(other / path.name).search(family / "grandchild")


@pytest.mark.parametrize("log", ["-wal", "-journal"])
def test_a_log_that_cannot_be_taken_up_is_not_passed_over(path, family, monkeypatch, log):
    path.with_name(path.name + log).write_bytes(b"changes" * 100)
    monkeypatch.setattr(os, "access", lambda *_: False)
    searched, gate = answers(path, family)
    assert "has changes that are not in the registry yet" in searched
    assert gate == "incomplete"


def test_the_log_of_another_registry_is_no_answer(whole, path, family, crowd, tmp_path):
    other = tmp_path / "other" / "r.sqlite"
    other.parent.mkdir()
    Registry(other).add(crowd[:1])
    reader = killed(other)
    Registry(other).add(crowd[1:4])
    shutil.copy(f"{other}-wal", f"{path}-wal")
    reader.close()
    searched, gate = answers(path, family)
    assert searched == {"root", "child"} or isinstance(searched, str)
    if isinstance(searched, str):
        assert gate == "incomplete"


def test_a_link_is_the_registry_that_it_leads_to(path, family, tmp_path):
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    assert answers(link, family)[0] == {"root", "child"}
    Registry(link).add([family / "sibling"])
    assert len(Registry(path).list()) == 4
    assert not folder_of(path).with_name("link.sqlite.files").exists()


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_what_is_no_file_is_no_registry(family, tmp_path, kind):
    path = tmp_path / "r.sqlite"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        import socket

        socket.socket(socket.AF_UNIX).bind(str(path))
    for use in (lambda r: r.list(), lambda r: r.add([family / "root"])):
        with pytest.raises(UnusableRegistry, match="not a regular file"):
            use(Registry(path))


def test_a_registry_without_its_database_is_not_begun_anew(path, family):
    path.unlink()
    with pytest.raises(UnusableRegistry, match="the last are missing"):
        Registry(path).add([family / "sibling"])


def test_a_registry_of_the_first_version_says_what_to_do(path):
    change(path, "PRAGMA user_version = 3")
    with pytest.raises(UnusableRegistry, match=r"`export` it with weightkin 0.1.0"):
        Registry(path).list()


def test_texts_that_are_sealed_anew_do_nothing(path, family):
    name = "\x1b[2J\u202e<script>" + "n" * 10_000
    change(path, ("UPDATE models SET name = ?, parents = ?", (name, json.dumps([name]))))
    reseal(path)
    searched, _ = answers(path, family)
    assert searched == {name} or isinstance(searched, str)


@pytest.mark.claim
@pytest.mark.parametrize("seed", range(12))
def test_bytes_flipped_anywhere_are_one_line_or_the_same_answer(path, family, seed):
    rng = np.random.default_rng(seed)
    files = [path, *(x for x in folder_of(path).rglob("*") if x.is_file())]
    file = files[0] if seed % 2 else files[int(rng.integers(len(files)))]
    data = bytearray(file.read_bytes())
    for at in rng.integers(0, len(data), 1 + seed % 4):
        data[at] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)
    searched, gate = answers(path, family)
    assert searched == {"root", "child"} or isinstance(searched, str)
    assert gate == ("incomplete" if isinstance(searched, str) else gate)
