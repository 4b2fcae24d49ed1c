"""Claim: a registry that is damaged, newer, full or read-only costs one line and the right code."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from weightkin import Registry
from weightkin.errors import WeightkinError
from weightkin.registry.schema import APPLICATION

LIMITED = """
import resource, sys
size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
from weightkin.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "r.sqlite"
    registry = Registry(path)
    registry.add([family / x for x in ("root", "child", "sibling")])
    registry.family()
    return path


def copied(whole, folder):
    shutil.copytree(whole.parent, folder, dirs_exist_ok=True)
    return folder / whole.name


def uses(path, family):
    """Use a registry in every way; the line that it was refused with, if it was."""
    said = []
    registry = Registry(path)
    for use in (
        registry.list,
        registry.family,
        lambda: registry.search("root"),
        lambda: registry.add([family / "root"]),
        lambda: registry.export(path.with_suffix(".zip")),
    ):
        try:
            use()
        except WeightkinError as error:  # anything else is a bug, and passes
            said.append(str(error))
    assert not any("\n" in line for line in said)
    return said


@pytest.mark.parametrize("seed", range(6))
def test_random_bytes_in_pages_are_an_answer_or_one_line(whole, family, tmp_path, seed):
    path = copied(whole, tmp_path / "r")
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for at in rng.integers(100, len(data), 8):
        data[at : at + 40] = rng.bytes(40)
    path.write_bytes(data)
    uses(path, family)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_told(whole, family, tmp_path, share):
    path = copied(whole, tmp_path / "r")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert uses(path, family)


@pytest.mark.parametrize("name", ["aligned.bits", "invariant.vectors"])
def test_vectors_that_are_cut_or_gone_are_told(whole, family, tmp_path, name):
    path = copied(whole, tmp_path / "r")
    file = path.with_name(f"{path.name}.files") / name
    file.write_bytes(file.read_bytes()[:-8])
    assert any(f"{name}: truncated (" in line for line in uses(path, family))
    file.unlink()
    assert any("cannot be read" in line for line in uses(path, family))


def test_a_newer_registry_is_told(whole, family, tmp_path):
    path = copied(whole, tmp_path / "r")
    data = bytearray(path.read_bytes())
    data[60:64] = (99).to_bytes(4, "big")  # user_version
    assert int.from_bytes(data[68:72], "big") == APPLICATION
    path.write_bytes(data)
    said = uses(path, family)
    assert len(said) == 5
    assert all("a registry of version 99, not 5" in line for line in said)


@pytest.mark.parametrize("size", [10_000, 60_000])
def test_a_full_disk_exits_with_2_and_leaves_a_registry_that_opens(whole, family, tmp_path, size):
    pytest.importorskip("resource")
    path = copied(whole, tmp_path / "r")
    words = ["add", str(family / "stranger"), "--registry", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    registry = Registry(path)
    assert len(registry.list()) == 3
    again = registry.add([family / "stranger"], resume=True)
    assert {m.name for m in (*again.added, *again.known)} == {"stranger"}
    assert len(registry.list()) == 4


def test_an_export_to_a_full_disk_names_the_file_that_it_writes(whole, tmp_path):
    target = tmp_path / "out.zip"
    words = ["export", str(target), "--registry", str(whole)]
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, "40000", *words], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr == f"weightkin: {target}: cannot be written (File too large)\n"
    assert not list(tmp_path.iterdir())
