"""The page ledger: which 4 KiB pages of one file have been touched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PAGE = 4096


class PageLedger:
    """One flag per page of a file; marking twice counts once.

    A file of 14 GB has 3.5 million flags; the operating system provides the memory behind them
    only where pages were marked.
    """

    __slots__ = ("_touched",)

    def __init__(self, size: int) -> None:
        self._touched = np.zeros(-(-size // PAGE), dtype=np.bool_)

    def touch(self, start: int, stop: int) -> None:
        """Mark the pages of bytes ``start:stop``."""
        if stop > start:
            self._touched[start // PAGE : (stop - 1) // PAGE + 1] = True

    def touch_each(self, starts: npt.NDArray[np.int64], width: int) -> None:
        """Mark the pages of elements of ``width`` bytes that begin at ``starts``."""
        self._touched[starts // PAGE] = True
        self._touched[(starts + width - 1) // PAGE] = True

    @property
    def n_bytes(self) -> int:
        """Bytes in the pages marked so far."""
        return PAGE * int(np.count_nonzero(self._touched))
