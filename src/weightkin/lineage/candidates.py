"""The family while it is being found: edges between positions of members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weightkin.arrays import Doubles
from weightkin.formats import Model
from weightkin.records import Clue, Comparison
from weightkin.records.family import CLAIMED, Unit
from weightkin.records.kinds import KINDS
from weightkin.sketch import Sketch

FAR = 0.9  # overall distance: unrelated models of which few rows agree are at 1.0 to 1.4


@dataclass(frozen=True, slots=True)
class CandidateEdge:
    """One edge. ``parent`` is -1 - k for the k-th unobserved ancestor."""

    parent: int
    child: int
    kind: str
    details: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    log10_pvalue: float = 0.0
    direction: float = 0.5
    probability: float | None = None  # of this parent among all candidates, if one was found
    parents: tuple[tuple[int | str, float], ...] = ()  # the 95 % set
    distance: float = 0.0
    support: float = 1.0
    evidence: tuple[Clue, ...] = ()
    runner_up: int | None = None
    behind: float = 0.0
    unit: Unit = ""  # of `behind`
    is_unconfirmed: bool = False  # whether sketches alone show that the two are related

    @property
    def is_claimed(self) -> bool:
        """Whether the edge is determined: its parent is probable enough.

        Two models that are far apart may be unrelated where only sketches join them.
        """
        is_probable = self.probability is not None and self.probability >= CLAIMED
        return is_probable and not (self.is_unconfirmed and self.distance >= FAR)


def first_kind(kinds: Sequence[str]) -> str:
    """The kind of an edge: the first of those found, of disguises the one that names it."""
    return max(kinds, key=lambda kind: KINDS[kind].disguise, default="unknown")


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a collection. ``model`` is None where only a sketch is at hand."""

    id: str
    sketch: Sketch
    model: Model | None
    duplicates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """A member in the frame of a family that it did not stand in."""

    sketch: Sketch  # of the model in that frame: a measure, never tested
    kinds: tuple[str, ...]  # disguises that were undone; none where it was only found
    reference: int  # the nearest member of those that stood in the frame before
    distance: float  # mean relative distance of the matrices to it, afterwards
    record: Comparison | None  # says that the two groups are related; None: an aligned test did
    group: int  # the member through which this one came: those with the same one share an order


N_RESAMPLES = 50


def support_of(chosen: Doubles, others: Doubles, seed: int) -> float:
    """Share of resamples of the parts in which the chosen parent is as near as any other.

    Parameters
    ----------
    chosen : (n_parts,) array
        Squared distance of the child to the chosen parent (or mixture) in every part.
    others : (n_others, n_parts) array
        The same for the other candidates. Without any there is nothing to lose against: 1.
    seed : int
        Of the resamples.

    Returns
    -------
    float
        Between 0 and 1.
    """
    n_parts = len(chosen)
    if not len(others) or not n_parts:
        return 1.0
    rng = np.random.default_rng([seed, n_parts])
    drawn = rng.integers(n_parts, size=(N_RESAMPLES, n_parts))
    counts = np.stack([np.bincount(row, minlength=n_parts) for row in drawn])
    own = counts @ chosen  # (N_RESAMPLES,)
    best = (counts @ others.T).min(axis=1)
    return float(np.mean(own <= best * (1 + 1e-9)))
