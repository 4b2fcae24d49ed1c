"""Arrays of numpy inside a pickle: their elements stand in the pickle itself."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weightkin.formats.dtypes import NUMPY
from weightkin.formats.headers import MAX_DIMENSIONS
from weightkin.formats.torch_globals import Encoded, Record

_MODULES = tuple(f"numpy.{x}." for x in ("core.multiarray", "_core.multiarray",
                                         "core.numeric", "_core.numeric"))  # fmt: skip
NOTHING = ("__builtin__.bytes", "builtins.bytes")  # how older protocols write no bytes
_CODES = {
    **{f"{kind}{n}": f"{kind.upper()}{8 * n}" for kind in "iu" for n in (1, 2, 4, 8)},
    **{f"f{n}": f"F{8 * n}" for n in (2, 4, 8)},
    "b1": "BOOL",
}


class Array(NamedTuple):
    """An array whose elements are bytes of the pickle."""

    dtype: str
    shape: tuple[int, ...]
    raw: bytes | Encoded
    is_big: bool  # the first byte of an element is its largest
    by_columns: bool

    @property
    def n_bytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * NUMPY[self.dtype].itemsize

    def values(self) -> npt.NDArray[np.generic]:
        """The elements, in the order of rows, little-endian."""
        raw = self.raw.text.encode("latin-1") if isinstance(self.raw, Encoded) else self.raw
        stored = NUMPY[self.dtype]
        found = np.frombuffer(raw, stored.newbyteorder(">" if self.is_big else "<"))
        whole = found.reshape(self.shape, order="F" if self.by_columns else "C")
        return np.ascontiguousarray(whole, dtype=stored)


def array_of(record: Record) -> Array | None:
    """The array or the single number of numpy that a record stands for, if it is one."""
    if not record.name.startswith(_MODULES):
        return None
    function = record.name.rpartition(".")[2]
    match function, record.made_from, record.state:
        case "_reconstruct", _, (_, tuple() as shape, Record() as kind, by_columns, raw):
            return _array(kind, shape, raw, by_columns=bool(by_columns))
        case "_frombuffer", (raw, Record() as kind, tuple() as shape, order), _:
            return _array(kind, shape, raw, by_columns=order == "F")
        case "scalar", (Record() as kind, raw), _:
            return _array(kind, (), raw, by_columns=False)
    return None


def _array(kind: Record, shape: tuple[Any, ...], raw: object, *, by_columns: bool) -> Array | None:
    """An array, if its type is known and its elements are as many bytes as it says."""
    code = kind.made_from[0] if kind.name == "numpy.dtype" and kind.made_from else None
    dtype = _CODES.get(code) if isinstance(code, str) else None
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "<"
    if (
        dtype is None
        or not all(type(n) is int and n >= 0 for n in shape)
        or len(shape) > MAX_DIMENSIONS
    ):
        return None
    if isinstance(raw, Record) and raw.name in NOTHING and not raw.made_from:
        raw = b""
    if not isinstance(raw, bytes | bytearray | Encoded):
        return None
    n_bytes = len(raw.text) if isinstance(raw, Encoded) else len(raw)
    if math.prod(shape) * NUMPY[dtype].itemsize != n_bytes:
        return None
    held = raw if isinstance(raw, Encoded) else bytes(raw)
    return Array(dtype, shape, held, order == ">", by_columns)
