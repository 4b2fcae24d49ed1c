"""What a call in the pickle of a torch file would have made, without making the call.

A few functions that torch writes are known: they describe tensors. Every other call becomes a
`Record` that holds its arguments, so that tensors among them are found; nothing is imported.
"""

from __future__ import annotations

from typing import Any

from weightkin.formats.headers import MAX_DIMENSIONS
from weightkin.formats.torch_globals import (
    Encoded,
    Global,
    QuantisedRecord,
    Record,
    StorageRecord,
    TensorRecord,
)


class Unexpected(Exception):
    """A call with arguments that torch does not write; the message says what is wrong."""


def made_by_call(function: object, arguments: object) -> Any:
    """The value that stands for the result of a call.

    Raises
    ------
    Unexpected
        A known function with other arguments than it takes, or no function.
    """
    match function, arguments:
        case Global("dict"), ():
            return Record()
        case Global("tuple"), (list() | tuple() as sizes,) if len(sizes) <= MAX_DIMENSIONS:
            return tuple(sizes)
        case Global("text"), (str() as text, "latin1" | "latin-1"):
            return Encoded(text)
        case Global("parameter"), (TensorRecord() as tensor, *rest):
            return _with_state(tensor, rest)
        case Global("typed"), (Global("rebuild") as rebuild, _, tuple() as inner, *rest):
            return _with_state(made_by_call(rebuild, inner), rest)
        case Global("rebuild", version), (
            StorageRecord() as storage,
            offset,
            shape,
            strides,
            *rest,
        ):
            return _tensor(version, TensorRecord("", storage, offset, shape, strides), rest[2:])
        case Global("quantised"), (
            StorageRecord() as storage,
            offset,
            shape,
            strides,
            (Global(), scale, zero, *rest),
            *_,
        ):
            codes = TensorRecord(storage.dtype, storage, offset, shape, strides)
            axis = rest[0] if rest and isinstance(rest[0], int) else 0
            return QuantisedRecord(codes, scale, zero, axis)
        case ((Global("typed" | "quantised" | "other" | "dict") | Record()), tuple()):
            return Record(_name_of(function), arguments)
    raise Unexpected("a call with unexpected arguments")


def new_object(kind: object, arguments: object) -> Record:
    """What stands for a new object of a class."""
    if not isinstance(arguments, tuple):
        raise Unexpected("a new object with unexpected arguments")
    match kind:
        case Global("dict" | "tuple" | "other") | Record():
            return Record(_name_of(kind), arguments)
    raise Unexpected("a new object of something that is no class")


def _tensor(version: str, found: TensorRecord, said: list[Any]) -> TensorRecord:
    """The record with its type; ``said`` is the type of a v3, then what is stored apart."""
    stated = said.pop(0) if version == "v3" and said else None
    dtype = stated.detail if isinstance(stated, Global) else found.storage.dtype
    if not dtype:
        raise Unexpected("a tensor without a type")
    if any(said):  # what the storage does not show: a sign, a conjugate
        dtype = f"{dtype} with a sign stored apart"
    return found._replace(dtype=dtype)


def _with_state(tensor: TensorRecord, rest: list[Any]) -> Any:
    """A tensor, with what else the file says of it if that could hold more tensors."""
    if not any(isinstance(x, dict | list | tuple) and x for x in rest):
        return tensor
    return Record("", (tensor, *rest))


def _name_of(function: object) -> str:
    return function.detail if isinstance(function, Global) else getattr(function, "name", "")
