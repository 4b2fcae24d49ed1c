"""Claim: what holds the values of a model is found under any name, cast, or inside another file."""

import sqlite3

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests import models
from weightkin import Registry
from weightkin.formats import model_from_arrays
from weightkin.registry.verifying import damages
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.row_keys import row_keys


def untestable(rng):
    """Matrices of no known architecture."""
    return {f"m{i}": rng.standard_normal((40, 30 + i)).astype(np.float32) for i in range(6)}


def under(prefix, arrays):
    return {f"{prefix}{name}": x for name, x in arrays.items()}


def cast(arrays):
    return {name: x.astype(np.float16) for name, x in arrays.items()}


@pytest.fixture
def registry(tmp_path):
    def add(**held):
        for name, arrays in held.items():
            save_file(arrays, tmp_path / f"{name}.safetensors")
        found = Registry(tmp_path / "r.sqlite")
        found.add([tmp_path / f"{name}.safetensors" for name in held])
        return found

    return add


@pytest.mark.claim
@pytest.mark.parametrize("make", [models.base, untestable])
def test_a_copy_is_found_under_another_prefix_and_inside_another_file(rng, registry, make):
    a, b, c = (make(rng) for _ in range(3))
    found = registry(both=under("teacher.", a) | under("student.", b), other=c)
    search = found.search(model_from_arrays(a))
    assert [x.model.name for x in search.relatives] == ["both"]
    one = registry(one=a)
    assert "one" in {x.model.name for x in one.search(model_from_arrays(under("z.", a))).relatives}


def test_a_cast_copy_that_no_test_reaches_is_found(rng, registry):
    a, b = untestable(rng), untestable(rng)
    search = registry(a=a, b=b).search(model_from_arrays(under("x.", cast(a))))
    assert [(x.model.name, x.summary.kind) for x in search.relatives] == [("a", ("cast",))]


def test_keys_are_those_of_the_sample_and_say_nothing_of_constants(rng):
    model = model_from_arrays({"w": rng.standard_normal((300, 400)).astype(np.float32)})
    assert row_keys(take_sketch(model)) == row_keys(take_sketch(model, Scheme.whole()))
    assert len(row_keys(take_sketch(model))) == 2
    flat = {"ones": np.ones((9, 9), np.float32), "eye": np.eye(64, dtype=np.float32)}
    flat["ids"] = np.arange(81).reshape(9, 9)
    flat["narrow"] = rng.standard_normal((9, 2)).astype(ml_dtypes.bfloat16)
    assert len(row_keys(take_sketch(model_from_arrays(flat), Scheme.whole()))) == 1  # narrow


def test_an_altered_index_is_said(rng, registry):
    found = registry(a=untestable(rng))
    assert not damages(found.path)
    with sqlite3.connect(found.path) as connection:
        connection.execute("DELETE FROM row_keys WHERE key = (SELECT min(key) FROM row_keys)")
    assert [x.code for x in damages(found.path)] == ["damaged-entry"]
