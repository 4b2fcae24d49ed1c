"""Claim: single layers of nets that nobody knows have axes where no other wiring is left."""

import numpy as np
import pytest
import torch
from torch import nn

import weightkin
from weightkin.anatomy import read_anatomy
from weightkin.formats.memory import model_from_arrays


def _model(net, name="net"):
    return model_from_arrays(
        {k: v.detach().numpy() for k, v in net.state_dict().items()}, name=name
    )


def _axes(net):
    return {axis.name: axis for axis in read_anatomy(_model(net)).axes if axis.stack == "layers"}


class Residual(nn.Module):
    """Sequences whose ends are added to what goes by."""

    def __init__(self, layer):
        super().__init__()
        self.stem = nn.Linear(5, 16)
        self.blocks = nn.ModuleList([layer() for _ in range(3)])

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return x


class Grouped(nn.Module):
    """A convolution whose channels a norm takes in groups."""

    def __init__(self, groups):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(6, 64, 3), nn.GroupNorm(groups, 64), nn.SiLU(), nn.Conv2d(64, 6, 3)
        )

    def forward(self, x):
        return self.block(x)


def _mlp():
    return nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))


PROVEN = {
    "residual": (lambda: Residual(_mlp), (4, 5), {f"blocks.{i}.1" for i in range(3)}),
    "one group": (lambda: Grouped(1), (2, 6, 8, 8), {"block.0"}),
    "eight groups": (lambda: Grouped(8), (2, 6, 8, 8), {"block.0"}),
    "a group each": (lambda: Grouped(64), (2, 6, 8, 8), {"block.0"}),
}


@pytest.mark.parametrize("name", PROVEN)
def test_axes_leave_the_network_as_it_was(name):
    build, shape, names = PROVEN[name]
    torch.manual_seed(0)
    net = build().double().eval()
    axes = _axes(net)
    assert axes.keys() == names
    x = torch.randn(*shape, dtype=torch.float64)
    before = net(x)
    rng = np.random.default_rng(0)
    state = dict(net.state_dict())
    for axis in axes.values():
        size = axis.head_size or axis.n_units
        order = np.concatenate([
            start + rng.permutation(size) for start in range(0, axis.n_units, size)
        ])  # fmt: skip
        for p in axis.places:
            own = np.arange(p.size).reshape(p.outer, axis.n_units, p.inner)[:, order].ravel()
            state[p.tensor] = state[p.tensor].index_select(p.dim, torch.from_numpy(own))
    net.load_state_dict(state)
    torch.testing.assert_close(net(x), before)


class Named(nn.Module):
    def __init__(self, **members):
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)


def _dense():
    layers = {f"conv{i + 1}": nn.Conv2d(32 + 8 * i, 8 if i < 3 else 32, 3) for i in range(4)}
    return Named(block=Named(**layers))


def _block(n, m):
    layers = {"conv1": nn.Conv2d(n, m, 3), "bn1": nn.GroupNorm(8, m), "conv2": nn.Conv2d(m, m, 3)}
    return Named(block=Named(**layers, bn2=nn.GroupNorm(8, m)))


@pytest.mark.parametrize(
    ("net", "names"),
    [
        (_dense(), {"block.conv1", "block.conv2", "block.conv3"}),
        (_block(16, 32), {"block.conv1"}),
        (_block(32, 32), set()),  # what it reads may be what it puts out
        (Named(head=nn.Conv2d(3, 32, 3), body=nn.Conv2d(32, 32, 3)), {"head.weight"}),
        # rows of a table are no units; queries and values have heads; halves of a gate
        (Named(embeds=nn.ModuleList([nn.Embedding(64, 16), nn.Embedding(30, 64)])), set()),
        (Named(att=nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8))), set()),
        (Named(g=nn.Sequential(nn.Linear(8, 32), nn.GLU(), nn.Linear(16, 8))), set()),
        # a recurrent cell: it reads its own units beside the data
        (Named(i2h=nn.Linear(80, 64), i2o=nn.Linear(64, 9)), set()),
        # two pictures of one size: what the first net puts out, the second one reads
        (Named(g2=nn.Linear(20, 64), d1=nn.Linear(64, 30)), set()),
    ],
)
def test_only_certain_layers_have_axes(net, names):
    assert _axes(net).keys() == names


def test_channels_in_unknown_groups_are_found_in_a_child_and_not_in_others():
    torch.manual_seed(0)
    a, b, c = (Grouped(8) for _ in range(3))
    c.load_state_dict({k: v + 0.1 * v.std() * torch.randn_like(v) if v.ndim > 1 else v
                       for k, v in a.state_dict().items()})  # fmt: skip
    child = weightkin.compare(_model(a, "a"), _model(c, "c"))
    assert (child.verdict, child.basis) == ("dependent", "exact-unconfirmed")
    assert child.log10_pvalue > -64 * np.log10(2)  # no more than an order in each pair tells
    assert weightkin.compare(_model(a, "a"), _model(b, "b")).verdict == "no-evidence"


def test_a_head_alone_does_not_make_a_library_class():
    # its columns are channels times places: nobody may relabel them one by one
    net = Named(
        layer1=nn.Sequential(nn.Conv2d(1, 16, 5), nn.BatchNorm2d(16)),
        layer2=nn.Sequential(nn.Conv2d(16, 32, 5), nn.BatchNorm2d(32)),
        fc=nn.Linear(7 * 7 * 32, 10),
    )
    anatomy = read_anatomy(_model(net))
    assert anatomy.family == "unknown"
    assert not any(axis.n_units == 7 * 7 * 32 for axis in anatomy.axes)
