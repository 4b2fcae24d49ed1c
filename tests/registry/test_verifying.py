"""Claim: whatever is damaged in a registry is named, hides no relative, and can be repaired."""

import shutil
import sqlite3

import pytest

from tests.registry.sealed import change
from tests.registry.test_commands import run
from weightkin import Registry
from weightkin.errors import UnusableRegistry
from weightkin.registry.store import folder_of

MODELS = ("root", "child", "stranger")


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "r.sqlite"
    registry = Registry(path)
    registry.add([family / x for x in MODELS])
    registry.family()
    registry.search("child")
    assert registry.verify() == ()
    return path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copytree(whole.parent, tmp_path / "r") / whole.name


ROWS = {
    "models": ("UPDATE models SET licence = 'mit' WHERE id = 2", "model #2"),
    "text that is none": (
        "UPDATE models SET name = CAST(x'ff41' AS TEXT) WHERE id = 2",
        "model #2",
    ),
    "contents": ("UPDATE contents SET scheme = 'x' WHERE slot = 1", "slot 1 (#2)"),
    "vectors of before": ("UPDATE contents SET aligned = 'wv1' WHERE slot = 1", "slot 1 (#2)"),
    "edges": ("UPDATE edges SET found = 'x'", "comparison of #2 with #1"),
    "family": ("UPDATE family SET record = record || ' '", "head of the family graph"),
    "families": ("UPDATE families SET record = record || ' ' WHERE number = 1", "family 1"),
    "jobs": ("UPDATE jobs SET ended = 'x'", "job 1"),
    "items": ("UPDATE items SET source = 'x' WHERE position = 2", "source of job 1 at 2"),
    "place": ("UPDATE place SET uri = 'lance:/x'", "place of vectors and sketches"),
    "mark": ("UPDATE totals SET mark = '0000000000000000'", "vectors"),
    "next slot": ("UPDATE totals SET next_slot = 2", "r.sqlite"),
    "count": ("UPDATE totals SET n_models = 2", "r.sqlite"),
    "type": ("UPDATE items SET why = x'00' WHERE position = 1", "r.sqlite"),
    "huge": ("UPDATE models SET name = zeroblob(70000000) WHERE id = 1", "r.sqlite"),
    "reference": ("UPDATE edges SET b = 9", "comparison of #2 with #9"),
    "table": ("CREATE TABLE x(y)", "r.sqlite"),
}


@pytest.mark.parametrize("what", ROWS)
def test_a_changed_row_of_any_table_is_named(path, what):
    statement, name = ROWS[what]
    change(path, statement)
    found = Registry(path).verify()
    assert any(x.what.endswith(name) for x in found), found
    assert all(x.sentence.isprintable() and len(x.sentence) < 700 for x in found)


@pytest.mark.parametrize("name", ["aligned.bits", "aligned.vectors", "invariant.bits",
                                  "invariant.vectors", "sketch"])  # fmt: skip
def test_a_flipped_bit_is_named_skipped_and_repaired(path, family, name):
    slot, models = 1, ("#2",)
    with sqlite3.connect(path) as connection:
        (sketch,) = connection.execute("SELECT sketch FROM contents WHERE slot = 1").fetchone()
    connection.close()
    file = folder_of(path) / (f"sketches/{sketch}" if name == "sketch" else name)
    data = bytearray(file.read_bytes())
    data[len(data) // 3 + 9] ^= 16  # of the second of three
    file.write_bytes(data)
    (found,) = Registry(path).verify()
    assert found.what == f"slot {slot} ({', '.join(models)})"
    assert found.code == "damaged-entry"
    searched = Registry(path).search(family / "grandchild")
    assert [x.model.name for x in searched.relatives] == ["root"]
    assert searched.incomplete
    assert {x.what for x in searched.skipped} == {"#2"}
    Registry(path).remove("#2")
    assert Registry(path).verify() == ()
    Registry(path).add([family / "child"])
    searched = Registry(path).search(family / "grandchild")
    assert {x.model.name for x in searched.relatives} == {"root", "child"}
    assert not searched.incomplete


def test_a_damaged_entry_is_removed_by_its_number(path, family):
    change(path, "UPDATE models SET name = CAST(x'ff41' AS TEXT) WHERE id = 2")
    searched = Registry(path).search(family / "grandchild")
    assert searched.incomplete
    assert {x.what for x in searched.skipped} == {"#2"}
    Registry(path).remove("#2")
    assert Registry(path).verify() == ()
    assert [m.id for m in Registry(path).list()] == [1, 3]


def test_the_command_exits_with_1_and_says_what_to_do(path, tmp_path):
    with pytest.raises(UnusableRegistry, match="no such registry"):
        Registry(tmp_path / "none.sqlite").verify()
    change(path, "UPDATE models SET name = 'x' WHERE id = 3")
    done = run("verify", "--registry", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("model #3: damaged (table models); remove it by its number")


def test_a_page_that_is_damaged_is_named(path):
    data = bytearray(path.read_bytes())
    data[4096 : 4096 + 64] = bytes(64)
    path.write_bytes(data)
    (found,) = Registry(path).verify()[:1]
    assert found.code == "damaged-database"
    path.write_bytes(b"no database" * 1000)
    assert [x.code for x in Registry(path).verify()] == ["damaged-database"]
    path.write_bytes(b"")
    with pytest.raises(UnusableRegistry):
        Registry(path).verify()
