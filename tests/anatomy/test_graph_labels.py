"""Claim: labels of a graph are symmetries of the network, all that a rule can see, never more."""

import numpy as np
import pytest

from tests.anatomy.relabel import Net, relabelled, run
from weightkin.anatomy.graph.ir import Node
from weightkin.anatomy.graph.labels import labels_of


def _x(net, *shape):
    return net.input("x", net.rng.normal(size=shape))


def _check(net, *outputs, free=()):
    """Relabel at random and compare outputs; every free atom alone must move some weight."""
    graph = net.graph(*outputs, free=free)
    labels = labels_of(graph)
    given = {**net.inputs, **{k: net.values[k] for k in net.constants}}
    before = run(graph, net.weights, given)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        new = relabelled(labels, net.weights, rng)
        for x, y in zip(before, run(graph, new, given), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-9)
    return labels


def _free(labels, name, dim):
    """Atoms of a dimension, outermost first, as (size, free, cells, number of within)."""
    (part,) = labels.dims[name][dim]
    found = [labels.atoms[x] for x in part]
    return [(a.size, a.is_free, a.cells, len(a.within)) for a in found]


def test_hidden_units_of_a_gated_mlp_are_one_label():
    net = Net()
    x = _x(net, 3, 4)
    both = net.linear(x, "gate_up", 4, 14)
    gate = net("slice", both, dim=1, start=0, stop=7, step=1)
    up = net("slice", both, dim=1, start=7, stop=14, step=1)
    h = net.act(gate, up, fn=lambda a, b: np.tanh(a) * b)
    y = net.linear(h, "down", 7, 5)
    labels = _check(net, y)
    first, second = labels.dims["gate_up"][0]
    assert first == second == labels.dims["down"][1][0]
    assert _free(labels, "down", 1) == [(7, True, (), 0)]
    assert _free(labels, "down", 0) == [(5, False, (), 0)]


def test_outputs_that_nobody_reads_by_position_are_free():
    net = Net()
    y = net.linear(_x(net, 3, 4), "w", 4, 5)
    assert _free(labels_of(net.graph(y, free=[(y, 1)])), "w", 0) == [(5, True, (), 0)]


def test_residual_stream_and_layer_norm():
    net = Net()
    h = net.linear(_x(net, 3, 4), "embed", 4, 6)
    for i in range(2):
        normed = net.act(h, fn=lambda v: (v - v.mean(-1, keepdims=True)) / v.std(-1, keepdims=True),
                         along=(1,))  # fmt: skip
        normed = net.act(normed, net.weight(f"gain{i}", 6), fn=np.multiply)
        m = net.linear(net.act(net.linear(normed, f"up{i}", 6, 9)), f"down{i}", 9, 6)
        h = net.act(h, m, fn=np.add)
    y = net.linear(h, "head", 6, 3)
    labels = _check(net, y)
    stream = labels.dims["embed"][0]
    assert labels.dims["gain1"] == (stream,)
    assert labels.dims["down0"][0] == labels.dims["up1"][1] == labels.dims["head"][1] == stream
    assert labels.dims["up0"][0] != labels.dims["up1"][0]
    assert all(labels.atoms[x].is_free for x in (stream[0][0], labels.dims["up0"][0][0][0]))


@pytest.mark.parametrize("is_rotary", [False, True])
def test_heads_of_grouped_queries(is_rotary):
    net, n_kv, n_rep, dim = Net(), 2, 3, 4
    x = _x(net, 5, 6)
    q = net.linear(x, "q", 6, n_kv * n_rep * dim)
    k, v = net.linear(x, "k", 6, n_kv * dim), net.linear(x, "v", 6, n_kv * dim)
    q = net("reshape", q, shape=(5, n_kv * n_rep, dim))
    k, v = (net("reshape", t, shape=(5, n_kv, dim)) for t in (k, v))
    if is_rotary:
        table = net.constant("cos", np.cos(np.arange(20.0).reshape(5, 1, 4)))
        q, k = (net.act(t, table, fn=np.multiply) for t in (q, k))
    k, v = (net("reshape", net("expand", net("reshape", t, shape=(5, n_kv, 1, dim)),
                               shape=(5, n_kv, n_rep, dim)), shape=(5, n_kv * n_rep, dim))
            for t in (k, v))  # fmt: skip
    scores = net.softmax(net("einsum", q, k, terms=("ihd", "jhd"), out="hij"))
    mixed = net("einsum", scores, v, terms=("hij", "jhd"), out="ihd")
    y = net.linear(net("reshape", mixed, shape=(5, n_kv * n_rep * dim)), "o", 24, 2)
    labels = _check(net, y)
    heads, inner = labels.dims["v"][0][0]
    assert _free(labels, "v", 0) == [(2, True, (), 0), (4, True, (), 1)]
    assert labels.atoms[inner].within == (heads,)
    assert [a[:2] for a in _free(labels, "k", 0)] == [(2, True), (4, not is_rotary)]
    assert labels.dims["o"][1][0][0] == heads
    assert labels.dims["o"][1][0][2] == inner
    assert labels.dims["q"][0][0][:2] == labels.dims["o"][1][0][:2]


def test_heads_that_are_mixed_share_one_order_of_their_dimensions():
    net = Net()
    x = _x(net, 3, 6)
    v = net("reshape", net.linear(x, "v", 6, 8), shape=(3, 2, 4))
    blend = net.act(v, fn=lambda t: t - t.mean(1, keepdims=True), along=(1,))
    y = net.linear(net("reshape", blend, shape=(3, 8)), "o", 8, 2)
    labels = _check(net, y)
    # for each dimension the mean over heads does not mind their order
    assert _free(labels, "v", 0) == [(2, True, (), 1), (4, True, (), 0)]


def test_channels_move_inside_the_groups_of_a_norm_and_of_a_concatenation():
    net = Net()
    x = _x(net, 2, 3, 8)
    a = net("convolution", x, net.weight("a", 8, 3, 3))
    a = net.act(net("group_norm", a, groups=2))
    b = net("convolution", a, net.weight("b", 4, 8, 1))
    both = net("group_norm", net("concat", a, b, dim=1), groups=4)
    y = net("convolution", net.act(both, fn=np.tanh), net.weight("c", 2, 12, 3))
    labels = _check(net, y)
    assert _free(labels, "a", 0) == [(8, True, (3, 1, 2, 2), 0)]
    assert _free(labels, "b", 0) == [(4, True, (1, 3), 0)]
    assert labels.dims["c"][1] == labels.dims["a"][0] + labels.dims["b"][0]


def test_grouped_and_depthwise_convolutions():
    net = Net()
    x = _x(net, 2, 3, 8)
    a = net.act(net("convolution", x, net.weight("a", 6, 3, 3)))
    d = net.act(net("convolution", a, net.weight("d", 6, 1, 3), groups=6))
    g = net.act(net("convolution", d, net.weight("g", 8, 3, 3), groups=2))
    y = net("convolution", g, net.weight("y", 2, 8, 3))
    labels = _check(net, y)
    groups, inner = labels.dims["a"][0][0]
    assert labels.dims["d"][0] == labels.dims["a"][0]
    assert labels.dims["g"][1] == ((inner,),)
    assert labels.dims["g"][0][0][0] == groups
    assert _free(labels, "a", 0) == [(2, True, (), 0), (3, True, (), 1)]
    assert _free(labels, "y", 1) == [(2, True, (), 0), (4, True, (), 1)]


def test_experts_have_units_of_their_own():
    net = Net()
    x = _x(net, 5, 4)
    up, down = net.weight("up", 3, 7, 4), net.weight("down", 3, 4, 7)
    gate = net.softmax(net.linear(x, "router", 4, 3))
    h = net.act(net("einsum", x, up, terms=("td", "ehd"), out="teh"))
    out = net("einsum", h, down, terms=("teh", "edh"), out="ted")
    y = net("einsum", out, gate, terms=("ted", "te"), out="td")
    labels = _check(net, y)
    ((experts,),), ((units,),), _ = labels.dims["up"]
    assert labels.atoms[units].within == (experts,)
    assert labels.atoms[experts].is_free
    assert labels.dims["router"][0] == ((experts,),)


def test_recurrent_cell_has_one_label_across_its_gates():
    net, n, d = Net(), 3, 4
    w, r = net.weight("w", 4 * n, d), net.weight("r", 4 * n, n)
    h = net.constant("h0", np.zeros((2, n)))
    c = h
    for t in range(3):
        x = net.input(f"x{t}", net.rng.normal(size=(2, d)))
        a = net.act(net("einsum", x, w, terms=("bi", "oi"), out="bo"),
                    net("einsum", h, r, terms=("bi", "oi"), out="bo"), fn=np.add)  # fmt: skip
        i, f, g, o = (net("slice", a, dim=1, start=k * n, stop=k * n + n, step=1) for k in range(4))
        c = net.act(c, i, f, g, fn=lambda c, i, f, g: np.tanh(f) * c + np.tanh(i) * np.tanh(g))
        h = net.act(c, o, fn=lambda c, o: np.tanh(o) * np.tanh(c))
    y = net.linear(h, "y", n, 2)
    labels = _check(net, y)
    assert labels.dims["w"][0] == labels.dims["r"][1] * 4 == labels.dims["r"][0]
    assert _free(labels, "y", 1) == [(3, True, (), 0)]


def test_fused_attention_by_parts_and_by_head():
    for order in ("parts", "heads"):
        net = Net()
        x = _x(net, 3, 5)
        fused = net.linear(x, "qkv", 5, 24)
        shape = (3, 3, 2, 4) if order == "parts" else (3, 2, 3, 4)
        dim = 1 if order == "parts" else 2
        cut = net("reshape", fused, shape=shape)
        q, k, v = (
            net("reshape", net("slice", cut, dim=dim, start=i, stop=i + 1, step=1), shape=(3, 2, 4))
            for i in range(3)
        )
        scores = net.softmax(net("einsum", q, k, terms=("ihd", "jhd"), out="hij"))
        mixed = net("einsum", scores, v, terms=("hij", "jhd"), out="ihd")
        y = net.linear(net("reshape", mixed, shape=(3, 8)), "o", 8, 2)
        labels = _check(net, y)
        assert _free(labels, "o", 1)[0][:2] == (2, True)
        assert _free(labels, "o", 1)[1][:2] == (4, True)


def test_flattened_channels_are_runs_and_what_is_unknown_is_fixed():
    net = Net()
    x = _x(net, 2, 3, 8)
    a = net.act(net("convolution", x, net.weight("a", 4, 3, 3)))
    y = net.linear(net("reshape", a, shape=(2, 32)), "y", 32, 3)
    labels = _check(net, y)
    assert [a[:2] for a in _free(labels, "y", 1)] == [(4, True), (8, False)]
    strange = net("opaque", a, fn=lambda v: np.cumsum(v, 1))
    labels = _check(net, strange)
    assert [a[:2] for a in _free(labels, "a", 0)] == [(4, False)]
    assert [why for _, why in labels_of(net.graph(strange)).opaque] == ["opaque"]


def test_positions_and_reversed_channels_are_fixed():
    net = Net()
    x = _x(net, 2, 4)
    a = net.act(net.linear(x, "a", 4, 6))
    a = net.act(a, net.constant("table", np.arange(6.0)), fn=np.add)
    b = net.act(net.linear(a, "b", 6, 7))
    b = net("fix", b, dims=(1,), fn=lambda v: v[:, ::-1])
    c = net.act(net.linear(b, "c", 7, 5), net.constant("even", np.ones(5)), fn=np.add)
    labels = _check(net, net.linear(net.act(c), "y", 5, 2))
    assert [_free(labels, w, 0)[0][1] for w in ("a", "b", "c")] == [False, False, True]


def test_interleaved_runs_and_tangled_reshapes():
    net = Net()
    x = _x(net, 2, 4)
    a = net.act(net.linear(x, "a", 4, 6))
    even = net("slice", a, dim=1, start=0, stop=6, step=2)
    odd = net("slice", a, dim=1, start=1, stop=6, step=2)
    y = net.linear(net.act(even, odd, fn=np.multiply), "y", 3, 2)
    labels = _check(net, y)
    assert [f[:2] for f in _free(labels, "a", 0)] == [(3, True), (2, False)]
    net = Net()
    a = net.act(net.linear(_x(net, 2, 4), "a", 4, 12))
    a = net("reshape", a, shape=(8, 3))
    y = net.linear(net.act(a), "y", 3, 2)
    _check(net, y)


def test_random_graphs_keep_their_outputs():
    for seed in range(40):
        net = Net(seed)
        values = [net.linear(_x(net, 2, 6), "w0", 6, 12)]
        for i in range(1, 9):
            rng, x = net.rng, values[net.rng.integers(len(values))]
            n = net.shapes[x][1]
            match rng.integers(7) if n > 1 else 0:
                case 0:
                    values.append(net.act(net.linear(x, f"w{i}", n, int(rng.choice([6, 12, 8])))))
                case 1:
                    same = [v for v in values if net.shapes[v] == net.shapes[x]]
                    values.append(net.act(x, same[rng.integers(len(same))], fn=np.add))
                case 2:
                    values.append(net("concat", x, values[rng.integers(len(values))], dim=1))
                case 3:
                    at = int(rng.integers(1, n))
                    values.append(net("slice", x, dim=1, start=at // 2, stop=at, step=1)
                                  if at - at // 2 else x)  # fmt: skip
                case 4:
                    k = int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))
                    y = net("transpose", net("reshape", x, shape=(2, k, n // k)), order=(0, 2, 1))
                    y = net.act(y, net.weight(f"w{i}", k), fn=np.multiply)
                    values.append(net("reshape", y, shape=(2, n)))
                case 5:
                    k = int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))
                    y = net("reshape", x, shape=(2, n, 1))
                    values.append(net("reshape", net("group_norm", y, groups=k), shape=(2, n)))
                case 6:
                    k = int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))
                    y = net("reshape", x, shape=(2, n // k, k))
                    y = net.act(
                        y, fn=lambda t: t / (1 + np.abs(t).sum(1, keepdims=True)), along=(1,)
                    )
                    values.append(net("reshape", y, shape=(2, n)))
        _check(net, net.linear(values[-1], "y", net.shapes[values[-1]][1], 3))


def test_a_graph_that_doubles_itself_costs_no_more_than_its_nodes():
    net = Net()
    net.shapes |= {"v0": (1, 4)}
    net.weights["v0"] = net.values["v0"] = np.zeros((1, 4))
    for i in range(40):
        net.nodes.append(Node("concat", (f"v{i}", f"v{i}"), (f"v{i + 1}",), {"dim": 1}))
        net.shapes[f"v{i + 1}"] = (1, 4 << (i + 1))
    assert not labels_of(net.graph("v40")).atoms[0].is_free
    norm = Node("group_norm", ("v40",), ("y",), {"groups": 1 << 40})
    net.nodes.append(norm)
    net.shapes["y"] = net.shapes["v40"]
    assert not labels_of(net.graph("y")).atoms[0].is_free
