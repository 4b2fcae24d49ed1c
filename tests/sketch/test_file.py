"""Claim: a sketch survives its file; a damaged or hostile file gives one line, never a crash."""

import json
import os
from dataclasses import fields

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.errors import UnreadableModel, UsageError, WeightkinError
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import read_views
from weightkin.formats import digest, model_from_arrays
from weightkin.sketch import Scheme, cached_sketch, read_sketch, take_sketch, write_sketch
from weightkin.sketch.cache import default_folder
from weightkin.sketch.file import sketch_bytes
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import stand_in

SMALL = Scheme(n_rows=6, n_scattered=3, n_columns=5, n_tail=4, n_tail_columns=3)
N_MUTATIONS = 300


@pytest.fixture
def sketch(rng):
    return take_sketch(model_from_arrays(models.base(rng, blocks=2)), SMALL)


def _equal(x, y):
    if isinstance(x, np.ndarray):
        return x.dtype == y.dtype and np.array_equal(x, y)
    return x == y


def split_in_two(data):
    n = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def joined(header, rest):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


@pytest.mark.parametrize("scheme", [SMALL, Scheme(), Scheme.whole()])
def test_a_sketch_comes_back_as_it_was(rng, tmp_path, scheme):
    sketch = take_sketch(model_from_arrays(models.base(rng), config={"n_head": 4}), scheme)
    path = tmp_path / "x.sketch.safetensors"
    assert write_sketch(sketch, path) == path.stat().st_size
    again = read_sketch(path)
    for field in fields(sketch):
        if field.name not in ("tensors", "views"):
            assert getattr(sketch, field.name) == getattr(again, field.name), field.name
    for name, tensor in sketch.tensors.items():
        for field in fields(tensor):
            x, y = (getattr(t, field.name) for t in (tensor, again.tensors[name]))
            assert _equal(x, y), (name, field.name)
    assert sketch_bytes(again) == path.read_bytes()
    assert (again.views is None) == scheme.is_whole


def test_the_file_opens_as_the_stand_in(sketch, tmp_path):
    write_sketch(sketch, tmp_path / "x.sketch.safetensors")
    opened, held = open_model(tmp_path / "x.sketch.safetensors"), stand_in(sketch)
    assert opened.tensors == held.tensors
    assert digest(opened) == sketch.digest
    assert read_anatomy(opened) == read_anatomy(held) == sketch.anatomy
    for name in opened.tensors:
        np.testing.assert_array_equal(opened.rows(name), held.rows(name))


def test_nothing_is_overwritten(sketch, tmp_path):
    write_sketch(sketch, tmp_path / "x")
    with pytest.raises(UsageError, match="already exists"):
        write_sketch(sketch, tmp_path / "x")
    with pytest.raises(UsageError, match="cannot be written"):
        write_sketch(sketch, tmp_path / "missing" / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_other_files_are_no_sketches(rng, tmp_path):
    models.write(tmp_path / "m", models.base(rng, blocks=1))
    with pytest.raises(UnreadableModel, match="not a file that `weightkin sketch` wrote"):
        read_sketch(tmp_path / "m" / "model.safetensors")


def _mutants(data, rng):
    """Broken bytes, cut files, and headers with one value replaced."""
    for _ in range(N_MUTATIONS // 3):
        broken = bytearray(data)
        for at in rng.integers(0, len(data) // 4, 3):
            broken[at] = int(rng.integers(256))
        yield bytes(broken)
    for at in rng.integers(0, len(data), 20):
        yield data[:at]
    header, rest = split_in_two(data)
    odd = ["", "[]", "{}", "1", "null", '[[1,"x"]]', "x", '{"a":NaN}', "[" * 10_000, "[[9,3]]"]
    for key in header["__metadata__"]:
        for value in odd:
            metadata = header["__metadata__"] | {key: value}
            yield joined(header | {"__metadata__": metadata}, rest)
    for key in ("tensors", "anatomy", "facts"):
        text = header["__metadata__"][key]
        for _ in range(N_MUTATIONS):
            metadata = header["__metadata__"] | {key: _changed(text, rng)}
            yield joined(header | {"__metadata__": metadata}, rest)


def _changed(text, rng):
    """JSON with one leaf replaced by something odd."""
    value = json.loads(text)
    odd = [-1, 0, 2**62, 2**70, 1.5, "x", None, True, [], {}, [0, 2**61], "\x1b[31m", "run/x"]
    node = value
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = list(keys)[int(rng.integers(len(keys)))]
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.1:
            node[key] = odd[int(rng.integers(len(odd)))]
            return json.dumps(value)
        node = node[key]


def _said(path, data):
    """What reading a file, and looking at every axis of it, complains about."""
    path.write_bytes(data)
    for use in (read_sketch, _look):
        try:
            use(path)
        except WeightkinError as error:
            yield str(error)


def _look(path):
    model = open_model(path)
    for axis in read_anatomy(model).axes:
        read_views(model, axis, Plan(6), 6)


@pytest.mark.claim
def test_mutated_files_are_read_or_refused_in_one_line(sketch, tmp_path, rng):
    path = tmp_path / "x.sketch.safetensors"
    messages = [m for data in _mutants(sketch_bytes(sketch), rng) for m in _said(path, data)]
    assert all(message.isprintable() for message in messages)
    assert len(messages) > N_MUTATIONS


def test_claims_of_huge_tensors_cost_nothing(sketch, tmp_path):
    header, rest = split_in_two(sketch_bytes(sketch))
    entries = json.loads(header["__metadata__"]["tensors"])
    for entry in entries:
        entry["shape"] = [2**40, 2**19]
    header["__metadata__"]["tensors"] = json.dumps(entries)
    (tmp_path / "x.safetensors").write_bytes(joined(header, rest))
    with pytest.raises(UnreadableModel):
        read_sketch(tmp_path / "x.safetensors")
    header["__metadata__"]["scheme"] = "ws1-whole"
    (tmp_path / "x.safetensors").write_bytes(joined(header, rest))
    with pytest.raises(UnreadableModel):
        read_sketch(tmp_path / "x.safetensors")


def test_the_cache_reads_a_model_once(rng, tmp_path):
    model = stored(tmp_path / "x.safetensors", models.base(rng, blocks=1))
    cache = tmp_path / "cache"
    first = cached_sketch(model, cache, SMALL)
    (path,) = cache.iterdir()
    stamp = path.stat().st_mtime_ns
    assert sketch_bytes(cached_sketch(model, cache, SMALL)) == sketch_bytes(first)
    assert path.stat().st_mtime_ns == stamp
    cached_sketch(model, cache)
    assert len(list(cache.iterdir())) == 2
    cached_sketch(model, cache, Scheme.whole())
    cached_sketch(model_from_arrays({"w": np.ones((4, 4), np.float32)}), cache)
    assert len(list(cache.iterdir())) == 2  # nothing that is as quickly read


def test_the_cache_holds_nothing_of_a_file_that_had_the_same_digest(rng, tmp_path):
    arrays = models.base(rng, blocks=1)
    other = {k: x.copy() for k, x in arrays.items()}
    for x in (x for x in other.values() if x.ndim > 1):
        keep = x[[0, len(x) // 2]].copy()
        x[:] = rng.standard_normal(x.shape)
        x[[0, len(x) // 2]] = keep
    path, cache = tmp_path / "x.safetensors", tmp_path / "cache"
    first = stored(path, arrays)
    of_first = sketch_bytes(cached_sketch(first, cache, SMALL))
    status = path.stat()
    second = stored(path, other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = open_model(path)
    assert digest(first) == digest(second)
    assert sketch_bytes(cached_sketch(second, cache, SMALL)) == sketch_bytes(
        take_sketch(second, SMALL)
    )
    assert sketch_bytes(take_sketch(second, SMALL)) != of_first


def stored(path, arrays):
    """The model of arrays in a file."""
    save_file({k: np.ascontiguousarray(x) for k, x in arrays.items()}, path)
    return open_model(path)


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_entry_is_made_again(rng, tmp_path, damage):
    model = stored(tmp_path / "x.safetensors", models.base(rng, blocks=1))
    whole = sketch_bytes(cached_sketch(model, tmp_path / "cache", SMALL))
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(path.read_bytes()[:-5] if damage is None else damage)
    assert sketch_bytes(cached_sketch(model, tmp_path / "cache", SMALL)) == whole
    assert path.read_bytes() == whole


def test_the_cache_lies_where_the_desktop_rules_say(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "weightkin" / "sketches"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder().is_absolute()
