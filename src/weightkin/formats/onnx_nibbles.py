"""Whole numbers of four bits in ONNX: two a byte, the first in the low half."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Index, runs_of
from weightkin.formats.model import Storage

KINDS = {21: "U8", 22: "I8"}  # types of ONNX, and what their numbers are shown as


@dataclass(frozen=True, slots=True)
class Nibbles:
    """Numbers of four bits, each shown as one of eight; the bytes are a tensor of their own."""

    shape: tuple[int, ...]
    stored: str  # name of the bytes
    is_signed: bool

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[np.generic]:
        """Rows of them."""
        width = math.prod(self.shape[1:]) if self.shape else 1
        found = []
        for first, last in runs_of(rows):
            start, stop = first * width, last * width
            raw = storage.read_runs(self.stored, [(start // 2, -(-stop // 2))]).view(np.uint8)
            both = np.stack([raw & 15, raw >> 4], axis=1).reshape(-1)
            found.append(both[start % 2 : start % 2 + stop - start])
        joined = np.concatenate(found) if found else np.zeros(0, dtype=np.uint8)
        if self.is_signed:
            joined = ((joined.astype(np.int8) ^ 8) - 8).astype(np.int8)
        return joined.reshape(len(rows), width)
