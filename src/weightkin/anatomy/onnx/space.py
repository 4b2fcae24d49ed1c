"""Operations over space, and over whole dimensions: pools, sums, margins, other sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue, axis_of
from weightkin.anatomy.onnx.forms import joined


def windows(call: Call, space: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """How many windows of a kernel fit along each dimension of space."""
    n = len(space)
    strides = call.numbers("strides") or (1,) * n
    wide = call.numbers("dilations") or (1,) * n
    pads = call.numbers("pads") or (0,) * 2 * n
    how = call.text("auto_pad", "NOTSET")
    if len(kernel) != n or len(strides) != n or len(pads) != 2 * n or 0 in strides:
        raise UnknownValue("a kernel of another rank")
    found = []
    for i, size in enumerate(space):
        if how.startswith("SAME"):
            found.append(-(-size // strides[i]))
            continue
        padding = 0 if how == "VALID" else pads[i] + pads[n + i]
        span = (kernel[i] - 1) * wide[i] + 1
        rest = size + padding - span
        if rest < 0:
            raise UnknownValue(f"a kernel of {span} over {size}")
        steps = rest // strides[i]
        if call.number("ceil_mode") and rest % strides[i]:
            steps += (steps + 1) * strides[i] < size + pads[i]
        found.append(steps + 1)
    return found


def pool(b: Builder, call: Call) -> Sequence[str]:
    """Windows over space; places of maxima are another output."""
    shape = b.shape(call.input(0))
    space = windows(call, shape[2:], call.numbers("kernel_shape"))
    dims = range(2, len(shape))
    return [b.fix(call.input(0), dims, (*shape[:2], *space)) for _ in range(max(1, call.n_outputs))]


def pool_all(b: Builder, call: Call) -> Sequence[str]:
    """All of space."""
    dims = range(2, len(b.shape(call.input(0))))
    return [b.reduce(call.input(0), dims, keep=True)]


def reduce(b: Builder, call: Call) -> Sequence[str]:
    """Sums, means, maxima and others over whole dimensions."""
    x, rank = call.input(0), len(b.shape(call.input(0)))
    axes = b.axes(call, 1, rank)
    if not axes and call.number("noop_with_empty_axes"):
        return [b.elementwise(x)]
    return [b.reduce(x, axes or range(rank), keep=bool(call.number("keepdims", 1)))]


def best(b: Builder, call: Call) -> Sequence[str]:
    """The place of a maximum."""
    x = call.input(0)
    axis = axis_of(call.number("axis"), len(b.shape(x)))
    return [b.reduce(b.fix(x, [axis]), [axis], keep=bool(call.number("keepdims", 1)))]


def by_order(b: Builder, call: Call) -> Sequence[str]:
    """Along one dimension by position: running sums, triangles, reversals."""
    x, rank = call.input(0), len(b.shape(call.input(0)))
    if call.op == "Trilu":
        return [b.fix(x, [rank - 2, rank - 1])]
    if call.op == "ReverseSequence":
        return [b.fix(x, [call.number("batch_axis", 1), call.number("time_axis")])]
    return [b.fix(x, [axis_of(b.integers(call.input(1))[0], rank)])]


def largest(b: Builder, call: Call) -> Sequence[str]:
    """The largest entries along a dimension, and their places."""
    x = call.input(0)
    shape = list(b.shape(x))
    axis = axis_of(call.number("axis", -1), len(shape))
    shape[axis] = call.number("k") or b.integers(call.input(1))[0]
    return [b.fix(x, [axis], shape) for _ in range(2)]


def pad(b: Builder, call: Call) -> Sequence[str]:
    """Margins; of channels, more channels."""
    x, shape = call.input(0), b.shape(call.input(0))
    pads = call.numbers("pads") or call.numbers("paddings") or b.integers(call.input(1))
    axes = [axis_of(d, len(shape)) for d in b.integers(call.input(3))] if call.input(3) else []
    dims = axes or list(range(len(shape)))
    if len(pads) != 2 * len(dims):
        raise UnknownValue("margins of other dimensions")
    margins = {d: (pads[i], pads[len(dims) + i]) for i, d in enumerate(dims)}
    margins = {d: both for d, both in margins.items() if any(both)}
    if not margins:
        return [x]
    if (
        list(margins) == [1]
        and call.text("mode", "constant") == "constant"
        and min(margins[1]) >= 0
    ):
        rest = [(shape[0], n, *shape[2:]) for n in margins[1]]
        before, after = (b.table(s, (True,) * len(s)) if s[1] else "" for s in rest)
        return [joined(b, [v for v in (before, x, after) if v], 1)]
    sizes = [n + sum(margins.get(d, (0, 0))) for d, n in enumerate(shape)]
    return [b.fix(x, sorted(margins), sizes)]


def resize(b: Builder, call: Call) -> Sequence[str]:
    """Other sizes, by interpolation."""
    x, shape = call.input(0), b.shape(call.input(0))
    axes = [axis_of(d, len(shape)) for d in call.numbers("axes")] or list(range(len(shape)))
    sizes = list(shape)
    is_old = call.op == "Upsample" or call.version < 11
    scales = call.input(1 if is_old else 2)
    factors: Sequence[float] = ()
    if scales and 0 not in b.shape(scales):
        factors = [float(v) for v in b.array(scales).reshape(-1)]
    elif given := call.attributes.get("scales"):
        factors = given if isinstance(given, tuple) else ()
    wanted = [math.floor(shape[d] * f) for d, f in zip(axes, factors, strict=False)]
    if not factors:
        wanted = list(b.integers(call.input(3)))
    for d, n in zip(axes, wanted, strict=True):
        sizes[d] = n
    changed = [d for d, n in enumerate(sizes) if n != shape[d]]
    return [b.fix(x, changed, sizes) if changed else x]


def sampled(b: Builder, call: Call) -> Sequence[str]:
    """Space read at computed places."""
    x, places = call.input(0), b.shape(call.input(1))
    shape = b.shape(x)
    b.opaque([call.input(1), call.input(2)])
    if call.op == "GridSample":
        out = (*shape[:2], *places[1:-1])
        return [b.fix(x, [0, *range(2, len(shape))], out)]
    size = call.numbers("pooled_shape") or (
        call.number("output_height", 1),
        call.number("output_width", 1),
    )
    return [b.fix(x, [0, 2, 3], (places[0], shape[1], *size))]


_REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
OPERATIONS: Mapping[str, Operation] = {
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), pool_all),
    **{f"Reduce{name}": reduce for name in _REDUCTIONS},
    **dict.fromkeys(("ArgMax", "ArgMin"), best),
    **dict.fromkeys(("CumSum", "CumProd", "Trilu", "ReverseSequence"), by_order),
    "TopK": largest,
    "Pad": pad,
    **dict.fromkeys(("Resize", "Upsample"), resize),
    **dict.fromkeys(("GridSample", "RoiAlign", "MaxRoiPool"), sampled),
}
