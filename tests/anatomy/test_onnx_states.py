"""Claim: a state that a network is handed and hands back is free, whatever makes it; data are not.

Every axis is proven by running the network for some steps, its outputs put in as states again.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from tests.anatomy.moves import moved  # noqa: E402
from tests.anatomy.onnx_nets import with_weights  # noqa: E402
from tests.anatomy.test_onnx_graph import drawn, saved  # noqa: E402
from weightkin.anatomy.onnx.read import axes_by_graph  # noqa: E402

GATED = """
  p{0} = MatMul({1}, wz{0}) q{0} = MatMul(s{0}, uz{0}) g{0} = Add(p{0}, q{0}) z{0} = Sigmoid(g{0})
  i{0} = MatMul({1}, wn{0}) t{0} = Tanh(i{0}) k{0} = Mul(z{0}, s{0}) v{0} = Sub(one, z{0})
  m{0} = Mul(v{0}, t{0}) n{0} = Add(k{0}, m{0})"""
LAYERS = (
    "net (float[1, 5] x, float[1, 2, 9] {0}) => (float[1, 4] y, float[1, 2, 9] {0}_out) {{"
    " one = Constant<value_float=1.0>() zero = Constant<value_int=0>()"
    " two = Constant<value_int=1>() s0 = Gather<axis=1>({0}, zero) s1 = Gather<axis=1>({0}, two)"
    + GATED.format(0, "x")
    + GATED.format(1, "n0")
    + " y = MatMul(n1, out) d = Constant<value_ints=[1]>() a = Unsqueeze(n0, d)"
    " b = Unsqueeze(n1, d) {0}_out = Concat<axis=1>(a, b) }}"
)
CELL = """net (float[1, 5] x, float[1, 9] h, float[1, 9] c) => (float[1, 4] y, float[1, 9] hn,
  float[1, 9] cn) { a = MatMul(x, w) b = MatMul(h, u) s = Add(a, b)
  i, f, g, o = Split<axis=1, num_outputs=4>(s) i1 = Sigmoid(i) f1 = Sigmoid(f) g1 = Tanh(g)
  o1 = Sigmoid(o) j = Mul(f1, c) k = Mul(i1, g1) cn = Add(j, k) t = Tanh(cn) hn = Mul(o1, t)
  r = Relu(hn) y = MatMul(r, out) }"""
ATTENTION = """net (float[1, 1, 10] x, float[1, 2, p, 8] past_value, float[1, 2, p, 6] past_key)
  => (float[1, 1, 10] y, float[1, 2, q, 8] present_value, float[1, 2, q, 6] present_key) {
  sv = Constant<value_ints=[1, 1, 2, 8]>() sk = Constant<value_ints=[1, 1, 2, 6]>()
  so = Constant<value_ints=[1, 1, 16]>()
  a = MatMul(x, v) a1 = Reshape(a, sv) a2 = Transpose<perm=[0, 2, 1, 3]>(a1)
  b = MatMul(x, k) b1 = Reshape(b, sk) b2 = Transpose<perm=[0, 2, 1, 3]>(b1)
  c = MatMul(x, q) c1 = Reshape(c, sk) c2 = Transpose<perm=[0, 2, 1, 3]>(c1)
  present_value = Concat<axis=2>(past_value, a2) present_key = Concat<axis=2>(past_key, b2)
  t = Transpose<perm=[0, 1, 3, 2]>(present_key) s = MatMul(c2, t) p1 = Softmax<axis=3>(s)
  m = MatMul(p1, present_value) m1 = Transpose<perm=[0, 2, 1, 3]>(m) m2 = Reshape(m1, so)
  y = MatMul(m2, o) }"""
MASK = """net (float[1, 9] {0}, float[1, 5] x) => (float[1, 9] {0}_out) {{ a = MatMul({0}, w)
  b = Relu(a) c = MatMul(b, u) d = Sigmoid(c) {0}_out = Mul(d, {0}) }}"""


def layers():
    one = {f"{n}0": drawn(5, 9) for n in ("wz", "wn")} | {
        f"{n}1": drawn(9, 9) for n in ("wz", "wn")
    }
    return one | {"uz0": drawn(9, 9), "uz1": drawn(9, 9), "out": drawn(9, 4)}


NETS = {  # network, weights, shapes of the states, units and cells of its axes
    "layers": (LAYERS.format("hidden"), layers, [(1, 2, 9)], "9 9"),
    "cell": (CELL, lambda: {"w": drawn(5, 36), "u": drawn(9, 36), "out": drawn(9, 4)},
             [(1, 9), (1, 9)], "9"),
    "attention": (ATTENTION, lambda: {"v": drawn(10, 16), "k": drawn(10, 12), "q": drawn(10, 12),
                  "o": drawn(16, 10)}, [(1, 2, 1, 8), (1, 2, 1, 6)], "16/8 12/6"),
}  # fmt: skip


def run(model, weights, states):
    """Outputs of three steps."""
    net = ReferenceEvaluator(with_weights(model, weights))
    rng, names = np.random.default_rng(0), [x.name for x in model.graph.input]
    shape = [x.dim_value for x in model.graph.input[0].type.tensor_type.shape.dim]
    found, values = [], [np.zeros(x, np.float32) for x in states]
    for _ in range(3):
        x = rng.normal(size=shape).astype(np.float32)
        y, *values = net.run(None, dict(zip(names, [x, *values], strict=True)))
        found.append(y)
    return np.concatenate(found)


@pytest.mark.parametrize("name", NETS)
def test_relabelling_a_state_leaves_all_steps(name, tmp_path):
    text, weights, states, expected = NETS[name]
    opened = saved(tmp_path / "x.onnx", text, **weights())
    axes = axes_by_graph(opened)
    shown = [f"{x.n_units}/{x.head_size}" if x.head_size else f"{x.n_units}" for x in axes]
    assert " ".join(shown) == expected
    model = onnx.load(tmp_path / "x.onnx")
    own = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    turned = {x.name for x in opened.networks[0]().shown.values() if x.is_turned}
    shapes = {key: info.shape for key, info in opened.tensors.items()}
    before, rng = run(model, {}, states), np.random.default_rng(0)

    def change(moves):
        new = {}
        for key, order in moves.items():
            w = own[key].T if key in turned else own[key]
            new[key] = w.reshape(-1)[order].reshape(w.shape)
            new[key] = np.ascontiguousarray(new[key].T if key in turned else new[key])
        return float(np.abs(run(model, new, states) - before).max())

    for axis in axes:
        move = moved(axis, shapes, rng)
        assert change(move) < 1e-4
        for left in move:
            assert change({key: order for key, order in move.items() if key != left}) > 1e-3


@pytest.mark.parametrize("name", ["x0", "state", "cache"])
def test_what_is_masked_and_returned_is_data(name, tmp_path):
    text = MASK.format(name)
    opened = saved(tmp_path / "x.onnx", text, w=drawn(9, 20), u=drawn(20, 9))
    assert [x.n_units for x in axes_by_graph(opened)] == [20]


@pytest.mark.parametrize("name", ["x0", "data"])
def test_a_gate_alone_makes_no_state(name, tmp_path):
    opened = saved(tmp_path / "x.onnx", LAYERS.format(name), **layers())
    assert axes_by_graph(opened) == []
