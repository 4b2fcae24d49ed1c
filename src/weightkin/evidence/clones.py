"""Units of one model that are copies of each other take part once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats
from weightkin.stats.copies import MIN_FEATURES_COPY, copied_units

Rows = dict[str, Floats]  # by view: (n_units, n_features)

# Cosine on every view from which two units of one model are clones. Units of trained models that
# are none reach .60 on three views and .89 on two (docs/methods.md).
MIN_COSINE_CLONE = {1: 0.95, 2: 0.95, 3: 0.7}


def once_per_clone(views_a: Rows, views_b: Rows) -> tuple[Rows, Rows]:
    """Of units that are clones of each other under equal numbers in both models, keep the first.

    Two models widened alike have clones that coincide together: the others become rows of zeros.
    """
    n = min(len(x) for views in (views_a, views_b) for x in views.values())
    roles = [r for r, x in views_a.items() if x.shape[1] >= MIN_FEATURES_COPY]
    if not roles:
        return views_a, views_b
    least = dict.fromkeys(roles, MIN_COSINE_CLONE[min(len(roles), 3)])
    in_a, in_b = (
        copied_units({r: views[r][:n] for r in roles}, least) for views in (views_a, views_b)
    )
    first = {key: i for i, key in reversed(list(enumerate(zip(in_a, in_b, strict=True))))}
    again = sorted(set(range(n)) - set(first.values()))
    return without_rows(views_a, again), without_rows(views_b, again)


def without_rows(views: Rows, rows: Sequence[int] | npt.NDArray[np.int64]) -> Rows:
    """Views in which some units are rows of zeros, which take no part in any matching."""
    if not len(rows):
        return views
    left = {role: x.copy() for role, x in views.items()}
    for x in left.values():
        x[rows] = 0
    return left
