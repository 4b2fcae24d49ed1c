"""Inheritance: does a model still hold what a candidate ancestor learned?

A descendant keeps the whole change that its ancestor made, the noise of its data order included; a
sibling trained on like data shares only the drift, which lies in a few directions of every matrix.
So the strongest singular directions of the change are left out, and the rest, the bulk, is asked
for: near one in descendants, small in siblings, above one where a model merely went further the
same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.derivation.shared import SharedTensor

DRIFT = 0.3  # share of the singular directions that count as drift
MAX_INHERITED_TENSORS = 16  # matrices looked at, spread evenly over the depth
LEAST_BULK = 1e-2  # of a change: where less is left (adapters, also rounded), all is asked for
KEPT_BULK, KEPT_SPREAD = 0.92, 0.13  # bulk that descendants keep, measured on the zoo
SIBLING_SPREAD = 0.35  # bulk that siblings share by chance or drift
FURTHER = 0.3  # share of relatives that are no descendants but went further the same way
MAX_READING, MIN_READING = 1.5, -4.0  # limits of one reading, in log-odds


@dataclass
class Inheritance:
    """Reads, and remembers, how much of a change ``ancestor - origin`` other models hold."""

    tensors: Sequence[SharedTensor]
    is_replaced: npt.NDArray[np.bool_]  # (n_tensors, n, n)
    _bulks: dict[tuple[int, int], tuple[Doubles, Doubles]] = field(default_factory=dict)

    def held(self, origin: int, ancestor: int, weights: Doubles | None = None) -> Doubles:
        """Share of the bulk of one change that each model holds: ``(n,)``; NaN where none can.

        ``weights`` counts every looked-at tensor so often (for a bootstrap). A tensor that a model
        replaced says nothing about what it holds.
        """
        if (origin, ancestor) not in self._bulks:
            self._bulks[origin, ancestor] = self._read(origin, ancestor)
        found, sizes = self._bulks[origin, ancestor]  # (n_looked_at, n), (n_looked_at,)
        counts = np.ones(len(sizes)) if weights is None else weights
        kept = self.is_kept[:, origin, :]  # (n_looked_at, n)
        total = counts @ (kept * sizes[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            share: Doubles = np.where(total > 0, counts @ (kept * found) / total, np.nan)
        return share

    @cached_property
    def is_kept(self) -> npt.NDArray[np.bool_]:
        """Which looked-at tensors of each pair have not been replaced: ``(n_looked_at, n, n)``."""
        kept: npt.NDArray[np.bool_] = ~self.is_replaced[self.looked_at]
        return kept

    @cached_property
    def looked_at(self) -> list[int]:
        """Positions of the matrices that are looked at: inside blocks where there are enough."""
        inside = [i for i, t in enumerate(self.tensors) if t.block >= 0 and min(t.values.shape) > 1]
        pool = inside or list(range(len(self.tensors)))
        chosen = np.unique(np.linspace(0, len(pool) - 1, MAX_INHERITED_TENSORS).astype(int))
        return [pool[i] for i in chosen]

    def _read(self, origin: int, ancestor: int) -> tuple[Doubles, Doubles]:
        found, sizes = [], []
        for position in self.looked_at:
            tensor = self.tensors[position]
            values = tensor.values
            change = values[ancestor].astype(np.float64) - values[origin]
            bulk = _bulk(change)
            products = tensor.flat @ bulk.ravel()
            found.append(products - products[origin])
            sizes.append(float((bulk**2).sum()))
        return np.stack(found), np.array(sizes)


def descent_log_odds(held: npt.ArrayLike) -> Doubles:
    """Log-odds of descent against mere kinship, from the share of a bulk that is held.

    Descendants: normal around `KEPT_BULK`. Others: mostly near zero, some anywhere up to four.
    Limited on both sides, since the two laws were measured on few families. NaN counts nothing.
    """
    x = np.asarray(held, dtype=np.float64)
    descendants = _normal(x, KEPT_BULK, KEPT_SPREAD)
    kin = (1 - FURTHER) * 2 * _normal(x, 0.0, SIBLING_SPREAD) + FURTHER / 4
    odds = np.log(np.maximum(descendants, 1e-30)) - np.log(kin)
    limited: Doubles = np.where(np.isnan(x), 0.0, np.clip(odds, MIN_READING, MAX_READING))
    return limited


def _bulk(change: Doubles) -> Doubles:
    """A change without its strongest singular directions; all of it where nothing else is left."""
    if not change.any():
        return np.zeros_like(change)
    left, sizes, right = np.linalg.svd(change, full_matrices=False)
    kept = sizes.copy()
    kept[: int(DRIFT * len(sizes))] = 0.0
    if (kept**2).sum() < LEAST_BULK * (sizes**2).sum():
        return change
    bulk: Doubles = (left * kept) @ right
    return bulk


def _normal(x: Doubles, mean: float, spread: float) -> Doubles:
    density: Doubles = np.exp(-(((x - mean) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
    return density
