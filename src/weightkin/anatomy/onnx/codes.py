"""Operations on codes: each is its plain counterpart, with scales and zero points beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weightkin.anatomy.onnx import fused, plain, products, space
from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue
from weightkin.anatomy.onnx.forms import joined


def _sure(b: Builder, value: str, scale: str) -> str:
    """Return codes with one scale for all, or that are shown as the values they stand for."""
    if value not in b.unpacked and scale and math.prod(b.shape(scale)) > 1:
        raise UnknownValue("codes with many scales")
    return value


def _carried(b: Builder, value: str) -> str:
    """Return a summand of whole numbers, one for each row of the weights, which moves with them."""
    return b.table(b.shape(value), (True,) * len(b.shape(value))) if value in b.known else value


def convolve(b: Builder, call: Call) -> Sequence[str]:
    """A convolution of codes to codes."""
    x, w, scale, bias = (call.input(i) for i in (0, 3, 4, 8))
    if call.number("channels_last"):
        raise UnknownValue("channels last")
    inner = Call(
        "Conv", (x, _sure(b, w, scale), _carried(b, bias)), call.attributes, 1, call.version
    )
    return products.convolve(b, inner)


def convolve_whole(b: Builder, call: Call) -> Sequence[str]:
    """A convolution of codes to whole numbers."""
    w = _sure(b, call.input(1), call.input(3))
    return products.convolve(b, Call("Conv", (call.input(0), w), call.attributes, 1, call.version))


def multiply(b: Builder, call: Call) -> Sequence[str]:
    """A product of matrices of codes to codes."""
    return [products.matmul(b, call.input(0), _sure(b, call.input(3), call.input(4)))]


def multiply_whole(b: Builder, call: Call) -> Sequence[str]:
    """A product of matrices of codes to whole numbers."""
    return [products.matmul(b, call.input(0), _sure(b, call.input(1), call.input(3)))]


def to_floats(b: Builder, call: Call) -> Sequence[str]:
    """A product of codes to floats, with a bias."""
    at = {"DynamicQuantizeMatMul": (2, 4), "MatMulIntegerToFloat": (3, 6)}[call.op]
    found = products.matmul(b, call.input(0), _sure(b, call.input(1), call.input(at[0])))
    return [b.elementwise(found, *filter(None, [call.input(at[1])]))]


def gemm(b: Builder, call: Call) -> Sequence[str]:
    """A product of two matrices of codes, and a summand."""
    inputs = (call.input(0), _sure(b, call.input(3), call.input(4)), _carried(b, call.input(6)))
    return products.gemm(b, Call("Gemm", inputs, call.attributes, 1, call.version))


def both(b: Builder, call: Call) -> Sequence[str]:
    """A function of two inputs."""
    values = [_sure(b, call.input(i), call.input(i + 1)) for i in (0, 3)]
    return [b.elementwise(*values)]


def first(operation: Operation) -> Operation:
    """A function of one input, beside which stand its scales."""

    def run(b: Builder, call: Call) -> Sequence[str]:
        if call.number("channels_last"):
            raise UnknownValue("channels last")
        return operation(b, Call(call.op, call.inputs[:1], call.attributes, 1, call.version))

    return run


def concat(b: Builder, call: Call) -> Sequence[str]:
    """Codes one after the other."""
    values = call.inputs[2::3]
    axis = call.number("axis") % len(b.shape(values[0]))
    return [joined(b, values, axis)]


def attention(b: Builder, call: Call) -> Sequence[str]:
    """Attention whose matrix is codes."""
    _sure(b, call.input(1), call.input(4))
    return fused.attention(b, call)


OPERATIONS: Mapping[str, Operation] = {
    "QLinearConv": convolve,
    "ConvInteger": convolve_whole,
    "QLinearMatMul": multiply,
    "MatMulInteger": multiply_whole,
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat"), to_floats),
    "QGemm": gemm,
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), both),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu"), first(plain.one)),
    "QLinearSoftmax": first(plain.softmax),
    "QLinearGlobalAveragePool": first(space.pool_all),
    "QLinearAveragePool": first(space.pool),
    "QLinearReduceMean": first(space.reduce),
    "QLinearConcat": concat,
    "QAttention": attention,
    "QEmbedLayerNormalization": fused.embeddings,
}
