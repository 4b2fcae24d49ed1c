"""One of the two models of a pair, with its anatomy."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from weightkin.anatomy.positions import is_view, without_own_views
from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place
from weightkin.formats import Model

MAX_EXPERTS = 4  # of a block whose units are sampled
STREAM_VIEWS = ("embed", "unembed", "position", "position_grid")  # roles along the residual width
_EXPERT = re.compile(r"(?:(?:mlp|units)\.)*(?:experts\.)?[0-9]+")


@dataclass(frozen=True)
class Side:
    """One of the two models, with its anatomy."""

    model: Model
    anatomy: Anatomy

    def axes(self, kind: AxisKind) -> list[Axis]:
        """Axes that are sampled, of those that are tested as one kind."""
        return list(self._by_kind.get(kind, ()))

    @cached_property
    def _by_kind(self) -> dict[AxisKind, list[Axis]]:
        found: dict[AxisKind, list[Axis]] = defaultdict(list)
        for axis in tested_axes(self.anatomy):
            found[tested_as(axis)].append(axis)
        return found


def tested_as(axis: Axis) -> AxisKind:
    """The kind of axis that one is tested as: units of a whole model are like its residual width.

    A loss that compares what blocks hand on copies their order, as it does with that width.
    """
    return "residual" if axis.kind == "units" and axis.block < 0 else axis.kind


def tested_places(axis: Axis) -> list[Place]:
    """Places of an axis that a test may rest on: of what is tested as a stream, only its views."""
    if tested_as(axis) != "residual":
        return list(axis.places)
    return [place for place in axis.places if is_view(place) or place.role in STREAM_VIEWS]


def tested_axes(anatomy: Anatomy) -> list[Axis]:
    """Axes that are sampled: all of them, but only the first experts of a block."""
    seen: dict[tuple[str, int], int] = {}
    kept = []
    for axis in without_own_views(anatomy.axes):
        if axis.kind == "units" and _EXPERT.fullmatch(axis.name):
            n_before = seen.setdefault((axis.stack, axis.block), 0)
            seen[axis.stack, axis.block] += 1
            if n_before >= MAX_EXPERTS:
                continue
        kept.append(axis)
    return kept
