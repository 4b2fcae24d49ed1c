"""Arithmetic that gives the same bits on every machine.

Sums are taken in one fixed order and random numbers come from the raw stream of PCG64,
because BLAS, vector width and the shapes of NumPy's distributions all may differ elsewhere.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def total(x: NDArray[Any], axis: int = 0) -> F64:
    """Sum along an axis by halving: the same additions everywhere."""
    x = np.moveaxis(np.asarray(x, dtype=np.float64), axis, 0)
    while len(x) > 1:
        half = len(x) // 2
        odd = x[2 * half :]
        x = np.concatenate([x[:half] + x[half : 2 * half], odd])
    return x[0]


def product(a: NDArray[Any], b: NDArray[Any]) -> F64:
    """Matrix product as a sum of outer products, without BLAS."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    out = np.zeros((a.shape[0], b.shape[1]))
    for column, row in zip(a.T, b, strict=True):
        out += column[:, None] * row
    return out


def deviation(x: NDArray[Any]) -> float:
    """Return the standard deviation of all entries."""
    flat = np.asarray(x, dtype=np.float64).ravel()
    centred = flat - total(flat) / flat.size
    return float(np.sqrt(total(centred * centred) / flat.size))


def bits(seed: int, label: str, n: int) -> NDArray[np.uint64]:
    """Draw `n` raw 64-bit words that depend on the seed and the label only."""
    return np.random.PCG64([seed, zlib.crc32(label.encode())]).random_raw(n)


def uniform(seed: int, label: str, shape: tuple[int, ...]) -> F64:
    """Uniform numbers in [0, 1)."""
    words = bits(seed, label, int(np.prod(shape)))
    return ((words >> np.uint64(11)) * 2.0**-53).reshape(shape)


def normal(seed: int, label: str, shape: tuple[int, ...]) -> F64:
    """Nearly Gaussian numbers of unit variance: twelve uniforms added up, less six."""
    return total(uniform(seed, label, (12, *shape))) - 6.0


def permutation(seed: int, label: str, n: int) -> NDArray[np.intp]:
    """Draw a uniform relabelling of `n` things."""
    return np.argsort(bits(seed, label, n), kind="stable")


def signs(seed: int, label: str, n: int) -> F64:
    """Fair coins, -1 or +1."""
    return np.where(uniform(seed, label, (n,)) < 0.5, -1.0, 1.0)


def rotation(seed: int, label: str, n: int) -> F64:
    """Random orthogonal matrix: `n` reflections, each in a random direction."""
    q = np.eye(n)
    for k in range(n):
        v = normal(seed, f"{label}/{k}", (n,))
        v = v / np.sqrt(total(v * v))
        q = q - 2.0 * v[:, None] * total(v[:, None] * q)
    return q
