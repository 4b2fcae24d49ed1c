"""How far two models are from each other: in every tensor, by role, by block, as a whole.

Everything is estimated from sketches; a sketch of a whole model gives exact numbers. Distances are
symmetric, and relative to the geometric mean of both norms, unless a norm is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weightkin.derivation.pairing import BlockPair, TensorPair, match_blocks, pair_tensors
from weightkin.derivation.rank import Rank, rank_of_difference
from weightkin.sketch.overlap import Common
from weightkin.sketch.types import Sketch

Doubles = npt.NDArray[np.float64]

UNRELATED = 0.25  # cosine of two matrices under which they share nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRelation:
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
    standard_error: float  # of the relative distance

    @property
    def relative_distance(self) -> float:
        """``||A - B|| / sqrt(||A|| ||B||)``; 0 where both are zero."""
        norms = np.sqrt(self.squared_norm_a * self.squared_norm_b)
        if not norms:
            return 0.0 if not self.squared_distance else float(np.sqrt(2.0))
        return float(np.sqrt(self.squared_distance / norms))

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

    tensors: tuple[TensorRelation, ...]
    pairs: tuple[TensorPair, ...] = field(repr=False)
    block_map: tuple[BlockPair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @cached_property
    def relative_distance(self) -> float:
        """``||A - B|| / sqrt(||A|| ||B||)`` over all comparable tensors."""
        return _distance(self.tensors)

    @cached_property
    def relative_to_a(self) -> float:
        """``||A - B|| / ||A||``."""
        return float(np.sqrt(self._sum("squared_distance") / (self._sum("squared_norm_a") or 1.0)))

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
    def slope_on_a(self) -> float:
        """``<A, B> / ||A||^2``."""
        return self._sum("inner_product") / (self._sum("squared_norm_a") or 1.0)

    @cached_property
    def slope_on_b(self) -> float:
        """``<A, B> / ||B||^2``."""
        return self._sum("inner_product") / (self._sum("squared_norm_b") or 1.0)

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
    def by_role(self) -> dict[str, float]:
        """Relative distance of each role."""
        return self._grouped(lambda t: t.role)

    @cached_property
    def by_block(self) -> dict[str, float]:
        """Relative distance of each block of b."""
        inside = [t for t in self.tensors if t.block_b >= 0]
        return _grouped(inside, lambda t: f"{t.stack}.{t.block_b}")

    @cached_property
    def matrices(self) -> tuple[TensorRelation, ...]:
        """Tensors of two dimensions or more inside blocks; outside them where there are none."""
        found = [t for t in self.tensors if t.n_dims > 1]
        inside = [t for t in found if t.block_a >= 0]
        return tuple(inside or found)

    @property
    def unrelated(self) -> tuple[TensorRelation, ...]:
        """Matrices that share nothing."""
        return tuple(t for t in self.matrices if t.cosine < UNRELATED and not t.is_equal)

    def _sum(self, name: str) -> float:
        return float(sum(getattr(t, name) for t in self.tensors))

    def _grouped(self, key: Callable[[TensorRelation], str]) -> dict[str, float]:
        return _grouped(self.tensors, key)


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


def l_ft(relation: PairRelation, *, maximum: bool = True) -> float:
    """Second paper's l_FT: largest entry of a difference of square matrices, or plain l2.

    Differences are divided by the largest entry of both matrices, as the paper normalises over its
    tree; absolute values are taken, which the released code leaves out.

    References
    ----------
    .. [1] Horwitz, Shul and Hoshen, Unsupervised Model Tree Heritage Recovery, ICLR 2025.
    """
    if not maximum:
        return float(np.sqrt(sum(t.squared_distance for t in relation.tensors)))
    largest = 0.0
    for both in _square(relation):
        top = max(np.abs(both.values_a).max(), np.abs(both.values_b).max(), 1e-300)
        largest = max(largest, float(np.abs(both.values_a - both.values_b).max() / top))
    return largest


def l_lora(relation: PairRelation) -> int:
    """Second paper's l_LoRA: summed numerical rank of the differences of square matrices.

    Rank counts singular values above the rounding floor (`rank_of_difference`), not above the
    default tolerance, which one rounding to bfloat16 makes full. What is not resolved counts zero.
    """
    ranks: list[Rank] = [
        rank_of_difference(p.both.values_a, p.both.values_b, p.a.lattice, p.b.lattice)
        for p in relation.pairs
        if len(p.a.shape) == 2 and p.a.shape[0] == p.a.shape[1] == p.b.shape[0] == p.b.shape[1]
    ]
    return sum(r.rank or 0 for r in ranks)


def _square(relation: PairRelation) -> Iterable[Common]:
    for pair in relation.pairs:
        shape = pair.a.shape
        if len(shape) == 2 and shape[0] == shape[1] and pair.is_same_shape:
            yield pair.both


def _tensor_relation(pair: TensorPair) -> TensorRelation:
    both = pair.both
    x, y = both.values_a.astype(np.float64), both.values_b.astype(np.float64)
    n_rows, n_columns = x.shape
    weights = _row_weights(both)
    widening = both.shape[1] / n_columns
    d, xx, yy = (x - y) ** 2, x * x, y * y  # (n_rows, n_columns)
    distance, norm_a, norm_b = (widening * float(weights @ t.sum(axis=1)) for t in (d, xx, yy))
    return TensorRelation(
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
        standard_error=_ratio_error(d, np.sqrt(xx * yy), weights, both),
    )


def _row_weights(both: Common) -> Doubles:
    """How many rows of the whole each row of the sample stands for (see `sketch.overlap`)."""
    n = len(both.values_a)
    rest = ~both.is_run
    if not rest.any():
        return np.full(n, both.shape[0] / n)
    weights = np.ones(n)
    weights[rest] = (both.shape[0] - both.is_run.sum()) / rest.sum()
    return weights


def _ratio_error(d: Doubles, size: Doubles, weights: Doubles, both: Common) -> float:
    """Standard error of sqrt(sum d / sum size) from the spread over rows and over columns.

    Rows that stand for themselves alone add nothing; columns count as a random sample.
    """
    total = float(weights @ size.sum(axis=1))
    ratio = float(weights @ d.sum(axis=1)) / total if total else 0.0
    if not ratio:
        return 0.0
    rest = (d - ratio * size) * weights[:, None]  # (n_rows, n_columns)
    sampled = ~both.is_run if not both.is_run.all() else both.is_run
    n_rows = both.shape[0] - (len(weights) - int(sampled.sum()))  # that the sampled ones stand for
    square = _spread(rest[sampled].sum(axis=1), n_rows) + _spread(rest.sum(axis=0), both.shape[1])
    return float(np.sqrt(square) / total / (2 * np.sqrt(ratio)))


def _spread(sample: Doubles, whole: int) -> float:
    """Variance of a sum whose terms (already expanded) are drawn without replacement."""
    n = len(sample)
    if n >= whole:
        return 0.0
    if n < 2:
        return float("inf")
    return float(n * np.var(sample, ddof=1) * (1 - n / whole))


def _distance(tensors: Iterable[TensorRelation]) -> float:
    chosen = list(tensors)
    norms = [sum(getattr(t, f"squared_norm_{x}") for t in chosen) for x in "ab"]
    size = float(np.sqrt(norms[0] * norms[1]))
    return float(np.sqrt(sum(t.squared_distance for t in chosen) / size)) if size else 0.0


def _grouped(
    tensors: Iterable[TensorRelation], key: Callable[[TensorRelation], str]
) -> dict[str, float]:
    groups: dict[str, list[TensorRelation]] = {}
    for t in tensors:
        groups.setdefault(key(t), []).append(t)
    return {name: _distance(group) for name, group in sorted(groups.items())}
