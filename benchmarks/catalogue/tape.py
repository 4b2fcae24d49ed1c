"""A graph while it is being recorded: nodes in order, shapes of values, constants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from weightkin.anatomy.graph.ir import Node, Op

Shape = tuple[int, ...]


class Step(NamedTuple):
    """A node with one input and one output, to be repeated on other values."""

    op: Op
    facts: Mapping[str, Any]
    shape: Shape  # of the output


class Tape:
    """Nodes recorded so far. Every method writes at most a few nodes and returns a value.

    A function of each entry alone (an activation, a cast) has the dimensions of what it is applied
    to: no node is written, the value stays the same.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.constants: dict[str, tuple[bool, ...]] = {}

    def emit(self, op: Op, inputs: Sequence[str], shape: Sequence[int], **facts: Any) -> str:
        """Write one node with one output and return the name of that."""
        name = self._new(shape)
        self.nodes.append(Node(op, tuple(inputs), (name,), facts))
        return name

    def unknown(
        self, why: str, inputs: Sequence[str], shapes: Sequence[Sequence[int]]
    ) -> list[str]:
        """Write an opaque node: every dimension of every value stays as it is."""
        names = [self._new(shape) for shape in shapes]
        self.nodes.append(Node("opaque", tuple(dict.fromkeys(inputs)), tuple(names), {"why": why}))
        return names

    def constant(self, tensor: torch.Tensor) -> str:
        """Name a tensor that depends on neither weights nor inputs; look along which it is even."""
        name = self._new(tensor.shape)
        self.constants[name] = even_dims(tensor)
        return name

    def elementwise(self, *values: str) -> str:
        """Return a function of entries that stand at one place, inputs broadcast."""
        own = list(dict.fromkeys(values))
        if len(own) == 1:
            return own[0]
        return self.emit("elementwise", own, torch.broadcast_shapes(*map(self.shapes.get, own)))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Return the same entries in row-major order, in another shape."""
        return x if self.shapes[x] == tuple(shape) else self.emit("reshape", [x], shape)

    def transpose(self, x: str, order: Sequence[int]) -> str:
        """Return the value with its dimensions in another order."""
        if list(order) == list(range(len(order))):
            return x
        shape = self.shapes[x]
        return self.emit("transpose", [x], [shape[i] for i in order], order=tuple(order))

    def move(self, x: str, source: int, target: int) -> str:
        """Return the value with one dimension moved."""
        rank = len(self.shapes[x])
        order = [i for i in range(rank) if i != source % rank]
        order.insert(target % rank, source % rank)
        return self.transpose(x, order)

    def expand(self, x: str, shape: Sequence[int]) -> str:
        """Return copies along dimensions of size one."""
        return x if self.shapes[x] == tuple(shape) else self.emit("expand", [x], shape)

    def slice(self, x: str, dim: int, run: range) -> str:
        """Return every so many-th index of one dimension."""
        shape = list(self.shapes[x])
        if run == range(shape[dim]):
            return x
        shape[dim] = len(run)
        return self.emit(
            "slice", [x], shape, dim=dim, start=run.start, stop=run.stop, step=run.step
        )

    def select(self, x: str, dim: int, index: int) -> str:
        """Return one index of a dimension, without that dimension."""
        own = self.slice(x, dim, range(index, index + 1))
        shape = self.shapes[x]
        return self.reshape(own, (*shape[:dim], *shape[dim + 1 :]))

    def concat(self, values: Sequence[str], dim: int) -> str:
        """Return values joined end to end along a dimension."""
        own = [x for x in values if self.shapes[x] != (0,)]  # torch lets these stand anywhere
        if len(own) == 1:
            return own[0]
        shape = list(self.shapes[own[0]])
        shape[dim] = sum(self.shapes[x][dim] for x in own)
        return self.emit("concat", own, shape, dim=dim)

    def reduce(self, x: str, dims: Sequence[int], *, keep: bool) -> str:
        """Return a sum, mean, norm ... over whole dimensions."""
        if not dims:
            return x
        shape = self.shapes[x]
        kept = [1 if i in dims else n for i, n in enumerate(shape) if keep or i not in dims]
        return self.emit("reduce", [x], kept, dims=tuple(sorted(dims)), keep=keep)

    def fix(self, x: str, dims: Sequence[int], shape: Sequence[int] | None = None) -> str:
        """Return the outcome of something that acts on some dimensions by position."""
        own = self.shapes[x] if shape is None else shape
        return self.emit("fix", [x], own, dims=tuple(sorted(dims))) if dims else x

    def einsum(self, terms: Sequence[str], values: Sequence[str], out: str) -> str:
        """Return a sum of products; a dimension of size one that meets a wider one is dropped."""
        sizes: dict[str, int] = {}
        for term, value in zip(terms, values, strict=True):
            for letter, n in zip(term, self.shapes[value], strict=True):
                sizes[letter] = max(n, sizes.get(letter, 1))
        own, kept = [], []
        for term, value in zip(terms, values, strict=True):
            shape = self.shapes[value]
            stays = [n == sizes[x] for x, n in zip(term, shape, strict=True)]
            own.append(
                self.reshape(value, [n for n, stay in zip(shape, stays, strict=True) if stay])
            )
            kept.append("".join(x for x, stay in zip(term, stays, strict=True) if stay))
        return self.emit("einsum", own, [sizes[x] for x in out], terms=tuple(kept), out=out)

    def _new(self, shape: Sequence[int]) -> str:
        name = f"%{len(self.shapes)}"
        self.shapes[name] = tuple(map(int, shape))
        return name


def even_dims(tensor: torch.Tensor) -> tuple[bool, ...]:
    """For every dimension whether all entries along it are equal."""
    if not tensor.numel():
        return (True,) * tensor.ndim
    return tuple(bool((tensor == tensor.narrow(d, 0, 1)).all()) for d in range(tensor.ndim))


def size(shape: Sequence[int]) -> int:
    """Number of entries."""
    return math.prod(shape)
