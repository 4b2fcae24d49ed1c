"""A registry of a part of the zoo, and a server on it, each once for all tests of a process."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest
from zoo import truth

from tests.conftest import ROOT
from weightkin import Registry

REGISTERED = (
    *("llama-a", "llama-a-ft1", "llama-a-ft2", "llama-a-int4", "llama-b", "llama-b-ft1"),
    *("llama-c", "gpt-a", "gpt-a-ft1", "vit-a", "vit-a-ft1", "moe-a"),
)
TIMEOUT = 120  # seconds: an answer may be late on a busy machine
CARD = "---\nbase_model: {}\nlicense: {}\n---\n"


@pytest.fixture(scope="session")
def models(zoo, tmp_path_factory):
    """Copies of twelve models; two declare a parent, one of them another than its own."""
    folder = tmp_path_factory.mktemp("models")
    entries = truth.load()
    for name in REGISTERED:
        shutil.copytree(zoo / entries[name]["path"], folder / name)
    (folder / "llama-a-ft1" / "README.md").write_text(CARD.format("llama-a", "mit"))
    (folder / "llama-a-int4" / "README.md").write_text(CARD.format("llama-b", "apache-2.0"))
    return folder


@pytest.fixture(scope="session")
def filled(models, tmp_path_factory):
    """The registry's file, read and never changed; tests take `copied`."""
    path = tmp_path_factory.mktemp("registry") / "r.sqlite"
    record = Registry(path).add([models / name for name in REGISTERED])
    assert len(record.added) == len(REGISTERED)
    return path


@pytest.fixture
def copied(filled, tmp_path):
    """The same registry, for one test alone."""
    return copy_of(filled, tmp_path)


def copy_of(path, folder):
    """A registry somewhere else, without the jobs of the first."""
    shutil.copy(path, folder)
    ignored = shutil.ignore_patterns("web")
    shutil.copytree(f"{path}.files", folder / f"{path.name}.files", ignore=ignored)
    return folder / path.name


@contextmanager
def serving(path, *works):
    """A server as a process of its own; its address and the process."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "XDG_CACHE_HOME": str(path.parent / "cache"),
    }
    command = [sys.executable, "-m", "tests.web.server", str(path), *works]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address
            yield address.rstrip("/"), process
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def served(filled, tmp_path_factory):
    """The file of a registry that a server has and tests do not change."""
    return copy_of(filled, tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def address(served):
    """The address of that server."""
    with serving(served) as (found, _):
        yield found


def until(found, *, seconds=120):
    """Ask until there is an answer; fails where there is none for long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError("nothing happened for too long")


def finished(address, job):
    """A job when it is over."""

    def over():
        seen = httpx.get(f"{address}/api/jobs/{job}", timeout=TIMEOUT).json()
        return seen if seen["is_over"] else None

    return until(over)


def is_alive(number):
    """Whether there is a process of this number that still runs."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
