"""The pickle machine builds tensors and containers, calls nothing, and survives any program."""

import os
import pickle
import struct
from collections import defaultdict, deque
from decimal import Decimal
from functools import partial

import pytest

from tests.formats.handmade import call, integer, mapping, name, program, sequence, tensor, text
from weightkin.errors import UnreadableModel
from weightkin.formats.torch_globals import Global, Record, StorageRecord, TensorRecord
from weightkin.formats.torch_pickle import unpickle


def refused(data: bytes) -> str:
    with pytest.raises(UnreadableModel) as caught:
        unpickle(data, "file")
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_containers_read_as_pickle_reads_them(protocol):
    value = {"a": [1, 2.5, None, True, "x" * 300], "b": (1,), "c": {"d": ()}, "e": 2**70, "f": -3}
    value["raw"] = b"bytes" if protocol > 2 else ""
    value["tuples"] = [(1, 2), (1, 2, 3), (1, 2, 3, 4)]
    value["again"] = value["a"]
    assert unpickle(pickle.dumps(value, protocol), "file") == value


def test_a_tensor_becomes_a_record():
    record = unpickle(program(tensor()), "file")
    assert record == TensorRecord("F32", StorageRecord("F32", "0", 6), 0, (2, 3), (3, 1))


class Evil:
    def __init__(self, function, *arguments):
        self.made_of = function, arguments

    def __reduce__(self):
        return self.made_of


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_call_of_os_system_is_written_down_and_not_made(tmp_path, protocol):
    data = pickle.dumps({"w": Evil(os.system, f"touch {tmp_path}/made")}, protocol)
    made = unpickle(data, "file")["w"]
    assert (made.name, made.made_from) == ("posix.system", (f"touch {tmp_path}/made",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "function",
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch storage", "UntypedStorage"),
        ("module_that_is_not_there", "Class"),
    ],
)
def test_any_other_name_is_a_text_and_nothing_is_imported(function, monkeypatch):
    monkeypatch.setattr("builtins.__import__", lambda name, *_: pytest.fail(name))
    for named in (name(*function), text(function[0]) + text(function[1]) + b"\x93"):
        found = unpickle(b"\x80\x04" + named + b".", "file")
        assert found == Global("other", ".".join(function))
        held = unpickle(b"\x80\x04" + named + tensor() + b"\x85R.", "file")
        assert held.made_from == (
            TensorRecord("F32", StorageRecord("F32", "0", 6), 0, (2, 3), (3, 1)),
        )


def test_a_name_of_any_length_is_refused():
    assert "a global without an end" in refused(program(name("x", "y" * 10_000)))


class Thing:
    """An object of a class of its own: with state, with arguments, as a list and as a dict."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.inside = {"a": [1, 2]}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_of_any_class_are_what_the_file_says_of_them(protocol):
    values = {
        "plain": Thing(protocol),
        "arguments": Decimal("1.5"),
        "list": deque([1, 2]),
        "dict": defaultdict(list, {"a": [3]}),
        "words": partial(int, base=2),
        "set": {7},
    }
    found = unpickle(pickle.dumps(values, protocol), "file")
    assert found["plain"].state == {"protocol": protocol, "inside": {"a": [1, 2]}}
    assert found["arguments"].made_from == ("1.5",)
    assert found["list"].elements == [1, 2]
    assert dict(found["dict"]) == {"a": [3]}
    assert {type(x) for x in found.values()} <= {Record, list}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty stack"),
        (b"t", "empty stack"),
        (b"(", "a mark"),
        (b"0", "empty stack"),
        (b"h\x05", "never stored"),
        (b"K\x01K\x02s", "malformed pickle (an empty stack)"),
        (b"NK\x01K\x02s", "no dict"),
        (b"}(K\x01u", "no dict"),
        (b"NK\x01a", "no list"),
        (b"NNb", "state for something"),
        (b"K\x01)R", "unexpected arguments"),
        (b"K\x01Q", "no storage"),
        (b"K\x01\x93", "malformed pickle (an empty stack)"),
        (b"K\x01K\x02\x93", "without a name"),
        (text("torch") + b"K\x02\x93", "without a name"),
        (b"K\x01" + text("Size") + b"\x93", "without a name"),
        (b"N)\x81", "no class"),
        (b"c__main__\nX\nN\x81", "unexpected arguments"),
        (b"c__main__\nX\nNR", "unexpected arguments"),
        (b"I5\n", "refused: pickle instruction"),
        (b"\x82\x01", "refused: pickle instruction"),
        (b"\xff", "refused: pickle instruction"),
        (b"S'\\q'\n", "refused: pickle instruction"),
        (b"X\xff\xff\xff\x7fab", "broken pickle"),
        (b"X\x01\x00\x00\x00\xff", "broken pickle"),
        (b"\x8b\xff\xff\xff\xff", "broken pickle"),
        (call(name("torch._utils", "_rebuild_tensor_v2")), "unexpected arguments"),
        (call(name("torch", "float32")), "unexpected arguments"),
        (call(name("torch", "FloatStorage"), integer(5)), "unexpected arguments"),
        (tensor().replace(b"\x8a\x01\x06", b"\x8a\x01\xfa"), "no storage"),
        (tensor().replace(b"FloatStorage", b"XloatStorage"), "no storage"),
    ],
)
def test_a_malformed_program_is_refused(body, said):
    assert said in refused(program(body))


def test_a_program_cut_short_is_refused():
    data = program(mapping({"w": tensor()}))
    for length in range(len(data)):
        refused(data[:length])


def test_deep_nesting_hurts_nobody():
    deep = b")" + b"\x85" * 900_000
    keyed = unpickle(program(b"}" + deep + b"K\x01s"), "file")  # such a key kills pickle.loads
    assert list(keyed.values()) == [1]
    unpickle(program(deep[:300_000]), "file")
    unpickle(program(b"(" * 100_000 + b"l" * 100_000), "file")


def test_an_endless_program_is_refused(monkeypatch):
    monkeypatch.setattr("weightkin.formats.torch_pickle.MAX_INSTRUCTIONS", 1000)
    assert "a pickle of over 1000 instructions" in refused(program(b"N0" * 1000))


def test_a_dict_that_holds_itself_is_built():
    value = unpickle(program(b"}q\x00" + text("self") + b"h\x00s"), "file")
    assert value["self"] is value


def test_values_under_keys_other_than_texts_and_numbers_are_kept_without_them():
    kept = unpickle(pickle.dumps({"a": 1, 2: 3, (4,): 5, None: 6, True: 7}, 2), "file")
    assert list(kept.values()) == [1, 3, 5, 6, 7]
    assert [key for key in kept if isinstance(key, str | int)] == ["a", 2]


def test_numbers_of_any_size_are_refused_in_one_line():
    for width, code in ((1, b"\x8a"), (4, b"\x8b")):
        n = 255 if width == 1 else 2000
        body = code + n.to_bytes(width, "little") + b"\x7f" * n
        assert f"a number of {n} bytes" in refused(program(body))


def test_a_long_shape_is_refused_before_it_is_copied():
    body = b"](" + b"N" * 100 + b"e" + b"q\x00" + call(name("torch", "Size"), b"h\x00")
    assert "unexpected arguments" in refused(program(body))


def test_the_state_of_a_state_dict_is_kept_apart():
    body = call(name("collections", "OrderedDict")) + mapping({"_metadata": b"N"}) + b"b"
    found = unpickle(program(body), "file")
    assert (found, found.state) == ({}, {"_metadata": None})


def test_memo_explosions_stay_small():
    doubling = b")" + b"q\x00h\x00\x86" * 200  # 2**200 leaves if written out
    unpickle(program(doubling), "file")
    unpickle(program(sequence(*[struct.pack("<cB", b"K", 1)] * 10)), "file")
