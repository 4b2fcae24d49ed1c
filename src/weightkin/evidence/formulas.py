"""Starts given by a formula: which axes of one model follow rules of their index.

Every view is read for itself, and all views of a role together; both are paid for. A false flag
costs power where the other model carries one too; a miss costs validity, so the level is lenient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from weightkin.anatomy.types import Axis, AxisKind
from weightkin.evidence.pairs import Views
from weightkin.stats.formulas import Readings, read_rows
from weightkin.weights.model import Model

LOG10_LEVEL = -2.0  # paid for rules, offsets, readings and views
Key = tuple[AxisKind, str]


@dataclass(slots=True)
class Formulas:
    """What the axes of one model show when each is looked at alone."""

    tied: dict[Key, str] = field(default_factory=dict)  # kind and labels to the reason
    seen: set[tuple[Key, str]] = field(default_factory=set)  # with the name of the view
    pooled: dict[tuple[AxisKind, str, int, int], Readings] = field(default_factory=dict)
    blocks: dict[tuple[str, int], str] = field(default_factory=dict)  # whose V/O axis is tied
    known: dict[AxisKind, tuple[int, str]] = field(default_factory=dict)  # `of_kind`, at a size

    def look(self, model: Model, axis: Axis, views: Views, n_views: int) -> None:
        """Read the views of one axis, out of ``n_views`` of its kind; each is read once."""
        key = axis.kind, axis.labels
        kernels = {p.role: model.tensors[p.tensor].shape for p in axis.places if p.dim == 0}
        for role, view in views.items():
            name = f"{axis.stack}.{axis.block}.{axis.name}.{role}"
            if (key, name) in self.seen:
                continue
            self.seen.add((key, name))
            run = axis.head_size if axis.kind == "vo" else 0
            shape = kernels.get(role, ())
            readings = read_rows(view, shape[2:] if len(shape) == 4 else (), run)
            log10_p, reading = readings.best()
            if log10_p + math.log10(2 * n_views) <= LOG10_LEVEL:
                self.tie(axis, _reason(role, reading))
                continue
            pool = self.pooled.setdefault((axis.kind, role, view.shape[1], run), Readings())
            if not pool.is_copy(readings):
                pool.add(readings)

    def tie(self, axis: Axis, reason: str) -> None:
        """Note that the labels of an axis have a meaning of their own."""
        self.tied.setdefault((axis.kind, axis.labels), reason)
        if axis.kind == "vo":
            self.blocks.setdefault((axis.stack, axis.block), reason)

    def of_kind(self, kind: AxisKind) -> str:
        """Why no axis of a kind may be trusted: what its views show only together; or nothing."""
        if kind not in self.known or self.known[kind][0] != len(self.seen):
            self.known[kind] = len(self.seen), self._together(kind)
        return self.known[kind][1]

    def _together(self, kind: AxisKind) -> str:
        pools = [(role, x) for (name, role, *_), x in self.pooled.items() if name == kind]
        for role, readings in pools:
            log10_p, reading = readings.best()
            if readings.n_views > 1 and log10_p + math.log10(2 * len(pools)) <= LOG10_LEVEL:
                return _reason(role, reading)
        return ""

    def of_axis(self, axis: Axis) -> str:
        """Why one axis may not be trusted; or nothing."""
        if axis.kind == "heads" and (axis.stack, axis.block) in self.blocks:
            return self.blocks[axis.stack, axis.block]
        kind: AxisKind = "vo" if axis.kind == "heads" else axis.kind
        return (
            self.tied.get((axis.kind, axis.labels), "")
            or self.of_kind(axis.kind)
            or self.of_kind(kind)
        )


def _reason(role: str, reading: str) -> str:
    return f"{role} follows its index in {reading}, as a start by formula does"
