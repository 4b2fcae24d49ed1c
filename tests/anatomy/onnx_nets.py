"""Small networks as torch exports them to ONNX, with names that say nothing."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn


class Residual(nn.Module):
    def __init__(self, width, groups=1):
        super().__init__()
        self.a = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.norm_a = nn.BatchNorm2d(2 * width)
        self.b = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=groups, bias=False)
        self.norm_b = nn.BatchNorm2d(2 * width)
        self.c = nn.Conv2d(2 * width, width, 1)

    def forward(self, x):
        h = nn.functional.relu6(self.norm_a(self.a(x)))
        return x + self.c(nn.functional.silu(self.norm_b(self.b(h))))


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Conv2d(width, 10, 1), nn.Conv2d(10, width, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        Residual(12), nn.MaxPool2d(2), Residual(12, groups=24), Gate(12), Residual(12, groups=3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 5),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3, padding=1)
        self.norm = nn.GroupNorm(3, 12)
        self.down = nn.Conv2d(12, 16, 3, stride=2, padding=1)
        self.mid = nn.Sequential(nn.InstanceNorm2d(16, affine=True), nn.Conv2d(16, 16, 1))
        self.up = nn.ConvTranspose2d(16, 10, 2, stride=2)
        self.merge = nn.Conv2d(22, 8, 3, padding=1)
        self.last = nn.Sequential(nn.Conv2d(8, 12, 1), nn.PixelShuffle(2))

    def forward(self, x):
        a = nn.functional.silu(self.norm(self.first(x)))
        b = self.down(a)
        b = b + self.mid(torch.tanh(b))
        c = torch.cat([a, self.up(b)], 1)
        wide = nn.functional.interpolate(torch.relu(self.merge(c)), scale_factor=2.0)
        return self.last(wide)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells = kind(6, 9, num_layers=2, bidirectional=True)
        self.one = nn.GRU(18, 10, batch_first=True)
        self.last = nn.Linear(10, 4)

    def forward(self, x):
        h, _ = self.cells(x)
        h, _ = self.one(h.transpose(0, 1))
        return self.last(h[:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(30, 16), nn.Embedding(20, 16)
        self.layers = nn.ModuleList(Layer() for _ in range(2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.o = nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 24), nn.Linear(24, 16)
        self.norm, self.other = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, n, 3, 2, 8).permute(2, 0, 3, 1, 4)
        a = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1) @ v
        x = x + self.o(a.transpose(1, 2).reshape(b, n, 16))
        return x + self.down(nn.functional.gelu(self.up(self.other(x))))


PICTURE = {"x": ((2, 3, 16, 16), {0: "batch", 2: "height", 3: "width"})}
SERIES = {"x": ((7, 2, 6), {0: "time", 1: "batch"})}
TOKENS = {"ids": ((2, 9), {0: "batch", 1: "length"})}
NETS = {
    "convolutional": (convolutional, {"x": ((2, 3, 32, 32), {0: "batch"})}),
    "unet": (UNet, PICTURE),
    "lstm": (lambda: Recurrent(nn.LSTM), SERIES),
    "gru": (lambda: Recurrent(nn.GRU), SERIES),
    "encoder": (Encoder, TOKENS),
}


def inputs_of(name, seed=0):
    """Arrays to run a network with."""
    rng = np.random.default_rng(seed)
    return {
        key: rng.integers(0, 20, shape) if key == "ids" else rng.normal(size=shape).astype("f")
        for key, (shape, _) in NETS[name][1].items()
    }


def exported(name, path, seed=0):
    """Export a network to a file; tensors and nodes are numbered."""
    torch.manual_seed(seed)
    net = NETS[name][0]().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    given = tuple(torch.from_numpy(x) for x in inputs_of(name).values())
    open_dims = {key: dims for key, (_, dims) in NETS[name][1].items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, given, path, input_names=list(open_dims), dynamic_axes=open_dims,
                          dynamo=False, opset_version=17)  # fmt: skip
    return anonymous(path)


def anonymous(path):
    """Take all names away that say anything."""
    model = onnx.load(path)
    names = {x.name: f"t{i}" for i, x in enumerate(model.graph.initializer)}
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    for node in model.graph.node:
        node.name, node.doc_string = "", ""
        node.input[:] = [names.get(x, x) for x in node.input]
    onnx.save(model, path)
    return model


def with_weights(model, arrays):
    """The same graph with other weights, by name."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for tensor in other.graph.initializer:
        if tensor.name in arrays:
            tensor.CopyFrom(numpy_helper.from_array(arrays[tensor.name], tensor.name))
    return other
