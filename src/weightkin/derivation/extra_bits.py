"""Whether what a supposed parent holds beyond its rounded or pruned child can be the real thing.

Who adds noise under the last digit of a model, or fills the zeros of a pruned one, makes a file of
which the model is exactly the image. So a direction follows only where what the finer file holds
beyond the other is not noise:

- **Filled zeros.** Null hypothesis: the signs of the filled values are fair coins, whatever the
  child is. The statistic is their sum times what a few singular vectors of the child say about
  these entries; by Hoeffding's inequality p <= exp(-z² / 2).
- **Digits beyond rounding.** Null hypothesis: rounding made the child. It leaves errors that are
  uniform between half a step down and half a step up: where their second or fourth moment is off,
  the digits were added. Errors of coarse steps also lean to where weights are dense, which noise
  does not do; that is asked where a real parent would show it clearly.

Noise drawn uniformly over the whole step, under a fine format, cannot be told from a real parent
by the two files alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.distances import PairRelation
from weightkin.derivation.lattice import KnownLevels, Levels, mantissa_step
from weightkin.derivation.lossy import Explained, image_of
from weightkin.derivation.pairing import TensorPair

MIN_Z_FILLED = 5.3  # deviates of filled signs, p <= 1e-6, from which they are no coins
MIN_Z_LEAN = 4.0  # deviates of the lean of rounding errors, from which they are no noise
CLEAR_LEAN = 8.0  # deviates that a real parent would show, from which the lean is asked for
MOST_OFF = 0.05  # of the second moment of rounding errors, from that of uniform ones
MOST_FOURTH_OFF = 0.1  # the same of the fourth
MOST_LUCK = 5.0  # standard errors that a moment may be off beside
MIN_ENTRIES = 2000  # under which nothing is said
N_SINGULAR = 8  # of a matrix: one singular vector for so many of its smaller side


@dataclass(slots=True)
class ExtraBits:
    """Sums over all tensors of which one is the rounded or pruned other."""

    n: int = 0
    second: float = 0.0
    fourth: float = 0.0
    lean: float = 0.0
    lean_variance: float = 0.0
    lean_expected: float = 0.0
    filled: float = 0.0
    filled_variance: float = 0.0
    n_filled: int = 0

    @property
    def is_noise(self) -> bool:
        """Whether the finer file may hold nothing but noise beyond the other."""
        if self.n_filled >= MIN_ENTRIES:
            z = self.filled / max(np.sqrt(self.filled_variance), 1e-300)
            if z < MIN_Z_FILLED:
                return True
        if self.n < MIN_ENTRIES:
            return False
        luck = MOST_LUCK / np.sqrt(self.n)  # deviations of one entry's squares: 0.9, 1.4
        is_second = abs(12 * self.second / self.n - 1) <= MOST_OFF + 0.9 * luck
        is_fourth = abs(80 * self.fourth / self.n - 1) <= MOST_FOURTH_OFF + 1.4 * luck
        size = max(np.sqrt(self.lean_variance), 1e-300)
        is_flat = self.lean_expected / size >= CLEAR_LEAN and self.lean / size < MIN_Z_LEAN
        return not (is_second and is_fourth) or is_flat

    def add_rounded(self, parent: Doubles, child: Doubles, step: Doubles) -> None:
        """Errors of one tensor, in steps; entries without a step are left out."""
        with np.errstate(all="ignore"):
            error = (parent - child) / step
            is_told = np.isfinite(error) & (step > 0) & (child != 0) & (np.abs(error) <= 0.5001)
        u, h = error[is_told], step[is_told]
        towards = (_predicted(child) - child)[is_told]
        spread = float(np.mean(towards**2)) if len(towards) else 0.0
        if not spread:
            return
        self.n += len(u)
        self.second += float(np.sum(u**2))
        self.fourth += float(np.sum(u**4))
        self.lean += float(np.sum(u * towards))
        self.lean_variance += float(np.sum(towards**2)) / 12
        self.lean_expected += float(np.sum(h * towards**2)) / (12 * spread)

    def add_filled(self, parent: Doubles, child: Doubles) -> None:
        """Values of one matrix where the other has zeros."""
        is_filled = (child == 0) & (parent != 0)
        products = (parent * _predicted(child))[is_filled]
        self.n_filled += len(products)
        self.filled += float(products.sum())
        self.filled_variance += float(np.sum(products**2))


MAPS = ("cast", "quantised", "magnitude-pruned")  # kinds that noise can be laid over


def with_noise(
    explained: Explained, relation: PairRelation, known: KnownLevels, *, is_turned: bool
) -> Explained:
    """Say of an explanation by rounding or zeros whether the parent may be noise beyond the child.

    Parameters
    ----------
    explained : Explained
        One direction.
    relation : PairRelation
        Of (parent, child), or of (child, parent) with ``is_turned``.
    known : KnownLevels
        Levels found before.
    is_turned : bool
        Whether the child is model a of ``relation``.

    Returns
    -------
    Explained
        The same, marked where a direction would rest on noise.
    """
    if not explained.is_complete or not set(explained.kinds) & set(MAPS):
        return explained
    is_noisy = extra_bits(relation, known, is_turned=is_turned).is_noise
    return replace(explained, is_noisy=is_noisy)


def extra_bits(relation: PairRelation, known: KnownLevels, *, is_turned: bool) -> ExtraBits:
    """Look at all tensors of a supposed parent that are not equal to the child's.

    Parameters
    ----------
    relation : PairRelation
        Of (parent, child), or of (child, parent) with ``is_turned``.
    known : KnownLevels
        Levels found before.
    is_turned : bool
        Whether the child is model a of ``relation``.

    Returns
    -------
    ExtraBits
    """
    found = ExtraBits()
    for pair, t in zip(relation.pairs, relation.tensors, strict=True):
        if not t.is_equal and len(pair.a.shape) > 1:
            _add(found, pair, known, is_turned=is_turned)
    return found


def _add(found: ExtraBits, pair: TensorPair, known: KnownLevels, *, is_turned: bool) -> None:
    x, y, child = pair.both.values_a, pair.both.values_b, pair.b
    if is_turned:
        x, y, child = y, x, pair.a
    image, what = image_of(x, y, child, known)
    p, c = x.astype(np.float64), y.astype(np.float64)
    if image == "pruned":
        found.add_filled(p, c)
    elif image == "cast" and isinstance(what, str):
        found.add_rounded(p, c, mantissa_step(c, what))
    elif image == "quantised" and isinstance(what, Levels):
        found.add_rounded(p, c, known.steps(child, y, what))


def _predicted(matrix: Doubles) -> Doubles:
    """A matrix by its first singular vectors."""
    n = max(1, min(matrix.shape) // N_SINGULAR)
    if min(matrix.shape) < 2:
        return np.zeros_like(matrix)
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray((u[:, :n] * s[:n]) @ v[:n])
