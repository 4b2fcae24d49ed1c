"""Claim: nets that people write by hand have axes where what they compute stays as it was.

Each net is relabelled by somebody who knows it; the places of its axes must be relabelled so too.
"""

import numpy as np
import pytest
import torch
from torch import nn

import weightkin
from weightkin.anatomy import read_anatomy
from weightkin.formats.memory import model_from_arrays


class Attention(nn.Module):
    """A layer of graph attention, with the names of torch_geometric."""

    def __init__(self, n, size, heads):
        super().__init__()
        self.lin = nn.Linear(n, heads * size, bias=False)
        self.att_src = nn.Parameter(torch.randn(1, heads, size))
        self.att_dst = nn.Parameter(torch.randn(1, heads, size))
        self.bias = nn.Parameter(torch.randn(heads * size))

    def forward(self, x, edges):
        z = self.lin(x).unflatten(-1, self.att_src.shape[1:])
        score = (z * self.att_src).sum(-1)[None] + (z * self.att_dst).sum(-1)[:, None]
        weights = torch.softmax(torch.tanh(score) + edges[..., None], 1)
        return torch.einsum("ijh,jho->iho", weights, z).flatten(1) + self.bias


class Neighbours(nn.Module):
    """A layer that reads each node and its neighbours by matrices of their own."""

    def __init__(self, n, m):
        super().__init__()
        self.lin_l, self.lin_r = nn.Linear(n, m), nn.Linear(n, m, bias=False)

    def forward(self, x, edges):
        return self.lin_l(edges @ x) + self.lin_r(x)


class Graph(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.convs = nn.ModuleList(layers)

    def forward(self, x, edges):
        for layer in self.convs[:-1]:
            x = torch.relu(layer(x, edges))
        return self.convs[-1](x, edges)


class Text(nn.Module):
    """Kernels of three lengths, side by side."""

    def __init__(self, is_flat):
        super().__init__()
        self.table = nn.Embedding(30, 12)
        one = (lambda k: nn.Conv2d(1, 10, (k, 12))) if is_flat else (lambda k: nn.Conv1d(12, 10, k))
        self.convs = nn.ModuleList([one(k) for k in (2, 3, 4)])
        self.is_flat = is_flat
        self.out = nn.Linear(30, 5)

    def forward(self, x):
        x = self.table(x)
        x = x[:, None] if self.is_flat else x.transpose(1, 2)
        return self.out(torch.cat([torch.relu(c(x)).flatten(2).amax(2) for c in self.convs], 1))


def _two(n, m, size):
    return nn.ModuleList([nn.Conv1d(n, m, size, padding="same") for _ in range(2)])


class Waves(nn.Module):
    def __init__(self, n=12, m=10):
        super().__init__()
        self.start = nn.Conv1d(1, n, 1)
        self.filter_convs, self.gate_convs = _two(n, m, 3), _two(n, m, 3)
        self.residual_convs, self.skip_convs = _two(m, n, 1), _two(m, 9, 1)

    def forward(self, x):
        x, out = self.start(x), 0
        for i, made in enumerate(self.filter_convs):
            z = torch.tanh(made(x)) * torch.sigmoid(self.gate_convs[i](x))
            x, out = x + self.residual_convs[i](z), out + self.skip_convs[i](z)
        return out


class Inner(nn.Module):
    """The gated convolutions inside of a flow."""

    def __init__(self, n=10):
        super().__init__()
        self.pre, self.n = nn.Conv1d(4, n, 1), n
        self.in_layers = nn.ModuleList([nn.Conv1d(n, 2 * n, 3, padding=1) for _ in range(2)])
        self.res_skip_layers = nn.ModuleList([nn.Conv1d(n, x, 1) for x in (2 * n, n)])

    def forward(self, x):
        x, out = self.pre(x), 0
        for made, read in zip(self.in_layers, self.res_skip_layers, strict=True):
            a, b = made(x).chunk(2, 1)
            both = read(torch.tanh(a) * torch.sigmoid(b))
            x, out = (x + both[:, : self.n], out) if both.shape[1] > self.n else (x, out + both)
        return out


class Cell(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell, self.out = kind(6, 9), nn.Linear(9, 4)

    def forward(self, x):
        state = None
        for step in x:
            state = self.cell(step, state)
        return self.out(state[0] if isinstance(state, tuple) else state)


def gates(n, times):
    """Where the units stand in rows of several gates, one behind the other."""
    return lambda order: np.concatenate([order + n * i for i in range(times)])


def cell(n_gates):
    rows = gates(9, n_gates)
    return {
        **{f"cell.{x}": (0, rows) for x in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
        "cell.weight_hh#": (1, None),
        "out.weight": (1, None),
    }


GRAPH = (torch.randn(5, 7), torch.rand(5, 5))
STEPS = (torch.randn(4, 2, 6),)
WORDS = (torch.randint(30, (2, 8)),)
PROVEN = {
    "graph attention": (
        lambda: Graph(Attention(7, 8, 3), Attention(24, 4, 1)), GRAPH, "convs.0", 24, 8,
        {"convs.0.lin.weight": (0, None), "convs.0.att_src": (2, None),
         "convs.0.att_dst": (2, None), "convs.0.bias": (0, None), "convs.1.lin.weight": (1, None)},
    ),
    "neighbours": (
        lambda: Graph(Neighbours(7, 12), Neighbours(12, 4)), GRAPH, "convs.0", 12, 0,
        {"convs.0.lin_l.weight": (0, None), "convs.0.lin_l.bias": (0, None),
         "convs.0.lin_r.weight": (0, None), "convs.1.lin_l.weight": (1, None),
         "convs.1.lin_r.weight": (1, None)},
    ),
    **{
        f"kernels of {name}": (
            lambda is_flat=is_flat: Text(is_flat), WORDS, "convs.0", 10, 0,
            {"convs.0.weight": (0, None), "convs.0.bias": (0, None),
             "out.weight": (1, lambda order: np.concatenate([order, np.arange(10, 30)]))},
        )
        for name, is_flat in (("rows", True), ("channels", False))
    },
    "waves": (
        Waves, (torch.randn(2, 1, 9),), "units", 10, 0,
        {**{f"{x}_convs.0.{y}": (0, None) for x in ("filter", "gate") for y in ("weight", "bias")},
         "residual_convs.0.weight": (1, None), "skip_convs.0.weight": (1, None)},
    ),
    "halves": (
        Inner, (torch.randn(2, 4, 9),), "units", 10, 0,
        {**{f"in_layers.0.{x}": (0, gates(10, 2)) for x in ("weight", "bias")},
         "res_skip_layers.0.weight": (1, None)},
    ),
    **{
        kind.__name__: (lambda kind=kind: Cell(kind), STEPS, "units", 9, 0, cell(n))
        for kind, n in ((nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1))
    },
}  # fmt: skip


def _model(state, name="net"):
    return model_from_arrays({k: v.detach().numpy() for k, v in state.items()}, name=name)


def _relabelled(state, moves, n, cell_size, rng):
    """The state after a relabelling, and the order of the units."""
    size = cell_size or n
    order = np.concatenate([i + rng.permutation(size) for i in range(0, n, size)])
    state = dict(state)
    for name, (dim, rows) in moves.items():
        x = state[name.rstrip("#")]
        shape = x.shape
        x = x.reshape(1, -1) if dim == 2 else x  # the units of all heads in one row
        index = torch.from_numpy(order if rows is None else rows(order))
        state[name.rstrip("#")] = x.index_select(min(dim, 1), index).reshape(shape)
    return state, order


@pytest.mark.parametrize("name", PROVEN)
def test_axes_are_those_that_leave_the_net_as_it_was(name):
    build, inputs, axis_name, n, cell_size, moves = PROVEN[name]
    torch.manual_seed(0)
    net = build()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    axes = read_anatomy(_model(state)).axes
    axis = next(x for x in axes if x.name == axis_name and x.block == 0)
    assert (axis.n_units, axis.head_size) == (n, cell_size)
    moved, order = _relabelled(state, moves, n, cell_size, np.random.default_rng(0))
    with torch.no_grad():
        before = net(*inputs)
        net.load_state_dict(moved)
        torch.testing.assert_close(net(*inputs), before, atol=1e-5, rtol=1e-5)
    for p in (x for x in axis.places if x.role.startswith("w:") and f"{x.tensor}#" not in moves):
        own = np.arange(p.size).reshape(p.outer, n, p.inner)[:, order].ravel()
        found = state[p.tensor].index_select(p.dim, torch.from_numpy(p.start + own))
        assert torch.equal(found, moved[p.tensor])


class Translator(nn.Module):
    """An encoder that hands its states to a decoder."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.GRU(6, 40, 2), nn.GRU(5, 40, 2)
        self.out = nn.Linear(40, 7)


def test_states_that_are_handed_on_have_one_label():
    axes = read_anatomy(_model(Translator().state_dict())).axes
    assert {axis.stack for axis in axes} == {"encoder", "decoder"}
    assert len({axis.labels for axis in axes}) == 1
    made = nn.ModuleDict(
        {"init": nn.Linear(3, 40), "rnn": nn.GRU(6, 40, 2), "out": nn.Linear(40, 7)}
    )
    (axis,) = read_anatomy(_model(made.state_dict())).axes  # a layer may make both states
    assert axis.block == 0


@pytest.mark.parametrize(
    "net",
    [
        nn.ModuleList([nn.Conv1d(12, 10, 3) for _ in range(3)]),  # one length: perhaps in a row
        nn.ModuleDict({"convs": nn.ModuleList([nn.Conv1d(12, 10, k) for k in (2, 3)])}),  # unread
        nn.ModuleDict({"in_layers": nn.ModuleList([nn.Conv1d(10, 20, 3)])}),
    ],
)
def test_what_nothing_is_seen_to_read_has_no_axis(net):
    assert read_anatomy(_model(net.state_dict())).axes == ()


def test_a_child_is_found_and_another_net_is_not():
    torch.manual_seed(0)
    a, b = (Waves(n=32, m=32).state_dict() for _ in range(2))
    child = {k: v + 0.1 * v.std() * torch.randn_like(v) for k, v in a.items()}
    assert weightkin.compare(_model(a, "a"), _model(child, "child")).verdict == "dependent"
    assert weightkin.compare(_model(a, "a"), _model(b, "b")).verdict == "no-evidence"
