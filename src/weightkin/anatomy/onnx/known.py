"""Small integer networks inside a network: what shapes and constants say beforehand.

A graph computes the targets of its reshapes and the places of its cuts from shapes. These are
followed with numbers; a result that would be large is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weightkin.anatomy.onnx.build import Array, Call, axis_of
from weightkin.formats.onnx_network import MOST_READ

NUMPY_TYPES: Mapping[int, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float32, 11: np.float64, 12: np.uint32, 13: np.uint64, 16: np.float32,
}  # fmt: skip
_Arrays = list[Array]


def computed(call: Call, inputs: _Arrays) -> list[Array] | None:
    """Outputs of a node whose inputs are all known; None where it is not followed."""
    if call.op in PLAIN:
        found: Any = PLAIN[call.op](*inputs)
    elif call.op in TOLD:
        found = TOLD[call.op](call, inputs)
    else:
        return None
    outputs = [np.asarray(x) for x in (found if isinstance(found, list) else [found])]
    return outputs if all(x.size <= MOST_READ for x in outputs) else None


def _divided(x: Array, y: Array) -> Any:
    if x.dtype.kind not in "iu":
        return x / y
    safe = np.where(y == 0, 1, y)
    return np.where(y == 0, 0, np.sign(x) * np.sign(safe) * (np.abs(x) // np.abs(safe))).astype(
        x.dtype
    )


PLAIN: Mapping[str, Callable[..., Any]] = {
    "Identity": lambda x: x,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divided,
    "Pow": lambda x, y: np.power(x.astype(np.float64), y).astype(x.dtype),
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "Sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
    "Reciprocal": lambda x: 1 / np.where(x == 0, 1, x),
    "Exp": np.exp,
    "Sin": np.sin,
    "Cos": np.cos,
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "Where": np.where,
    "IsNaN": np.isnan,
    "NonZero": lambda x: np.array(np.nonzero(np.atleast_1d(x)), dtype=np.int64),
    "CastLike": lambda x, y: x.astype(y.dtype),
}


def _folded(one: Callable[..., Any]) -> Callable[[Call, _Arrays], Any]:
    def run(_: Call, inputs: _Arrays) -> Any:
        found = inputs[0]
        for x in inputs[1:]:
            found = one(found, x)
        return found

    return run


def _axes(call: Call, inputs: _Arrays) -> tuple[int, ...] | None:
    given = call.numbers("axes")
    if not given and len(inputs) > 1:
        given = tuple(int(x) for x in inputs[1].reshape(-1))
    return given or None


def _reduced(one: Callable[..., Any]) -> Callable[[Call, _Arrays], Any]:
    def run(call: Call, inputs: _Arrays) -> Any:
        axes = _axes(call, inputs)
        return one(inputs[0], axis=axes, keepdims=bool(call.number("keepdims", 1)))

    return run


def _unsqueezed(call: Call, inputs: _Arrays) -> Any:
    axes = _axes(call, inputs) or ()
    return np.expand_dims(inputs[0], tuple(axes))


def _sliced(call: Call, inputs: _Arrays) -> Any:
    x = inputs[0]
    if call.version < 10 and len(inputs) == 1:
        starts, ends, axes = (call.numbers(n) for n in ("starts", "ends", "axes"))
        steps: tuple[int, ...] = ()
    else:
        lists = [tuple(int(v) for v in a.reshape(-1)) for a in inputs[1:]]
        starts, ends, axes, steps = (*lists, (), ())[:4]
    cuts = [slice(None)] * x.ndim
    for i, (start, stop) in enumerate(zip(starts, ends, strict=True)):
        step = steps[i] if steps else 1
        lowest = None if step < 0 and stop < -x.shape[axes[i] if axes else i] else stop
        cuts[axes[i] if axes else i] = slice(start, lowest, step)
    return x[tuple(cuts)]


def _reshaped(call: Call, inputs: _Arrays) -> Any:
    target = [int(n) for n in inputs[1].reshape(-1)]
    if not call.number("allowzero"):
        target = [inputs[0].shape[i] if n == 0 else n for i, n in enumerate(target)]
    return inputs[0].reshape(target)


def _expanded(_: Call, inputs: _Arrays) -> Any:
    target = tuple(int(n) for n in inputs[1].reshape(-1))
    return np.broadcast_to(inputs[0], np.broadcast_shapes(inputs[0].shape, bounded(target)))


def bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of few elements, or refuse it."""
    n = 1
    for size in shape:
        n *= max(size, 1)
        if size < 0 or n > MOST_READ:
            raise ValueError("too many elements")
    return shape


def _tiled(_: Call, inputs: _Arrays) -> Any:
    times = tuple(int(n) for n in inputs[1].reshape(-1))
    bounded(tuple(a * b for a, b in zip(inputs[0].shape, times, strict=True)))
    return np.tile(inputs[0], times)


def _range(_: Call, inputs: _Arrays) -> Any:
    start, stop, step = (x.reshape(-1)[0] for x in inputs)
    if step == 0 or abs((stop - start) / step) > MOST_READ:
        raise ValueError("too many elements")
    return np.arange(start, stop, step).astype(inputs[0].dtype)


def _split(call: Call, inputs: _Arrays) -> list[Array]:
    axis = axis_of(call.number("axis"), inputs[0].ndim)
    sizes = call.numbers("split")
    if not sizes and len(inputs) > 1:
        sizes = tuple(int(n) for n in inputs[1].reshape(-1))
    if not sizes:
        return list(np.array_split(inputs[0], call.n_outputs, axis=axis))
    return list(np.split(inputs[0], np.cumsum(sizes)[:-1], axis=axis))


TOLD: Mapping[str, Callable[[Call, _Arrays], Any]] = {
    "Cast": lambda call, x: x[0].astype(NUMPY_TYPES[call.number("to")]),
    "Min": _folded(np.minimum),
    "Max": _folded(np.maximum),
    "Sum": _folded(np.add),
    "Mod": lambda call, x: np.fmod(*x) if call.number("fmod") else np.mod(*x),
    "Concat": lambda call, x: np.concatenate(x, axis=call.number("axis", 1)),
    "Gather": lambda call, x: np.take(x[0], x[1].astype(np.int64), axis=call.number("axis")),
    "Unsqueeze": _unsqueezed,
    "Squeeze": lambda call, x: np.squeeze(x[0], axis=_axes(call, x)),
    "Slice": _sliced,
    "Split": _split,
    "Reshape": _reshaped,
    "Transpose": lambda call, x: np.transpose(x[0], call.numbers("perm") or None),
    "Expand": _expanded,
    "Tile": _tiled,
    "Range": _range,
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "CumSum": lambda _, x: np.cumsum(x[0], axis=int(x[1].reshape(-1)[0])),
    "Flatten": lambda call, x: x[0].reshape(
        int(np.prod(x[0].shape[: call.number("axis", 1)], dtype=np.int64)), -1
    ),
}
