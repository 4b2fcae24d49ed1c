"""How much is read of every axis: fixed by shapes, the same in both models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from weightkin.anatomy.types import Axis

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
class Run:
    """Units of an axis from ``start`` on."""

    start: int
    n: int


class Places(Protocol):
    """Says where runs start."""

    def first(self, axis: Axis, n: int) -> Run:
        """The first run of an axis, of about n units."""

    def share(self, what: str) -> float:
        """A number from 0 on, below 1, drawn for what is named."""

    def second(self, axis: Axis, n: int, n_first: int, what: str) -> Run:
        """Another run of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is read of every axis, the same in both models, and from where."""

    n_units: int
    thrift: int = 0  # which of `SHARES`
    draws: Places | None = None  # None: from the first unit on, as in sketches

    def seed_of(self, what: str) -> int | None:
        """A seed drawn for what is named; None where nothing is drawn."""
        return None if self.draws is None else int(self.draws.share(what) * 2**48)

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
