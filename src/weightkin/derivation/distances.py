"""How far two models are from each other: in every tensor and as a whole.

Everything is estimated from sketches; a sketch of a whole model gives exact numbers. Distances are
symmetric, and relative to the geometric mean of both norms, unless a norm is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.pairing import BlockPair, TensorPair, match_blocks, pair_tensors
from weightkin.sketch.overlap import Common
from weightkin.sketch.types import Sketch

ROUNDING = 1e-6  # relative distance of tensors that one sum of float32 in another order explains
MIN_RELATED_COSINE = 0.25  # cosine of two matrices under which they share nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDistance:
    """Two tensors compared: sums over the part that both have, estimated for the whole of it."""

    name_a: str
    name_b: str
    role: str
    stack: str
    block_a: int
    block_b: int
    n_dims: int
    n_common: int  # entries in both samples
    share_equal: float
    squared_distance: float
    inner_product: float
    squared_norm_a: float
    squared_norm_b: float

    @property
    def relative_distance(self) -> float:
        """``||A - B|| / sqrt(||A|| ||B||)``; of zeros and others that of unrelated tensors."""
        return _distance([self])

    @property
    def cosine(self) -> float:
        """Cosine of the two as vectors."""
        norms = np.sqrt(self.squared_norm_a * self.squared_norm_b)
        return float(self.inner_product / norms) if norms else 0.0

    @property
    def is_equal(self) -> bool:
        """Whether every entry in both samples is equal."""
        return self.share_equal == 1.0


@dataclass(frozen=True)
class PairRelation:
    """All comparable tensors of two models, and what has no partner."""

    tensors: tuple[TensorDistance, ...]
    pairs: tuple[TensorPair, ...] = field(repr=False)
    block_map: tuple[BlockPair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @cached_property
    def relative_distance(self) -> float:
        """The same over all comparable tensors."""
        return _distance(self.tensors)

    @cached_property
    def typical_distance(self) -> float:
        """Median relative distance of the matrices of blocks (of all, where there are none).

        A few loud tensors do not move it: gains of norms, tables of tokens.
        """
        return float(np.median([t.relative_distance for t in self.matrices] or [0.0]))

    @cached_property
    def typical_cosine(self) -> float:
        """Median cosine of the same matrices."""
        return float(np.median([t.cosine for t in self.matrices] or [0.0]))

    @cached_property
    def share_equal(self) -> float:
        """Share of equal entries in the common samples."""
        n = sum(t.n_common for t in self.tensors)
        return sum(t.n_common * t.share_equal for t in self.tensors) / max(n, 1)

    @cached_property
    def share_equal_tensors(self) -> float:
        """Share of tensors whose common samples are equal."""
        return sum(t.is_equal for t in self.tensors) / max(len(self.tensors), 1)

    @cached_property
    def matrices(self) -> tuple[TensorDistance, ...]:
        """Tensors of two dimensions or more inside blocks; outside them where there are none."""
        found = [t for t in self.tensors if t.n_dims > 1]
        inside = [t for t in found if t.block_a >= 0]
        return tuple(inside or found)

    @property
    def unrelated(self) -> tuple[TensorDistance, ...]:
        """Matrices that share nothing."""
        return tuple(t for t in self.matrices if t.cosine < MIN_RELATED_COSINE and not t.is_equal)


def relate(a: Sketch, b: Sketch, block_map: Sequence[BlockPair] | None = None) -> PairRelation:
    """Compare every comparable tensor of two sketches.

    Parameters
    ----------
    a, b : Sketch
        Of one scheme. Shapes may differ: token tables are compared on the rows both have, other
        tensors on the units that are found in both.
    block_map : sequence of (stack, block of a, block of b), optional
        Which blocks belong together; found by nearness without it.

    Returns
    -------
    PairRelation
        Sums of each tensor and of all together.
    """
    blocks = match_blocks(a, b) if block_map is None else tuple(block_map)
    pairs = pair_tensors(a, b, blocks)
    return PairRelation(
        tensors=tuple(_tensor_relation(pair) for pair in pairs),
        pairs=pairs,
        block_map=blocks,
        only_a=tuple(sorted(set(a.tensors) - {pair.a.name for pair in pairs})),
        only_b=tuple(sorted(set(b.tensors) - {pair.b.name for pair in pairs})),
    )


def _tensor_relation(pair: TensorPair) -> TensorDistance:
    both = pair.both
    x, y = both.values_a.astype(np.float64), both.values_b.astype(np.float64)
    n_rows, n_columns = x.shape
    weights = _row_weights(both)
    widening = both.shape[1] / n_columns
    d, xx, yy = (x - y) ** 2, x * x, y * y  # (n_rows, n_columns)
    distance, norm_a, norm_b = (widening * float(weights @ t.sum(axis=1)) for t in (d, xx, yy))
    return TensorDistance(
        name_a=pair.a.name,
        name_b=pair.b.name,
        role=pair.b.role,
        stack=pair.b.stack,
        block_a=pair.a.block,
        block_b=pair.b.block,
        n_dims=len(pair.a.shape),
        n_common=x.size,
        share_equal=float(np.mean(both.values_a == both.values_b)),
        squared_distance=distance,
        inner_product=widening * float(weights @ (x * y).sum(axis=1)),
        squared_norm_a=norm_a,
        squared_norm_b=norm_b,
    )


def _row_weights(both: Common) -> Doubles:
    """How many rows of the whole each row of the sample stands for: two strata.

    Rows of the run stand for themselves alone; the scattered rows stand for all others, which is
    unbiased when those are a random sample: their indices are chosen by a fixed hash, so this holds
    for every matrix that was not made against that hash. Columns are a run from the first one,
    blown up to the width of the matrix, which assumes that columns are alike.
    """
    n = len(both.values_a)
    rest = ~both.is_run
    if not rest.any():
        return np.full(n, both.shape[0] / n)
    weights = np.ones(n)
    weights[rest] = (both.shape[0] - both.is_run.sum()) / rest.sum()
    return weights


def _distance(tensors: Iterable[TensorDistance]) -> float:
    chosen = list(tensors)
    norms = [sum(getattr(t, f"squared_norm_{x}") for t in chosen) for x in "ab"]
    size, square = float(np.sqrt(norms[0] * norms[1])), sum(t.squared_distance for t in chosen)
    if not size:
        return float(np.sqrt(2.0)) if square else 0.0
    return float(np.sqrt(square / size))
