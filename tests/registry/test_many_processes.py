"""Claim: several processes add and search at once, and a kill loses at most the model in work."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from weightkin import Registry

ADD = """
import sys
from weightkin import Registry
Registry(sys.argv[1]).add(sys.argv[2:])
"""
SEARCH = """
import sys
from weightkin import Registry
for _ in range(4):
    found = Registry(sys.argv[1]).search(sys.argv[2])
    assert [x.model.name for x in found.relatives][:1] == ["root"], found
"""


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


@pytest.mark.claim
def test_two_add_while_two_search(family, crowd, tmp_path):
    path = tmp_path / "r.sqlite"
    Registry(path).add([family / "root"])
    # both add the last four: each contents is kept once
    running = [
        start(ADD, path, *crowd[:10]),
        start(ADD, path, *crowd[6:]),
        start(SEARCH, path, family / "child"),
        start(SEARCH, path, family / "grandchild"),
    ]
    assert [p.wait(timeout=300) for p in running] == [0, 0, 0, 0]
    models = Registry(path).list()
    assert sorted(m.name for m in models) == sorted(["root", *(c.name for c in crowd)])
    assert not any(m.notes for m in models)
    for folder in crowd[::5]:  # every vector lies where its model expects it
        same = Registry(path).search(folder / "model.safetensors")
        assert [(x.model.name, x.cosine) for x in same.relatives] == [(folder.name, 1.0)]


@pytest.mark.claim
def test_five_kills_in_the_middle_lose_nothing_that_was_added(family, crowd, tmp_path):
    path = tmp_path / "r.sqlite"
    first = start(ADD, path, *crowd)
    seen = 0
    for n_wanted in (1, 3, 6, 9, 12):
        _wait_for(path, n_wanted, first)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        names = {m.name for m in Registry(path).list()}
        assert len(names) >= seen
        seen = len(names)
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        Registry(path).search(crowd[0])
        first = start("import sys; from weightkin import Registry\n"
                      "Registry(sys.argv[1]).add([], resume=True)", path)  # fmt: skip
    assert first.wait(timeout=300) == 0
    assert sorted(m.name for m in Registry(path).list()) == [c.name for c in crowd]
    with sqlite3.connect(path) as connection:
        states = connection.execute("SELECT DISTINCT state FROM items").fetchall()
        assert states == [("done",)]
        assert (
            connection.execute("SELECT count(*) FROM jobs WHERE ended IS NULL").fetchone()[0] == 0
        )
    connection.close()


def _wait_for(path, n, process):
    """Until so many models are there, or the process is done."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if path.exists():
            connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
            try:
                if connection.execute("SELECT count(*) FROM models").fetchone()[0] >= n:
                    return
            except sqlite3.OperationalError:
                pass  # no table yet
            finally:
                connection.close()
        time.sleep(0.002)
