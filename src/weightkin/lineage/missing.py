"""Sums over what is known: NaN stands for what is not."""

from __future__ import annotations

import numpy as np

from weightkin.arrays import Doubles


def middle(x: Doubles) -> Doubles:
    """Median over the first axis; NaN where there is nothing."""
    is_empty = ~np.isfinite(x).any(axis=0) if len(x) else np.ones(x.shape[1:], dtype=bool)
    filled = np.where(is_empty, 0.0, x) if len(x) else np.zeros((1, *x.shape[1:]))
    found: Doubles = np.where(is_empty, np.nan, np.nanmedian(filled, axis=0))
    return found


def average(x: Doubles) -> Doubles:
    """Mean over the first axis; NaN where there is nothing."""
    is_told = np.isfinite(x)
    count = is_told.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Doubles = np.where(count > 0, np.where(is_told, x, 0.0).sum(axis=0) / count, np.nan)
    return mean


def most(x: Doubles) -> Doubles:
    """Largest of each row; NaN where there is nothing."""
    filled = np.where(np.isnan(x), -np.inf, x).max(axis=1)
    found: Doubles = np.where(np.isinf(filled), np.nan, filled)
    return found
