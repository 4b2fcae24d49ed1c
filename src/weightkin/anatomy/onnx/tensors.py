"""Tensors of a file as values of a graph: weights under the names of the model, or constants."""

from __future__ import annotations

import math

from weightkin.anatomy.onnx.build import Builder, evenness
from weightkin.formats.model import TensorInfo
from weightkin.formats.onnx_graph import Stored
from weightkin.formats.onnx_network import Network

FLOATS = ("F16", "BF16", "F32", "F64")
CODES = ("I8", "U8")


class Tensors:
    """The tensors of one file that were used so far."""

    def __init__(self, network: Network, builder: Builder) -> None:
        self.network, self.b = network, builder
        self.stored: dict[int, str] = {}  # values, by where a tensor begins

    def value(self, stored: Stored, *, is_shared: bool = False) -> str:
        """Return the value of a stored tensor.

        Exporters store equal tensors once. Where all their entries are equal, as those of biases
        that were never trained, they say nothing of what belongs together.
        """
        if is_shared and len(stored.sizes) == 1:
            values = self.network.values(stored)
            if values is not None and all(evenness(values)):
                return self.b.constant(values)
        if stored.at < 0 or stored.at not in self.stored:
            value = self._new(stored)
            if stored.at < 0:
                return value
            self.stored[stored.at] = value
        return self.stored[stored.at]

    def _new(self, stored: Stored) -> str:
        """A weight in the layout in which it is stored, or a constant."""
        b, shown = self.b, self.network.shown.get(stored.at)
        info = self.b.tensors.get(shown.name) if shown else None
        if info is None or not is_weight(info):
            if shown and not shown.name:  # scales move with the layer that they belong to
                return b.table(stored.sizes, (True,) * len(stored.sizes))
            values = self.network.values(stored)
            if values is None:
                return b.table(stored.sizes, (False,) * len(stored.sizes))
            return b.constant(values)
        name, rank = info.name, len(info.shape)
        b.weights.add(name)
        b.shapes[name] = info.shape
        order = (*range(rank - 2), rank - 1, rank - 2)
        value = b.transpose(name, order) if shown and shown.is_turned else name
        if b.shape(value) != stored.sizes:
            return b.opaque([value], stored.sizes)[0]
        if shown and shown.is_unpacked:
            b.unpacked.add(value)
        else:
            b.read[value] = lambda: self.network.values(stored)
        return value


def is_weight(info: TensorInfo) -> bool:
    """Whether a tensor may be one of weights: floats, or a matrix of codes."""
    is_code = info.dtype in CODES and len(info.shape) > 1
    return (info.dtype in FLOATS or is_code) and math.prod(info.shape) > 1
