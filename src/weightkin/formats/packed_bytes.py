"""Layers packed in bytes: bitsandbytes' four and eight bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weightkin.formats.computed import Floats, Index, runs_of, stored_rows, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage


@dataclass(frozen=True, slots=True)
class FourBits:
    """``quant_map[code] * absmax[block]``, blocks running through the flattened matrix.

    With ``nested_block``, absmax itself is a code: ``nested_quant_map[absmax] *
    nested_absmax[its block] + offset``.
    """

    shape: tuple[int, int]
    name: str
    block: int
    nested_block: int = 0
    offset: float = 0.0

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        n, width = self.shape
        levels = stored_whole(storage, f"{self.name}.quant_map", (16,))
        parts = [np.zeros(0, dtype=np.float32)]
        for first, stop in runs_of(rows):
            a, b = first * width, stop * width
            raw = storage.read(self.name, a // 2, -(-b // 2))
            codes = np.stack([raw >> 4, raw & 15], axis=1).reshape(-1)[a % 2 :][: b - a]
            blocks = np.arange(a, b) // self.block
            scales = self._scales(storage, int(blocks[0]), int(blocks[-1]) + 1)
            parts.append(levels[codes] * scales[blocks - blocks[0]])
        return np.concatenate(parts).reshape(len(rows), width)

    def _scales(self, storage: Storage, start: int, stop: int) -> Floats:
        raw = storage.read(f"{self.name}.absmax", start, stop)
        if not self.nested_block:
            return to_float32(raw)
        levels = stored_whole(storage, f"{self.name}.nested_quant_map", (256,))
        first, last = start // self.nested_block, (stop - 1) // self.nested_block
        outer = storage.read(f"{self.name}.nested_absmax", first, last + 1)
        at = np.arange(start, stop) // self.nested_block - first
        return to_float32(levels[raw] * outer[at] + np.float32(self.offset))


@dataclass(frozen=True, slots=True)
class Int8:
    """``code * SCB[row] / 127``."""

    shape: tuple[int, int]
    name: str
    scale: str

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        codes = stored_rows(storage, self.name, rows, self.shape[1])
        largest = to_float32(stored_rows(storage, self.scale, rows, 1))
        return to_float32(codes) * (largest / np.float32(127))
