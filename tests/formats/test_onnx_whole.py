"""Claim: every tensor of an ONNX file is read, or named as not read, wherever it stands."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tests.formats.handmade import refusal
from weightkin.api.compare import compare
from weightkin.errors import WeightkinError
from weightkin.formats import digest, open_model

package = pytest.importorskip("onnx")
helper, array = package.helper, package.numpy_helper.from_array
F32 = np.float32


def graph(nodes, arrays, **more):
    held = [array(x, name) for name, x in arrays.items()]
    return helper.make_graph(nodes, "g", [], [], held, **more)


def saved(path, nodes, arrays=(), functions=(), sparse=()):
    whole = graph(nodes, dict(arrays), sparse_initializer=list(sparse))
    package.save(helper.make_model(whole, functions=list(functions)), path)
    return path


def weights(rng, *shape):
    return rng.standard_normal(shape).astype(F32)


def recurrent(op, gates):
    """A layer whose weights are three-dimensional, and its bias."""

    def made(rng):
        arrays = {"W": weights(rng, 1, gates * 4, 6), "onnx::R_7": weights(rng, 1, gates * 4, 4)}
        node = helper.make_node(
            op, ["x", "W", "onnx::R_7", "B"], ["y"], "/rnn/" + op, hidden_size=4
        )
        return [node], {**arrays, "B": weights(rng, 1, gates * 8)}

    return made


def attention(rng):
    inputs = ["x", "qkv_weight", "qkv_bias"]
    node = helper.make_node("Attention", inputs, ["y"], domain="com.microsoft", num_heads=2)
    return [node], {"qkv_weight": weights(rng, 8, 24), "qkv_bias": weights(rng, 24)}


def bias(rng):
    """A bias without a name of its own."""
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_1"], ["h"], "/fc/MatMul"),
        helper.make_node("Add", ["h", "onnx::Add_2"], ["y"], "/fc/Add"),
    ]
    return nodes, {"onnx::MatMul_1": np.ones((4, 4), F32), "onnx::Add_2": weights(rng, 4)}


def branches(rng):
    """Two branches with a weight of one name each."""
    inner = [
        graph([helper.make_node("MatMul", ["x", "w"], [f"o{i}"])], {"w": weights(rng, 4, 4)})
        for i in range(2)
    ]
    node = helper.make_node("If", ["c"], ["y"], "if", then_branch=inner[0], else_branch=inner[1])
    return [node], {}


def loop(rng):
    inner = graph([helper.make_node("MatMul", ["x", "w"], ["o"])], {"w": weights(rng, 4, 4)})
    deeper = helper.make_node("Loop", ["n", "c"], ["y"], "inner", body=inner)
    outer = helper.make_graph([deeper], "h", [], [], [])
    return [helper.make_node("Scan", ["s"], ["z"], "scan", body=outer, num_scan_inputs=1)], {}


def constants(rng):
    return [
        helper.make_node("Constant", [], ["a"], value=array(weights(rng, 3, 3))),
        helper.make_node("Constant", [], ["b"], value_floats=weights(rng, 5).tolist()),
        helper.make_node("Constant", [], ["c"], value_float=float(rng.standard_normal())),
        helper.make_node("Constant", [], ["d"], value_ints=rng.integers(0, 99, 6).tolist()),
    ], {}


def coefficients(rng):
    """Linear models and trees of ``ai.onnx.ml`` hold their weights in attributes."""
    told = {"coefficients": weights(rng, 12).tolist(), "domain": "ai.onnx.ml"}
    return [helper.make_node("LinearRegressor", ["x"], ["y"], "linear", **told)], {}


KINDS = {
    "LSTM": recurrent("LSTM", 4),
    "GRU": recurrent("GRU", 3),
    "RNN": recurrent("RNN", 1),
    **{f.__name__: f for f in (attention, bias, branches, loop, constants, coefficients)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_values_anywhere_are_no_identical_model(kind, tmp_path, rng):
    paths = [saved(tmp_path / f"{i}.onnx", *KINDS[kind](rng)) for i in range(2)]
    models = [open_model(path) for path in paths]
    assert digest(models[0]) != digest(models[1])
    assert not models[0].problems
    assert not {"identical", "header-only"} & set(compare(*paths).kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_values_are(kind, tmp_path):
    paths = [
        saved(tmp_path / f"{i}.onnx", *KINDS[kind](np.random.default_rng(3))) for i in range(2)
    ]
    record = compare(*paths)
    assert (record.verdict, record.kind) == ("dependent", ("identical",))


def walk(whole):
    """Every tensor that the format's own library sees in a graph."""
    yield from whole.initializer
    for node in whole.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from walk(inner)


REAL = sorted(Path(package.__file__).parent.rglob("backend/**/*.onnx"))


def test_nothing_is_missing_in_the_files_that_onnx_brings_along():
    """Names apart: as many tensors, and all the values that the library itself reads."""
    n_files = 0
    for path in REAL:
        expected = [package.numpy_helper.to_array(x) for x in walk(package.load(path).graph)]
        expected = [x for x in expected if x.dtype.kind != "O"]
        if not expected:
            continue
        try:
            model = open_model(path)
        except WeightkinError as error:
            raise AssertionError(f"{path}: {error}") from None
        lost = [x for x in model.problems if x.loses_tensors]
        assert len(model.tensors) + len(lost) >= len(expected), path
        found = sorted(np.sort(model.rows(n).ravel()).tobytes() for n in model.tensors)
        if not lost:
            with np.errstate(over="ignore"):
                wanted = [np.sort(x.astype(F32).ravel()).tobytes() for x in expected]
            assert not set(wanted) - set(found), path
        n_files += 1
    assert n_files > 50


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.int8, np.uint8, np.int32])
def test_values_that_are_stored_one_by_one(dtype, tmp_path):
    x = np.array([1.5, -2, 3, 100]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    tensor = helper.make_tensor("a.bias", kind, [4], x.tolist(), raw=False)
    whole = helper.make_graph([], "g", [], [], [tensor])
    package.save(helper.make_model(whole), tmp_path / "x.onnx")
    np.testing.assert_array_equal(open_model(tmp_path / "x.onnx").rows("a.bias"), x.astype(F32))


def test_floats_that_are_not_packed(tmp_path):
    """Any reader of protocol buffers must take a list in either form."""
    values = np.array([1, 2, 3], F32)
    loose = b"".join(b"\x25" + x.tobytes() for x in values)  # field 4, four bytes each
    tensor = b"\x08\x03\x10\x01\x42\x06a.bias" + loose
    held = b"\x2a" + bytes([len(tensor)]) + tensor
    (tmp_path / "x.onnx").write_bytes(b"\x3a" + bytes([len(held)]) + held)
    np.testing.assert_array_equal(open_model(tmp_path / "x.onnx").rows("a.bias"), values)


def test_a_tensor_that_cannot_be_read_is_named(tmp_path, rng):
    complex_one = array(np.ones(3, np.complex64), "complex")
    product = helper.make_node("MatMulInteger", ["x", "codes", "a", "b"], ["y"], "p")
    arrays = {"w.bias": weights(rng, 4), "codes": rng.integers(-9, 9, (4, 4)).astype(np.int8)}
    path = saved(tmp_path / "x.onnx", [product], arrays)
    whole = package.load(path)
    whole.graph.initializer.extend([complex_one])
    package.save(whole, path)
    model = open_model(path)
    assert {x.what for x in model.problems} == {"complex", "p.weight"}
    assert set(model.tensors) == {"w.bias", "p.weight"}  # codes are there, as they are stored
    assert model.is_partial
    assert digest(model).endswith("-partial")
    record = compare(path, path)
    assert record.incomplete
    assert "identical" not in record.kind


def test_functions_hold_constants(tmp_path, rng):
    inner = helper.make_node("Constant", [], ["k"], value=array(weights(rng, 4, 4)))
    function = helper.make_function("own", "f", [], ["k"], [inner], [])
    path = saved(tmp_path / "x.onnx", [], {"w.bias": np.ones(4, F32)}, functions=[function])
    assert open_model(path).tensors["k"].shape == (4, 4)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_codes_are_shown_as_the_values_they_stand_for(axis, tmp_path, rng):
    codes = rng.integers(-128, 127, (8, 10)).astype(np.int8)
    n = () if axis is None else (codes.shape[axis],)
    scale = rng.random(n).astype(F32) + F32(0.1)
    zero = rng.integers(-3, 3, n).astype(np.int8)
    said = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], "dq", **said),
        helper.make_node("MatMul", ["x", "w"], ["y"], "/fc/MatMul"),
    ]
    path = saved(tmp_path / "x.onnx", nodes, {"q": codes, "s": scale, "z": zero})
    around = (1, 1) if axis is None else (-1, 1) if axis == 0 else (1, -1)
    shift = zero.astype(np.int64).reshape(around)
    expected = (codes - shift).astype(F32) * scale.reshape(around)
    model = open_model(path)
    assert set(model.tensors) == {"fc.weight"}
    np.testing.assert_array_equal(model.rows("fc.weight"), expected.T)
    np.testing.assert_array_equal(model.rows("fc.weight", np.array([7, 2])), expected.T[[7, 2]])


def test_another_zero_point_is_another_model(tmp_path, rng):
    codes = rng.integers(-128, 127, (6, 10)).astype(np.int8)
    node = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], "dq")
    seen = set()
    for zero in (0, 1):
        arrays = {"q": codes, "s": F32(0.5), "z": np.int8(zero)}
        seen.add(digest(open_model(saved(tmp_path / f"{zero}.onnx", [node], arrays))))
    assert len(seen) == 2


def test_an_initialiser_twice_and_graphs_without_end_are_refused(tmp_path):
    both = helper.make_graph(
        [], "g", [], [], [array(np.ones(4, F32), "a"), array(np.zeros(4, F32), "a")]
    )
    package.save(helper.make_model(both), tmp_path / "x.onnx")
    assert "listed twice" in refusal(tmp_path / "x.onnx")
    inner = graph([], {"w": np.ones(4, F32)})
    for i in range(12):
        inner = graph([helper.make_node("If", ["c"], ["y"], f"n{i}", then_branch=inner)], {})
    package.save(helper.make_model(inner), tmp_path / "x.onnx")
    assert "graphs are nested deeper than" in refusal(tmp_path / "x.onnx")


def test_one_value_in_two_fields_is_refused(tmp_path):
    tensor = array(np.ones(4, F32), "a")
    tensor.float_data.extend([2, 2, 2, 2])
    package.save(
        helper.make_model(helper.make_graph([], "g", [], [], [tensor])), tmp_path / "x.onnx"
    )
    assert "two fields" in refusal(tmp_path / "x.onnx")


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32])
@pytest.mark.parametrize("has_zero", [True, False])
@pytest.mark.parametrize(
    ("shape", "axis", "n"),
    [
        ((8, 10), None, ()),
        ((8, 10), None, (1,)),
        ((8, 32), 0, (8,)),
        ((32, 10), -1, (10,)),
        ((8, 32), -2, (8,)),
        ((32, 5, 3, 3), 0, (32,)),
        ((5, 32, 3, 3), 1, (32,)),
        ((32,), None, ()),
    ],
)
def test_codes_are_unpacked_as_the_package_does(shape, axis, n, has_zero, kind, tmp_path, rng):
    from onnx.reference import ReferenceEvaluator

    low = -9 if np.issubdtype(kind, np.signedinteger) else 0
    arrays = {"q": rng.integers(low, 99, shape).astype(kind)}
    arrays["s"] = rng.random(n).astype(F32) + F32(0.1)
    if has_zero:
        arrays["z"] = (rng.integers(0, 9, n) * (kind is not np.int32)).astype(kind)
    said = {} if axis is None else {"axis": axis}
    node = helper.make_node("DequantizeLinear", list(arrays), ["w"], "dq", **said)
    path = saved(tmp_path / "x.onnx", [node], arrays)
    whole = package.load(path)
    output = helper.make_tensor_value_info("w", package.TensorProto.FLOAT, shape)
    whole.graph.output.append(output)
    (expected,) = ReferenceEvaluator(whole).run(None, {})
    model = open_model(path)
    assert list(model.tensors) == ["q"]
    np.testing.assert_array_equal(model.rows("q"), expected)
    np.testing.assert_array_equal(model.rows("q", np.array([4, 1])), expected[[4, 1]])


@pytest.mark.parametrize(
    "parts",
    [
        {"s": np.ones(7, F32)},
        {"s": np.ones((2, 4), F32)},
        {"s": np.ones(0, F32)},
        {"s": np.ones(8, F32), "z": np.zeros(4, np.int8)},
    ],
)
def test_codes_whose_scales_do_not_fit_are_named_as_not_read(parts, tmp_path, rng):
    codes = rng.integers(-9, 9, (8, 32)).astype(np.int8)
    node = helper.make_node("DequantizeLinear", ["q", *parts], ["w"], "dq", axis=0)
    arrays = {"q": codes, **parts, "v": np.ones((4, 4), F32)}
    model = open_model(saved(tmp_path / "x.onnx", [node], arrays))
    assert set(model.tensors) == {"q", "v", *parts}  # as they are stored
    assert model.tensors["q"].dtype == "I8"
    assert model.is_partial
    assert "q" in {problem.what for problem in model.problems}


def test_every_tensor_of_every_graph_of_a_list_has_a_name_of_its_own(tmp_path, rng):
    arrays = [weights(rng, 4, 4) for _ in range(4)]
    inner = [graph([], {"w": x}) for x in arrays[1:]]
    node = helper.make_node("Own", ["c"], ["y"], "n", domain="own", several=inner)
    model = open_model(saved(tmp_path / "x.onnx", [node], {"w": arrays[0]}))
    found = {name: model.rows(name).tobytes() for name in model.tensors}
    assert len(found) == 4
    assert set(found.values()) == {x.tobytes() for x in arrays}
    again = open_model(tmp_path / "x.onnx")
    assert list(again.tensors) == list(model.tensors)
    assert sorted(found) == ["/w", "n.several/w", "n.several/w~2", "w"]


def test_a_tensor_inside_an_operator_is_named_after_it_or_after_what_it_makes(tmp_path, rng):
    arrays = [weights(rng, 4, 4) for _ in range(4)]
    inner = [graph([], {"w": x}) for x in arrays]
    nodes = [
        helper.make_node("If", ["c"], ["y"], "named", then_branch=inner[0]),
        helper.make_node("If", ["c"], ["y1"], then_branch=inner[1]),
        helper.make_node("If", ["c"], ["y2", "y3"], then_branch=inner[2]),
        helper.make_node("If", ["c"], [], then_branch=inner[3]),
    ]
    model = open_model(saved(tmp_path / "x.onnx", nodes))
    names = ("w", "y1.then_branch/w", "y2.then_branch/w", "If.then_branch/w")  # only where repeated
    assert set(model.tensors) == set(names)
    for name, x in zip(names, arrays, strict=True):
        np.testing.assert_array_equal(model.rows(name), x)


def test_graphs_that_train_a_model_hold_tensors_too(tmp_path, rng):
    arrays = {name: weights(rng, 4, 4) for name in ("fc.weight", "first.step", "each.step")}
    model = helper.make_model(graph([], {"fc.weight": arrays["fc.weight"]}))
    training = model.training_info.add()
    training.initialization.CopyFrom(graph([], {"first.step": arrays["first.step"]}))
    training.algorithm.CopyFrom(graph([], {"each.step": arrays["each.step"]}))
    package.save(model, tmp_path / "x.onnx")
    read = open_model(tmp_path / "x.onnx")
    assert set(read.tensors) == set(arrays)
    for name, x in arrays.items():
        np.testing.assert_array_equal(read.rows(name), x)


@pytest.mark.parametrize(
    "code", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
)
def test_every_type_of_numbers_is_read(code, tmp_path):
    x = np.arange(6).astype(code)
    model = open_model(saved(tmp_path / "x.onnx", [], {"fc.bias": x}))
    assert not model.problems
    np.testing.assert_array_equal(model.rows("fc.bias"), x.astype(F32))


def test_very_many_names_for_one_initialiser_are_refused(tmp_path):
    nodes = [helper.make_node("Identity", ["w"], [f"a.{i}.weight"]) for i in range(17_000)]
    saved(tmp_path / "m.onnx", nodes, {"w": np.ones((2, 2), F32)})
    assert "further names of initialisers" in refusal(tmp_path / "m.onnx")
