"""Calls without tensors: whole numbers that shapes are computed from, and tables that start as one.

A result that is not known is unknown; nothing here grows without bounds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from weightkin.anatomy.torchscript.values import UNKNOWN

MOST = 1 << 53  # size of a number
MAX_RANGE = 1 << 20
MAX_LIST = 1 << 12
N_ARGUMENTS = {"range": 3, "slice": 4}


def _first(*x: Any) -> Any:
    return x[0]


NUMBERS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("NumToTensor", "tensor", "to", "item"), _first),
    **{x: getattr(operator, x) for x in ("add", "sub", "mul", "neg", "eq", "ne", "lt", "gt")},
    **{"le": operator.le, "ge": operator.ge, "abs": abs, "remainder": operator.mod},
    **dict.fromkeys(("floordiv", "floor_divide"), operator.floordiv),
    "div": operator.truediv,
    "__and__": lambda x, y: x and y,
    "__or__": lambda x, y: x or y,
    "__not__": operator.not_,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "__contains__": lambda x, y: y in x,
    "__getitem__": lambda x, y: x[y],
    "len": len,
    "list": lambda x: [*x],
    "slice": lambda x, *ends: x[slice(*(ends or (None,)))],
    "min": min,
    "max": max,
    "floor": lambda x: int(x // 1),
    "ceil": lambda x: -int(-x // 1),
    "int": int,
    "Int": int,
    "float": float,
    "bool": bool,
    "range": range,
}


def computed(word: str, arguments: list[Any]) -> object:
    """What a call without tensors gives; unknown where that is not told."""
    if word not in NUMBERS or any(x is UNKNOWN for x in arguments):
        return UNKNOWN
    if any(isinstance(x, (list, tuple, str)) and len(x) > MAX_LIST for x in arguments):
        return UNKNOWN
    if word == "mul" and not all(isinstance(x, (int, float)) for x in arguments[:2]):
        return UNKNOWN
    try:
        found = NUMBERS[word](*arguments[: N_ARGUMENTS.get(word, 2)])
    except (TypeError, ValueError, ArithmeticError, IndexError, KeyError):
        try:
            found = NUMBERS[word](*arguments[:1])
        except (TypeError, ValueError, ArithmeticError, IndexError, KeyError):
            return UNKNOWN
    if isinstance(found, (int, float)) and not -MOST <= found <= MOST:
        return UNKNOWN
    return UNKNOWN if isinstance(found, range) and len(found) > MAX_RANGE else found
