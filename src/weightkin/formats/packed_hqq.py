"""Layers of HQQ: codes of flattened groups, the first share of them in the high bits of a byte.

The flattened matrix is cut into groups, rows of a table (axis 1) or its columns (axis 0); the table
is cut into as many shares of rows as a byte (or word, of 3 bits) has codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Floats, Index, runs_of
from weightkin.formats.dtypes import to_float32
from weightkin.formats.headers import checked_shape
from weightkin.formats.model import Storage
from weightkin.formats.packed_parts import (
    FLOATS,
    LEAST_GROUP,
    Source,
    Unpacked,
    check_part,
    is_single,
)
from weightkin.text import quoted, unreadable

# text of ``packing`` -> bits of a code, codes of an element, type of an element
PACKINGS = {
    "8bit_u8": (8, 1, "U8"),
    "4bit_u8": (4, 2, "U8"),
    "3bit_32": (3, 10, "I32"),
    "2bit_u8": (2, 4, "U8"),
    "1bit_u8": (1, 8, "U8"),
}
NEEDED = ("W_q", "scale", "zero", "shape", "packing", "axis", "group_size")
BESIDE = ("nbits", "channel_wise", "optimize", "round_zero", "view_as_float", "quant_scale",
          "quant_zero", "compute_dtype", "unpack_view_dtype", "offload_meta",
          "encoded_state_dict", "stores_quant_config")  # fmt: skip
HQQ = tuple(f".{part}" for part in (*NEEDED, *BESIDE))
MAX_SMALL = 1 << 7  # bytes of one fact about a layer


@dataclass(frozen=True, slots=True)
class HqqCodes:
    """``(code - zero) * scale``, one of each for a group."""

    shape: tuple[int, int]
    stem: str
    packing: str
    axis: int
    group: int

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked: reads the bytes that hold their codes."""
        n, width = self.shape
        bits, each, _ = PACKINGS[self.packing]
        flat = (rows[:, None] * width + np.arange(width)).reshape(-1)
        columns = self.group if self.axis == 1 else n * width // self.group
        row, column = np.divmod(flat, columns)
        step = -(-(n * width // columns) // each)  # rows of a share
        share, inside = np.divmod(row, step)
        words = _elements(storage, f"{self.stem}.W_q", inside * columns + column)
        words = words.view(np.uint8 if words.itemsize == 1 else np.uint32)
        shift = (bits * (each - 1 - share)).astype(words.dtype)
        codes = to_float32(words >> shift & words.dtype.type(2**bits - 1))
        groups = row if self.axis == 1 else column
        scale, zero = (
            to_float32(_elements(storage, f"{self.stem}.{part}", groups))
            for part in ("scale", "zero")
        )
        return ((codes - zero) * scale).reshape(len(rows), width)


def _elements(storage: Storage, name: str, at: Index) -> npt.NDArray[Any]:
    """Elements of a flattened tensor, in any order."""
    needed, back = np.unique(at, return_inverse=True)
    return storage.read_runs(name, runs_of(needed))[back]


def hqq(source: Source, stem: str) -> Unpacked:
    """A layer by its own small tensors, which say how it was cut and packed."""
    tensors = source.tensors
    if f"{stem}.scale" not in tensors or f"{stem}.zero" not in tensors:
        raise unreadable(stem, "HQQ without plain scale and zero (quantised ones are not read)")
    if not all(_is_small(source, f"{stem}.{part}") for part in NEEDED[3:]):
        raise unreadable(stem, "HQQ without its shape, packing, axis and group_size as tensors")
    packing = _values(source, f"{stem}.packing").astype(np.uint8).tobytes().decode("latin-1")
    shape = checked_shape(stem, _values(source, f"{stem}.shape").tolist())
    axis, group = (int(_values(source, f"{stem}.{part}")[0]) for part in ("axis", "group_size"))
    if packing not in PACKINGS or axis not in (0, 1) or len(shape) != 2 or 0 in shape:
        what = f"packing {quoted(packing)} along axis {axis} of {len(shape)} dimensions"
        raise unreadable(stem, f"HQQ with {what} is not supported")
    n = shape[0] * shape[1]
    if group < LEAST_GROUP or n % group:
        raise unreadable(stem, f"groups of {group} of {n} values, not whole groups of 8 or more")
    bits, each, dtype = PACKINGS[packing]
    columns = group if axis == 1 else n // group
    check_part(tensors, f"{stem}.W_q", dtype, -(-(n // columns) // each) * columns)
    for part in ("scale", "zero"):
        held = tensors[f"{stem}.{part}"].dtype
        if held not in FLOATS:
            raise unreadable(f"{stem}.{part}", f"{held}, not floats")
        check_part(tensors, f"{stem}.{part}", held, n // group)
    beside = (f"{stem}.{part}" for part in BESIDE)
    parts = [f"{stem}.{part}" for part in NEEDED]
    parts += [x for x in beside if _is_small(source, x)]
    recipe = HqqCodes((shape[0], shape[1]), stem, packing, axis, group)
    return Unpacked(f"{stem}.weight", f"hqq {bits} bits", recipe, tuple(parts))


def _is_small(source: Source, name: str) -> bool:
    return name in source.tensors and source.tensors[name].n_bytes <= MAX_SMALL


def _values(source: Source, name: str) -> npt.NDArray[Any]:
    """A small fact about a layer: at least one whole number."""
    info = source.tensors[name]
    n = 1 if is_single(source.tensors, name) else info.shape[0] if len(info.shape) == 1 else 0
    if not n or info.dtype not in ("U8", "I32", "I64"):
        raise unreadable(name, f"{info.dtype} of {info.n_bytes} bytes, not whole numbers")
    return source.storage.read(name, 0, n)
