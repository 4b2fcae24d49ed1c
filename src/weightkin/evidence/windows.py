"""Windows: runs of labels of one axis inside which any order is allowed, and their copies.

The labels of V/O dimensions may be moved inside their head, those of units of an axis with cells
(channels that a norm takes in groups) inside their cell. Windows never leave one; what is found in
windows that are no copies of each other is multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats
from weightkin.stats.combining import Grid, product
from weightkin.stats.copies import Groups, copied_runs, groups_of

MAX_WINDOW = 16  # labels matched together


def cut_windows(views: Mapping[str, Floats], size: int) -> Iterator[dict[str, Floats]]:
    """Runs of ``size`` units, each in the views that reach so far."""
    n = max((len(x) for x in views.values()), default=0)
    for at in range(0, n - size + 1, size):
        yield {role: x[at : at + size] for role, x in views.items() if len(x) >= at + size}


def largest_window(head_size: int) -> int:
    """Largest run of labels, at most 16, that stays inside heads or cells of a size."""
    return max(w for w in range(1, MAX_WINDOW + 1) if head_size % w == 0)


def window_of(axis_a: Axis, axis_b: Axis) -> int:
    """Labels that may stand in any order on both axes, at most 16; 0 where that is all of them."""
    common = math.gcd(axis_a.head_size, axis_b.head_size)
    return largest_window(common) if common and axis_a.kind in ("vo", "units") else 0


def copied_windows(views: Mapping[str, Floats], size: int) -> Groups:
    """Which windows of one model are copies of each other: they share their labels.

    A few units alone do not show it, so small windows are looked at several at a time too.
    """
    groups = copied_runs(list(cut_windows(views, size)))
    several = MAX_WINDOW // size
    if several < 2:
        return groups
    wide = copied_runs(list(cut_windows(views, several * size)))
    again = [
        (i * several + k, first * several + k)
        for i, first in enumerate(wide)
        if i != first
        for k in range(several)
    ]
    return groups_of(len(groups), [*enumerate(groups), *again]) if again else groups


def multiplied(runs: npt.NDArray[np.float64], groups: Groups) -> Grid:
    """Product over the runs of labels of one view, averaged inside each set of copies."""
    groups = (*groups[: len(runs)], *range(len(groups), len(runs)))
    if len(set(groups)) == len(runs):
        return np.asarray(np.sum(runs, axis=0))
    members: dict[int, list[Grid]] = {}
    for run, group in zip(runs, groups, strict=True):
        members.setdefault(group, []).append(run)
    return product(list(members.values()))
