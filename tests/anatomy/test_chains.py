"""Claim: plain chains and recurrent cells have axes where sizes leave no other reading."""

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
    return read_anatomy(_model(net)).axes


def _relabelled(net, axes, seed=0):
    """The state of a network with the units of every axis in another order."""
    rng = np.random.default_rng(seed)
    state = {k: v.detach().numpy().copy() for k, v in net.state_dict().items()}
    for axis in axes:
        order = rng.permutation(axis.n_units)
        for p in axis.places:
            own = np.arange(p.size).reshape(p.outer, axis.n_units, p.inner)[:, order].ravel()
            index = np.arange(state[p.tensor].shape[p.dim])
            index[p.start : p.start + p.size] = p.start + own
            state[p.tensor] = np.take(state[p.tensor], index, p.dim)
    return {k: torch.from_numpy(v) for k, v in state.items()}


class Cells(nn.Module):
    def __init__(self, kind, n_out=5, **options):
        super().__init__()
        self.rnn = kind(6, 9, batch_first=True, **options)
        self.out = nn.Linear(9 * (1 + options.get("bidirectional", False)), n_out)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


class Mlp(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
            setattr(self, f"fc{i + 1}", nn.Linear(a, b))
        self.n = len(sizes) - 1

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, f"fc{i + 1}")(torch.tanh(x))
        return x


def _conv(*sizes, kernel=nn.Conv2d):
    layers = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [kernel(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)


NETS = {
    "mlp": (Mlp(7, 12, 16, 5), (2, 7), {12, 16}),
    "autoencoder": (Mlp(20, 12, 8, 12, 20), (2, 20), {12, 8}),
    "kernels": (_conv(3, 8, 8, 12, 4), (2, 3, 6, 6), {8, 12}),
    "generator": (_conv(9, 16, 8, 3, kernel=nn.ConvTranspose2d), (2, 9, 4, 4), {16, 8}),
    "lstm": (Cells(nn.LSTM, num_layers=2, bidirectional=True), (2, 4, 6), {9}),
    "gru": (Cells(nn.GRU, num_layers=2), (2, 4, 6), {9}),
    "rnn": (Cells(nn.RNN), (2, 4, 6), {9}),
}


@pytest.mark.parametrize("name", NETS)
def test_axes_leave_the_network_as_it_was(name):
    net, shape, sizes = NETS[name]
    axes = _axes(net)
    assert {axis.n_units for axis in axes} == sizes
    if name in ("lstm", "gru", "rnn"):  # the last layer is read by a layer of its own
        assert len(axes) == {"lstm": 4, "gru": 2, "rnn": 1}[name]
        axes = [x for x in axes if any(p.role.endswith("columns") and "ih" in p.role
                                       for p in x.places)]  # fmt: skip
    x = torch.randn(*shape)
    with torch.no_grad():
        before = net.eval()(x)
        net.load_state_dict(_relabelled(net, axes))
        torch.testing.assert_close(net(x), before, atol=1e-5, rtol=1e-5)
        other = torch.randn_like(x)
        assert not torch.allclose(net(other), before, atol=1e-3)


@pytest.mark.parametrize(
    "net",
    [
        nn.LSTM(6, 9),  # nobody is seen to read its units
        nn.Sequential(nn.LSTM(9, 9), nn.Linear(9, 9)),  # its units may be the data
        Mlp(16, 12, 16),  # fits as well the other way round
        Mlp(16, 16, 16),
        nn.ModuleList([nn.Linear(16, 16) for _ in range(4)]),  # branches side by side
        nn.ModuleList([nn.Linear(16, 10) for _ in range(4)]),
        nn.Sequential(nn.Linear(8, 32), nn.GLU(), nn.Linear(16, 4)),  # halves of one
        nn.Sequential(nn.Conv2d(3, 24, 3), nn.GroupNorm(8, 24), nn.Conv2d(24, 5, 3)),
    ],
)
def test_what_has_another_reading_has_no_axis(net):
    assert _axes(net) == ()


def test_cells_of_keras_are_stored_the_other_way_round():
    rng = np.random.default_rng(0)
    arrays = {"lstm/kernel": (6, 36), "lstm/recurrent_kernel": (9, 36), "lstm/bias": (36,),
              "dense/kernel": (9, 4)}  # fmt: skip
    model = model_from_arrays({k: rng.normal(size=s).astype("f4") for k, s in arrays.items()})
    (axis,) = read_anatomy(model).axes
    shown = {(p.tensor, p.dim, p.outer, p.size) for p in axis.places}
    assert shown == {("lstm/kernel", 1, 4, 36), ("lstm/recurrent_kernel", 1, 4, 36),
                     ("lstm/recurrent_kernel", 0, 1, 9), ("lstm/bias", 0, 4, 36)}  # fmt: skip


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_changed_cell_is_found_and_an_unrelated_one_is_not(kind):
    torch.manual_seed(0)
    a, b = (Cells(kind, num_layers=2, n_out=9) for _ in range(2))
    child = {k: v + 0.02 * torch.randn_like(v) for k, v in a.state_dict().items()}
    c = Cells(kind, num_layers=2, n_out=9)
    c.load_state_dict(child)
    found = weightkin.compare(_model(a, "a"), _model(c, "c"))
    assert found.verdict == "dependent"
    assert weightkin.compare(_model(a, "a"), _model(b, "b")).verdict == "no-evidence"


def test_what_an_optimiser_keeps_has_no_axes_of_its_own():
    # its units are those of the weights: their evidence would be multiplied with the same
    arrays = {k: v.detach().numpy() for k, v in Mlp(20, 16, 24, 7).state_dict().items()}
    moments = {f"optimizer.state.{i}.momentum_buffer": x for i, x in enumerate(arrays.values())}
    alone = read_anatomy(model_from_arrays(arrays))
    both = read_anatomy(model_from_arrays(arrays | moments | {"best_loss": np.float32(1)}))
    assert both.axes == alone.axes
    assert [x.code for x in both.skipped] == ["optimiser"]
