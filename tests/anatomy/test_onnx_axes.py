"""Claim: axes of an ONNX file follow from its graph, whatever the names, and leave it as it was."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from tests.anatomy.moves import moved  # noqa: E402
from tests.anatomy.onnx_nets import NETS, exported, inputs_of, with_weights  # noqa: E402
from weightkin import compare  # noqa: E402
from weightkin.anatomy import read_anatomy  # noqa: E402
from weightkin.anatomy.onnx.read import axes_by_graph, reach  # noqa: E402
from weightkin.formats import open_model  # noqa: E402


class Bench:
    """An ONNX file whose weights can be moved, and run again."""

    def __init__(self, model, path, inputs):
        self.model, self.inputs = model, inputs
        self.opened = open_model(path)
        self.weights = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
        self.turned = {x.name for x in self.opened.networks[0]().shown.values() if x.is_turned}
        self.before = self.run({})

    def run(self, moves):
        moved = {}
        for name, order in moves.items():
            w = self.weights[name]
            w = w.swapaxes(-1, -2) if name in self.turned else w
            new = w.reshape(-1)[order].reshape(w.shape)
            moved[name] = np.ascontiguousarray(new.swapaxes(-1, -2) if name in self.turned else new)
        return ReferenceEvaluator(with_weights(self.model, moved)).run(None, self.inputs)

    def change(self, moves):
        after = self.run(moves)
        return max(float(np.abs(x - y).max()) for x, y in zip(self.before, after, strict=True))


AXES = {  # units and cells of every axis, in the order in which the network computes them
    "convolutional": "12 24 24 24 10 8 24/8 9",
    "unet": "12/4 16 10 8",
    "lstm": "9 9 10",
    "gru": "9 9 10",
    "encoder": "16 16/8 24 16/8 24",
}
FIXED = {  # a weight and a dimension that may not be relabelled
    "convolutional": ("t12", 0),
    "unet": ("t0", 1),
    "lstm": ("t3", 2),
    "gru": ("t0", 0),
    "encoder": ("t0", 0),
}


@pytest.mark.parametrize("name", NETS)
def test_relabelling_an_axis_leaves_the_outputs(name, tmp_path):
    path = tmp_path / "x.onnx"
    bench = Bench(exported(name, path), path, inputs_of(name))
    axes = axes_by_graph(bench.opened)
    shown = [f"{x.n_units}/{x.head_size}" if x.head_size else f"{x.n_units}" for x in axes]
    assert " ".join(shown) == AXES[name]
    assert reach(bench.opened, axes) > 0.99 * sum(w.size for w in bench.weights.values())
    shapes = {key: info.shape for key, info in bench.opened.tensors.items()}
    rng = np.random.default_rng(0)
    for axis in axes:
        move = moved(axis, shapes, rng)
        assert bench.change(move) < 1e-4
        first = max(move, key=lambda x: bench.weights[x].size)
        rest = {key: order for key, order in move.items() if key != first}
        assert bench.change(rest) > 1e-3  # one tensor left as it was
    tensor, dim = FIXED[name]
    entries = np.arange(bench.weights[tensor].size).reshape(shapes[tensor])
    assert bench.change({tensor: np.roll(entries, 1, dim).reshape(-1)}) > 1e-3


@pytest.mark.parametrize("name", ["convolutional", "lstm", "encoder"])
def test_a_noisy_child_is_found_and_an_unrelated_model_is_not(name, tmp_path):
    rng = np.random.default_rng(1)
    parent = exported(name, tmp_path / "parent.onnx")
    noisy = {}
    for tensor in parent.graph.initializer:
        w = numpy_helper.to_array(tensor)
        if w.dtype == np.float32 and w.size > 1:
            noise = 0.1 * w.std() * rng.normal(size=w.shape)
            noisy[tensor.name] = (w + noise).astype(np.float32)
    onnx.save(with_weights(parent, noisy), tmp_path / "child.onnx")
    exported(name, tmp_path / "other.onnx", seed=1)
    models = {x: open_model(tmp_path / f"{x}.onnx") for x in ("parent", "child", "other")}
    related = compare(models["parent"], models["child"])
    unrelated = compare(models["parent"], models["other"])
    assert related.verdict == "dependent"
    assert unrelated.verdict == "no-evidence"


def test_tables_that_a_graph_computes_with_do_not_hide_what_names_say():
    """A model and its export are read alike, so that what came of either is found from both."""
    folder = Path(__file__).parents[1] / "fixtures" / "graphs"
    own, other = (read_anatomy(open_model(folder / x)) for x in ("llama", "llama.onnx"))
    kinds = [
        {(axis.stack, axis.block, axis.kind, axis.n_units) for axis in x.axes if axis.kind != "vo"}
        for x in (own, other)  # of one head that no config states, its size is not certain
    ]
    assert kinds[0] == kinds[1]
    assert ("decoder", -1, "residual", 16) in kinds[1]
