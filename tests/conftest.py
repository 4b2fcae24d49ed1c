"""Shared fixtures: a seeded generator, and the bundled zoo with its derived models built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
QUIET = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


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
