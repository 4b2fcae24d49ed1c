"""Claim: channels of a convolutional net are an axis only where its wiring is certain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch import nn

from tests.anatomy.test_read import header, noisy
from weightkin.anatomy import Anatomy, read_anatomy
from weightkin.formats.memory import model_from_arrays

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(5))


class Basic(nn.Module):
    """torchvision's BasicBlock, by its names."""

    def __init__(self, n_in: int, n: int, groups: int = 1, shortcut: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n, 3, 1 + (n != n_in), 1, bias=False, groups=groups)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, 1, 1, bias=False, groups=groups)
        self.bn2 = nn.BatchNorm2d(n)
        if n != n_in and shortcut:
            self.downsample = nn.Sequential(nn.Conv2d(n_in, n, 1, 2, bias=False), nn.BatchNorm2d(n))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class ResNet(nn.Module):
    def __init__(self, **options: Any):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Basic(8, 8, **options), Basic(8, 8, **options))
        self.layer2 = nn.Sequential(Basic(8, 12, **options), Basic(12, 12, **options))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.layer2(self.layer1(self.bn1(self.conv1(x)).relu()))
        return self.fc(x.mean((2, 3)))


class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        widths = (3, 6, 6, 10)
        layers: list[nn.Module] = []
        for n_in, n in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(n_in, n, 3, 1, 1), nn.BatchNorm2d(n), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(10 * 4, 7), nn.ReLU(), nn.Linear(7, 5))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3)
        self.conv2 = nn.Conv2d(6, 10, 3)
        self.fc1 = nn.Linear(10, 5)

    def forward(self, x):
        return self.fc1(self.conv2(self.conv1(x).relu()).relu().mean((2, 3)))


def arrays_of(net: nn.Module) -> dict[str, np.ndarray]:
    return {name: x.detach().numpy() for name, x in net.state_dict().items()}


def read(net: nn.Module) -> Anatomy:
    return read_anatomy(model_from_arrays(arrays_of(net)))


def why(anatomy: Anatomy) -> str:
    return "; ".join(problem.why for problem in anatomy.skipped)


def run(net: nn.Module, arrays: dict[str, np.ndarray]) -> np.ndarray:
    net.load_state_dict({name: torch.from_numpy(x.copy()) for name, x in arrays.items()})
    with torch.no_grad():
        out = net.eval()(IMAGES)
    return (out if isinstance(out, torch.Tensor) else out.logits).numpy()


def warmed(net: nn.Module) -> nn.Module:
    """Noise in every parameter, and running statistics that differ between channels."""
    noisy(net).train()
    with torch.no_grad():
        net(IMAGES)
    return net.eval()


@pytest.mark.parametrize("net", [Vgg, Plain])
def test_channels_of_a_plain_chain_can_be_relabelled_one_by_one(net, rng):
    net = warmed(net())
    before = arrays_of(net)
    axes = read(net).axes
    assert len(axes) == sum(x.ndim == 4 for x in before.values())
    assert len({axis.labels for axis in axes}) == len(axes)
    for axis in axes:
        arrays, order = dict(before), rng.permutation(axis.n_units)
        for place in axis.places:
            arrays[place.tensor] = np.take(arrays[place.tensor], order, axis=place.dim)
        if axis is axes[-1]:  # the matrix that reads it, which is not part of the axis
            name = "classifier.0.weight" if "classifier.0.weight" in arrays else "fc1.weight"
            matrix = before[name].reshape(len(before[name]), axis.n_units, -1)
            arrays[name] = matrix[:, order].reshape(before[name].shape)
        assert np.abs(run(net, arrays) - run(net, before)).max() < 1e-4


def residual_nets() -> dict[str, nn.Module]:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [2, 2], "num_labels": 5}
    return {
        "torchvision": ResNet(),
        "basic": hf.ResNetForImageClassification(hf.ResNetConfig(**sizes, layer_type="basic")),
        "bottleneck": hf.ResNetForImageClassification(
            hf.ResNetConfig(**sizes, layer_type="bottleneck")
        ),
    }


@pytest.mark.parametrize("name", ["torchvision", "basic", "bottleneck"])
def test_channels_of_a_residual_net_share_the_labels_of_their_number(name, rng):
    net = warmed(residual_nets()[name])
    before = arrays_of(net)
    axes = read(net).axes
    assert len(axes) == sum(x.ndim == 4 for x in before.values())
    assert {axis.labels for axis in axes} == {"channels"}  # seen in coordinates of each other
    orders = {axis.n_units: rng.permutation(axis.n_units) for axis in axes}
    arrays = dict(before)
    for axis in axes:
        for place in axis.places:
            moved = np.take(arrays[place.tensor], orders[axis.n_units], axis=place.dim)
            arrays[place.tensor] = moved
    for tensor, x in before.items():  # who reads the channels is not part of the axes
        readers = x.ndim == 4 or tensor in ("fc.weight", "classifier.1.weight")
        if readers and (order := orders.get(x.shape[1])) is not None:
            arrays[tensor] = np.take(arrays[tensor], order, axis=1)
    assert np.abs(run(net, arrays) - run(net, before)).max() < 1e-4


def test_the_places_include_the_batch_norm_that_follows():
    axis = read(ResNet()).axes[0]
    assert [p.tensor for p in axis.places] == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
    ]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (lambda: ResNet(groups=2), "grouped convolution"),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Conv2d(8, 8, 3)),
            "groups",
        ),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8)), "grouped"),
        (lambda: nn.ModuleDict({"a": nn.Conv2d(3, 8, 3), "b": nn.Conv2d(8, 8, 3)}), "not known"),
    ],
)
def test_what_ties_or_groups_channels_refuses_the_net(net, reason):
    anatomy = read(net())
    assert not [axis for axis in anatomy.axes if axis.stack == "conv"]
    assert reason in why(anatomy)


def test_the_output_of_a_fully_convolutional_net_is_no_axis():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))
    anatomy = read(net)
    assert [axis.name for axis in anatomy.axes] == ["0"]
    assert "output of the network" in why(anatomy)


class Separable(nn.Module):
    """Expansion, one kernel a channel, projection, as in MobileNet; groups of four elsewhere."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        sizes = [(8, 24, 1, 1), (24, 24, 3, 24), (24, 8, 1, 1), (8, 20, 1, 1), (20, 20, 3, 4)]
        self.body = nn.Sequential()
        for i, (n_in, n, k, groups) in enumerate(sizes):
            unit = nn.Sequential(nn.Conv2d(n_in, n, k, groups=groups), nn.BatchNorm2d(n), nn.ReLU())
            self.body.add_module(f"x{i}", unit)
        self.last = nn.Linear(20, 5)

    def forward(self, x):
        x = self.body(self.stem(x))
        return self.last(x.mean((2, 3)))


def test_channels_that_leave_no_other_reading_are_axes_where_the_wiring_is_not_known(rng):
    net = warmed(Separable())
    axes = read(net).axes
    assert [(axis.name, axis.n_units) for axis in axes] == [("stem.0", 8), ("units", 24)]
    assert axes[0].labels == "channels"  # what it shares with others is not known
    before, order = arrays_of(net), rng.permutation(24)
    arrays = dict(before)
    for name, x in before.items():
        if name.startswith(("body.x0", "body.x1")) and x.shape[:1] == (24,):
            arrays[name] = x[order]
    arrays["body.x2.0.weight"] = before["body.x2.0.weight"][:, order]
    assert np.abs(run(net, arrays) - run(net, before)).max() < 1e-4


def test_padded_shortcuts_leave_only_what_no_sum_holds():
    axes = read(ResNet(shortcut=False)).axes
    assert [axis.name for axis in axes] == ["conv1", "layer2.0.conv1"]


def test_kernels_without_size_give_no_axis():
    shapes = {f"conv{i}.weight": (8, 8, 0, 3) for i in range(3)}
    assert read_anatomy(header(shapes)).axes == ()
