"""Operations that act on every element alike, and norms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue, axis_of

MAX_GROUPS = 1 << 14


def one(b: Builder, call: Call) -> Sequence[str]:
    """A function of the first input alone."""
    return [b.elementwise(call.input(0))] * max(1, call.n_outputs)


def several(b: Builder, call: Call) -> Sequence[str]:
    """A function of all inputs."""
    return [b.elementwise(*filter(None, call.inputs))] * max(1, call.n_outputs)


def multiplied(b: Builder, call: Call) -> Sequence[str]:
    """Return a product of all inputs, element by element."""
    shapes = (b.shape(x) for x in call.inputs)
    shape = np.broadcast_shapes(*shapes)
    return [b.add("elementwise", call.inputs, shape, is_product=True)]


def same(b: Builder, call: Call) -> Sequence[str]:
    """What passes unchanged."""
    b.shape(call.input(0))
    return [call.input(0)] * max(1, call.n_outputs)


def softmax(b: Builder, call: Call) -> Sequence[str]:
    """Entries along a dimension, or from it on, are mixed alike."""
    rank = len(b.shape(call.input(0)))
    is_old = call.version < 13 and call.op != "LpNormalization"
    axis = axis_of(call.number("axis", 1 if is_old else -1), rank)
    along = range(axis, rank) if is_old else (axis,)
    return [b.elementwise(call.input(0), along=along)]


def on_channels(b: Builder, x: str, value: str) -> str:
    """Return a value of one entry a channel, so that it stands beside the channels of x."""
    shape, rank = b.shape(value), len(b.shape(x))
    return b.reshape(value, (shape[0], *(1,) * (rank - 2))) if len(shape) == 1 else value


def batch_norm(b: Builder, call: Call) -> Sequence[str]:
    """Every channel by four numbers of its own."""
    x = call.input(0)
    return [b.elementwise(x, *(on_channels(b, x, v) for v in call.inputs[1:5]))]


def instance_norm(b: Builder, call: Call) -> Sequence[str]:
    """Every channel by its own mean, then two numbers of its own."""
    x = call.input(0)
    normed = b.elementwise(x, along=range(2, len(b.shape(x))))
    return [b.elementwise(normed, *(on_channels(b, x, v) for v in call.inputs[1:3]))]


def layer_norm(b: Builder, call: Call) -> Sequence[str]:
    """The last dimensions by their mean, then two numbers for each entry."""
    x, rank = call.input(0), len(b.shape(call.input(0)))
    along = range(axis_of(call.number("axis", -1), rank), rank)
    normed = b.elementwise(x, along=along)
    found = b.elementwise(normed, *filter(None, call.inputs[1:3]))
    rest = [b.reduce(x, along, keep=True) for _ in range(call.n_outputs - 1)]
    return [found, *rest]


def added_norm(b: Builder, call: Call) -> Sequence[str]:
    """Two streams and a bias are added, then normalised; the sum is an output too."""
    n_gains = 1 if "Simplified" in call.op else 2
    gains = call.inputs[2 : 2 + n_gains]
    total = b.elementwise(*filter(None, (*call.inputs[:2], call.input(2 + n_gains))))
    normed = b.elementwise(total, along=[len(b.shape(total)) - 1])
    small = b.reduce(total, [len(b.shape(total)) - 1], keep=True)
    return [b.elementwise(normed, *filter(None, gains)), small, small, total]


def group_norm(b: Builder, call: Call) -> Sequence[str]:
    """Channels inside groups; numbers for each channel, or for each group in older versions."""
    x, groups = call.input(0), call.number("num_groups") or call.number("groups")
    is_last = call.number("channels_last", 1 if call.attributes.get("groups") else 0)
    rank = len(b.shape(x))
    if not 0 < groups <= MAX_GROUPS:
        raise UnknownValue(f"{groups} groups")
    if is_last:
        x = b.transpose(x, (0, rank - 1, *range(1, rank - 1)))
    found = b.add("group_norm", [x], b.shape(x), groups=groups)
    for value in call.inputs[1:3]:
        (n,) = b.shape(value)
        if n == groups != b.shape(x)[1]:
            batch, channels, *space = b.shape(x)
            cut = b.reshape(found, (batch, groups, channels // groups, *space))
            cut = b.elementwise(cut, b.reshape(value, (n, *(1,) * (rank - 1))))
            found = b.reshape(cut, b.shape(x))
        else:
            found = b.elementwise(found, on_channels(b, x, value))
    if is_last:
        found = b.transpose(found, (0, *range(2, rank), 1))
    return [found]


def mean_variance(b: Builder, call: Call) -> Sequence[str]:
    """Mean and variance over some dimensions."""
    rank = len(b.shape(call.input(0)))
    axes = [axis_of(d, rank) for d in call.numbers("axes") or (0, 2, 3)]
    return [b.elementwise(call.input(0), along=axes)]


def neighbours(b: Builder, call: Call) -> Sequence[str]:
    """Every channel by those beside it."""
    return [b.fix(call.input(0), [1])]


def quantised(b: Builder, call: Call) -> Sequence[str]:
    """To codes or back, by one scale or by one for each entry along a dimension."""
    x, scale = call.input(0), call.input(1)
    if x in b.unpacked:
        return [x]
    rank, shape = len(b.shape(x)), b.shape(scale)
    if len(shape) > 1 or call.number("block_size"):
        raise UnknownValue("scales of blocks")
    if len(shape) == 1 and shape[0] > 1:
        axis = axis_of(call.number("axis", 1), rank)
        scale = b.reshape(scale, (shape[0], *(1,) * (rank - 1 - axis)))
        return [b.elementwise(x, scale)]
    return [b.elementwise(x)]


def to_codes(b: Builder, call: Call) -> Sequence[str]:
    """Codes of all elements, one scale and one zero point."""
    x = call.input(0)
    every = range(len(b.shape(x)))
    return [b.elementwise(x, along=every), *(b.reduce(x, every, keep=False) for _ in range(2))]


def noise(b: Builder, call: Call) -> Sequence[str]:
    """Random numbers of a shape."""
    shape = b.shape(call.input(0)) if call.input(0) else call.numbers("shape")
    return [b.table(shape, (False,) * len(shape))]


_ONE = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil"),
    *("Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
    *("HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal"),
    *("Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign"),
    *("Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "CastLike", "QuickGelu", "Rsqrt"),
    *("ImageScaler", "Affine", "ScaledTanh", "ParametricSoftplus"),
)
_SEVERAL = (
    *("Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal"),
    *("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod"),
    *("Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor", "BiasGelu", "FastGelu", "BiasAdd"),
    *("BiasDropout", "BitmaskBiasDropout"),
)
OPERATIONS: Mapping[str, Operation] = {
    **dict.fromkeys(_ONE, one),
    **dict.fromkeys(_SEVERAL, several),
    "Mul": multiplied,
    **dict.fromkeys(("Identity", "Dropout"), same),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "LpNormalization"), softmax),
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    **dict.fromkeys(
        ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"), layer_norm
    ),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), added_norm),
    **dict.fromkeys(("GroupNormalization", "GroupNorm"), group_norm),
    "MeanVarianceNormalization": mean_variance,
    "LRN": neighbours,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), quantised),
    "DynamicQuantizeLinear": to_codes,
    **dict.fromkeys(
        ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"), noise
    ),
    "Bernoulli": one,
}
