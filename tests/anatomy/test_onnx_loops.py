"""Claim: weights inside a loop have axes where its body is read, proven by running; else none."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from tests.anatomy.moves import moved  # noqa: E402
from tests.anatomy.onnx_nets import with_weights  # noqa: E402
from tests.anatomy.test_onnx_graph import drawn, saved  # noqa: E402
from weightkin.anatomy.onnx.read import axes_by_graph  # noqa: E402

LOOP = """net (float[1, 8] x) => (float[1, 3] y) {{ g = MatMul(x, a)
  n = Constant<value_int=3>() t = Constant<value=bool {{1}}>()
  l, rows = Loop(n, t, g) <body = b (int64 i, bool u, float[1, 9] w)
    => (bool u2, float[1, 9] w2, float[1, 10] r) {{
      u2 = Identity(u) p = MatMul(w, c) q = Tanh(p) w2 = Add(q, w) k = MatMul(w2, {0})
      r = Relu(k) }}>
  s = ReduceSum<keepdims=0>(rows, zero) e = MatMul(l, d) f = MatMul(s, h) y = Add(e, f) }}"""
SCAN = """net (float[7, 6] x) => (float[7, 3] y) {
  h = Constant<value=float[9] {0, 0, 0, 0, 0, 0, 0, 0, 0}>()
  last, all = Scan<num_scan_inputs=1,
    body = b (float[9] s, float[6] v) => (float[9] s2, float[9] o) {
      p = MatMul(v, w) q = MatMul(s, r) z = Add(p, q) s2 = Tanh(z) o = Relu(s2) }>(h, x)
  y = MatMul(all, d) }"""
GROWS = """net (float[1, 9] x) => (float[m, 3] y) { g = MatMul(x, a)
  n = Constant<value_int=3>() t = Constant<value=bool {1}>()
  l = Loop(n, t, g) <body = b (int64 i, bool u, float[k, 9] w) => (bool u2, float[j, 9] w2) {
    u2 = Identity(u) z = MatMul(w, c) w2 = Concat<axis=0>(w, z) }>
  y = MatMul(l, d) }"""


def drawn_for_loop():
    return {"a": drawn(8, 9), "c": drawn(9, 9) / 4, "e0": drawn(9, 10), "d": drawn(9, 3),
            "h": drawn(10, 3), "zero": np.array([0])}  # fmt: skip


def drawn_for_scan():
    return {"w": drawn(6, 9), "r": drawn(9, 9) / 4, "d": drawn(9, 3)}


@pytest.mark.parametrize(
    ("text", "arrays", "shape", "expected"),
    [(LOOP.format("e0"), drawn_for_loop, (1, 8), [9, 10]), (SCAN, drawn_for_scan, (7, 6), [9])],
)
def test_relabelling_what_a_loop_carries_leaves_the_outputs(
    text, arrays, shape, expected, tmp_path
):
    opened = saved(tmp_path / "x.onnx", text, **arrays())
    axes = axes_by_graph(opened)
    assert [x.n_units for x in axes] == expected
    model = onnx.load(tmp_path / "x.onnx")
    own = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    turned = {x.name for x in opened.networks[0]().shown.values() if x.is_turned}
    shapes = {key: info.shape for key, info in opened.tensors.items()}
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=shape).astype(np.float32)}

    def run(moves):
        new = {}
        for key, order in moves.items():
            if key not in own:  # a start of zeros
                continue
            w = own[key].T if key in turned else own[key]
            w = w.reshape(-1)[order].reshape(w.shape)
            new[key] = np.ascontiguousarray(w.T if key in turned else w)
        return ReferenceEvaluator(with_weights(model, new)).run(None, inputs)[0]

    before = run({})
    for axis in axes:
        move = moved(axis, shapes, rng)
        assert np.abs(run(move) - before).max() < 1e-4
        for left in move.keys() & own.keys():
            rest = {key: order for key, order in move.items() if key != left}
            assert np.abs(run(rest) - before).max() > 1e-3


def test_a_loop_whose_body_is_not_read_fixes_all_that_it_holds(tmp_path):
    arrays = {"a": drawn(9, 9), "c": drawn(9, 9), "d": drawn(9, 3)}
    assert axes_by_graph(saved(tmp_path / "x.onnx", GROWS, **arrays)) == []
