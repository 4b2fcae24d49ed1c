"""Claim: what each ONNX operation does to shapes and labels is what running it does to values."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper, parser  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from tests.anatomy.relabel import relabelled  # noqa: E402
from weightkin.anatomy.graph.labels import labels_of  # noqa: E402
from weightkin.anatomy.onnx.network import best_reading  # noqa: E402
from weightkin.formats import open_model  # noqa: E402

# text of the nodes from h (2, 8, 4, 6) to m; weights; free labels of the channels of h
CASES = {
    "elementwise": ("t = Relu(h) u = Clip(t, zero) m = Where(yes, u, h)", {}, "8"),
    "prelu": ("m = PRelu(h, p)", {"p": (8, 1, 1)}, "8"),
    "softmax": ("m = Softmax<axis=1>(h)", {}, "8"),
    "norm by length": ("m = LpNormalization<axis=1>(h)", {}, "8"),
    "neighbours": ("m = LRN<size=3>(h)", {}, ""),
    "batch norm": ("m = BatchNormalization(h, p, q, r, s)", dict.fromkeys("pqrs", (8,)), "8"),
    "instance norm": ("m = InstanceNormalization(h, p, q)", dict.fromkeys("pq", (8,)), "8"),
    "group norm": ("m = GroupNormalization<num_groups=2>(h, p, q)", dict.fromkeys("pq", (8,)),
                   "8/4"),
    "layer norm": ("m = LayerNormalization<axis=1>(h, p, q)", dict.fromkeys("pq", (8, 4, 6)), "8"),
    "rms norm": ("m = RMSNormalization<axis=-3>(h, p)", {"p": (8, 4, 6)}, "8"),
    "both norms": ("m = MeanVarianceNormalization(h)", {}, "8"),
    "concat": ("t = Tanh(h) m = Concat<axis=-3>(h, t)", {}, "8"),
    "split": ("s = Constant<value_ints=[3, 5]>() a, b = Split<axis=1>(h, s) "
              "m = Concat<axis=1>(b, a)", {}, "3 5"),
    "split in equal parts": ("a, b, c = Split<axis=1, num_outputs=3>(h) "
                             "d = ReduceSum(b) e = Add(a, d) m = Concat<axis=1>(e, c)",
                             {}, "3 3 2"),
    "slice": ("s = Constant<value_ints=[-3]>() z = Constant<value_ints=[0]>() "
              "i = Constant<value_ints=[9223372036854775807]>() o = Constant<value_ints=[1]>() "
              "a = Slice(h, s, i, o) b = Slice(h, z, s, o) m = Concat<axis=1>(a, b)", {}, "5 3"),
    "slice that leaves some": ("s = Constant<value_ints=[3]>() z = Constant<value_ints=[0]>() "
                               "o = Constant<value_ints=[1]>() m = Slice(h, z, s, o)", {}, "3"),
    "every second": ("z = Constant<value_ints=[0]>() i = Constant<value_ints=[8]>() "
                     "o = Constant<value_ints=[1]>() n = Constant<value_ints=[2]>() "
                     "m = Slice(h, z, i, o, n)", {}, ""),
    "backwards": ("z = Constant<value_ints=[-1]>() i = Constant<value_ints=[-9]>() "
                  "o = Constant<value_ints=[1]>() m = Slice(h, z, i, o, z)", {}, ""),
    "groups change places": ("s = Constant<value_ints=[0, 2, -1, 24]>() a = Reshape(h, s) "
                             "m = Transpose<perm=[2, 0, 3, 1]>(a)", {}, "2 4"),
    "flatten": ("a = Flatten<axis=2>(h) s = Constant<value_ints=[1]>() m = Unsqueeze(a, s)", {},
                "8"),
    "squeeze": ("a = GlobalMaxPool(h) s = Constant<value_ints=[-1, 2]>() m = Squeeze(a, s)", {},
                "8"),
    "depth to space": ("m = DepthToSpace<blocksize=2>(h)", {}, "2 2 2"),
    "depth to space by columns": ("m = DepthToSpace<blocksize=2, mode=\"CRD\">(h)", {}, "2 2 2"),
    "space to depth": ("m = SpaceToDepth<blocksize=2>(h)", {}, "8"),
    "more channels": ("p = Constant<value_ints=[0, 1, 0, 0, 0, 2, 0, 0]>() m = Pad(h, p)", {}, "8"),
    "margins": ("p = Constant<value_ints=[1, 1, 1, 2]>() a = Constant<value_ints=[2, 3]>() "
                "m = Pad<mode=\"reflect\">(h, p, , a)", {}, "8"),
    "margins of both": ("p = Constant<value_ints=[0, 1, 1, 0, 0, 0, 1, 0]>() m = Pad(h, p)", {},
                        ""),
    "max pool": ("m = MaxPool<kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1, "
                 "pads=[0, 1, 0, 1]>(h)", {}, "8"),
    "mean pool": ("m = AveragePool<kernel_shape=[3, 3], auto_pad=\"SAME_UPPER\", "
                  "strides=[2, 2]>(h)", {}, "8"),
    "sums": ("a = Constant<value_ints=[-1, 2]>() b = ReduceL2<keepdims=0>(h, a) "
             "c = Constant<value_ints=[1]>() d = ReduceMax(h, c) e = ReduceSum(d) m = Add(b, e)",
             {}, "8"),
    "running sum": ("a = Constant<value_int=1>() m = CumSum(h, a)", {}, ""),
    "largest": ("k = Constant<value_ints=[3]>() m, i = TopK<axis=1>(h, k)", {}, ""),
    "best place": ("a = ArgMax<axis=3>(h) m = Cast<to=1>(a)", {}, "8"),
    "best channel": ("a = ArgMax<axis=1>(h) m = Cast<to=1>(a)", {}, ""),
    "triangle": ("m = Trilu(h)", {}, "8"),
    "runs of rows": ("i = Constant<value_ints=[0, 1, 2]>() "
                     "j = Constant<value_ints=[3, 4, 5, 6, -1]>() "
                     "a = Gather<axis=1>(h, i) b = Gather<axis=1>(h, j) "
                     "m = Concat<axis=1>(b, a)", {}, "3 5"),
    "one row": ("i = Constant<value_int=0>() j = Constant<value_int=1>() a = Gather(h, i) "
                "b = Gather(h, j) m = Add(a, b)", {}, "8"),
    "rows in any order": ("i = Constant<value_ints=[5, 2]>() m = Gather<axis=1>(h, i)", {}, ""),
    "entries": ("z = Constant<value_ints=[2, 8, 4, 2]>() i = ConstantOfShape<value=int64[1] {3}>(z)"
                " m = GatherElements<axis=3>(h, i)", {}, "8"),
    "cells": ("z = Constant<value_ints=[3, 1]>() i = ConstantOfShape<value=int64[1] {1}>(z)"
              " m = GatherND(h, i)", {}, "8"),
    "written cells": ("z = Constant<value_ints=[1, 1]>() i = ConstantOfShape<value=int64[1] {1}>(z)"
                      " o = Constant<value_ints=[0]>() s = Constant<value_ints=[1]>()"
                      " u = Slice(h, o, s, o) t = Tanh(u) m = ScatterND(h, i, t)", {}, "8"),
    "written entries": ("z = Constant<value_ints=[2, 8, 4, 1]>() "
                        "i = ConstantOfShape<value=int64[1] {2}>(z) o = Constant<value_ints=[3]>() "
                        "u = ReduceMax(h, o) m = ScatterElements<axis=3>(h, i, u)", {}, "8"),
    "letters": ("m = Einsum<equation=\"...chw,...chv->...cwv\">(h, h)", {}, "8"),
    "product": ("t = Transpose<perm=[0, 1, 3, 2]>(h) m = MatMul(h, t)", {}, "8"),
    "copies": ("a = GlobalAveragePool(h) s = Shape(h) b = Expand(a, s) m = Mul(b, h)", {}, "8"),
    "tiles": ("s = Constant<value_ints=[1, 2, 1, 1]>() m = Tile(h, s)", {}, "8"),
    "other sizes": ("s = Constant<value_floats=[1.0, 1.0, 2.0, 1.5]>() m = Resize(h, , s)", {},
                    "8"),
    "known sizes": ("s = Constant<value_ints=[3, 3]>() m = Resize<axes=[2, 3]>(h, , , s)", {}, "8"),
    "codes": ("k = Constant<value_float=0.05>() z = Constant<value=int8 {0}>() "
              "a = QuantizeLinear(h, k, z) m = DequantizeLinear(a, k, z)", {}, "8"),
    "codes by channel": ("z = ConstantOfShape<value=int8[1] {0}>(e) k = Abs(p) "
                         "a = QuantizeLinear(h, k, z) m = DequantizeLinear(a, k, z)", {"p": (8,)},
                         "8"),
    "kernels": ("m = Conv<pads=[1, 1, 1, 1], strides=[2, 1], dilations=[1, 2]>(h, p, q)",
                {"p": (5, 8, 3, 3), "q": (5,)}, "8"),
    "kernels in groups": ("m = Conv<group=2>(h, p)", {"p": (6, 4, 3, 3)},
                          "2 4"),
    "kernels for each": ("m = Conv<group=8>(h, p)", {"p": (16, 1, 3, 3)}, "8"),
    "kernels back": ("m = ConvTranspose<strides=[2, 2], output_padding=[1, 0], pads=[0, 1, 0, 1]>"
                     "(h, p, q)", {"p": (8, 5, 3, 3), "q": (5,)}, "8"),
    "attention": ("m = Attention(h, h, h)", {}, "8"),
    "recurrent": ("a = Flatten<axis=2>(h) s = Constant<value_ints=[2, 8, 24]>() b = Reshape(a, s) "
                  "t = Transpose<perm=[2, 0, 1]>(b) m, l, c = LSTM<hidden_size=5, "
                  "direction=\"bidirectional\">(t, p, q)", {"p": (2, 20, 8), "q": (2, 20, 5)}, "8"),
    "one branch or the other": (
        "m = If(maybe) <then_branch = a () => (float[2, 8, 4, 6] t) { t = Relu(h) }, "
        "else_branch = b () => (float[2, 8, 4, 6] u) { u = Tanh(h) }>", {}, "8"),
    "a known branch": (
        "s = Shape(h) i = Constant<value_int=1>() n = Gather(s, i) k = Constant<value_int=8>() "
        "e8 = Equal(n, k) m = If(e8) <then_branch = a () => (float[2, 8, 4, 6] t) "
        "{ t = Relu(h) }, else_branch = b () => (float[2, 8, 4, 6] u) { u = CumSum(h, i) }>",
        {}, "8"),
}  # fmt: skip


def built(text, weights, rng):
    """A network around the nodes: a convolution before, a matrix that reads all behind."""
    head = ("agraph (float[2, 3, 4, 6] x, bool maybe) => (float[a, b] y) {"
            "zero = Constant<value_float=0.0>() yes = Greater(h, zero) "
            "e = Constant<value_ints=[8]>() ")  # fmt: skip
    head = head.replace("yes =", "h = Conv(x, w, v) yes =")
    graph = parser.parse_graph(
        f"{head}{text} last = Constant<value_ints=[1, -1]>() flat = Reshape(m, last) "
        "y = MatMul(flat, out) }"
    )
    arrays = {"w": rng.normal(size=(8, 3, 1, 1)), "v": rng.normal(size=8)}
    arrays |= {name: rng.uniform(0.5, 1.5, size=shape) for name, shape in weights.items()}
    probe = onnx.GraphProto()
    probe.CopyFrom(graph)
    del probe.node[-3:]
    probe.output[0].name = "m"
    value = run(model_of(probe, arrays), rng)[0]
    arrays["out"] = rng.normal(size=(value.size, 3)) / value.size**0.5
    return model_of(graph, arrays), value.shape


def model_of(graph, arrays):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    del model.graph.initializer[:]
    for name, array in arrays.items():
        held = numpy_helper.from_array(np.asarray(array, dtype=np.float32), name)
        model.graph.initializer.append(held)
    return model


def run(model, rng):
    x = np.random.default_rng(7).normal(size=(2, 3, 4, 6)).astype(np.float32)
    return ReferenceEvaluator(model).run(None, {"x": x, "maybe": np.array(True)})


def free_labels(labels, name):
    """Sizes of the free labels of the first dimension of a weight."""

    def within(factor):
        if isinstance(factor, int):
            yield factor
            return
        for part in factor:
            for inner in part:
                yield from within(inner)

    found = [labels.atoms[x] for x in dict.fromkeys(within(labels.dims[name][0]))]
    sizes = [f"{a.size}/{a.cells[0]}" if a.cells else f"{a.size}" for a in found if a.is_free]
    return " ".join(sizes)


@pytest.mark.parametrize("name", CASES)
def test_an_operation(name, tmp_path):
    text, weights, free = CASES[name]
    rng = np.random.default_rng(0)
    model, shape = built(text, weights, rng)
    onnx.save(model, tmp_path / "x.onnx")
    opened = open_model(tmp_path / "x.onnx")
    reading = best_reading(opened.networks[0](), opened.tensors)
    assert reading.failures == []
    assert reading.shape_of("m") == shape
    labels = labels_of(reading.graph())
    assert [why for _, why in labels.opaque if why != "opaque"] == []
    assert free_labels(labels, "w") == free
    arrays = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    arrays["out"] = arrays["out"].T  # as the reader shows it
    before = run(model, rng)[0]
    for seed in range(2):
        new = relabelled(labels, arrays, np.random.default_rng(seed))
        new["out"] = new["out"].T
        after = run(model_of(model.graph, new), rng)[0]
        np.testing.assert_allclose(after, before, atol=1e-4)
