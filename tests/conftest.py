"""Shared fixtures, and which part of the claims runs.

Tests marked `claim` hold a fixed sample of what docs/results.md shows in full. CLAIMS says which of
them run: `commit` (a sixth, another one with each commit), `rest` (the other five), a number of 0
to 5, or `all`, as without it. Tests of a named claim share what is costly to make, and stay in one
part; `part` says which where they are to be spread evenly.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

os.environ.pop("COLUMNS", None)  # xdist sets it, and readline behind Python's back: nothing
os.unsetenv("COLUMNS")  # here is a terminal

ROOT = Path(__file__).parents[1]
PARTS = 6
QUIET = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(config, items):
    """Leave out the claims of the other parts."""
    chosen = parts(os.environ.get("CLAIMS", "all"))
    left_out = [item for item in items if part(item) not in {None, *chosen}]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if part(item) in {None, *chosen}]


def parts(wanted):
    """Numbers of the parts that CLAIMS asks for."""
    every = set(range(PARTS))
    if wanted in ("commit", "rest"):
        own = {int(commit(), 16) % PARTS}
        return own if wanted == "commit" else every - own
    if wanted != "all" and wanted not in map(str, every):
        raise pytest.UsageError(f"CLAIMS is {wanted!r}, expected commit, rest, all, or 0 to 5")
    return every if wanted == "all" else {int(wanted)}


def part(item):
    """Number of the part that a claim belongs to; None for any other test."""
    mark = item.get_closest_marker("claim")
    if mark is None:
        return None
    name = mark.args[0] if mark.args else item.nodeid
    return mark.kwargs.get("part", zlib.crc32(name.encode()) % PARTS)


def commit():
    """Hash of the commit, or 0 where there is none."""
    asked = ["git", "rev-parse", "HEAD"]
    try:
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "0"
    return told.stdout.strip() or "0"


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Nothing is read from or left in the caches and data of whoever runs the tests."""
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / name.lower()))
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.getbasetemp() / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # no test asks a server that it did not start


@pytest.fixture(scope="session")
def browser():
    """A headless chromium that asks nobody for updates; where CI is set, it must be there."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        if "CI" in os.environ:
            raise
        pytest.skip("no browser tests: playwright is not installed (pip install '.[dev]')")
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as driver:
        try:
            opened = driver.chromium.launch(executable_path=path, args=QUIET)
        except Error as error:
            if "CI" in os.environ:
                raise
            pytest.skip(
                f"no browser tests: {path} does not start ({error.message.splitlines()[0]})"
            )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe():
    """What axe-core finds wrong with a page for people who cannot see it, or not well."""
    try:
        script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    except ImportError:
        if "CI" in os.environ:
            raise
        pytest.skip("axe-core is not installed (pip install '.[dev]')")

    def check(tab):
        tab.evaluate(script)
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert len(found["passes"]) > 30  # it looked at the page
        return [(x["id"], x["nodes"][0]["html"]) for x in found["violations"]]

    return check


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """The zoo folder, derived models included; one process builds, the others wait."""
    lock = ROOT / "zoo" / "derived.lock"
    import fcntl

    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        subprocess.run([sys.executable, str(ROOT / "zoo" / "derive.py")], check=True, cwd=ROOT)
    return ROOT / "zoo"
