"""Types of elements of ONNX, and elements that are stored as numbers one by one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.text import unreadable

DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16",
    11: "F64", 12: "U32", 13: "U64", 14: "C64", 16: "BF16", 17: "F8_E4M3", 18: "F8_E4M3FNUZ",
    19: "F8_E5M2", 20: "F8_E5M2FNUZ", 24: "F8_E8M0",
}  # fmt: skip


def values_of(
    where: str, dtype: str, shape: tuple[int, ...], numbers: list[float]
) -> npt.NDArray[np.generic]:
    """Numbers as elements of a type; those of 16-bit floats are their bits."""
    if len(numbers) != math.prod(shape):
        raise unreadable(where, f"{len(numbers)} values, not {math.prod(shape)}")
    if all(isinstance(x, float) for x in numbers):
        return np.array(numbers, dtype=np.float32).astype(NUMPY[dtype])
    whole = np.dtype(f"<u{BITS[dtype] // 8}") if dtype[0] not in "IU" else NUMPY[dtype]
    return np.array(numbers, dtype=np.int64).astype(whole).view(NUMPY[dtype])
