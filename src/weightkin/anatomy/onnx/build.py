"""A graph in the making: values with their shapes, and those whose contents are known beforehand.

What is known are whole numbers that follow from shapes and constants, and single numbers: they say
to which shape something is brought, or where it is cut. Weights are never computed with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.graph.ir import Node, Op
from weightkin.formats.model import TensorInfo
from weightkin.formats.onnx_network import MOST_READ, Attribute

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

UNTOLD = "?"  # a value of which not even the shape is known
MAX_SIZE = 1 << 40  # elements of a value
MAX_KNOWN = 1 << 24  # elements of all constants that are remembered


class UnknownValue(Exception):  # noqa: N818 (not an error: the node is opaque then)
    """A shape or a number that does not follow from what is known."""


@dataclass(frozen=True, slots=True)
class Call:
    """One node: its inputs as values of the graph, empty where one is left out."""

    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    n_outputs: int
    version: int  # of the operations

    def input(self, at: int) -> str:
        """Return an input, empty if there is none."""
        return self.inputs[at] if at < len(self.inputs) else ""

    def number(self, name: str, default: int = 0) -> int:
        """Return an attribute that is a whole number."""
        found = self.attributes.get(name, default)
        return found if isinstance(found, int) else default

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return an attribute that is a list of whole numbers; empty if there is none."""
        found = self.attributes.get(name, ())
        return tuple(int(x) for x in found) if isinstance(found, tuple) else ()

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute that is a text."""
        found = self.attributes.get(name, default)
        return found if isinstance(found, str) else default


@dataclass(slots=True)
class Builder:
    """Nodes and values so far."""

    tensors: Mapping[str, TensorInfo]  # of the model
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    known: dict[str, Array] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)
    constants: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    unpacked: set[str] = field(default_factory=set)  # weights that the file holds as codes
    read: dict[str, Callable[[], Array | None]] = field(default_factory=dict)  # small weights
    states: list[tuple[str, str]] = field(default_factory=list)  # of cells: before, after
    lengths: dict[tuple[str, ...], int] = field(default_factory=dict)  # that data say
    n_values: int = 0
    n_known: int = 0  # elements of constants

    def name(self) -> str:
        """Return a name for one more value."""
        self.n_values += 1
        found = f"%{self.n_values}"
        return found if found not in self.tensors else self.name()

    def add(self, op: Op, inputs: Iterable[str], shape: Sequence[int], **facts: Any) -> str:
        """Add a node with one output; return that."""
        sizes = tuple(int(n) for n in shape)
        if any(n < 0 for n in sizes) or math.prod(sizes) > MAX_SIZE:
            raise UnknownValue(f"a value of shape {sizes}")
        output = self.name()
        self.nodes.append(Node(op, tuple(inputs), (output,), facts))
        self.shapes[output] = sizes
        return output

    def tie(self, one: str, other: str) -> None:
        """Say that two values are one."""
        self.nodes.append(Node("tie", (one, other), ()))

    def constant(self, values: Array) -> str:
        """Add a constant whose contents are known."""
        self.n_known += values.size
        if values.size > MOST_READ or self.n_known > MAX_KNOWN:
            return self.table(values.shape, (False,) * values.ndim)
        output = self.table(values.shape, evenness(values))
        self.known[output] = values
        return output

    def table(self, shape: Shape, even: Sequence[bool]) -> str:
        """Add a constant by its shape and whether its entries are equal along each dimension."""
        output = self.name()
        self.shapes[output], self.constants[output] = tuple(shape), tuple(even)
        return output

    def shape(self, value: str) -> Shape:
        """Return the shape of a value."""
        if value not in self.shapes:
            raise UnknownValue(f"the shape of {value or 'an input that is left out'}")
        return self.shapes[value]

    def array(self, value: str) -> Array:
        """Return the contents of a small value."""
        if value in self.known:
            return self.known[value]
        found = self.read[value]() if value in self.read else None
        if found is None:
            raise UnknownValue(f"the contents of {value or 'an input that is left out'}")
        return found

    def integers(self, value: str) -> tuple[int, ...]:
        """Return the contents of a list of whole numbers."""
        return tuple(int(x) for x in self.array(value).reshape(-1))

    def axes(self, call: Call, at: int, rank: int) -> tuple[int, ...]:
        """Which dimensions a node is about, an attribute or an input; empty where it says none."""
        given = call.numbers("axes")
        if not given and call.input(at):
            given = self.integers(call.input(at))
        return tuple(axis_of(d, rank) for d in given)

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """Return a value in another shape."""
        own = self.shape(value)
        if tuple(shape) == own:
            return value
        if math.prod(shape) != math.prod(own):
            raise UnknownValue(f"{own} as {tuple(shape)}")
        return self.add("reshape", [value], shape)

    def transpose(self, value: str, order: Sequence[int]) -> str:
        """Return a value with its dimensions in another order."""
        shape = self.shape(value)
        if sorted(order) != list(range(len(shape))):
            raise UnknownValue(f"order {tuple(order)} of {len(shape)} dimensions")
        return self.add("transpose", [value], [shape[i] for i in order], order=tuple(order))

    def slice(self, value: str, dim: int, start: int, stop: int, step: int = 1) -> str:
        """Return a run of a dimension."""
        shape = list(self.shape(value))
        shape[dim] = len(range(start, stop, step))
        return self.add("slice", [value], shape, dim=dim, start=start, stop=stop, step=step)

    def elementwise(self, *values: str, along: Sequence[int] = ()) -> str:
        """Return what is computed element by element; dimensions ``along`` are mixed alike."""
        shape = np.broadcast_shapes(*(self.shape(x) for x in values))
        facts = {"along": tuple(along)} if along else {}
        return self.add("elementwise", values, shape, **facts)

    def fix(self, value: str, dims: Sequence[int], shape: Sequence[int] | None = None) -> str:
        """Return what acts on some dimensions by position."""
        sizes = self.shape(value) if shape is None else shape
        return self.add("fix", [value], sizes, dims=tuple(dims), along=tuple(dims))

    def reduce(self, value: str, dims: Sequence[int], *, keep: bool) -> str:
        """Return sums over whole dimensions."""
        shape = self.shape(value)
        left = [1 if i in dims else n for i, n in enumerate(shape) if keep or i not in dims]
        return self.add("reduce", [value], left, dims=tuple(dims), keep=keep)

    def einsum(self, terms: Sequence[str], out: str, *values: str) -> str:
        """Return a sum of products by letters."""
        sizes: dict[str, int] = {}
        for term, value in zip(terms, values, strict=True):
            for letter, n in zip(term, self.shape(value), strict=True):
                if sizes.get(letter, 1) not in (1, n) and n != 1:
                    raise UnknownValue(f"sizes {sizes[letter]} and {n} of one dimension")
                sizes[letter] = max(sizes.get(letter, n), n)
        return self.add("einsum", values, [sizes[x] for x in out], terms=tuple(terms), out=out)

    def opaque(self, values: Iterable[str], *shapes: Shape) -> list[str]:
        """Add a node of which nothing is known but the shapes of its outputs."""
        outputs = tuple(self.name() for _ in shapes)
        self.shapes.update(zip(outputs, shapes, strict=True))
        inputs = tuple(dict.fromkeys(x for x in values if x in self.shapes))
        self.nodes.append(Node("opaque", inputs, outputs))
        return list(outputs)


def axis_of(axis: int, rank: int) -> int:
    """Return a dimension, counted from the end where it is negative."""
    if not -rank <= axis < max(rank, 1):
        raise UnknownValue(f"dimension {axis} of {rank}")
    return axis % rank if rank else 0


def evenness(values: Array) -> tuple[bool, ...]:
    """Whether all entries are equal along each dimension."""
    if values.size == 0:
        return (True,) * values.ndim
    rows = (values == np.take(values, [0], axis=d) for d in range(values.ndim))
    return tuple(bool(np.all(row)) for row in rows)


Operation = Callable[[Builder, Call], Sequence[str]]  # returns its outputs
