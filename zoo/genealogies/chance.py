"""The committed mixes, the seeds of the halves, and what is left to chance within a family."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

FIRST, *OTHERS = (
    Path(__file__).with_name(f"{name}.toml") for name in ("mix", "second", "third", "fourth")
)


@cache
def mix(path: Path = FIRST) -> dict[str, Any]:
    """One of the committed mixes; the others say what differs from the first."""
    own = tomllib.loads(path.read_text(encoding="utf-8"))
    return own if path == FIRST else _over(mix(), own) | {"halves": own["halves"]}


def _over(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of the first, with what the second says instead."""
    found = dict(first)
    for key, x in second.items():
        found[key] = _over(first.get(key, {}), x) if isinstance(x, dict) else x
    return found


@cache
def halves() -> dict[str, range]:
    """Seeds of every half of every mix; no two have one in common."""
    found = {}
    for path in (FIRST, *OTHERS):
        for half, own in mix(path)["halves"].items():
            found[half] = range(own["first"], own["first"] + own["families"])
    return found


def seeds(half: str) -> range:
    """Seeds of one half."""
    return halves()[half]


def mix_of(seed: int) -> dict[str, Any]:
    """The mix that a family is drawn from, the first unless its seed is one of another."""
    for path in OTHERS:
        if any(seed in halves()[half] for half in mix(path)["halves"]):
            return mix(path)
    return mix(FIRST)


class Draws:
    """Everything random about one family; only ``random()`` is used: the same everywhere."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self.mix = mix_of(seed)
        self.recipes: dict[str, dict[str, Any]] | None = None  # settings that are used again

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
