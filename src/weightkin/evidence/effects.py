"""Effect sizes: how alike matched units are, and how alike chance would make them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightkin.arrays import Floats
from weightkin.records import Effect


def effect_of(observed: Floats, chance: Floats, agreement: Floats | None = None) -> Effect:
    """Medians over matched units, and their ratio: near 1 when units only line up.

    Parameters
    ----------
    observed, chance : ndarray
        ``(n_matched,)``: cosine of the matched rows, and of their best other partner.
    agreement : ndarray, optional
        ``(n_matched,)``: share of the views that match the two as well.

    Returns
    -------
    Effect
        Zeros where nothing matched.
    """
    if not len(observed):
        return Effect(observed=0.0, chance=0.0, ratio=0.0, agreement=0.0)
    seen, level = float(np.median(observed)), float(np.median(chance))
    ratio = max(0.0, seen) / max(level, 0.01)
    share = float(np.mean(agreement)) if agreement is not None and len(agreement) else 0.0
    return Effect(
        observed=round(seen, 6),
        chance=round(level, 6),
        ratio=round(ratio, 4),
        agreement=round(share, 4),
    )


def have_views(pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether at least half of the matched units were seen on several views, which may agree.

    ``pairs`` holds the number of views and of matched units of each pair of axes.
    """
    n_several = sum(n_units for n_views, n_units in pairs if n_views > 1)
    return n_several > 0 and 2 * n_several >= sum(n_units for _, n_units in pairs)
