"""Numbers that stand beside a lossy map: bits and groups of few levels, patterns of zeros."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from weightkin.arrays import Floats
from weightkin.derivation.lattice import Levels

PATTERNS = ((2, 4), (4, 8), (1, 4))


def level_details(levels: list[Levels]) -> dict[str, Any]:
    """Bits, group and scheme that most tensors of few levels have."""
    kept = Counter((x.bits, x.group, x.scope, x.scheme) for x in levels)
    (bits, group, scope, scheme), _ = kept.most_common(1)[0]
    details: dict[str, Any] = {"bits": bits}
    if group is not None:
        details["group"] = group
    return {**details, "scope": scope, "scheme": scheme, "n_quantised": len(levels)}


def pruning_details(zeros: list[tuple[Floats, Floats]]) -> dict[str, Any]:
    """Share of zeros, of parent and child values tensor by tensor, and their pattern."""
    share = float(np.mean(np.concatenate([(y == 0).ravel() for _, y in zeros])))
    small = []
    for x, y in zeros:
        is_new = (y == 0) & (x != 0)
        rest = np.abs(x[~is_new & (x != 0)])
        largest = np.abs(x[is_new]).max()
        small.append(float(np.mean(rest >= largest)) if len(rest) else 1.0)
    details: dict[str, Any] = {
        "share": round(share, 4),
        "share_kept_above_threshold": round(float(np.median(small)), 4),
        "n_pruned": len(zeros),
    }
    for n, m in PATTERNS:
        if all(_is_pattern(y, n, m) for _, y in zeros):
            return details | {"pattern": f"{n}:{m}"}
    return details


def _is_pattern(y: Floats, n: int, m: int) -> bool:
    """Whether every group of m entries of a row holds at most n that are not zero."""
    whole = y[:, : y.shape[1] // m * m]
    if not whole.size:
        return False
    counts = (whole.reshape(-1, m) != 0).sum(axis=1)
    return bool((counts <= n).all() and (counts == n).mean() > 0.9)
