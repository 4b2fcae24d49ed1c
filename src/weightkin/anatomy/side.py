"""One of the two models of a pair, with its anatomy."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.anatomy.types import Anatomy, Axis, AxisKind
from weightkin.formats import Model

MAX_EXPERTS = 4  # of a block whose units are sampled


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models, with its anatomy."""

    model: Model
    anatomy: Anatomy

    def axes(self, kind: AxisKind) -> list[Axis]:
        """Axes of one kind that are sampled."""
        return [axis for axis in tested_axes(self.anatomy) if axis.kind == kind]


def tested_axes(anatomy: Anatomy) -> list[Axis]:
    """Axes that are sampled: all of them, but only the first experts of a block."""
    seen: dict[tuple[str, int], int] = {}
    kept = []
    for axis in anatomy.axes:
        if axis.kind == "units" and axis.name.removeprefix("mlp.").isdigit():
            n_before = seen.setdefault((axis.stack, axis.block), 0)
            seen[axis.stack, axis.block] += 1
            if n_before >= MAX_EXPERTS:
                continue
        kept.append(axis)
    return kept
