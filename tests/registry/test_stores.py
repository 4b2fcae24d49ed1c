"""Claim: wherever vectors and sketches lie, the registry finds the same, and loses nothing."""

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.commands import command
from weightkin import Registry, take_sketch
from weightkin.errors import DiskFull, UnreadableModel, UnusableRegistry, UsageError
from weightkin.registry import browsing, lance, stores
from weightkin.registry.blocks import ALIGNED, INVARIANT
from weightkin.registry.store import folder_of, opened, writing
from weightkin.sketch.file import sketch_bytes

WRITE = """
import sys
from tests.registry.test_stores import *
sketch = take_sketch(sys.argv[2])
with at(sys.argv[1], to_write=True) as (connection, store):
    for slot in range(1, 40):
        put(connection, store, slot, sketch)
"""


def vector(block, slot):
    x = np.random.default_rng([slot, block.n_dims]).normal(size=block.n_dims).astype(np.float32)
    return x / np.linalg.norm(x)


def name(slot, other=""):
    return f"{slot:064d}{other}.sketch.safetensors"


@contextlib.contextmanager
def at(path, *, to_write=False):
    """An open registry and its store."""
    with opened(Path(path), to_write=to_write) as connection:
        yield connection, stores.bare_store(Path(path), connection, to_write=to_write)


def put(connection, store, slot, sketch, other=""):
    """What `add` does with new contents."""
    vectors = [vector(block, slot + 1000 * bool(other)) for block in (ALIGNED, INVARIANT)]
    with writing(connection):
        store.write(slot, name(slot, other), sketch, *vectors)
        row = (slot, name(slot, other), name(slot, other), "scheme", "aligned", "invariant")
        connection.execute("INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, '', '', '')", row)
        n = connection.execute("SELECT count(*) FROM contents").fetchone()[0]
        connection.execute("UPDATE totals SET n_contents = ?, next_slot = ?", (n, n))


def place_of(kind, folder):
    if kind == "lance":
        pytest.importorskip("lancedb")
        return f"lance:{folder}/shared"
    return None


@pytest.fixture(params=["flat", "lance"])
def path(request, tmp_path):
    """An empty registry with its vectors in either place."""
    file = tmp_path / "r.sqlite"
    place = stores.new_place(file, place_of(request.param, tmp_path))
    with opened(file, to_write=True, place=place):
        return file


@pytest.fixture(scope="module")
def sketch(family):
    return take_sketch(family / "root")


def test_what_is_written_is_read_by_others(path, sketch):
    with at(path, to_write=True) as (connection, store):
        for slot in range(3):
            put(connection, store, slot, sketch)
    with at(path) as (_, store):
        for block in (ALIGNED, INVARIANT):
            bits, rows = store.vectors(block, 3)
            expected = np.stack([vector(block, slot) for slot in range(3)])
            assert np.array_equal(rows, expected.astype(np.float16))
            assert np.array_equal(np.unpackbits(bits.view(np.uint8), axis=1), expected > 0)
            assert len(store.vectors(block, 0)[0]) == 0
        assert sketch_bytes(store.sketch(1, name(1))) == sketch_bytes(sketch)
        assert store.sketch_bytes(2, name(2)) == sketch_bytes(sketch)


def test_a_slot_that_nobody_knows_is_written_over(path, sketch):
    with at(path, to_write=True) as (connection, store):
        put(connection, store, 0, sketch)
        store.write(1, name(1), sketch, vector(ALIGNED, 5), vector(INVARIANT, 5))
        put(connection, store, 1, sketch, "b")
    with at(path) as (_, store):
        assert np.allclose(store.vectors(ALIGNED, 2)[1][1], vector(ALIGNED, 1001), atol=1e-3)


def test_a_slot_that_comes_back_holds_its_new_contents(path, sketch):
    with at(path, to_write=True) as (connection, store):
        put(connection, store, 0, sketch)
        put(connection, store, 1, sketch)
    with at(path) as (_, store):
        store.vectors(ALIGNED, 2)
    with at(path, to_write=True) as (connection, store):
        connection.execute("DELETE FROM contents WHERE slot = 1")
        store.forget(1, name(1))
        store.forget(1, name(1))
        put(connection, store, 1, sketch, "b")
    with at(path) as (_, store):
        assert np.allclose(store.vectors(ALIGNED, 2)[1][1], vector(ALIGNED, 1001), atol=1e-3)
        store.sketch(1, name(1, "b"))
        for read in (store.sketch, store.sketch_bytes):
            with pytest.raises(UnreadableModel) as caught:
                read(1, name(1))
            assert "\n" not in str(caught.value)


@pytest.mark.claim
def test_one_process_reads_while_another_writes(path, family, sketch):
    with at(path, to_write=True) as (connection, store):
        put(connection, store, 0, sketch)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, path, family / "root"], cwd=Path(__file__).parents[2]
    )
    n, is_done = 0, False
    while not is_done:
        is_done = writer.poll() is not None  # and then once more
        with at(path) as (connection, store):
            n = connection.execute("SELECT count(*) FROM contents").fetchone()[0]
            for block in (ALIGNED, INVARIANT):
                rows = store.vectors(block, n)[1]
                for slot in (0, n - 1):
                    assert np.allclose(rows[slot], vector(block, slot), atol=1e-3)
            store.sketch(n - 1, name(n - 1))
        time.sleep(0.02)  # let it work
    assert (writer.returncode, n) == (0, 40)


def test_a_lost_or_damaged_place_is_one_line(path, sketch):
    with at(path, to_write=True) as (connection, store):
        put(connection, store, 0, sketch)
    where = path.parent / "shared"
    where = where if where.exists() else folder_of(path)
    files = [x for x in where.rglob("*") if x.suffix in (".lance", ".vectors") and x.is_file()]
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:50])
    for _ in range(2):  # damaged, then gone
        with pytest.raises(UnusableRegistry) as caught, at(path) as (_, store):
            store.vectors(ALIGNED, 1)
        assert re.fullmatch(f"{where}.*: .*", str(caught.value))
        shutil.rmtree(where, ignore_errors=True)


def test_tables_are_compacted_and_bounded(tmp_path, sketch, monkeypatch):
    place = place_of("lance", tmp_path)
    monkeypatch.setattr(lance, "SLOTS", 4)
    monkeypatch.setattr(lance, "TIDY", 2)
    file = tmp_path / "r.sqlite"
    with opened(file, to_write=True, place=stores.new_place(file, place)):
        pass
    with at(file, to_write=True) as (connection, store):
        for slot in range(10):
            put(connection, store, slot, sketch)
    tables = sorted((tmp_path / "shared").iterdir())
    assert [x.name for x in tables] == [f"slots-{k:06d}.lance" for k in range(3)]
    assert [len(list(x.glob("data/*"))) for x in tables] == [1, 1, 1]
    assert all(len(list(x.glob("_versions/*.manifest"))) == 1 for x in tables)
    with at(file) as (_, store):
        rows = store.vectors(ALIGNED, 10)[1]
        assert np.allclose(rows, [vector(ALIGNED, k) for k in range(10)], atol=1e-3)
        store.sketch(9, name(9))


def test_a_disk_that_is_not_there_is_not_written(tmp_path, sketch):
    file = tmp_path / "r.sqlite"
    place = place_of("lance", tmp_path)
    with opened(file, to_write=True, place=stores.new_place(file, place)):
        pass
    with at(file, to_write=True) as (connection, store):
        put(connection, store, 0, sketch)
    shutil.rmtree(tmp_path / "shared")
    with pytest.raises(UnusableRegistry, match="no such folder"), at(file, to_write=True):
        pass
    (tmp_path / "shared").mkdir()  # where a disk would be mounted
    with (
        pytest.raises(UnusableRegistry, match="not found"),
        at(file, to_write=True) as (connection, store),
    ):
        put(connection, store, 1, sketch)
    assert not list((tmp_path / "shared").iterdir())


def test_vectors_are_held_elsewhere_where_no_copy_can_be_kept(tmp_path, sketch, monkeypatch):
    file = tmp_path / "r.sqlite"
    with opened(file, to_write=True, place=stores.new_place(file, place_of("lance", tmp_path))):
        pass
    with at(file, to_write=True) as (connection, store):
        put(connection, store, 0, sketch)
    monkeypatch.setattr("os.access", lambda *_: False)
    with at(file) as (_, store):
        assert np.allclose(store.vectors(ALIGNED, 1)[1][0], vector(ALIGNED, 0), atol=1e-3)
    assert not list(folder_of(file).glob("*"))


def test_malformed_vectors_are_refused(tmp_path, sketch):
    file = tmp_path / "r.sqlite"
    with opened(file, to_write=True, place=stores.new_place(file, place_of("lance", tmp_path))):
        pass
    with at(file, to_write=True) as (connection, store):
        with writing(connection):
            wrong = 2 * vector(ALIGNED, 0)
            store.write(0, name(0), sketch, wrong, vector(INVARIANT, 0))
            row = (0, "x", name(0), "scheme", "aligned", "invariant")
            connection.execute("INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, '', '', '')", row)
        with pytest.raises(UnusableRegistry, match="damaged vectors"):
            store.vectors(INVARIANT, 1)


def test_a_full_place_is_told_as_one():
    with pytest.raises(DiskFull, match="No space left"), lance.lance_errors("somewhere"):
        raise RuntimeError("lance error: LanceError(IO): No space left on device, /a/b.rs:1:2")


def test_the_extra_is_named_where_it_is_missing(family, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    file = tmp_path / "r.sqlite"
    done = command("add", family / "root", "--registry", file, "--store", f"lance:{tmp_path}/x")
    assert done.returncode == 4
    assert "pip install 'weightkin[lance]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "place", ["", "flat", "lance:", "lance:http://a/b", "lance:s3://u:p@a/b", "lance:db://x", "s3:"]
)
def test_only_places_that_can_be_meant_are_taken(place, family, tmp_path):
    with pytest.raises(UsageError, match="is not a store; write lance:PATH"):
        Registry(tmp_path / "r.sqlite", store=place).add([family / "root"])
    assert not list(tmp_path.iterdir())


def test_a_place_belongs_to_one_registry_and_no_model(family, tmp_path):
    place = place_of("lance", tmp_path)
    first = tmp_path / "r.sqlite"
    Registry(first, store=place).add([family / "root"])
    Registry(first, store=place).add([family / "child"])
    with pytest.raises(UsageError, match="has the tables of a registry already"):
        Registry(tmp_path / "s.sqlite", store=place).add([family / "root"])
    with pytest.raises(UsageError, match="its vectors and sketches are in lance:"):
        Registry(first, store=f"lance:{tmp_path}/other").add([family / "root"])
    shutil.copytree(family / "root", tmp_path / "model")
    with pytest.raises(UsageError, match="inside the model"):
        Registry(tmp_path / "t.sqlite", store=f"lance:{tmp_path}/model/x").add([family / "root"])


def test_a_file_that_names_a_wrong_place_is_refused(family, tmp_path):
    file = tmp_path / "r.sqlite"
    Registry(file).add([family / "root"])
    for wrong in ("lance:http://elsewhere/x", b"\xff\x00", "\x1b[31m"):
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE place SET uri = ?", (wrong,))
        connection.close()
        with pytest.raises(UnusableRegistry, match="write lance:PATH|was changed") as caught:
            Registry(file).search("root")
        assert str(caught.value).isprintable()


def without_times(record):
    text = re.sub(
        r'"(seconds|added|imported|found|first_registered)": ?("[^"]*"|[0-9.e-]+)',
        r'"\1": 0',
        record,
    )
    return json.loads(text)


def everything(kind, family, folder):
    """What every verb says about one registry, as records."""
    folder.mkdir()
    registry = Registry(folder / "r.sqlite", store=place_of(kind, folder))
    said = [registry.add([family / x for x in ("root", "child", "stranger")])]
    said += [registry.trace("child"), registry.family()]
    registry.export(folder / "all.zip")
    other = Registry(folder / "other.sqlite", store=place_of(kind, folder / "other"))
    said += [other.import_(folder / "all.zip")]
    registry.remove("stranger")
    said += [registry.add([family / "sibling"]), other.search(family / "sibling")]
    return [without_times(record.to_json()) for record in said]


def test_every_verb_says_the_same_over_both(family, tmp_path):
    flat, lance = (everything(kind, family, tmp_path / kind) for kind in ("flat", "lance"))
    assert flat == lance


def test_what_is_held_of_a_model_is_looked_at_over_both(family, tmp_path):
    for kind in ("flat", "lance"):
        registry = Registry(tmp_path / f"{kind}.sqlite", store=place_of(kind, tmp_path))
        (model,) = registry.add([family / "root"]).added
        held = browsing.sketch_of(registry.path, model)
        assert held.digest == model.digest
        registry.remove("root")
        assert browsing.sketch_of(registry.path, model) is None
