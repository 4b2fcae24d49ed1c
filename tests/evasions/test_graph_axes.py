"""Claim: axes that come from a graph are relabelled wherever they stand, and outputs stay."""

import numpy as np
import pytest

from tests.anatomy.relabel import Net, run
from weightkin.anatomy.graph.labels import labels_of
from weightkin.anatomy.graph.units import graph_axes
from weightkin.anatomy.types import Anatomy
from weightkin.errors import UsageError
from weightkin.evasions import frame, permute_units, split_units


def _channels(net):
    x = net.input("x", net.rng.normal(size=(2, 3, 8)))
    a = net("group_norm", net("convolution", x, net.weight("a", 24, 3, 3)), groups=3)
    b = net.act(net("convolution", net.act(a), net.weight("b", 16, 24, 3)))
    return net.linear(net("reshape", b, shape=(2, 128)), "y", 128, 3)


def _gates(net):
    """Two steps of a gated cell: its label stands along rows and columns of one matrix."""
    x = net.input("x", net.rng.normal(size=(2, 5)))
    state, w, r = "", net.weight("w", 24, 5), net.weight("r", 24, 8)
    for _ in range(2):
        z = net("einsum", x, w, terms=("ni", "oi"), out="no")
        if state:
            z = net.act(z, net("einsum", state, r, terms=("ni", "oi"), out="no"), fn=np.add)
        gates = [net("slice", z, shape=(2, 8), dim=1, start=8 * i, stop=8 * i + 8, step=1)
                 for i in range(3)]  # fmt: skip
        state = net.act(*gates, fn=lambda a, b, c: np.tanh(a) * b + c)
    return net.linear(state, "y", 8, 3)


def _values(net):
    """Three queries read each of two value heads."""
    x = net.input("x", net.rng.normal(size=(5, 6)))
    v = net("reshape", net.linear(x, "v", 6, 8), shape=(5, 2, 1, 4))
    v = net("reshape", net("expand", v, shape=(5, 2, 3, 4)), shape=(5, 6, 4))
    mixed = net("einsum", net.weight("s", 6, 5, 5), v, terms=("hij", "jhd"), out="ihd")
    return net.linear(net("reshape", mixed, shape=(5, 24)), "o", 24, 2)


@pytest.mark.parametrize("build", [_channels, _gates, _values])
def test_outputs_stay_and_a_wrong_order_changes_them(rng, build):
    net = Net()
    graph = net.graph(build(net))
    axes = graph_axes(labels_of(graph), {k: w.shape for k, w in net.weights.items()})
    anatomy = Anatomy("graph", (("graph", len(axes)),), tuple(axes), ())
    before = run(graph, net.weights, net.inputs)[0]
    moved = permute_units(net.weights, anatomy, rng).arrays
    assert any(not np.array_equal(moved[k], net.weights[k]) for k in net.weights)
    after = run(graph, moved, net.inputs)[0]
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    if any(axis.head_size for axis in axes):
        return
    name = axes[0].places[0].tensor
    broken = {**net.weights, name: net.weights[name][rng.permutation(len(net.weights[name]))]}
    assert np.abs(run(graph, broken, net.inputs)[0] - before).max() > 1e-2


def test_framing_stays_inside_cells_and_keeps_outputs(rng):
    net, other = Net(), Net(1)
    graph = net.graph(_channels(net))
    other.graph(_channels(other))
    axes = graph_axes(labels_of(graph), {k: w.shape for k, w in net.weights.items()})
    anatomy = Anatomy("graph", (("graph", len(axes)),), tuple(axes), ())
    moved = frame(net.weights, anatomy, other.weights, with_rotation=False).arrays
    before, after = (run(graph, w, net.inputs)[0] for w in (net.weights, moved))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)

    def likeness(weights):
        return sum(np.vdot(weights[k], other.weights[k]) for k in weights)

    assert likeness(moved) > likeness(net.weights)


def test_rewrites_that_need_an_mlp_refuse(rng):
    net = Net()
    axes = graph_axes(
        labels_of(net.graph(_channels(net))), {k: w.shape for k, w in net.weights.items()}
    )
    anatomy = Anatomy("graph", (("graph", len(axes)),), tuple(axes), ())
    with pytest.raises(UsageError):
        split_units(net.weights, anatomy, rng)
