"""Claim: a registry that came from elsewhere makes no command delete, overwrite or await a file."""

import os
import shutil

import pytest

from tests.registry.sealed import change
from weightkin import Registry, check
from weightkin.errors import WeightkinError
from weightkin.registry.store import folder_of


@pytest.fixture
def path(family, tmp_path):
    (tmp_path / "r").mkdir()
    Registry(tmp_path / "r" / "r.sqlite").add([family / "root", family / "stranger"])
    return tmp_path / "r" / "r.sqlite"


def refused(use):
    """The line of a refusal, which is not that of a bug."""
    with pytest.raises(WeightkinError) as caught:
        use()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("where", ["{}", "../../../victim", "{}/../victim"])
def test_no_name_of_a_sketch_leads_outside(path, tmp_path, where):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    change(path, ("UPDATE contents SET sketch = ? WHERE slot = 0", (where.format(victim),)))
    assert "was changed by something other" in refused(lambda: Registry(path).remove("root"))
    assert victim.read_text() == "precious"
    assert len(Registry(path).list()) == 2


def test_no_model_is_removed_with_the_sketch_of_another(path):
    change(path, "UPDATE contents SET sketch = printf('%064d.sketch.safetensors', slot)")
    (folder_of(path) / "sketches" / f"{0:064d}.sketch.safetensors").write_text("not ours")
    assert "was changed by something other" in refused(lambda: Registry(path).remove("root"))
    assert (folder_of(path) / "sketches" / f"{0:064d}.sketch.safetensors").exists()


@pytest.mark.parametrize("name", ["aligned.bits", "invariant.vectors"])
def test_vectors_are_not_written_through_a_link(path, family, tmp_path, name):
    victim = tmp_path / "victim"
    block = folder_of(path) / name
    shutil.copy(block, victim)
    block.unlink()
    block.symlink_to(victim)
    before = victim.read_bytes()
    refused(lambda: Registry(path).add([family / "child"]))
    assert victim.read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse"])
def test_a_sketch_that_is_no_file_is_never_awaited(path, family, kind):
    for sketch in (folder_of(path) / "sketches").iterdir():
        sketch.unlink()
        if kind == "pipe":
            os.mkfifo(sketch)
        elif kind == "device":
            sketch.symlink_to("/dev/zero")
        else:
            sketch.touch()
            os.truncate(sketch, 1 << 40)
    assert check(family / "child", registry=path, deny=["#1"]).outcome == "incomplete"
    refused(lambda: Registry(path).export(path.with_name("e.zip")))
    assert Registry(path).search(family / "child").incomplete


@pytest.mark.parametrize("name", ["aligned.bits", "aligned.vectors"])
def test_vectors_that_are_no_file_are_never_awaited(path, family, name):
    (folder_of(path) / name).unlink()
    os.mkfifo(folder_of(path) / name)
    assert check(family / "child", registry=path, deny=["#1"]).outcome == "incomplete"
    refused(lambda: Registry(path).add([family / "child"]))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE totals SET next_slot = 'abc'",
        "UPDATE totals SET mark = 'zz'",
        "UPDATE totals SET mark = 5",
        "UPDATE contents SET sketch = x'00'",
        "UPDATE models SET seal = x'00'",
        "UPDATE place SET uri = x'ff00'",
        "INSERT INTO place VALUES ('x', 'y')",
        "DELETE FROM place",
        "INSERT INTO totals SELECT * FROM totals",
        "DELETE FROM totals",
    ],
)
def test_what_is_of_another_type_or_twice_is_refused_by_all(path, family, statement):
    change(path, statement)
    registry = Registry(path)
    for use in (
        lambda: registry.search(family / "child"),
        lambda: registry.add([family / "child"]),
        lambda: registry.remove("#1"),
    ):
        assert "changed by something other than weightkin" in refused(use)
