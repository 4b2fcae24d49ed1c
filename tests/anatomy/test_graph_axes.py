"""Claim: labels become axes whose places hold exactly their units, and views that stay valid."""

import numpy as np

from tests.anatomy.relabel import Net
from weightkin.anatomy.graph.labels import labels_of
from weightkin.anatomy.graph.units import graph_axes


def _axes(net, *outputs, free=()):
    labels = labels_of(net.graph(*outputs, free=free))
    return graph_axes(labels, {k: w.shape for k, w in net.weights.items()})


def _shown(axis):
    return {
        (p.tensor, p.dim, p.start, p.size, p.outer, p.inner, p.repeat, p.index, p.role[:2])
        for p in axis.places
    }


def _x(net, *shape):
    return net.input("x", net.rng.normal(size=shape))


def test_stream_comes_before_the_units_that_read_it():
    net = Net()
    h = net.linear(_x(net, 3, 5), "embed", 5, 8)
    for i in range(2):
        m = net.linear(net.act(net.linear(h, f"up{i}", 8, 9)), f"down{i}", 9, 8)
        h = net.act(h, m, fn=np.add)
    stream, first, second = _axes(net, net.linear(h, "head", 8, 3))
    assert stream.n_units == 8
    # hidden units run along what writes into the stream, so of its matrices only the first is one
    assert {p.tensor for p in stream.places if p.role.startswith("w:")} == {"embed"}
    assert {p.tensor for p in stream.places} == {"embed", "up0", "down0", "up1", "down1", "head"}
    assert _shown(first) == {
        ("up0", 0, 0, 9, 1, 1, 1, None, "w:"),
        ("down0", 1, 0, 9, 1, 1, 1, None, "w:"),
    }
    assert (first.block, second.block) == (1, 2)


def test_channels_are_tested_by_what_computes_them():
    net = Net()
    a = net.act(net("convolution", _x(net, 2, 3, 8), net.weight("a", 8, 3, 3)))
    b = net.act(net("convolution", a, net.weight("b", 9, 8, 3)))
    y = net.linear(net("reshape", b, shape=(2, 72)), "y", 72, 3)
    first, second = _axes(net, y)
    assert _shown(first) == {
        ("a", 0, 0, 8, 1, 1, 1, None, "w:"),
        ("b", 1, 0, 8, 1, 1, 1, None, "b:"),  # channels of b come later
    }
    assert _shown(second) == {
        ("b", 0, 0, 9, 1, 1, 1, None, "w:"),
        ("y", 1, 0, 72, 1, 8, 1, None, "w:"),
    }


def test_a_matrix_that_carries_a_label_twice_is_no_view():
    net = Net()
    h = net.linear(_x(net, 3, 5), "embed", 5, 8)
    h = net.act(h, net.linear(net.act(h), "inner", 8, 8), fn=np.add)
    (stream,) = _axes(net, net.linear(h, "head", 8, 6))
    roles = {(p.tensor, p.dim): p.role[:2] for p in stream.places}
    assert roles == {
        ("embed", 0): "w:", ("inner", 0): "b:", ("inner", 1): "b:", ("head", 1): "w:"
    }  # fmt: skip


def test_heads_cells_and_experts():
    net = Net()
    x = _x(net, 5, 6)
    v = net("reshape", net.linear(x, "v", 6, 8), shape=(5, 2, 1, 4))
    v = net("reshape", net("expand", v, shape=(5, 2, 3, 4)), shape=(5, 6, 4))
    s = net.weight("s", 6, 5, 5)
    mixed = net("einsum", s, v, terms=("hij", "jhd"), out="ihd")
    y = net.linear(net("reshape", mixed, shape=(5, 24)), "o", 24, 2)
    (vo,) = _axes(net, y)
    assert (vo.n_units, vo.head_size) == (8, 4)
    assert _shown(vo) == {
        ("v", 0, 0, 8, 1, 1, 1, None, "w:"),
        ("o", 1, 0, 24, 1, 1, 3, None, "w:"),
    }

    net = Net()
    a = net.act(net("group_norm", net("convolution", _x(net, 2, 3, 8), net.weight("a", 12, 3, 3)),
                    groups=3))  # fmt: skip
    (channels,) = _axes(net, net("convolution", a, net.weight("c", 2, 12, 3)))
    assert (channels.n_units, channels.head_size, channels.group) == (
        12,
        4,
        "S_4 in each of 3 cells",
    )

    net = Net()
    up, down = net.weight("up", 2, 9, 4), net.weight("down", 2, 4, 9)
    h = net.act(net("einsum", _x(net, 5, 4), up, terms=("td", "ehd"), out="teh"))
    out = net("einsum", h, down, terms=("teh", "edh"), out="td")
    first, second = _axes(net, out)
    assert (first.name, second.name) == ("units.0", "units.1")
    assert _shown(second) == {
        ("up", 0, 0, 9, 1, 1, 1, 1, "w:"),
        ("down", 1, 0, 9, 1, 1, 1, 1, "w:"),
    }


def test_heads_that_a_matrix_shows_alone_come_before_what_stands_in_them():
    net = Net()
    x, places = _x(net, 5, 6), net.input("places", net.rng.normal(size=(5, 2)))
    q = net("reshape", net.linear(x, "q", 6, 18), shape=(5, 9, 2))
    v = net("reshape", net.linear(x, "v", 6, 36), shape=(5, 9, 4))
    scores = net("einsum", q, places, terms=("ihd", "id"), out="ih")
    mixed = net("einsum", scores, v, terms=("ih", "ihd"), out="ihd")
    heads, vo = _axes(net, net.linear(net("reshape", mixed, shape=(5, 36)), "o", 36, 5))
    assert _shown(heads) == {
        ("q", 0, 0, 18, 1, 2, 1, None, "w:"),
        ("v", 0, 0, 36, 1, 4, 1, None, "b:"),  # its rows have an order that is not known yet
        ("o", 1, 0, 36, 1, 4, 1, None, "b:"),
    }
    assert (heads.n_units, vo.n_units, vo.head_size) == (9, 36, 4)
    assert {role for *_, role in _shown(vo)} == {"w:"}


def test_matrices_that_lie_on_streams_alone_are_views_of_them():
    net = Net()
    t = net.act(net.linear(net.input("t", net.rng.normal(size=(3, 4))), "time", 4, 9))
    h = net.linear(_x(net, 3, 5), "embed", 5, 8)
    for i in range(10):
        h = net.act(h, net.linear(t, f"gate{i}", 9, 8), fn=np.add)
    axes = _axes(net, net.linear(h, "head", 8, 3))
    assert {axis.block for axis in axes} == {-1}
    views = [p.tensor for axis in axes for p in axis.places if p.role.startswith("w:")]
    assert {f"gate{i}" for i in range(10)} <= {*views}
    stream = next(axis for axis in axes if axis.n_units == 8)
    more = [axis for axis in axes if axis.labels == stream.labels and axis.name != stream.name]
    assert more
    assert all(len(axis.places) == len(stream.places) for axis in more)
    assert len({axis.name for axis in axes}) == len(axes)
