"""Claim: a graph gives no axis that a formula, a reader outside, or a hostile file would break."""

import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper, parser  # noqa: E402

from tests.calls import n_calls  # noqa: E402
from weightkin.anatomy import read_anatomy  # noqa: E402
from weightkin.anatomy.onnx.formulas import follows_index  # noqa: E402
from weightkin.anatomy.onnx.network import best_reading  # noqa: E402
from weightkin.anatomy.onnx.read import axes_by_graph  # noqa: E402
from weightkin.formats import open_model  # noqa: E402

RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def saved(path, text, functions=(), **arrays):
    """A model of a graph in words and its weights, as a file."""
    graph = parser.parse_graph(text)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    onnx.save(model, path)
    return open_model(path)


def tensors(model):
    return [sorted({place.tensor for place in axis.places}) for axis in axes_by_graph(model)]


SPECTRUM = """agraph (float[1, 1, 400] x) => (float[1, 4, n] y) {
  s = Conv<strides=[16]>(x, basis) a, b = Split<axis=1, num_outputs=2>(s) c = Mul(a, a)
  d = Mul(b, b) e = Add(c, d) f = Sqrt(e) g = Transpose<perm=[0, 2, 1]>(f) h = MatMul(g, mel)
  i = Transpose<perm=[0, 2, 1]>(h) j = Conv(i, w, v) k = Relu(j) y = Conv(k, u) }"""


@pytest.mark.parametrize("is_formula", [True, False])
def test_a_spectrum_of_the_signal_is_no_axis(tmp_path, is_formula):
    at, n = np.arange(17)[:, None], np.arange(32)
    waves = np.concatenate([f(2 * np.pi * at * n / 32) for f in (np.cos, np.sin)]) * np.hanning(32)
    mel = np.maximum(0, 1 - np.abs(np.arange(17)[:, None] - np.linspace(1, 16, 12)) / 2)
    basis = waves.astype(np.float32)[:, None] if is_formula else drawn(34, 1, 32)
    mel = mel.astype(np.float32) if is_formula else drawn(17, 12)
    model = saved(tmp_path / "x.onnx", SPECTRUM, basis=basis, mel=mel, w=drawn(10, 12, 3),
                  v=drawn(10), u=drawn(4, 10, 1))  # fmt: skip
    found = tensors(model)
    assert ["u", "v", "w"] in found
    assert (["basis", "mel"] in found) is not is_formula
    assert (["mel", "w"] in found) is not is_formula


def test_rows_of_zeros_follow_no_formula():
    """As the first state of a scan that was unrolled."""
    assert not follows_index(np.zeros((16, 12), np.float32))


TEXT = """agraph (int64[batch, length] ids) => (float[batch, length, 5] y) {
  e = Gather(words, ids) s = Shape(ids) i = Constant<value_ints=[1]>() n = Gather(s, i)
  z = Constant<value_ints=[0]>() p = Slice(places, z, n, z) h = Add(e, p)
  a = MatMul(h, up) b = Gelu(a) c = MatMul(b, down) d = Add(h, c) y = MatMul(d, head) }"""


@pytest.mark.parametrize("is_formula", [True, False])
def test_a_width_with_sinusoids_is_no_axis_and_unread_positions_are_none(tmp_path, is_formula):
    i = np.arange(32)
    waves = np.sin(np.arange(99)[:, None] / 10_000 ** (i // 2 / 16) + np.pi / 2 * (i % 2))
    places = waves.astype(np.float32) if is_formula else drawn(99, 32)
    text = TEXT.replace("Gelu", "Tanh")
    model = saved(tmp_path / "x.onnx", text, words=drawn(30, 32), places=places,
                  up=drawn(32, 20), down=drawn(20, 32), head=drawn(32, 5))  # fmt: skip
    width = sorted(["words", "places", "up", "down", "head"])
    assert tensors(model) == [*([] if is_formula else [width]), ["down", "up"]]
    rows = [p for axis in axes_by_graph(model) for p in axis.places if p.tensor == "places"]
    assert all(place.dim == 1 for place in rows)


STEP = """agraph (float[1, batch, 6] x, float[1, batch, 9] h, float[1, batch, 9] c) => (OUT) {
  s, hn, cn = LSTM<hidden_size=9>(x, w, r, , , h, c) z = Constant<value_ints=[0, 0, -1]>()
  o = Reshape(s, z) y = MatMul(s, out) }"""


@pytest.mark.parametrize("is_handed_back", [True, False])
def test_states_that_are_handed_back_are_no_data(tmp_path, is_handed_back):
    ends = ["float[1, 1, batch, 4] y", "float[1, batch, 9] hn", "float[1, batch, 9] cn"]
    text = STEP.replace("OUT", ", ".join(ends if is_handed_back else ends[:1]))
    model = saved(tmp_path / "x.onnx", text, w=drawn(1, 36, 6), r=drawn(1, 36, 9),
                  out=drawn(9, 4))  # fmt: skip
    assert tensors(model) == ([["out", "r", "w"]] if is_handed_back else [])


def test_what_runs_in_either_case_has_its_axes(tmp_path):
    text = """agraph (float[1, 8] x, bool is_wide) => (float[1, 3] y) {
      y = If(is_wide) <then_branch = t () => (float[1, 3] p) {
        a = MatMul(x, a1) b = Relu(a) p = MatMul(b, a2) },
      else_branch = e () => (float[1, 3] q) {
        c = MatMul(x, b1) d = Tanh(c) q = MatMul(d, b2) }> }"""
    model = saved(tmp_path / "x.onnx", text, a1=drawn(8, 9), a2=drawn(9, 3), b1=drawn(8, 10),
                  b2=drawn(10, 3))  # fmt: skip
    assert tensors(model) == [["a1", "a2"], ["b1", "b2"]]


def test_functions_and_loops_are_followed(tmp_path):
    text = """agraph (float[1, 8] x) => (float[1, 3] y) { h = own.dense(x, a, v) g = Relu(h)
      n = Constant<value_int=2>() t = Constant<value=bool {1}>()
      l = Loop(n, t, g) <body = b (int64 i, bool u, float[1, 9] w) => (bool u2, float[1, 9] w2) {
        u2 = Identity(u) z = Tanh(w) w2 = MatMul(z, c) }> k = MatMul(l, d) m = Relu(k)
      y = MatMul(m, f) }"""
    dense = parser.parse_function(
        '<domain: "own", opset_import: ["" : 18]> dense (p, q, r) => (s) '
        "{ t = MatMul(p, q) s = Add(t, r) }"
    )
    model = saved(tmp_path / "x.onnx", text, [dense], a=drawn(8, 9), v=drawn(9), c=drawn(9, 9),
                  d=drawn(9, 11), f=drawn(11, 3))  # fmt: skip
    assert tensors(model) == [["a", "c", "d", "v"], ["d", "f"]]


def test_names_that_are_known_keep_their_axes_and_heads_come_from_the_graph(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=32,
    )

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = transformers.BertModel(config).eval()

        def forward(self, ids):
            return self.bert(input_ids=ids).pooler_output

    path = tmp_path / "x.onnx"
    ids = torch.ones(2, 7, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Plain(), (ids,), path, dynamo=False, input_names=["ids"])
    anatomy = read_anatomy(open_model(path))
    assert anatomy.family == "bert-like"
    found = {(axis.stack, axis.kind, axis.head_size) for axis in anatomy.axes}
    assert found == {
        ("encoder", "units", 0), ("encoder", "vo", 16), ("encoder", "heads", 16),
        ("encoder", "residual", 0),
    }  # fmt: skip


def read(path, text, functions=(), **arrays):
    """A model whose graph was read with little work."""
    model = saved(path, text, functions, **arrays)
    assert n_calls(lambda: read_anatomy(model)) < 5_000_000
    return model


@pytest.mark.claim
def test_hostile_graphs_cost_little(tmp_path):
    again = " ".join(f"b{i} = own.again(b{i - 1})" for i in range(1, 20))
    again = parser.parse_function(
        f'<domain: "own", opset_import: ["" : 18, "own" : 1]> again (b0) => (b19) {{ {again} }}'
    )
    w = drawn(8, 9)
    net = "agraph (float[1, 8] x) => (float[1, 9] y) {{ a = MatMul(x, w) {} }}"
    read(tmp_path / "function.onnx", net.format("y = own.again(a)"), [again], w=w)
    copies = " ".join(f"b{i} = Concat<axis=0>(b{i - 1}, b{i - 1})" for i in range(1, 200))
    read(tmp_path / "doubles.onnx", net.format(f"b0 = Identity(a) {copies} y = Relu(b0)"), w=w)
    copies = " ".join(f"c{i} = Tile(c{i - 1}, k)" for i in range(1, 60))
    known = f"k = Constant<value_ints=[4]>() c0 = Shape(a) {copies} y = Relu(a)"
    read(tmp_path / "tiles.onnx", net.format(known), w=w)
    many = " ".join(f"n{i} = ConstantOfShape(s)" for i in range(3000))
    filled = f"s = Constant<value_ints=[60000]>() {many} y = Relu(a)"
    read(tmp_path / "filled.onnx", net.format(filled), w=w)
    wide = net.replace("[1, 8] x", "[9000000000000000000, 8] x").format("y = Relu(a)")
    read(tmp_path / "wide.onnx", wide, w=w)
    ways = "agraph (float[1, 1, 1] x) => (float[1] y) { y = LSTM<hidden_size=1>(x, w, w) }"
    read(tmp_path / "ways.onnx", ways, w=np.zeros((100_000, 4, 1), np.float32))
    loop = read(tmp_path / "loop.onnx", net.format("y = Add(z, a) z = Relu(y)"), w=w)
    assert best_reading(loop.networks[0](), loop.tensors).failures
