"""How much is read of every axis: fixed by shapes, the same in both models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MIN_UNITS, MAX_UNITS = 64, 1024


class Share(NamedTuple):
    """What is read at most of an axis whose views come from a graph."""

    n_views: int
    n_features: int  # of a unit in one view
    n_units: int


SHARES = (  # where less and less fits the budget
    Share(4, 1024, MAX_UNITS),
    Share(2, 1024, MAX_UNITS),
    Share(2, 256, MAX_UNITS),
    Share(2, 128, 32),
    Share(1, 64, 16),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is read of every axis, the same in both models."""

    n_units: int
    thrift: int = 0  # which of `SHARES`

    @property
    def share(self) -> Share:
        """What is read of an axis whose views come from a graph."""
        return SHARES[self.thrift]

    @property
    def n_coordinates(self) -> int:
        """Whole rows read of a matrix whose columns are the units."""
        return self.n_units // 8

    @property
    def n_head_rows(self) -> int:
        """V rows read of one block."""
        return self.n_units // 2

    @property
    def n_tokens(self) -> int:
        """Embedding rows read: every residual dimension is seen in so many tokens."""
        return 2 * self.n_units


@dataclass(frozen=True, slots=True)
class Run:
    """Units from ``start`` on, where something else than the first of an axis is looked at."""

    start: int
    n: int
