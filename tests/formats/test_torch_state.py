"""Claim: every tensor of a torch file is read under one name, wherever it stands."""

import struct
import zipfile

import pytest

from tests.formats.handmade import call, integer, mapping, program, tensor, torch_file
from tests.formats.handmade import name as module
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


@pytest.mark.parametrize(
    ("hidden", "name"),
    [
        (b"](" + B + b"e", "more.0"),
        (b"(" + B + b"t", "more.0"),
        (numbered(B), "more.3"),
        (b"}((K\x01t" + B + b"u", "more.key0"),
        (call(module("own", "Class"), B), "more"),
        (module("own", "Class") + b")\x81" + mapping({"w": B}) + b"b", "more.w"),
        (module("own", "Class") + b")\x81" + b"(" + B + b"e", "more.0"),
    ],
)
def test_a_tensor_in_any_container_has_a_name(tmp_path, hidden, name):
    model = opened(tmp_path, mapping({"w": A, "more": hidden}))
    assert list(model.tensors) == [name, "w"]
    assert model.rows(name)[0, 0] == 6
    assert not model.problems


def test_moments_of_an_optimiser_are_tensors(tmp_path):
    state = mapping({"state": mapping({"w": mapping({"exp_avg": B})})})
    model = opened(tmp_path, mapping({"model": mapping({"w": A}), "optimizer": state}))
    assert list(model.tensors) == ["optimizer.state.w.exp_avg", "w"]


def test_a_wrapper_of_processes_is_left_out_of_the_model_alone(tmp_path):
    body = {"model": mapping({"module.w": A}), "optimizer": mapping({"state": mapping({"0": B})})}
    assert list(opened(tmp_path, mapping(body)).tensors) == ["optimizer.state.0", "w"]


def test_a_list_of_one_model_is_that_model(tmp_path):
    assert list(opened(tmp_path, b"](" + mapping({"w": A, "v": B}) + b"e").tensors) == ["v", "w"]
    assert list(opened(tmp_path, b"(" + A + B + b"t").tensors) == ["0", "1"]


@pytest.mark.parametrize(("depth", "is_named"), [(40, True), (80, False), (5000, False)])
def test_names_are_bounded_and_nothing_is_lost(tmp_path, depth, is_named):
    inner = B
    for _ in range(depth):
        inner = mapping({"m": inner})
    model = opened(tmp_path, mapping({"w": A, "x": inner}))
    assert len(model.tensors) == 2
    assert (".".join("x" + "m" * depth) in model.tensors) == is_named


def test_names_that_meet_get_numbers(tmp_path):
    def long(value):
        return mapping({"a" * 600: mapping({"b" * 600: value})})

    body = b"](" + long(A) + long(B) + mapping({"c": A, "d": B}) + b"e"
    assert sorted(opened(tmp_path, body).tensors) == [
        f"0.{'a' * 600}", f"1.{'a' * 600}", "2.c", "2.d"
    ]  # fmt: skip
    more = mapping({"b" * 600: A, "c" * 600: B})
    assert sorted(opened(tmp_path, mapping({"a" * 600: more})).tensors) == [
        "a" * 600, "a" * 600 + "~2"
    ]  # fmt: skip


def test_storages_and_entries_that_nothing_uses_are_named(tmp_path):
    assert told(opened(tmp_path, mapping({"w": A}))) == [
        ("storages", "1 of them belong to no tensor")
    ]
    more = {"archive/extra.bin": b"x", "archive/version": b"3"}
    model = opened(tmp_path, mapping({"w": A, "v": B}), more=more)
    assert [what for what, _ in told(model)] == ["1 entries"]
    assert "'extra.bin'" in model.problems[0].why


def test_single_numbers_are_tensors_too(tmp_path):
    scalar = tensor("1", shape=(), strides=())
    model = opened(tmp_path, mapping({"model": mapping({"w": A}), "best_loss": scalar}))
    assert list(model.tensors) == ["best_loss", "w"]
    assert model.rows("best_loss") == 6


def test_weights_as_plain_numbers_or_bytes_are_named(tmp_path):
    floats = b"](" + struct.pack(">cd", b"G", 0.5) * 40_000 + b"e"
    raw = b"B" + struct.pack("<I", 300_000) + bytes(300_000)
    for hidden in (floats, raw):
        model = opened(tmp_path, mapping({"w": A, "v": B, "x": hidden}))
        assert [what for what, _ in told(model)] == ["plain values"]
        assert model.is_partial


def test_a_file_of_compressed_entries_is_refused(tmp_path):
    with pytest.raises(Exception, match="compressed"):
        opened(tmp_path, mapping({"w": A, "v": B}), compression=zipfile.ZIP_DEFLATED)


def sizes(**n):
    return mapping({key: integer(x) for key, x in n.items()})


def test_the_sizes_beside_the_weights_are_a_config(tmp_path):
    made = sizes(n_layer=4, n_head=8, n_embd=64)
    body = mapping({"model": mapping({"w": A}), "model_args": made})
    assert opened(tmp_path, body).config == {"n_layer": 4, "n_head": 8, "n_embd": 64}


def test_the_dimensions_of_whisper_say_how_many_heads_both_of_its_stacks_have(tmp_path):
    made = sizes(n_audio_head=6, n_text_head=8, n_audio_state=96)
    body = mapping({"dims": made, "model_state_dict": mapping({"w": A})})
    config = opened(tmp_path, body).config
    assert config["model_type"] == "whisper"
    assert (config["encoder_attention_heads"], config["decoder_attention_heads"]) == (6, 8)
    assert opened(tmp_path, mapping({"dims": sizes(n_mels=80), "w": A})).config == {}
