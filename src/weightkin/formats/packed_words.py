"""Layers packed in 32-bit words, with a scale and a zero for every group of inputs: GPTQ, AWQ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Floats, Index, stored_columns, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage
from weightkin.text import unreadable

AWQ_ORDER = np.array([0, 4, 1, 5, 2, 6, 3, 7])  # where in its word an output's four bits stand


@dataclass(frozen=True, slots=True)
class Words:
    """``(code - zero) * scale``, stored with inputs as rows; shown with outputs as rows.

    GPTQ packs codes along the inputs and zeros along the outputs, AWQ both along the outputs.
    """

    shape: tuple[int, int]  # outputs, inputs
    stem: str
    bits: int
    n_groups: int
    index: str  # tensor with the group of every input; empty where groups follow one another
    zero_offset: int  # what is to be added to a stored zero
    is_gptq: bool

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked: reads the columns of the stored words that hold them."""
        n, n_in = self.shape
        groups = self._groups(storage)
        zeros = self._along_outputs(storage, "qzeros", self.n_groups, rows)
        zeros = (zeros + self.zero_offset) & (2**self.bits - 1)
        scales = stored_columns(storage, f"{self.stem}.scales", rows, (self.n_groups, n))
        if self.is_gptq:
            shape = (n_in * self.bits // 32, n)
            words = stored_columns(storage, f"{self.stem}.qweight", rows, shape).view(np.uint32)
            first, last, shift = _places(np.arange(n_in), self.bits)
            codes = _codes(words[first], words[last], shift, self.bits)
        else:
            codes = self._along_outputs(storage, "qweight", n_in, rows)
        # (n_in, n_rows)
        values = (codes - zeros[groups]) * to_float32(scales)[groups]
        return np.ascontiguousarray(values.T, dtype=np.float32)

    def _groups(self, storage: Storage) -> npt.NDArray[Any]:
        n_in = self.shape[1]
        if not self.index:
            return np.arange(n_in) // (n_in // self.n_groups)
        groups = stored_whole(storage, self.index, (n_in,))
        if len(groups) and not 0 <= groups.min() <= groups.max() < self.n_groups:
            what = f"groups {groups.min()} to {groups.max()}, not within 0 to {self.n_groups - 1}"
            raise unreadable(self.index, what)
        return groups

    def _along_outputs(
        self, storage: Storage, part: str, n: int, rows: Index
    ) -> npt.NDArray[np.int32]:
        """Codes of some outputs where words run along the outputs: ``(n, n_rows)``."""
        at = rows if self.is_gptq else rows // 8 * 8 + AWQ_ORDER[rows % 8]
        first, last, shift = _places(at, self.bits)
        columns = np.unique(np.concatenate([first, last]))
        shape = (n, self.shape[0] * self.bits // 32)
        words = stored_columns(storage, f"{self.stem}.{part}", columns, shape).view(np.uint32).T
        low, high = (words[np.searchsorted(columns, x)] for x in (first, last))
        return _codes(low, high, shift, self.bits).T


def _places(at: npt.NDArray[Any], bits: int) -> tuple[npt.NDArray[Any], ...]:
    """Words in which codes begin and end (of 3 bits, one may run into the next), and the bit."""
    return at * bits // 32, (at * bits + bits - 1) // 32, at * bits % 32


def _codes(
    low: npt.NDArray[Any], high: npt.NDArray[Any], shift: npt.NDArray[Any], bits: int
) -> npt.NDArray[np.int32]:
    """Codes out of the words they begin and end in, lowest bits first."""
    both = low.astype(np.uint64) | high.astype(np.uint64) << np.uint64(32)
    codes = both >> shift.astype(np.uint64)[:, None] & np.uint64(2**bits - 1)
    return codes.astype(np.int32)
