"""Pairs of axes put together: what shares labels in the model that is trusted is averaged."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weightkin.anatomy.types import Axis
from weightkin.evidence.copies import Copies, Key, key_of
from weightkin.evidence.pairs import PairEvidence
from weightkin.stats.coincidences import mix_log_evalue
from weightkin.stats.combining import LOG_MONOTONE, LOG_SINGLE, LOG_STRAIGHT, Grid, product
from weightkin.stats.sums import logsumexp

Piece = tuple[int, str, PairEvidence]  # number of a tested pair, its stack, what it showed


@dataclass(slots=True)
class Scanned:
    """What all pairs of blocks showed, stack by stack, and the axes that were looked at."""

    stacks: dict[str, tuple[Grid, float]] = field(default_factory=dict)  # monotone, sum of singles
    axes: tuple[list[Key], list[Key]] = field(default_factory=lambda: ([], []))  # of a, of b


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
    """What shares labels among the tested axes of one model, and among those scanned."""
    groups = copies.groups()
    used = [groups[key] for key in scanned.axes[side] if key in groups]
    return Labels(side, tuple(groups[key_of(x)] for x in axes), len(set(used)) == len(used))


def combine(pieces: Sequence[Piece], labels: Labels, n_pairs: int, scanned: Scanned) -> float:
    """Log e-value of some tested pairs: straight product, monotone maps, any single pair."""
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
