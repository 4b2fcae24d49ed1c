"""Nearest of very many vectors, in two stages: one bit per dimension, then the vectors themselves.

Signs of two vectors differ in a share ``arccos(cosine) / pi`` of their dimensions on average, so
that the number of differing bits ranks all vectors; the nearest by bits are scored again exactly.
Up to `N_RESCORED` vectors nothing can be missed; beyond, of cosine 0.3 among a million, one in
a few thousand (`tests/test_scan.py` has the formula).
No index, nothing to tune: time and memory grow with the number of vectors.

References
----------
.. [1] Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats, Ints

N_RESCORED = 2048  # vectors scored exactly
N_THREADS = 2
CHUNK = 16384  # rows whose bits are compared at a time: they stay in the processor's cache
Bits = npt.NDArray[np.uint64]
_EVERY_OTHER_BYTE = np.uint64(0x00FF00FF00FF00FF)
_SUM_OF_LANES = np.uint64(0x0001000100010001)


def bits_of(vectors: npt.NDArray[np.floating]) -> Bits:
    """Signs of vectors, ``(n, d)`` to ``(n, d / 64)``; ``d`` must be a multiple of 64."""
    packed = np.packbits(vectors > 0, axis=1)
    return np.ascontiguousarray(packed).view(np.uint64)


def nearest(
    bits: Bits,
    vectors: npt.NDArray[np.floating],
    query: Floats,
    k: int,
    *,
    n_rescored: int = N_RESCORED,
) -> tuple[Ints, Floats]:
    """Positions of the ``k`` vectors nearest to a query, and their inner products, nearest first.

    Parameters
    ----------
    bits : array of uint64, ``(n, d / 64)``
        What `bits_of` gives for ``vectors``.
    vectors : array, ``(n, d)``
        Vectors of unit length; may lie on disk, few of its rows are read.
    query : array, ``(d,)``
        A vector of unit length.
    k : int
        How many.
    n_rescored : int
        Vectors scored exactly; ties at the border come in addition, as far as they are few.

    Returns
    -------
    tuple of ndarray
        Positions, int64, and inner products, float32: ``(min(k, n),)`` each. Memory ``O(n)``; ``n *
        d / 64`` words are compared.
    """
    return scored(vectors, rescored(bits, query, n_rescored), query, k)


def rescored(bits: Bits, query: Floats, n_rescored: int = N_RESCORED) -> Ints:
    """Positions of the vectors that are scored exactly, ascending: the nearest by bits.

    Parameters
    ----------
    bits : array of uint64, ``(n, d / 64)``
        What `bits_of` gives for all vectors.
    query : array, ``(d,)``
        The vector whose neighbours are looked for.
    n_rescored : int
        How many at least, or all there are; ties come in addition, up to twice as many in all.

    Returns
    -------
    ndarray of int64
        Positions.
    """
    n = len(bits)
    if n <= n_rescored:
        return np.arange(n)
    differing = n_differing(bits, bits_of(query[None])[0])
    counts = np.bincount(differing, minlength=64 * bits.shape[1] + 1)
    cut = int(np.searchsorted(np.cumsum(counts), n_rescored))
    candidates = np.flatnonzero(differing <= cut)
    if len(candidates) > 2 * n_rescored:  # very many ties: the first ones
        order = np.argsort(differing[candidates], kind="stable")
        candidates = np.sort(candidates[order[:n_rescored]])
    return candidates.astype(np.int64)


def scored(
    vectors: npt.NDArray[np.floating], candidates: Ints, query: Floats, k: int
) -> tuple[Ints, Floats]:
    """The ``k`` nearest of some vectors, and their inner products, nearest first.

    Parameters
    ----------
    vectors : array, ``(n, d)``
        Vectors of unit length.
    candidates : ndarray of int
        ``(n_candidates,)``, positions of those to score.
    query : array, ``(d,)``
        A vector of unit length.
    k : int
        How many at most.

    Returns
    -------
    tuple of ndarray
        Positions and inner products, ``(min(k, n_candidates),)`` each; of ties the first candidate
        comes first.
    """
    products = np.asarray(vectors[candidates], dtype=np.float32) @ query
    order = np.argsort(-products, kind="stable")[:k]
    return candidates[order], products[order]


def n_differing(bits: Bits, query: Bits) -> npt.NDArray[np.uint16]:
    """Number of bits in which each row differs from a query."""
    n, n_words = bits.shape
    differing = np.empty(n, dtype=np.uint16)

    def count(start: int) -> None:
        counts = np.bitwise_count(bits[start : start + CHUNK] ^ query)  # (rows, n_words), <= 64
        if n_words % 8 == 0:
            differing[start : start + CHUNK] = _row_sums(counts)
        else:
            differing[start : start + CHUNK] = counts.sum(axis=1, dtype=np.uint16)

    starts = range(0, n, CHUNK)
    if len(starts) < 4:
        for start in starts:
            count(start)
    else:  # numpy lets go of the interpreter's lock
        with ThreadPoolExecutor(N_THREADS) as pool:
            list(pool.map(count, starts))
    return differing


def _row_sums(counts: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Sums of rows of small counts, eight at a time inside one word."""
    words = counts.view(np.uint64)  # (rows, n_words / 8): eight counts in each
    lanes = words & _EVERY_OTHER_BYTE  # four counts of 16 bits each
    lanes += (words >> np.uint64(8)) & _EVERY_OTHER_BYTE
    total = lanes.sum(axis=1, dtype=np.uint64) if lanes.shape[1] > 1 else lanes[:, 0]
    sums: npt.NDArray[np.uint16] = ((total * _SUM_OF_LANES) >> np.uint64(48)).astype(np.uint16)
    return sums
