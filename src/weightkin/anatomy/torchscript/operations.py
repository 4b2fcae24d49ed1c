"""What calls of torch do to tensors: element by element, to shapes, over whole dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from weightkin.anatomy.onnx.build import Builder, UnknownValue, axis_of
from weightkin.anatomy.onnx.products import matmul
from weightkin.anatomy.torchscript import forms, layers
from weightkin.anatomy.torchscript.forms import dims_of, of
from weightkin.anatomy.torchscript.values import Tensor, tensors_in

Operation = Callable[..., object]
FACTORIES = ("zeros", "ones", "full", "empty", "arange", "rand", "randn", "scalar_tensor", "device")


def elementwise(b: Builder, *x: object, **_: object) -> Tensor:
    """A function of every element, and of those beside it in other tensors."""
    return Tensor(b.elementwise(*(t.name for t in tensors_in(x))))


def multiplied(b: Builder, *x: object, **_: object) -> Tensor:
    """Products element by element."""
    names = [t.name for t in tensors_in(x)]
    shape = np.broadcast_shapes(*(b.shape(n) for n in names))
    return Tensor(b.add("elementwise", names, shape, is_product=True))


def same(b: Builder, x: Tensor, *_: object, **__: object) -> Tensor:
    """What passes as it is; of a tensor that is given its type or shape, too."""
    b.shape(x.name)
    return x


def softmax(b: Builder, x: Tensor, dim: int, *_: object, **__: object) -> Tensor:
    """Entries along a dimension are mixed alike."""
    name, shape = of(b, x)
    return Tensor(b.elementwise(name, along=[axis_of(dim, len(shape))]))


def reduced(
    b: Builder, x: Tensor, dims: object = None, keep: object = False, *_: object, **__: object
) -> object:
    """Sums, means and others over whole dimensions."""
    name, shape = of(b, x)
    found = b.reduce(name, dims_of(dims, len(shape)), keep=keep is True)
    return Tensor(found)


def best(b: Builder, x: Tensor, *rest: Any, **_: object) -> object:
    """Maxima: of two tensors, of all, or along a dimension with their places."""
    if rest and isinstance(rest[0], Tensor):
        return elementwise(b, x, rest[0])
    name, shape = of(b, x)
    if not rest:
        return Tensor(b.reduce(name, range(len(shape)), keep=False))
    dims, keep = dims_of(rest[0], len(shape)), len(rest) > 1 and rest[1] is True
    return tuple(Tensor(b.reduce(v, dims, keep=keep)) for v in (name, b.fix(name, dims)))


def product(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """A product of matrices."""
    return Tensor(matmul(b, of(b, x)[0], of(b, y)[0]))


def product_and_sum(b: Builder, c: Tensor, x: Tensor, y: Tensor, **_: object) -> Tensor:
    """A product of matrices, and a summand."""
    return elementwise(b, c, product(b, x, y))


def embedding(b: Builder, table: Tensor, index: Tensor, *_: object) -> Tensor:
    """Rows of a table at places that data say."""
    name, shape = of(b, table)
    places, outer = of(b, index)
    return Tensor(b.add("gather", [name, places], (*outer, *shape[1:]), dim=0))


def gathered(b: Builder, x: Tensor, dim: int, index: Tensor, *_: object, **__: object) -> Tensor:
    """Entries from other places along one dimension, at places that data say."""
    name, shape = of(b, x)
    places, wanted = of(b, index)
    at = axis_of(dim, len(shape))
    changed = [d for d, n in enumerate(shape) if d == at or wanted[d] != n]
    return Tensor(b.elementwise(b.fix(name, changed, wanted), places))


def indexed(b: Builder, x: Tensor, places: Sequence[object]) -> Tensor:
    """Entries at places that data say, along the first dimensions."""
    name, shape = of(b, x)
    found = [t for t in places if isinstance(t, Tensor)]
    if len(found) != len(places):
        raise UnknownValue("some dimensions whole")
    outer = np.broadcast_shapes(*(b.shape(t.name) for t in found))
    values = [name, *(t.name for t in found)]
    return Tensor(b.opaque(values, (*outer, *shape[len(found) :]))[0])


def filled(b: Builder, sizes: object = (), *_: object, **__: object) -> Tensor:
    """One value everywhere, or noise."""
    shape = tuple(sizes) if isinstance(sizes, (list, tuple)) else ()
    return Tensor(b.table(shape, (True,) * len(shape)))


def noise(b: Builder, sizes: Sequence[int], *_: object, **__: object) -> Tensor:
    """Random numbers."""
    return Tensor(b.table(tuple(sizes), (False,) * len(sizes)))


def like(b: Builder, x: Tensor, sizes: object = None, *_: object, **__: object) -> Tensor:
    """One value everywhere, in the shape of another tensor or in one that is said."""
    shape = sizes if isinstance(sizes, (list, tuple)) else of(b, x)[1]
    return filled(b, list(shape))


def counted(b: Builder, *limits: Any, **_: object) -> Tensor:
    """Numbers in a row."""
    whole = [x for x in limits if isinstance(x, (int, float)) and not isinstance(x, bool)][:3]
    n = len(range(*(int(x) for x in whole)))
    return Tensor(b.table((n,), (False,)))


def nothing(*_: object, **__: object) -> None:
    """A device, which is of no concern."""


_ELEMENTWISE = (
    *("relu", "relu6", "gelu", "sigmoid", "tanh", "silu", "hardtanh", "leaky_relu", "elu", "exp"),
    *("log", "sqrt", "rsqrt", "pow", "neg", "abs", "clamp", "clamp_min", "clamp_max", "erf", "sin"),
    *("cos", "softplus", "hardswish", "hardsigmoid", "mish", "celu", "selu", "logit", "floor"),
    *("round", "reciprocal", "square", "sign", "log1p", "expm1", "threshold", "bitwise_not"),
    *("logical_not", "add", "sub", "rsub", "div", "maximum", "minimum", "where", "masked_fill"),
    *("eq", "ne", "lt", "gt", "le", "ge", "__and__", "__or__", "logical_and", "logical_or"),
    *("addcmul", "addcdiv", "lerp", "copy", "fmod", "remainder", "isnan", "isinf", "atan2"),
)
OPERATIONS: Mapping[str, Operation] = {
    **{f"{name}{end}": elementwise for name in _ELEMENTWISE for end in ("", "_")},
    **dict.fromkeys(("mul", "mul_"), multiplied),
    **dict.fromkeys(
        ("dropout", "dropout_", "feature_dropout", "alpha_dropout", "contiguous", "to", "type_as",
         "detach", "clone", "float", "alias", "requires_grad_", "lift_fresh_copy", "NumToTensor",
         "half", "cpu", "bernoulli_"), same),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax"), softmax),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "logsumexp", "any", "all", "prod"), reduced),
    **dict.fromkeys(("max", "min"), best),
    **dict.fromkeys(("matmul", "mm", "bmm"), product),
    **dict.fromkeys(("addmm", "baddbmm"), product_and_sum),
    "embedding": embedding,
    "gather": gathered,
    "index": indexed,
    **dict.fromkeys(("zeros", "ones", "full", "empty", "scalar_tensor"), filled),
    **dict.fromkeys(("rand", "randn"), noise),
    **dict.fromkeys(
        ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "empty_like"),
        like),
    "arange": counted,
    **dict.fromkeys(("device", "dtype", "layout"), nothing),
    **forms.OPERATIONS,
    **layers.OPERATIONS,
}  # fmt: skip
