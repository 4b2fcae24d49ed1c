"""Arrays that are asked for again while models are compared, as long as they are few."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from weightkin.stats.formulas import Readings

OF_AN_ENTRY = 1 << 10  # bytes that a key and small values take
_NOTHING = object()
T = TypeVar("T")


@dataclass(slots=True)
class Kept:
    """What was made, by its key; never more than ``most`` bytes.

    Where the next value would pass the bound, all are dropped; a value that passes it alone is not
    kept. Values are shared by all who ask, and nobody may change them.
    """

    most: int
    n_bytes: int = 0
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key, or what is made now."""
        found: Any = self._made.get(key, _NOTHING)
        if found is _NOTHING:
            found = make()
            size = OF_AN_ENTRY + _n_bytes(found)
            if self.n_bytes + size > self.most >= size:
                self._made.clear()
                self.n_bytes = 0
            if size <= self.most:
                self._made[key] = found
                self.n_bytes += size
        made: T = found
        return made


def _n_bytes(made: object) -> int:
    """Of arrays, alone, by role, or in readings."""
    if isinstance(made, dict):
        return sum(map(_n_bytes, made.values()))
    if isinstance(made, list | tuple):
        return sum(map(_n_bytes, made))
    if isinstance(made, Readings):
        return _n_bytes((made.hits, made.rates, made.smooth, made.peaks))
    return made.nbytes if isinstance(made, np.ndarray) else 0
