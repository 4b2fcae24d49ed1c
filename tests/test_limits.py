"""Claim: what a file declares is bounded before it costs anything; only regular files are read."""

import os

import numpy as np
import pytest

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.read import MAX_UNITS
from weightkin.anatomy.stacks import MAX_BLOCKS
from weightkin.errors import UnreadableModel, UsageError
from weightkin.evidence.controls import read_own
from weightkin.formats import model_from_arrays
from weightkin.policy import read_policy
from weightkin.records.built import MOST_VALUES, parsed
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.invariant import invariant_vector
from weightkin.sketch.scheme import MOST_ROWS
from weightkin.sources.local import read_whole


def mlp(name, n_units, width=4, value=0):
    shapes = {"up": (n_units, width), "gate": (n_units, width), "down": (width, n_units)}
    return {f"{name}.mlp.{k}_proj.weight": np.full(v, value, np.int8) for k, v in shapes.items()}


def test_records_policies_and_controls_are_regular_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, what in (("pipe", "a named pipe"), ("zero", "a device")):
        for read in (read_own, lambda path: read_whole(path, 10)):
            with pytest.raises(UnreadableModel, match=what):
                read(tmp_path / name)
        with pytest.raises(UsageError, match=what):
            read_policy(tmp_path / name)


def test_a_small_file_is_read_whole_or_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_whole(tmp_path / "x", 5) == b"12345"
    with pytest.raises(UnreadableModel, match=r"too large \(5 bytes, at most 4\)"):
        read_whole(tmp_path / "x", 4)
    with pytest.raises(UnreadableModel, match="no such file"):
        read_whole(tmp_path / "\ud800", 4)


def test_a_record_of_too_many_values_is_refused():
    with pytest.raises(ValueError, match="too many values"):
        parsed("[" + "0," * MOST_VALUES + "0]")


@pytest.mark.parametrize(("n_units", "is_tested"), [(MAX_UNITS, True), (MAX_UNITS + 1, False)])
def test_axes_of_too_many_units_are_listed_and_left_out(n_units, is_tested):
    anatomy = read_anatomy(model_from_arrays(mlp("model.layers.0", n_units)))
    assert any(axis.n_units == n_units for axis in anatomy.axes) == is_tested
    assert any(x.code == "too-many" for x in anatomy.skipped) != is_tested


def test_the_largest_stacks_are_tested_as_long_as_there_is_room():
    sizes = {"a": MAX_BLOCKS - 10, "b": 9, "c": 5}
    arrays = {
        name: x
        for stack, n in sizes.items()
        for i in range(n)
        for name, x in mlp(f"{stack}.model.layers.{i}", 8).items()
    }
    anatomy = read_anatomy(model_from_arrays(arrays))
    blocks = {(axis.stack, axis.block) for axis in anatomy.axes if axis.block >= 0}
    assert len(blocks) == MAX_BLOCKS - 1
    assert {stack[0] for stack, _ in blocks} == {"a", "b"}
    assert [x.what for x in anatomy.skipped if x.code == "too-many"] == ["5 blocks"]


def test_scattered_rows_of_an_endless_matrix_are_among_its_first():
    rows = Scheme().scattered(1 << 50)
    assert len(rows) == Scheme().n_scattered
    assert rows.max() < MOST_ROWS


def test_values_near_the_largest_number_have_no_invariant_vector():
    rng = np.random.default_rng(0)
    name, arrays = "model.layers.0.self_attn", {}
    for part in "qkvo":
        x = rng.standard_normal((16, 16)).astype(np.float32)
        arrays[f"{name}.{part}_proj.weight"] = x * np.float32(1e36 if part == "v" else 1)
    arrays["model.embed_tokens.weight"] = rng.standard_normal((40, 16)).astype(np.float32)
    model = model_from_arrays(arrays, config={"num_attention_heads": 4})
    invariant_vector(model, read_anatomy(model), take_sketch(model))  # no error of numpy
