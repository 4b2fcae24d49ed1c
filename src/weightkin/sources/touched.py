"""How much of a file has been read, in whole pages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PAGE = 4096
REGION = 1 << 16  # pages whose flags stand together


class TouchedPages:
    """One flag per page of a file; marking twice counts once.

    Flags exist for regions of the file in which something was touched: a file of any size costs
    no more than what is read of it.
    """

    __slots__ = ("_touched",)

    def __init__(self) -> None:
        self._touched: dict[int, npt.NDArray[np.bool_]] = {}

    def touch(self, start: int, stop: int) -> None:
        """Mark the pages of bytes ``start:stop``."""
        if stop <= start:
            return
        first, last = start // PAGE, (stop - 1) // PAGE
        for number in range(first // REGION, last // REGION + 1):
            begin = number * REGION
            self._region(number)[max(0, first - begin) : last - begin + 1] = True

    def touch_each(self, starts: npt.NDArray[np.int64], width: int) -> None:
        """Mark the pages of elements of ``width`` bytes that begin at ``starts``."""
        pages = np.unique(np.concatenate([starts // PAGE, (starts + width - 1) // PAGE]))
        for number in np.unique(pages // REGION).tolist():
            here = pages[pages // REGION == number]
            self._region(number)[here - number * REGION] = True

    @property
    def n_bytes(self) -> int:
        """Bytes in the pages marked so far."""
        return PAGE * sum(int(np.count_nonzero(flags)) for flags in self._touched.values())

    def _region(self, number: int) -> npt.NDArray[np.bool_]:
        if number not in self._touched:
            self._touched[number] = np.zeros(REGION, dtype=np.bool_)
        return self._touched[number]
