"""What of one model shares labels: collected axis by axis, as it is read, and told by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weightkin.anatomy.types import Axis
from weightkin.evidence.pairs import Views, cut_windows, largest_window
from weightkin.evidence.sample import Plan, read_views
from weightkin.records.codes import Pattern
from weightkin.stats.copies import Run, copied_runs, groups_of, narrowed
from weightkin.weights.model import Model

N_UNITS = 64  # first units of an axis that show whether it is a copy of another one

Key = tuple[str, int, str]  # stack, block, name


@dataclass(slots=True)
class Copies:
    """The first units of every axis of one kind of one model, in few features."""

    rows: dict[Key, tuple[Axis, Views]] = field(default_factory=dict)

    def look(self, axis: Axis, views: Views) -> None:
        """Add the views of one axis, as they are stored."""
        kept = len(next(iter(views.values()), ())) if axis.kind == "vo" else N_UNITS
        if kept:
            self.rows[key_of(axis)] = axis, {r: narrowed(x[:kept]) for r, x in views.items()}

    def groups(self, *, is_sign_blind: bool = False) -> dict[Key, int]:
        """Relabelling group of every axis seen: declared by the anatomy, or found by content."""
        axes = [axis for axis, _ in self.rows.values()]
        runs: list[Run] = []
        owner: list[int] = []
        for i, (axis, views) in enumerate(self.rows.values()):
            pieces = _runs(axis, views)
            runs += pieces
            owner += [i] * len(pieces)
        copied = copied_runs(runs, is_sign_blind=is_sign_blind)
        edges = [(owner[i], owner[j]) for i, j in enumerate(copied) if owner[i] != owner[j]]
        labels = {axis.labels: i for i, axis in reversed(list(enumerate(axes)))}
        edges += [(i, labels[axis.labels]) for i, axis in enumerate(axes)]
        return dict(zip(self.rows, groups_of(len(axes), edges), strict=True))


def copied_heads(
    model: Model, heads: Axis, dimensions: Sequence[Axis], plan: Plan
) -> Pattern | None:
    """Say how many heads of one attention are copies of others; None if none are.

    ``dimensions`` are the axes of V/O dimensions of the model, whose rows show it.
    """
    own = (heads.stack, heads.block, heads.name.replace("heads", "vo", 1))
    axis = next((x for x in dimensions if key_of(x) == own), None)
    views = read_views(model, axis, plan)[0] if axis else {}
    groups = copied_runs(list(cut_windows(views, heads.head_size)))
    n_copies = len(groups) - len(set(groups))
    block = f"{heads.stack}.{heads.block}"
    return {"pattern": "copied-heads", "n": n_copies, "block": block} if n_copies else None


def key_of(axis: Axis) -> Key:
    """Name of an axis inside one model."""
    return axis.stack, axis.block, axis.name


def _runs(axis: Axis, views: Views) -> list[Run]:
    """Runs of labels of one axis: windows inside heads, or all of it."""
    if axis.kind != "vo":
        return [views]
    return list(cut_windows(views, largest_window(axis.head_size)))
