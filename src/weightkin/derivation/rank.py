"""Rank of a difference above the floor that rounding makes: an estimate, never evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats
from weightkin.sketch.types import Lattice

MARGIN = 1.05  # over the edge of the spectrum of rounding errors
# significant bits and smallest exponent of a normal number, by the narrowest lattice of a tensor
BITS: dict[Lattice, tuple[int, int]] = {
    "fp8_e4m3": (4, -6),
    "fp8_e5m2": (3, -14),
    "fp16&bf16": (8, -14),
    "fp16": (11, -14),
    "bf16": (8, -126),
    "fp32": (24, -126),
    "fp64": (24, -126),  # samples are compared as float32
}


@dataclass(frozen=True, slots=True)
class RankEstimate:
    """How many singular values stand above the rounding floor; None where it cannot be told."""

    rank: int | None
    floor: float
    largest: int  # the rank that a sample of this size can show at most
    why: str = ""


def rank_of_difference(
    x: Floats, y: Floats, lattice_x: Lattice, lattice_y: Lattice
) -> RankEstimate:
    """Estimate the rank of ``x - y`` when both were rounded.

    Counts singular values above ``1.05 (max_i sqrt(sum_j s_ij^2) + max_j sqrt(sum_i s_ij^2))``,
    where ``s_ij`` is the standard deviation of the rounding error of an entry: its unit in the
    last place divided by the square root of 12, both models' added in squares.

    Parameters
    ----------
    x, y : ndarray of float32, shape (m, n)
        The same entries of two matrices.
    lattice_x, lattice_y : Lattice
        Narrowest format that holds each of them: how they were rounded.

    Returns
    -------
    Rank
        ``rank`` is None ("not resolvable") when under half of the entries changed, or when no
        floor is known.

    Examples
    --------
    >>> x = np.eye(8, dtype=np.float32)
    >>> rank_of_difference(x, x + np.float32(0.5), "fp32", "fp32").rank
    1
    """
    largest = min(x.shape)
    changed = float(np.mean(x != y))
    if not changed:
        return RankEstimate(0, 0.0, largest)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return RankEstimate(None, 0.0, largest, "not resolvable: some values are not finite")
    if changed < 0.5:
        return RankEstimate(
            None, 0.0, largest, f"not resolvable: {changed:.0%} of the entries changed"
        )
    if lattice_x not in BITS or lattice_y not in BITS:
        return RankEstimate(
            None, 0.0, largest, "not resolvable: no rounding floor for these numbers"
        )
    variance = rounding_variance(x, lattice_x) + rounding_variance(y, lattice_y)
    by_row, by_column = (float(np.sqrt(variance.sum(axis=k).max())) for k in (1, 0))
    floor = MARGIN * (by_row + by_column)
    values = np.linalg.svd(x.astype(np.float64) - y, compute_uv=False)
    return RankEstimate(int(np.sum(values > floor)), floor, largest)


def rounding_variance(x: Floats, lattice: Lattice) -> npt.NDArray[np.float64]:
    """Variance of the rounding error of each entry: its unit in the last place squared, over 12."""
    bits, least = BITS[lattice]
    _, exponent = np.frexp(np.abs(x).astype(np.float64))  # |x| = m 2^e with m in [0.5, 1)
    ulp = np.exp2(np.maximum(exponent, least + 1) - bits)
    return np.asarray(ulp**2 / 12)
