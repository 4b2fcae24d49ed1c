"""Claim: every tensor of a torch file is read under one name, or a line says where it stands."""

import struct
import zipfile

import pytest

from tests.formats.handmade import integer, mapping, program, tensor, torch_file
from weightkin.formats import open_model

ONES = {"0": struct.pack("<6f", *range(6)), "1": struct.pack("<6f", *range(6, 12))}
A, B = tensor("0"), tensor("1")


def opened(tmp_path, body, **more):
    return open_model(torch_file(tmp_path / "x.bin", program(body), ONES, **more))


def told(model):
    return [(x.what, x.why) for x in model.problems]


def test_a_wrapped_model_loses_its_wrapper_and_a_second_one_keeps_its_own(tmp_path):
    body = mapping({"state_dict": mapping({"w": A}), "model": mapping({"w": B})})
    model = opened(tmp_path, body)
    assert sorted(model.tensors) == ["model.w", "w"]
    assert model.rows("w")[0, 0] == 0
    assert model.rows("model.w")[0, 0] == 6
    assert not model.is_partial


def test_where_two_names_would_meet_both_are_whole(tmp_path):
    body = mapping({"state_dict": mapping({"ema.w": A}), "ema": mapping({"w": B})})
    assert sorted(opened(tmp_path, body).tensors) == ["ema.w", "state_dict.ema.w"]


def numbered(value):
    return b"}(" + integer(3) + value + b"u"


@pytest.mark.parametrize("hidden", [b"](" + B + b"e", b"(" + B + b"t", numbered(B)])
def test_tensors_without_a_name_make_the_model_incomplete(tmp_path, hidden):
    model = opened(tmp_path, mapping({"w": A, "more": hidden}))
    assert list(model.tensors) == ["w"]
    assert told(model) == [("more", "1 tensors in lists or under numbers are not read")]
    assert model.is_partial


def test_moments_of_an_optimiser_are_named(tmp_path):
    state = mapping({"state": mapping({"w": mapping({"exp_avg": B})})})
    model = opened(tmp_path, mapping({"model": mapping({"w": A}), "optimizer": state}))
    assert list(model.tensors) == ["w"]
    assert told(model) == [("optimizer", "1 tensors of an optimiser are not read")]
    assert model.is_partial


def test_depth_is_read_and_what_is_beyond_it_is_named(tmp_path):
    def deep(n, inner):
        for _ in range(n):
            inner = mapping({"m": inner})
        return inner

    assert len(opened(tmp_path, mapping({"w": A, "x": deep(40, B)})).tensors) == 2
    model = opened(tmp_path, mapping({"w": A, "x": deep(80, B)}))
    assert told(model) == [("x", "1 tensors below 64 levels are not read")]


def test_storages_and_entries_that_nothing_uses_are_named(tmp_path):
    assert told(opened(tmp_path, mapping({"w": A}))) == [
        ("storages", "1 of them belong to no tensor of the state dict")
    ]
    more = {"archive/extra.bin": b"x", "archive/version": b"3"}
    model = opened(tmp_path, mapping({"w": A, "v": B}), more=more)
    assert [what for what, _ in told(model)] == ["1 entries"]
    assert "'extra.bin'" in model.problems[0].why


def test_a_loss_beside_the_model_is_no_part_of_it(tmp_path):
    scalar = tensor("1", shape=(), strides=())
    model = opened(tmp_path, mapping({"model": mapping({"w": A}), "best_loss": scalar}))
    assert list(model.tensors) == ["w"]
    assert told(model) == [("best_loss", "a single number beside the model is not read")]
    assert not model.is_partial


def test_very_many_numbers_beside_the_model_are_read(tmp_path):
    scalars = {f"s{i}": tensor("1", shape=(), strides=()) for i in range(65)}
    assert len(opened(tmp_path, mapping({"model": mapping({"w": A}), **scalars})).tensors) == 66


def test_a_file_of_compressed_entries_is_refused(tmp_path):
    with pytest.raises(Exception, match="compressed"):
        opened(tmp_path, mapping({"w": A, "v": B}), compression=zipfile.ZIP_DEFLATED)
