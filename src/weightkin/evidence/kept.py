"""Arrays that are asked for again while two models are compared, as long as they are few."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(slots=True)
class Kept:
    """What was made, by its key. All of it is dropped where it would take more than ``most`` bytes.

    Who asks changes nothing of what is given.
    """

    most: int
    n_bytes: int = 0
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key, or what is made now."""
        if key not in self._made:
            made = make()
            size = _n_bytes(made)
            if self.n_bytes + size > self.most:
                self._made.clear()
                self.n_bytes = 0
            if size > self.most:
                return made
            self._made[key] = made
            self.n_bytes += size
        found: T = self._made[key]
        return found


def _n_bytes(made: object) -> int:
    """Of arrays, alone or by role."""
    if isinstance(made, dict):
        return sum(map(_n_bytes, made.values()))
    return made.nbytes if isinstance(made, np.ndarray) else 0
