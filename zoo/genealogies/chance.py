"""The committed mix, the seeds of the halves, and what is left to chance within a family."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

MIX = Path(__file__).parent / "mix.toml"


@cache
def mix() -> dict[str, Any]:
    """The committed mix."""
    return tomllib.loads(MIX.read_text(encoding="utf-8"))


def seeds(half: str) -> range:
    """Seeds of one half; the halves have none in common."""
    own = mix()["halves"][half]
    return range(own["first"], own["first"] + own["families"])


class Draws:
    """Everything random about one family; only ``random()`` is used: the same everywhere."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def happens(self, share: float) -> bool:
        """Toss a coin."""
        return self._random() < share

    def integer(self, low: int, high: int) -> int:
        """Uniform from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def one(self, among: Sequence[Any]) -> Any:
        """Uniform among some."""
        return among[self.integer(0, len(among) - 1)]

    def some(self, among: Sequence[Any], n: int) -> list[Any]:
        """Draw `n` different ones, in their order."""
        left = list(range(len(among)))
        chosen = sorted(left.pop(self.integer(0, len(left) - 1)) for _ in range(n))
        return [among[i] for i in chosen]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """Draw a key in proportion to its weight."""
        at = self._random() * sum(weights.values())
        for key, weight in weights.items():
            at -= weight
            if at < 0:
                return key
        return next(reversed(weights))

    def log_uniform(self, low: float, high: float) -> float:
        """Between two numbers, evenly in the logarithm, to three digits."""
        return float(f"{low * (high / low) ** self._random():.3g}")

    def seed(self) -> int:
        """Draw a seed for something else."""
        return self.integer(0, (1 << 30) - 1)
