"""Shared fixtures: a seeded generator, and the bundled zoo with its derived models built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


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
