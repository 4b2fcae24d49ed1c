"""Calls of torch that bring tensors into other shapes or orders, cut them, or put them together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from weightkin.anatomy.onnx.build import Builder, UnknownValue, axis_of
from weightkin.anatomy.onnx.forms import joined
from weightkin.anatomy.torchscript.values import Tensor

MAX_PIECES = 1 << 10


def of(b: Builder, x: object) -> tuple[str, tuple[int, ...]]:
    """A tensor and its shape."""
    if not isinstance(x, Tensor):
        raise UnknownValue("no tensor")
    return x.name, b.shape(x.name)


def dims_of(dims: object, rank: int) -> list[int]:
    """Dimensions counted from the front; all where none are said."""
    if dims is None:
        return list(range(rank))
    given: Sequence[Any] = dims if isinstance(dims, (list, tuple)) else [dims]
    return [axis_of(int(d), rank) for d in given] or list(range(rank))


def size(b: Builder, x: Tensor, dim: int | None = None) -> object:
    """The shape, or one size of it."""
    shape = of(b, x)[1]
    return list(shape) if dim is None else shape[axis_of(dim, len(shape))]


def view(b: Builder, x: Tensor, sizes: Sequence[int], *_: object) -> Tensor:
    """Another shape; one size may be left open."""
    name, shape = of(b, x)
    target = [int(n) for n in sizes]
    if target.count(-1) == 1:
        rest = -math.prod(target)
        target[target.index(-1)] = math.prod(shape) // max(1, rest)
    return Tensor(b.reshape(name, target))


def flatten(b: Builder, x: Tensor, start: int = 0, end: int = -1) -> Tensor:
    """A run of dimensions as one."""
    name, shape = of(b, x)
    i, j = (axis_of(d, len(shape)) for d in (start, end))
    return Tensor(b.reshape(name, (*shape[:i], math.prod(shape[i : j + 1]), *shape[j + 1 :])))


def unsqueeze(b: Builder, x: Tensor, dim: int) -> Tensor:
    """One more dimension, of size one."""
    name, shape = of(b, x)
    at = axis_of(dim, len(shape) + 1)
    return Tensor(b.reshape(name, (*shape[:at], 1, *shape[at:])))


def squeeze(b: Builder, x: Tensor, dims: object = None) -> Tensor:
    """Without dimensions of size one."""
    name, shape = of(b, x)
    gone = {d for d in dims_of(dims, len(shape)) if shape[d] == 1}
    return Tensor(b.reshape(name, [n for i, n in enumerate(shape) if i not in gone]))


def transpose(b: Builder, x: Tensor, one: int = 0, other: int = 1) -> Tensor:
    """Two dimensions exchanged; of a matrix where none are said."""
    name, shape = of(b, x)
    order = list(range(len(shape)))
    i, j = (axis_of(d, len(shape)) for d in (one, other))
    order[i], order[j] = j, i
    return Tensor(b.transpose(name, order))


def permute(b: Builder, x: Tensor, dims: Sequence[int]) -> Tensor:
    """Another order of dimensions."""
    name, shape = of(b, x)
    return Tensor(b.transpose(name, dims_of(dims, len(shape))))


def expand(b: Builder, x: Tensor, sizes: Sequence[int], *_: object, **__: object) -> Tensor:
    """Copies along dimensions of size one."""
    name, shape = of(b, x)
    own = (1,) * (len(sizes) - len(shape)) + shape
    target = tuple(n if wanted == -1 else wanted for n, wanted in zip(own, sizes, strict=True))
    np.broadcast_shapes(own, target)
    return Tensor(b.add("expand", [name], target) if target != shape else name)


def repeat(b: Builder, x: Tensor, times: Sequence[int]) -> Tensor:
    """The whole several times along dimensions."""
    name, shape = of(b, x)
    sizes = [*(1,) * (len(times) - len(shape)), *shape]
    name = b.reshape(name, sizes)
    for dim, n in enumerate(times):
        if n != 1:
            sizes[dim] *= n
            name = b.add("repeat", [name], sizes, dim=dim, times=n)
    return Tensor(name)


def cut(
    b: Builder, x: Tensor, dim: int = 0, start: int | None = None, stop: int | None = None,
    step: int = 1,
) -> Tensor:  # fmt: skip
    """A run of a dimension."""
    name, shape = of(b, x)
    at = axis_of(dim, len(shape))
    first, last, by = slice(start, stop, step).indices(shape[at])
    if (first, last, by) == (0, shape[at], 1):
        return x
    return Tensor(b.slice(name, at, first, max(first, last), by))


def select(b: Builder, x: Tensor, dim: int, index: int) -> Tensor:
    """One entry of a dimension, without it."""
    name, shape = of(b, x)
    at = axis_of(dim, len(shape))
    i = index + shape[at] if index < 0 else index
    if not 0 <= i < shape[at]:
        raise UnknownValue("an index outside")
    return Tensor(b.reshape(b.slice(name, at, i, i + 1), (*shape[:at], *shape[at + 1 :])))


def split(b: Builder, x: Tensor, sizes: int | Sequence[int], dim: int = 0) -> list[Tensor]:
    """In pieces of a size, or of several."""
    name, shape = of(b, x)
    at = axis_of(dim, len(shape))
    n = shape[at]
    if isinstance(sizes, int) and (sizes < 1 or n > MAX_PIECES * sizes):
        raise UnknownValue("too many pieces")
    each = [sizes] * -(-n // sizes) if isinstance(sizes, int) else list(sizes)
    ends = np.minimum(np.cumsum([0, *each]), n).tolist()
    return [Tensor(b.slice(name, at, i, j)) for i, j in zip(ends, ends[1:], strict=False)]


def chunk(b: Builder, x: Tensor, n: int, dim: int = 0) -> list[Tensor]:
    """In so many pieces."""
    shape = of(b, x)[1]
    return split(b, x, -(-shape[axis_of(dim, len(shape))] // n), dim)


def unbind(b: Builder, x: Tensor, dim: int = 0) -> list[Tensor]:
    """All entries of a dimension."""
    n = of(b, x)[1][axis_of(dim, len(b.shape(x.name)))]
    if n > MAX_PIECES:
        raise UnknownValue("too many entries")
    return [select(b, x, dim, i) for i in range(n)]


def cat(b: Builder, parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    """One after the other along a dimension."""
    names = [of(b, x)[0] for x in parts if 0 not in b.shape(x.name)]
    return Tensor(joined(b, names, axis_of(dim, len(b.shape(names[0])))))


def stack(b: Builder, parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    """One beside the other along a new dimension."""
    return cat(b, [unsqueeze(b, x, dim) for x in parts], dim)


OPERATIONS: Mapping[str, Callable[..., object]] = {
    "size": size,
    "dim": lambda b, x: len(of(b, x)[1]),
    "numel": lambda b, x: math.prod(of(b, x)[1]),
    "len": lambda b, x: of(b, x)[1][0] if isinstance(x, Tensor) else len(x),
    "__getitem__": lambda _, x, i: x[i],
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "_reshape_alias"), view),
    "flatten": flatten,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    **dict.fromkeys(("transpose", "t", "swapaxes"), transpose),
    "permute": permute,
    "expand": expand,
    "expand_as": lambda b, x, y: expand(b, x, of(b, y)[1]),
    "view_as": lambda b, x, y: view(b, x, of(b, y)[1]),
    "repeat": repeat,
    "slice": cut,
    "select": select,
    "narrow": lambda b, x, dim, start, n: cut(b, x, dim, start, start + n),
    **dict.fromkeys(("split", "split_with_sizes"), split),
    "chunk": chunk,
    "unbind": unbind,
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "stack": stack,
}
