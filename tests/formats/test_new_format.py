"""Claim: a new format is a reader and one row of the table; everything else follows from it."""

import math
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.commands import command
from tests.conftest import ROOT
from weightkin import check, compare
from weightkin.cli.sources import named
from weightkin.errors import UsageError
from weightkin.formats import digest, full_digest, open_model, table
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.model import TensorInfo
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.table import Format
from weightkin.formats.write_guard import refuse_inside
from weightkin.sources.files import TensorLocation

MODELS = ROOT / "zoo" / "models"


def read_toy(file, _open_file, _before):
    """A line for each tensor, an empty line, the elements."""
    head = file.read([(0, file.size)]).tobytes().partition(b"\n\n")[0]
    contents, at = Contents(), len(head) + 2
    contents.claims.append(Claim(file, [(0, at)], "container"))
    for line in head.decode().splitlines()[1:]:
        name, *sizes = line.split()
        shape = tuple(map(int, sizes))
        contents.tensors[name] = TensorInfo(name, "F32", shape, 4 * math.prod(shape))
        contents.places[name] = TensorLocation(file, NUMPY["F32"], at, shape)
        at += contents.tensors[name].n_bytes
    return contents


def write_toy(arrays, path):
    lines = [" ".join(map(str, (name, *x.shape))) for name, x in arrays.items()]
    elements = b"".join(x.astype("<f4").tobytes() for x in arrays.values())
    path.write_bytes("\n".join(["TOY", *lines]).encode() + b"\n\n" + elements)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model of the zoo in a format that only this test knows."""
    row = Format(suffixes=(".toy",), read=read_toy, magic=rb"TOY\n", begun="a toy")
    monkeypatch.setattr(table, "FORMATS", (*table.FORMATS, row))
    folder = tmp_path / "all" / "llama-toy"
    folder.mkdir(parents=True)
    write_toy(load_file(MODELS / "llama-a" / "model.safetensors"), folder / "weights.toy")
    shutil.copy(MODELS / "llama-a" / "config.json", folder)
    return folder


def test_it_is_opened_and_shown(model):
    original = open_model(MODELS / "llama-a")
    for source in (model, model / "weights.toy"):
        opened = open_model(source)
        assert digest(opened) == digest(original)
        assert full_digest(opened) == full_digest(original)
    name = min(original.tensors)
    np.testing.assert_array_equal(open_model(model).rows(name), original.rows(name))
    done = command("show", model)
    assert done.returncode == 0, done.stderr
    assert "llama-toy" in done.stdout


def test_it_is_compared(model):
    assert compare(MODELS / "llama-a", model).verdict == "dependent"
    assert compare(MODELS / "llama-b", model).verdict == "no-evidence"


def test_it_is_found_guarded_and_checked(model):
    folder = model.parent
    assert named([str(folder)]) == [str(model)]
    with pytest.raises(UsageError, match="inside the model .*; choose another folder"):
        refuse_inside(model / "report.html")
    assert check(folder, deny=[MODELS / "llama-a"]).outcome == "hit"
    (model / "weights.toy").rename(model / "notes.txt")
    assert check(folder, deny=[MODELS / "llama-a"]).outcome == "hit"  # by its first bytes
