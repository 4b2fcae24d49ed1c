"""The family while it is being found: edges between positions of members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from weightkin.records import Clue
from weightkin.records.family import Unit
from weightkin.records.kinds import KINDS

LIKELY = 0.8  # probability of a direction under which a layout does not go by it
KEPT_PARENT = 0.8  # share of resamples with this parent under which no direction is claimed


@dataclass(frozen=True, slots=True)
class Draft:
    """One edge. ``parent`` is -1 - k for the k-th unobserved ancestor."""

    parent: int
    child: int
    kind: str
    details: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    log10_pvalue: float = 0.0
    direction: float = 0.5
    distance: float = 0.0
    support: float = 1.0
    evidence: tuple[Clue, ...] = ()
    runner_up: int | None = None
    behind: float = 0.0
    unit: Unit = ""  # of `behind`

    @property
    def is_claimed(self) -> bool:
        """Whether the direction is claimed: likely enough, and of a parent that resamples keep."""
        cut = KINDS[self.kind].determined_from
        return cut is not None and self.direction >= cut and self.support >= KEPT_PARENT


def first_kind(kinds: Sequence[str]) -> str:
    """The kind of an edge: the first of those found, or that nothing is known."""
    return kinds[0] if kinds else "unknown"
