"""Claim: what ONNX Runtime quantises in any way is read as values, and nothing is dropped.

`tests/fixtures/writers/onnx_runtime.py` wrote one network as floats and in every quantised form.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.formats.accounting import account
from weightkin.formats import open_model

package = pytest.importorskip("onnx")
helper, array = package.helper, package.numpy_helper.from_array
FILES = sorted((Path(__file__).parents[1] / "fixtures" / "onnx-runtime").glob("*.onnx"))
PLAIN = open_model(next(x for x in FILES if x.stem == "float"))
WEIGHTS = ("conv.weight", "onnx::LSTM_124", "onnx::LSTM_125", "up.weight", "down.weight")
F32 = np.float32


@pytest.mark.parametrize("path", FILES, ids=lambda x: x.stem)
def test_values_are_those_of_the_floats_up_to_rounding(path):
    model = open_model(path)
    assert not model.problems
    step = 1 / 15 if path.stem == "blocks" else 1 / 250  # of the largest value
    for name in WEIGHTS:
        expected, found = PLAIN.rows(name), model.rows(name)
        assert found.shape == expected.shape == model.tensors[name].shape
        assert np.abs(found - expected).max() <= step * np.abs(expected).max(), name
        some = np.array([len(found) - 1, 0])
        np.testing.assert_array_equal(model.rows(name, some), found[some])


@pytest.mark.parametrize("path", FILES, ids=lambda x: x.stem)
def test_every_byte_is_a_tensor_or_the_graph(path):
    found = account(path)
    assert set(found) == {"payload", "container"}
    whole = package.load(path)
    stored = sum(len(x.raw_data) for x in whole.graph.initializer)
    assert found["payload"] >= stored  # and numbers that are not plain bytes
    assert found["container"] < 10_000


def written(path, nodes, initializers, **more):
    whole = helper.make_graph(nodes, "g", [], [], initializers, **more)
    package.save(helper.make_model(whole), path)
    return path


def test_parameters_named_like_scales_are_themselves(tmp_path, rng):
    held = {
        "layer.weight": rng.standard_normal((8, 8)).astype(F32),
        "layer.weight_scale": rng.standard_normal((8, 8)).astype(F32),
        "table": rng.integers(-9, 9, (8, 8)).astype(np.int8),
        "table_scale": rng.standard_normal(8).astype(F32),
        "x.qweight": rng.integers(0, 99, (4, 4)).astype(np.int32),
        "x.scales": rng.standard_normal((4, 4)).astype(F32),
    }
    model = open_model(written(tmp_path / "x.onnx", [], [array(x, n) for n, x in held.items()]))
    assert set(model.tensors) == set(held)
    assert not model.problems
    for name, x in held.items():
        np.testing.assert_array_equal(model.rows(name), x.astype(F32))


@pytest.mark.parametrize("is_each", [False, True])
@pytest.mark.parametrize("op", ["MatMulInteger", "ConvInteger"])
def test_the_scale_of_an_integer_product_is_found_where_it_is_used(op, is_each, tmp_path, rng):
    shape = (16, 24) if op == "MatMulInteger" else (24, 16, 3)
    n = (24,) if is_each else ()
    codes, zero = rng.integers(0, 255, shape).astype(np.uint8), np.full(n, 7, np.uint8)
    scale = rng.random(n).astype(F32) + F32(0.1)
    nodes = [
        helper.make_node(op, ["x", "c", "xz", "z"], ["y"], "/fc/product"),
        helper.make_node("Add", ["y", "b"], ["y2"]),
        helper.make_node("Cast", ["y2"], ["y3"], to=1),
        helper.make_node("Mul", ["xs", "anything"], ["both"]),
        helper.make_node("Mul", ["both", "y3"], ["out"]),
    ]
    held = {"c": codes, "z": zero, "anything": scale, "b": np.zeros(24, np.int32)}
    model = open_model(written(tmp_path / "x.onnx", nodes, [array(x, k) for k, x in held.items()]))
    around = (1, -1) if op == "MatMulInteger" else (-1, 1, 1)
    expected = (codes.astype(F32) - 7) * scale.reshape(around if is_each else ())
    found = model.rows("fc.weight")
    np.testing.assert_array_equal(found, expected.T if op == "MatMulInteger" else expected)
    assert set(model.tensors) == {"fc.weight", "b"}


@pytest.mark.parametrize("shape", [(), (8, 1), (1, 32), (32,)])
def test_a_cast_and_a_product_unpack_too(shape, tmp_path, rng):
    codes, scale = rng.integers(-99, 99, (8, 32)).astype(np.int8), rng.random(shape).astype(F32)
    nodes = [
        helper.make_node("Cast", ["fc.weight_q"], ["f"], to=1),
        helper.make_node("Mul", ["s", "f"], ["fc.weight"]),
    ]
    held = [array(codes, "fc.weight_q"), array(scale, "s")]
    model = open_model(written(tmp_path / "x.onnx", nodes, held))
    assert list(model.tensors) == ["fc.weight"]
    np.testing.assert_array_equal(model.rows("fc.weight"), codes.astype(F32) * scale)


@pytest.mark.parametrize("is_signed", [True, False])
@pytest.mark.parametrize("shape", [(5, 7), (4, 8), (9,), ()])
def test_numbers_of_four_bits(shape, is_signed, tmp_path, rng):
    low = -8 if is_signed else 0
    values = rng.integers(low, low + 16, shape)
    kind = package.TensorProto.INT4 if is_signed else package.TensorProto.UINT4
    tensor = helper.make_tensor("w", kind, shape, values.reshape(-1).tolist())
    half = np.asarray(tensor.int32_data, np.uint8)
    tensor.ClearField("int32_data")
    tensor.raw_data = half.tobytes()
    model = open_model(written(tmp_path / "x.onnx", [], [tensor]))
    np.testing.assert_array_equal(model.rows("w"), values.astype(F32))
    assert set(account(tmp_path / "x.onnx")) == {"payload", "container"}


def test_casts_and_transpositions_hide_no_name(tmp_path, rng):
    w = rng.standard_normal((4, 6)).astype(F32)
    nodes = [
        helper.make_node("Cast", ["0"], ["a"], to=1),
        helper.make_node("Transpose", ["a"], ["b"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "b"], ["y"], "/fc/MatMul"),
        helper.make_node("Cast", ["1"], ["c"], to=1),
        helper.make_node("MatMul", ["x", "c"], ["z"], "/up/MatMul"),
    ]
    model = open_model(written(tmp_path / "x.onnx", nodes, [array(w, "0"), array(w, "1")]))
    np.testing.assert_array_equal(model.rows("fc.weight"), w)
    np.testing.assert_array_equal(model.rows("up.weight"), w.T)


def test_sparse_tensors_are_their_values_and_their_places(tmp_path, rng):
    values = array(rng.standard_normal(3).astype(F32), "s")
    places = array(np.array([0, 4, 8], np.int64), "i")
    sparse = helper.make_sparse_tensor(values, places, [9])
    model = open_model(written(tmp_path / "x.onnx", [], [], sparse_initializer=[sparse]))
    assert {name: info.shape for name, info in model.tensors.items()} == {
        "s": (3,), "s.indices": (3,)
    }  # fmt: skip


def test_the_whole_numbers_of_trees_are_tensors(tmp_path):
    told = {"nodes_truenodeids": list(range(20)), "pads": [1, 1], "domain": "ai.onnx.ml"}
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], "trees", **told)
    model = open_model(written(tmp_path / "x.onnx", [node], []))
    assert list(model.tensors) == ["trees.nodes_truenodeids"]
    np.testing.assert_array_equal(model.rows("trees.nodes_truenodeids"), np.arange(20))


def test_texts_are_no_weights_and_unknown_fields_are_not_read(tmp_path):
    words = helper.make_tensor("words", package.TensorProto.STRING, [2], [b"x", b"yes"])
    weight = array(np.ones((4, 4), F32), "w")
    path = written(tmp_path / "x.onnx", [], [words, weight])
    assert not open_model(path).problems
    assert account(path)["text-elements"] == 4
    whole = package.load(path)
    whole.graph.doc_string = "x" * 70_000
    package.save(whole, path)
    path.write_bytes(path.read_bytes() + b"\xfa\x06\x64" + bytes(100))  # field 111
    model = open_model(path)
    assert [x.what for x in model.problems] == ["graph"]
    assert model.is_partial
    assert account(path)["unknown-field"] == 70_100
