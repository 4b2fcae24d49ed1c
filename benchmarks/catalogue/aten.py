"""What operations of aten do, as nodes of a graph: rules by name, and what holds for kinds."""

from __future__ import annotations

import torch

from benchmarks.catalogue import aten_lookups, aten_products, aten_shapes, aten_sums
from benchmarks.catalogue.call import RULES, Call

TABLES = (aten_lookups, aten_products, aten_shapes, aten_sums)  # each enters its rules in RULES

# results that depend on the shapes of the arguments alone
BY_SHAPE = frozenset(
    [
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "randint_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "new_empty_strided",
        "zero",
        "normal",
        "uniform",
        "exponential",
        "geometric",
        "random",
        "empty_permuted",
    ]
)
# functions of entries that stand at one place, where aten does not say so itself
POINTWISE = frozenset(
    [
        "masked_fill",
        "where",
        "clamp",
        "clip",
        "lerp",
        "addcmul",
        "addcdiv",
        "complex",
        "polar",
        "real",
        "imag",
        "angle",
        "prelu",
        "_prelu_kernel",
        "rrelu",
        "rrelu_with_noise",
        "hardtanh",
        "relu6",
        "gelu",
        "silu",
        "mish",
        "elu",
        "celu",
        "selu",
        "leaky_relu",
        "hardswish",
        "hardsigmoid",
        "log_sigmoid",
        "log_sigmoid_forward",
        "softplus",
        "softshrink",
        "hardshrink",
        "threshold",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "isin",
        "isnan",
        "isfinite",
        "isinf",
        "float_power",
        "rsub",
        "maximum",
        "minimum",
        "fmod",
        "remainder",
        "floor_divide",
        "true_divide",
        "bitwise_and",
        "bitwise_or",
        "bitwise_not",
        "logit",
        "sgn",
        "sign",
        "special_expit",
        "nan_to_num",
        "sinc",
        "i0",
        "erf",
        "erfinv",
        "xlogy",
        "heaviside",
        "square",
        "sqrt",
        "rsqrt",
        "arctan2",
        "atan2",
        "exp2",
        "expm1",
        "log1p",
        "hypot",
        "copysign",
        "dequantize",
        "relu",
        "tanh",
        "sigmoid",
        "fill_scalar",
    ]
)
# nothing comes out that carries a dimension
SILENT = frozenset(["_assert_async", "_assert_tensor_metadata", "_local_scalar_dense", "equal"])
# what goes in is seen by Python afterwards: a number, a list of numbers
SEEN = frozenset(["_local_scalar_dense", "equal", "resolve_conj", "resolve_neg"])


def is_composite(func: torch._ops.OpOverload) -> bool:
    """Whether an operation is nothing but other operations."""
    key = "CompositeImplicitAutograd"
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key)


def plain_name(func: torch._ops.OpOverload) -> str:
    """Name of an operation without its overload, and without the mark of operations in place."""
    name = func._schema.name.rpartition("::")[2]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name.strip("_") if (
        name.startswith("__")
    ) else name  # fmt: skip


def is_known(func: torch._ops.OpOverload) -> bool:
    """Whether there is a rule for an operation as it stands."""
    name = plain_name(func)
    return name in RULES or name in BY_SHAPE or _is_pointwise(func, name)


def _is_pointwise(func: torch._ops.OpOverload, name: str) -> bool:
    if name == "where" and len(func._schema.arguments) == 1:  # the places of what is true
        return False
    return name in POINTWISE or torch.Tag.pointwise in func.tags


def values_of(func: torch._ops.OpOverload, call: Call) -> list[str]:
    """Return the values that come out of an operation."""
    inputs = list(dict.fromkeys(call.values.values()))
    rule = RULES.get(call.name)
    if rule is not None:
        found = rule(call)
        found = [found] if isinstance(found, str) else found
    elif _is_pointwise(func, call.name):
        found = [call.tape.elementwise(*inputs)] * len(call.shapes)
    else:
        found = call.tape.unknown(call.name, inputs, call.shapes)
    shapes = tuple(call.tape.shapes[name] for name in found)
    if shapes != call.shapes:
        found = call.tape.unknown(f"{call.name} of odd shapes", inputs, call.shapes)
    return found
