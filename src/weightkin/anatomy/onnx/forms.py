"""Operations that bring elements into another shape or order, copy them, or cut them out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue, axis_of
from weightkin.anatomy.onnx.known import NUMPY_TYPES
from weightkin.formats.onnx_network import MOST_READ

MAX_PIECES = 1 << 12  # of a split, dimensions of a cut


def reshape(b: Builder, call: Call) -> Sequence[str]:
    """To a target with at most one size left open."""
    x = call.input(0)
    shape = b.shape(x)
    target = list(call.numbers("shape") or b.integers(call.input(1)))
    if not call.number("allowzero"):
        target = [shape[i] if n == 0 else n for i, n in enumerate(target)]
    if target.count(-1) == 1:
        rest = -math.prod(target)
        if rest <= 0 or math.prod(shape) % rest:
            raise UnknownValue(f"{shape} as {target}")
        target[target.index(-1)] = math.prod(shape) // rest
    if math.prod(target) != math.prod(shape):
        raise UnknownValue(f"{shape} as {target}")
    return [b.reshape(x, target)]


def flatten(b: Builder, call: Call) -> Sequence[str]:
    """To a matrix."""
    shape = b.shape(call.input(0))
    axis = call.number("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    sizes = math.prod(shape[:axis]), math.prod(shape[axis:])
    return [b.reshape(call.input(0), sizes)]


def squeeze(b: Builder, call: Call) -> Sequence[str]:
    """Without dimensions of size one."""
    shape = b.shape(call.input(0))
    axes = b.axes(call, 1, len(shape)) or [i for i, n in enumerate(shape) if n == 1]
    if any(shape[i] != 1 for i in axes):
        raise UnknownValue(f"{shape} without {axes}")
    return [b.reshape(call.input(0), [n for i, n in enumerate(shape) if i not in axes])]


def unsqueeze(b: Builder, call: Call) -> Sequence[str]:
    """With dimensions of size one."""
    shape = list(b.shape(call.input(0)))
    given = call.numbers("axes") or b.integers(call.input(1))
    rank = len(shape) + len(given)
    for axis in sorted(axis_of(d, rank) for d in given):
        shape.insert(axis, 1)
    return [b.reshape(call.input(0), shape)]


def transpose(b: Builder, call: Call) -> Sequence[str]:
    """In another order; backwards where none is said."""
    rank = len(b.shape(call.input(0)))
    return [b.transpose(call.input(0), call.numbers("perm") or tuple(reversed(range(rank))))]


def expand(b: Builder, call: Call) -> Sequence[str]:
    """Copies along dimensions of size one."""
    shape = b.shape(call.input(0))
    target = np.broadcast_shapes(shape, b.integers(call.input(1)))
    return [b.add("expand", [call.input(0)], target) if target != shape else call.input(0)]


def tile(b: Builder, call: Call) -> Sequence[str]:
    """The whole several times along dimensions."""
    found = call.input(0)
    for dim, times in enumerate(b.integers(call.input(1))):
        if times != 1:
            shape = list(b.shape(found))
            shape[dim] *= times
            found = b.add("repeat", [found], shape, dim=dim, times=times)
    return [found]


def concat(b: Builder, call: Call) -> Sequence[str]:
    """One after the other along a dimension."""
    rank = max(len(b.shape(x)) for x in call.inputs)
    axis = axis_of(call.number("axis", 1), rank)
    values = [x for x in call.inputs if len(b.shape(x)) == rank and b.shape(x)[axis]]
    return [joined(b, values, axis)]


def joined(b: Builder, values: Sequence[str], axis: int) -> str:
    """Values one after the other along a dimension."""
    if len(values) == 1:
        return values[0]
    shapes = [b.shape(x) for x in values]
    rest = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
    if len(rest) != 1:
        raise UnknownValue(f"shapes {shapes[:4]} one after the other")
    shape = list(shapes[0])
    shape[axis] = sum(s[axis] for s in shapes)
    return b.add("concat", values, shape, dim=axis)


def split(b: Builder, call: Call) -> Sequence[str]:
    """In pieces along a dimension."""
    shape = b.shape(call.input(0))
    axis = axis_of(call.number("axis"), len(shape))
    sizes = call.numbers("split")
    if not sizes and call.input(1):
        sizes = b.integers(call.input(1))
    if not sizes:
        n = call.number("num_outputs") or call.n_outputs
        size = -(-shape[axis] // n)
        sizes = tuple(max(0, min(size, shape[axis] - i * size)) for i in range(n))
    if sum(sizes) != shape[axis] or len(sizes) > MAX_PIECES:
        raise UnknownValue(f"{shape[axis]} in {sizes[:8]}")
    ends = np.cumsum((0, *sizes)).tolist()
    pieces = zip(ends, ends[1:], strict=False)
    return [b.slice(call.input(0), axis, start, stop) for start, stop in pieces]


def cut(b: Builder, call: Call) -> Sequence[str]:
    """Runs of some dimensions; backwards is by position."""
    found, shape = call.input(0), b.shape(call.input(0))
    if call.input(1):
        starts, stops = (b.integers(call.input(i)) for i in (1, 2))
        axes = b.integers(call.input(3)) if call.input(3) else ()
        steps = b.integers(call.input(4)) if call.input(4) else ()
    else:
        starts, stops, axes = (call.numbers(x) for x in ("starts", "ends", "axes"))
        steps = ()
    axes = axes or tuple(range(len(starts)))
    steps = steps or (1,) * len(starts)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        dim = axis_of(axis, len(shape))
        n = shape[dim]
        if step < 0:
            lowest = None if stop < -n else stop
            size = len(range(n)[slice(start, lowest, step)])
            turned = [size if i == dim else m for i, m in enumerate(b.shape(found))]
            found = b.fix(found, [dim], turned)
            continue
        first, last, step = slice(start, stop, step).indices(n)
        if (first, last, step) != (0, n, 1):
            found = b.slice(found, dim, first, max(first, last), step)
    return [found]


def shape_of(b: Builder, call: Call) -> Sequence[str]:
    """Return the shape, which is known."""
    shape = b.shape(call.input(0))
    last = call.attributes.get("end")
    part = shape[call.number("start") : last if isinstance(last, int) else None]
    return [b.constant(np.array(part, dtype=np.int64))]


def size_of(b: Builder, call: Call) -> Sequence[str]:
    """Return the number of elements, which is known."""
    return [b.constant(np.array(math.prod(b.shape(call.input(0))), dtype=np.int64))]


def filled(b: Builder, call: Call) -> Sequence[str]:
    """One value everywhere."""
    shape = b.integers(call.input(0))
    if any(n < 0 for n in shape):
        raise UnknownValue(f"a value of shape {shape}")
    values = b.array(call.input(1)) if call.input(1) else np.zeros(1, dtype=np.float32)
    if math.prod(shape) <= MOST_READ:
        return [b.constant(np.full(shape, values.reshape(-1)[0]))]
    return [b.table(shape, (True,) * len(shape))]


def diagonal(b: Builder, call: Call) -> Sequence[str]:
    """Ones on a diagonal."""
    shape = n, width = b.shape(call.input(0))
    kind = NUMPY_TYPES.get(call.number("dtype", 1), np.float32)
    if math.prod(shape) <= MOST_READ:
        return [b.constant(np.eye(n, width, k=call.number("k"), dtype=kind))]
    return [b.table(shape, (False,) * len(shape))]


def window(b: Builder, call: Call) -> Sequence[str]:
    """A table by a formula."""
    sizes = b.integers(call.input(0))
    if call.op == "MelWeightMatrix":
        sizes = (b.integers(call.input(1))[0] // 2 + 1, sizes[0])
    return [b.table(sizes, (False,) * len(sizes))]


def blocks(b: Builder, call: Call) -> Sequence[str]:
    """Channels to a block of space, or back."""
    n, channels, height, width = b.shape(call.input(0))
    size = call.number("blocksize")
    if call.op == "SpaceToDepth":
        x = b.reshape(call.input(0), (n, channels, height // size, size, width // size, size))
        x = b.transpose(x, (0, 3, 5, 1, 2, 4))
        return [b.reshape(x, (n, channels * size**2, height // size, width // size))]
    inner = channels // size**2
    if call.text("mode", "DCR") == "DCR":
        x = b.reshape(call.input(0), (n, size, size, inner, height, width))
        x = b.transpose(x, (0, 3, 4, 1, 5, 2))
    else:
        x = b.reshape(call.input(0), (n, inner, size, size, height, width))
        x = b.transpose(x, (0, 1, 4, 2, 5, 3))
    return [b.reshape(x, (n, inner, height * size, width * size))]


OPERATIONS: Mapping[str, Operation] = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Expand": expand,
    "Tile": tile,
    "Concat": concat,
    "Split": split,
    "Slice": cut,
    "Shape": shape_of,
    "Size": size_of,
    "ConstantOfShape": filled,
    "EyeLike": diagonal,
    **dict.fromkeys(("HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix"), window),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), blocks),
}
