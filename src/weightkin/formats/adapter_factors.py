"""From the factors of one module to the matrix that they make, where they fit its weight."""

from __future__ import annotations

import math
from collections.abc import Mapping

from weightkin.formats.adapter_deltas import OWN, Delta, Hadamard, Kronecker, Product, Stored
from weightkin.formats.adapter_names import EMBEDDING_A, EMBEDDING_B, HADA, LOKR, A, B
from weightkin.formats.model import TensorInfo

MAX_RANK = 1 << 14
Factors = Mapping[str, TensorInfo]  # of one module, by what they are to it
FACTORS = frozenset((A, B, EMBEDDING_A, EMBEDDING_B, *HADA, *LOKR))


def rank_of(factors: Factors) -> int:
    """The rank that the shapes of factors tell; 0 where they do not."""
    for name in (A, EMBEDDING_A, "hada_w1_b", "lokr_w2_b", "lokr_w1_b"):
        if name in factors and factors[name].shape:
            return factors[name].shape[0]
    return 0


def n_factors(factors: Factors) -> int:
    """Numbers of which only a product is seen; one of eight bytes may hold two."""
    return sum(max(math.prod(x.shape), x.n_bytes // 4) for x in factors.values())


def delta_of(weight: TensorInfo, factors: Factors, *, is_base_turned: bool) -> Delta | None:
    """The matrix that factors make for a weight.

    Parameters
    ----------
    weight : TensorInfo
        The weight, of two dimensions or more; those behind the first make one row.
    factors : mapping
        All factors of the module, by what they are to it.
    is_base_turned : bool
        Whether square weights of the base are stored as (inputs, outputs).

    Returns
    -------
    Delta or None
        None where the factors are not a whole set, or do not fit.
    """
    held = frozenset(factors)
    if held == {A, B}:
        return _product(weight, factors[A], factors[B], is_base_turned=is_base_turned)
    if held == {EMBEDDING_A, EMBEDDING_B}:
        return _turned(weight, factors[EMBEDDING_A], factors[EMBEDDING_B])
    if held == set(HADA):
        first = _straight(weight, factors["hada_w1_b"], factors["hada_w1_a"])
        second = _straight(weight, factors["hada_w2_b"], factors["hada_w2_a"])
        return Hadamard(first, second) if first and second else None
    return _kronecker(weight, factors) if held <= set(LOKR) else None


def _product(
    weight: TensorInfo, a: TensorInfo, b: TensorInfo, *, is_base_turned: bool
) -> Product | None:
    """``B A``, or its transpose for layers stored as (inputs, outputs)."""
    straight, turned = _straight(weight, a, b), _turned(weight, a, b)
    return turned if turned and (is_base_turned or not straight) else straight


def _straight(weight: TensorInfo, a: TensorInfo, b: TensorInfo) -> Product | None:
    kernel, (n, *size) = _core(a.shape), _core(weight.shape)
    rank, width = (kernel or [0])[0], math.prod(size)
    is_flat = kernel[1:] == [width] and len(b.shape) == 2  # as LoHa holds kernels
    if not rank or _core(b.shape) != [n, rank] or not (kernel[1:] == size or is_flat):
        return None
    return Product(OWN + b.name, OWN + a.name, n, rank, width)


def _turned(weight: TensorInfo, a: TensorInfo, b: TensorInfo) -> Product | None:
    match a.shape, b.shape, weight.shape:
        case (int(rank), int(n)), (int(width), int(other)), shape:
            if rank and rank == other and shape == (n, width):
                return Product(OWN + a.name, OWN + b.name, n, rank, width, is_turned=True)
    return None


def _kronecker(weight: TensorInfo, factors: Factors) -> Kronecker | None:
    first, second = (_kronecker_factor(factors, f"lokr_w{i}") for i in (1, 2))
    if first is None or second is None:
        return None
    (one, n, width), (two, m, depth) = first, second
    if (n * m, width * depth) != (weight.shape[0], math.prod(weight.shape[1:])):
        return None
    return Kronecker(one, two, m)


def _kronecker_factor(factors: Factors, name: str) -> tuple[Delta, int, int] | None:
    """A factor, whole or a product itself, with its rows and columns."""
    parts = [factors.get(x) for x in (name, f"{name}_a", f"{name}_b")]
    match parts:
        case [TensorInfo(shape=(n, *rest)) as whole, None, None] if len(rest) in (1, 3):
            return Stored(OWN + whole.name, math.prod(rest)), n, math.prod(rest)
        case [None, TensorInfo(shape=(n, r)) as a, TensorInfo(shape=(r2, width)) as b]:
            if r == r2 and r:
                return Product(OWN + a.name, OWN + b.name, n, r, width), n, width
    return None


def _core(shape: tuple[int, ...]) -> list[int]:
    """A shape without the ones behind its first two sizes: kernels of size one."""
    sizes = list(shape)
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes.pop()
    return sizes
