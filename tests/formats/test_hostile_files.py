"""Claim: only regular files inside a model's folder are opened, and none costs more than it holds.

Whole commands on such files are among the cases that `tests/test_cases.py` runs.
"""

import json
import os
import socket

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.formats.handmade import entry, index, refusal, safetensors
from weightkin.errors import UnreadableModel
from weightkin.formats import model_from_arrays, open_model
from weightkin.formats.declared import declared
from weightkin.formats.json_text import MAX_ITEMS, parse, parse_object
from weightkin.sources.local import LocalFile, home_of
from weightkin.sources.touched import PAGE, TouchedPages


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    save_file({"w": np.ones((3, 2), np.float32)}, folder / "model.safetensors")
    return folder


def pipe(path):
    os.mkfifo(path)


def outside(path):
    (path.parent.parent / "secret").write_text("---\nlicense: mit\n---\n")
    path.symlink_to(path.parent.parent / "secret")


def missing(path):
    path.symlink_to(path.parent / "nothing")


def circle(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [pipe, outside, missing, circle])
@pytest.mark.parametrize("name", ["README.md", "config.json", "adapter_config.json"])
def test_what_cannot_be_read_of_the_claims_is_said(model, name, make):
    make(model / name)
    opened = open_model(model)
    said = [x for x in declared(opened).unread if x.what == name]
    assert len(said) == 1
    assert said[0].why.isprintable()
    assert opened.rows("w").shape == (3, 2)


def test_claims_that_are_there_and_whole_leave_nothing_unread(model):
    (model / "README.md").write_text("---\nlicense: mit\n---\n")
    (model / "config.json").write_text("{}")
    assert declared(open_model(model)).unread == ()


def test_pipes_sockets_and_devices_are_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.bin")
    assert "a named pipe" in refusal(tmp_path / "x.bin")
    assert "a device" in refusal_of_file("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.bin"))
        refusal(tmp_path / "s.bin")


def refusal_of_file(path):
    with pytest.raises(UnreadableModel) as caught:
        LocalFile(path)
    return str(caught.value)


def test_a_file_that_becomes_a_pipe_is_not_waited_for(model):
    opened = open_model(model)
    (model / "model.safetensors").unlink()
    pipe(model / "model.safetensors")
    with pytest.raises(UnreadableModel, match="a named pipe"):
        opened.rows("w")


def test_links_stay_inside_the_folder_unless_the_file_itself_was_named(model, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.safetensors").symlink_to(model / "model.safetensors")
    assert "a link that leads outside the folder" in refusal(other)
    assert list(open_model(other / "model.safetensors").tensors) == ["w"]
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    save_file({"w": np.ones(2, np.float32)}, inside / "sub" / "x")
    (inside / "model.safetensors").symlink_to("sub/x")
    assert list(open_model(inside).tensors) == ["w"]


def test_shards_and_the_config_of_an_adapter_stay_inside_too(model, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    index(shards, {"w": "a.safetensors"})
    (shards / "a.safetensors").symlink_to(model / "model.safetensors")
    assert "a link that leads outside the folder" in refusal(shards)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").symlink_to(model / "model.safetensors")
    save_file({"w": np.ones(2, np.float32)}, adapter / "adapter_model.safetensors")
    assert "a link that leads outside the folder" in refusal(f"{model}+{adapter}")


def test_a_snapshot_reaches_the_blobs_of_its_own_repository_only(tmp_path):
    here, there = tmp_path / "models--a--b", tmp_path / "models--c--d"
    for repository in (here, there):
        (repository / "snapshots" / "0123").mkdir(parents=True)
        (repository / "blobs").mkdir()
    assert home_of(here / "snapshots" / "0123") == here.resolve()
    save_file({"w": np.ones(2, np.float32)}, there / "blobs" / "x")
    link = here / "snapshots" / "0123" / "model.safetensors"
    link.symlink_to(there / "blobs" / "x")
    assert "a link that leads outside the folder" in refusal(link.parent)


def test_a_file_that_hardly_exists_is_refused(tmp_path):
    size = 1 << 40
    path = safetensors(tmp_path / "x.safetensors", {"w": entry("F32", [size // 4], 0, size)})
    os.truncate(path, path.stat().st_size + size)
    assert "a sparse file" in refusal(path)


def test_the_account_of_pages_costs_nothing_for_the_size_of_a_file():
    ledger = TouchedPages()
    ledger.touch(1 << 60, (1 << 60) + 3 * PAGE)
    ledger.touch_each(np.array([0, 1 << 50]), 4)
    assert ledger.n_bytes == 5 * PAGE


def test_hints_hold_no_number_and_no_character_that_breaks_others():
    raw = b'{"a": 1e999, "b": NaN, "c": 1%s, "d": [1, -2.5], "e": "\\ud800x", "f": -Infinity}'
    found = parse_object(raw % (b"0" * 400), "x", "config", is_hint=True)
    assert found == {"a": None, "b": None, "c": None, "d": [1, -2.5], "e": "?x", "f": None}
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[" * 300 + b"]" * 300, "nested deeper"),
        (b"[" * 100_000, "the config is not valid JSON"),
        (b"[" + b"[]," * MAX_ITEMS + b"0]", "lists and objects"),
        (b"[" + b"0," * (MAX_ITEMS + 1) + b"0]", "commas"),
        (b"[1" + b"0" * 5000 + b"]", "the config is not valid JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "key 'a' is repeated in the config"),
        (b"\xff", "the config is not valid JSON"),
    ],
)
def test_json_is_bounded_before_and_after_it_is_parsed(raw, said):
    with pytest.raises(UnreadableModel, match=said):
        parse(raw, "x", "config")


def test_an_index_of_too_many_files_is_refused(tmp_path):
    index(tmp_path, {f"t{i}": f"{i}.safetensors" for i in range(10_001)})
    assert "too many files (10001, at most 10000)" in refusal(tmp_path)


def test_any_number_of_problems_is_told_in_few(tmp_path):
    header = {f"w{i}": entry("F4", [2], i, i + 1) for i in range(500)}
    header["x"] = entry("U8", [1], 500, 501)
    opened = open_model(safetensors(tmp_path / "x.safetensors", header, bytes(501)))
    assert len(opened.problems) == 101
    assert opened.problems[-1].why == "400 more problems"
    assert opened.is_partial


def test_names_of_files_that_are_no_text_survive(model):
    odd = model.parent / os.fsdecode(b"m\xff\xed\xa0\x80")
    model.rename(odd)
    opened = open_model(odd)
    assert json.loads(json.dumps(opened.name)) == opened.name
    assert opened.rows("w").shape == (3, 2)


def test_a_sketch_that_also_holds_tensors_is_a_model(model, tmp_path):
    from weightkin.sketch import read_sketch, take_sketch, write_sketch

    write_sketch(take_sketch(open_model(model)), tmp_path / "s.safetensors")
    assert read_sketch(tmp_path / "s.safetensors").tensors
    raw = (tmp_path / "s.safetensors").read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    both = {**load_file(tmp_path / "s.safetensors"), "hidden": np.ones((2, 2), np.float32)}
    save_file(both, tmp_path / "x.safetensors", metadata)
    opened = open_model(tmp_path / "x.safetensors")
    assert opened.sketched is None
    assert "hidden" in opened.tensors


def test_claims_of_a_model_in_memory_need_no_file():
    assert declared(model_from_arrays({"w": np.ones(2, np.float32)})).unread == ()
