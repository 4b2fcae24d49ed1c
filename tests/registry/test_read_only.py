"""Claim: who may not write a registry sees all of it, or is told that it cannot be seen."""

import os
import re
import shutil
import sqlite3

import pytest

from tests.commands import command
from tests.registry.sealed import change
from weightkin import Registry
from weightkin.errors import UnusableRegistry, WeightkinError
from weightkin.registry.store import opened


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "r.sqlite"
    Registry(path).add([family / "root"])
    return path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copytree(whole.parent, tmp_path / "r") / whole.name


@pytest.fixture
def written(path, crowd):
    """A registry whose last model is in the log of a process that has it open."""
    keeper = sqlite3.connect(path)
    keeper.execute("PRAGMA wal_autocheckpoint = 0")
    keeper.execute("SELECT count(*) FROM models").fetchone()
    Registry(path).add(crowd[:1])
    yield path
    keeper.close()


def names(path):
    return [m.name for m in Registry(path).list()]


def test_what_another_process_has_open_is_seen_whole(written, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert names(written) == ["root", "m00"]
    assert Registry(written).verify() == ()


@pytest.mark.parametrize("where", ["no/r.sqlite", "no/such/r.sqlite", "file/r.sqlite"])
def test_a_registry_without_its_folder_is_refused_and_nothing_is_made(family, tmp_path, where):
    (tmp_path / "file").write_text("a file")
    path = tmp_path / where
    registry = Registry(path)
    model = str(family / "root")
    for ask in (
        lambda: registry.add([model]),
        lambda: Registry(path, store=f"lance:{tmp_path / 'no' / 'x'}").add([model]),
        lambda: registry.import_(tmp_path / "file"),
        lambda: registry.search(model),
        lambda: registry.export(tmp_path / "out"),
        lambda: registry.remove("root"),
        registry.list,
        registry.family,
        registry.verify,
    ):
        with pytest.raises(WeightkinError, match=re.escape(str(tmp_path))):
            ask()
    assert [x.name for x in tmp_path.iterdir()] == ["file"]
    for words in (("add", model), ("search", model), ("list",), ("trace", "#1"), ("tree",)):
        done = command(*words, "--registry", path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
        assert str(path) in done.stderr
    assert [x.name for x in tmp_path.iterdir()] == ["file"]


def test_a_registry_in_a_folder_that_cannot_be_written_is_not_made(family, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(UnusableRegistry, match=re.escape(str(tmp_path / "r.sqlite"))):
        Registry(tmp_path / "r.sqlite").add([family / "root"])
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_its_process_is_refused(written, tmp_path, monkeypatch):
    copied = shutil.copytree(written.parent, tmp_path / "copied") / written.name
    copied.with_name(f"{copied.name}-shm").unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnusableRegistry, match="the folder is read-only; copy both"):
        names(copied)


def test_a_change_while_it_is_read_is_noticed(path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    reading = opened(path, to_write=False)
    reading.__enter__()
    os.utime(path)
    with pytest.raises(UnusableRegistry, match="by another process meanwhile"):
        reading.__exit__(None, None, None)
    assert names(path) == ["root"]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_beside_it_is_never_awaited(path, tmp_path, suffix, kind):
    beside = path.with_name(f"{path.name}{suffix}")
    if kind == "fifo":
        os.mkfifo(beside)
    elif kind == "folder":
        beside.mkdir()
    else:
        beside.symlink_to(tmp_path / "elsewhere")
    for use in (names, lambda x: Registry(x).verify(), lambda x: Registry(x).remove("root")):
        with pytest.raises(UnusableRegistry, match="not a regular file"):
            use(path)


def test_a_registry_of_the_version_before_is_exported(path, tmp_path):
    change(path, "ALTER TABLE place DROP COLUMN seal", "ALTER TABLE jobs DROP COLUMN seal",
           "ALTER TABLE models ADD COLUMN version TEXT NOT NULL DEFAULT ''",
           "DROP TABLE families", "PRAGMA user_version = 4")  # fmt: skip
    with pytest.raises(UnusableRegistry, match="version 4; `weightkin export FILE --registry"):
        names(path)
    assert Registry(path).export(tmp_path / "all.zip") == 1
    here = Registry(tmp_path / "new.sqlite")
    here.import_(tmp_path / "all.zip")
    assert names(here.path) == ["root"]
    assert here.verify() == ()
