"""Element types of GGUF, and rows of those packed in blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Index, Recipe, stored_rows
from weightkin.formats.model import Storage
from weightkin.text import unreadable

PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
PACKED = {  # type -> name, elements and bytes of a block
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    29: ("IQ1_M", 256, 56),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rows that are whole blocks of a quantised type."""

    shape: tuple[int, ...]
    name: str
    kind: int
    n_bytes: int  # of a row

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows unpacked."""
        try:
            from gguf.constants import GGMLQuantizationType
            from gguf.quants import dequantize
        except ImportError:
            what = f"{PACKED[self.kind][0]} needs the package gguf: pip install 'weightkin[gguf]'"
            raise unreadable(self.name, what) from None
        width = math.prod(self.shape[1:])
        raw = stored_rows(storage, self.name, rows, self.n_bytes)
        if not raw.size:
            return np.zeros((len(rows), width), dtype=np.float32)
        try:
            with np.errstate(all="ignore"):
                values = dequantize(raw, GGMLQuantizationType(self.kind))
        except (ValueError, NotImplementedError):  # a type that an older release does not know
            what = f"{PACKED[self.kind][0]} needs a newer release of the package gguf"
            raise unreadable(self.name, what) from None
        return np.asarray(values, dtype=np.float32).reshape(len(rows), width)


@dataclass(frozen=True, slots=True)
class Reordered:
    """Rows of queries or keys in the order they had before conversion.

    Within each head, conversion puts the two halves that rotary positions pair side by side.
    """

    shape: tuple[int, ...]
    name: str
    n_heads: int
    blocks: Recipe | None  # None: stored as plain numbers

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows, fetched in the order in which they are stored."""
        size = self.shape[0] // self.n_heads
        half, within = np.divmod(rows % size, size // 2)
        at = rows // size * size + 2 * within + half
        order = np.argsort(at)
        read = np.sort(at)
        if self.blocks is None:
            values = stored_rows(storage, self.name, read, math.prod(self.shape[1:]))
        else:
            values = self.blocks.rows(storage, read)
        out = np.empty_like(values)
        out[order] = values
        return out
