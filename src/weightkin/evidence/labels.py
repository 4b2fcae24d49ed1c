"""Pairs of axes put together: what shares labels in the model that is trusted is averaged."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weightkin.anatomy.positions import VIEW
from weightkin.anatomy.types import Axis
from weightkin.evidence.pairs import PairEvidence, Views
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import read_views
from weightkin.evidence.windows import cut_windows, largest_window
from weightkin.formats.model import Model
from weightkin.records.codes import Pattern
from weightkin.stats.coincidences import mix_log_evalue
from weightkin.stats.combining import LOG_MONOTONE, LOG_SINGLE, LOG_STRAIGHT, Grid, product
from weightkin.stats.copies import Run, copied_runs, groups_of, narrowed
from weightkin.stats.sums import logsumexp

N_UNITS = 64  # first units of an axis that show whether it is a copy of another one

AxisKey = tuple[str, int, str]  # stack, block, name


@dataclass(slots=True)
class Copies:
    """The first units of every axis of one kind of one model, in few features."""

    rows: dict[AxisKey, tuple[Axis, Views]] = field(default_factory=dict)

    def look(self, axis: Axis, views: Views) -> None:
        """Add the views of one axis, as they are stored."""
        self.add(axis, few_rows(axis, views))

    def add(self, axis: Axis, rows: Views | None) -> None:
        """Add what `few_rows` gave of one axis."""
        if rows is not None:
            self.rows[key_of(axis)] = axis, rows

    def groups(self, *, is_sign_blind: bool = False) -> dict[AxisKey, int]:
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


def few_rows(axis: Axis, views: Views) -> Views | None:
    """The first units of an axis in few features; None where it has none."""
    kept = len(next(iter(views.values()), ())) if axis.kind in ("vo", "qk") else N_UNITS
    if not kept:
        return None
    names = _names(axis, views)
    return {names[role]: narrowed(x[:kept]) for role, x in views.items()}


def copied_heads(
    model: Model, heads: Axis, dimensions: Sequence[Axis], plan: Plan
) -> Pattern | None:
    """Say how many heads of one attention are copies of others; None if none are.

    ``dimensions`` are the axes of V/O dimensions of the model, whose rows show it.

    Parameters
    ----------
    model : Model
        The model.
    heads : Axis
        Heads of one attention.
    dimensions : sequence of Axis
        Axes of V/O dimensions of the model, whose rows show it.
    plan : Plan
        How much is read.

    Returns
    -------
    Pattern or None
        Number of copies and block; None where no head is a copy.
    """
    own = (heads.stack, heads.block, heads.name.replace("heads", "vo", 1))
    axis = next((x for x in dimensions if key_of(x) == own), None)
    views = read_views(model, axis, plan)[0] if axis else {}
    groups = copied_runs(list(cut_windows(views, heads.head_size)))
    n_copies = len(groups) - len(set(groups))
    block = f"{heads.stack}.{heads.block}"
    return {"pattern": "copied-heads", "n": n_copies, "block": block} if n_copies else None


def key_of(axis: Axis) -> AxisKey:
    """Name of an axis inside one model."""
    return axis.stack, axis.block, axis.name


def _names(axis: Axis, views: Views) -> dict[str, str]:
    """Names under which views of two axes are compared: roles, or the rank of one from a graph."""
    ranks = {p.role: f"{VIEW}{i}" for i, p in enumerate(x for x in axis.places if x.role in views)}
    return {role: ranks[role] if role.startswith(VIEW) else role for role in views}


def _runs(axis: Axis, views: Views) -> list[Run]:
    """Runs of labels of one axis: windows inside heads, or all of it."""
    if axis.kind not in ("vo", "qk"):
        return [views]
    return list(cut_windows(views, largest_window(axis.head_size)))


Piece = tuple[int, str, PairEvidence]  # number of a tested pair, its stack, what it showed


@dataclass(slots=True)
class Scanned:
    """What all pairs of blocks showed, stack by stack, and the axes that were looked at."""

    stacks: dict[str, tuple[Grid, float]] = field(default_factory=dict)  # monotone, sum of singles
    axes: tuple[list[AxisKey], list[AxisKey]] = field(
        default_factory=lambda: ([], [])
    )  # of a, of b


@dataclass(frozen=True, slots=True)
class Labels:
    """What shares labels in one model."""

    side: int  # 0: a, 1: b
    group: tuple[int, ...]  # of each tested pair
    are_scanned_separate: bool  # no two blocks that monotone maps may use share labels

    @property
    def n_groups(self) -> int:
        """Sets of tested pairs with labels of their own."""
        return len(set(self.group))


def labels_of(side: int, copies: Copies, axes: Sequence[Axis], scanned: Scanned) -> Labels:
    """What shares labels among the tested axes of one model, and among those scanned.

    Parameters
    ----------
    side : int
        0: a, 1: b.
    copies : Copies
        Units of its axes, by which copies are found.
    axes : sequence of Axis
        Tested axes of the model.
    scanned : Scanned
        Axes that scans of block pairs looked at.

    Returns
    -------
    Labels
        A group for each tested axis, and whether scanned axes are in groups of their own.
    """
    groups = copies.groups()
    used = [groups[key] for key in scanned.axes[side] if key in groups]
    return Labels(side, tuple(groups[key_of(x)] for x in axes), len(set(used)) == len(used))


def combine(pieces: Sequence[Piece], labels: Labels, n_pairs: int, scanned: Scanned) -> float:
    """Log e-value of some tested pairs: straight product, monotone maps, any single pair.

    Null hypothesis: that of `pair_evidence`, with labels of different groups independent; inside a
    group evidence is averaged. The three are summed with fixed weights.

    Parameters
    ----------
    pieces : sequence of (int, str, PairEvidence)
        Position among the tested pairs, stack, evidence.
    labels : Labels
        Groups of the model that is trusted.
    n_pairs : int
        Pairs that could have been looked at: a single one is paid for by their number.
    scanned : Scanned
        What scans of block pairs showed.

    Returns
    -------
    float
        Log e-value, natural logarithm.
    """
    members: dict[int, list[Grid]] = defaultdict(list)
    for i, _, evidence in pieces:
        members[labels.group[i]].append(evidence.grids[labels.side])
    parts = [LOG_STRAIGHT + mix_log_evalue(product(list(members.values())))]
    singles = [mix_log_evalue(evidence.grids[labels.side]) for _, _, evidence in pieces]
    if scanned.stacks:
        stacks = {stack for _, stack, _ in pieces} & scanned.stacks.keys()
        # no map may use one set of labels twice
        if len(members) == len(pieces) and labels.are_scanned_separate:
            monotone = np.sum([scanned.stacks[s][0] for s in stacks], axis=0)
            parts.append(LOG_MONOTONE + mix_log_evalue(monotone))
        singles = [scanned.stacks[s][1] for s in stacks]
    parts.append(LOG_SINGLE + float(logsumexp(singles)) - math.log(n_pairs))
    return float(logsumexp(parts))
