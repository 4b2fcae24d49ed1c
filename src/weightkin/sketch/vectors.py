"""Search vectors: a sketch becomes 1024 numbers whose inner products propose relatives.

Every role's sampled values are normalised to one length in all, then projected by random signs that
depend on the tensor's role key, and on the row and column of the entry, alone: two publishers'
names of one tensor make no difference. Two models that share
weights have about the mean cosine of their roles; unrelated models 0 with a deviation of 1/32.

Blind to whatever moves entries: permuted, rotated and otherwise disguised copies, narrower or
shallower copies only as far as rows, columns and blocks stay in
place. A vector proposes, it never concludes.

References
----------
.. [1] Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from weightkin.arrays import Floats, Ints
from weightkin.sketch.scheme import hashed

if TYPE_CHECKING:
    from weightkin.sketch.types import Sketch, SketchedTensor

N_ALIGNED = 1024
ALIGNED_VERSION = (
    "wv2-aligned-1024-r32-c32"  # version, what it sees, its size, rows and columns of a tensor
)
MAX_PROJECTED = 32  # rows and columns of each tensor that are projected


def search_vector(sketch: Sketch) -> Floats:
    """Project the normalised values of a sketch, role by role, to one vector of unit length."""
    total = np.zeros(N_ALIGNED)
    by_role: dict[str, list[SketchedTensor]] = {}
    for tensor in sketch.tensors.values():
        if tensor.block >= 0 and len(tensor.shape) >= 2:
            by_role.setdefault(tensor.role, []).append(tensor)
    for _, tensors in sorted(by_role.items()):
        part, square = np.zeros(N_ALIGNED), 0.0
        for tensor in tensors:
            rows, columns = _first(tensor.rows), _first(tensor.columns)
            x = tensor.values[np.ix_(rows, columns)].astype(np.float64)
            x = np.where(np.isfinite(x), x, 0.0).ravel()
            at, signs = _places(tensor.name, tensor.rows[rows], tensor.columns[columns])
            part += np.bincount(at, weights=signs * x, minlength=N_ALIGNED)
            square += float(x @ x)
        total += part / np.sqrt(square) if square else 0.0
    length = float(np.sqrt(total @ total))
    return np.asarray(total / length if length else total, dtype=np.float32)


def search_vectors(sketches: Sequence[Sketch]) -> Floats:
    """Vectors of many sketches: ``(n, 1024)``."""
    return np.stack([search_vector(s) for s in sketches])


def nearest(
    vectors: Floats, k: int, *, of: Floats | None = None, n_block: int = 1024
) -> Iterator[tuple[int, Ints, Floats]]:
    """Nearest vectors of each vector (of each of others, with ``of``), in blocks of queries.

    Parameters
    ----------
    vectors : array, ``(n, d)``
        Vectors of unit length.
    k : int
        Neighbours of each query, at most all there are.
    of : array, ``(n_queries, d)``, optional
        The queries. Without it the vectors themselves, and none is its own neighbour.
    n_block : int
        Queries at a time: memory is ``n_block * n`` cosines.

    Yields
    ------
    tuple
        First query of a block, and for its queries the positions of the ``k`` nearest and their
        cosines, ``(n_queries, k)``, nearest first.
    """
    queries = vectors if of is None else of
    k = min(k, len(vectors) - (of is None))
    for start in range(0, len(queries), n_block):
        cosine = queries[start : start + n_block] @ vectors.T
        if of is None:
            own = np.arange(len(cosine))
            cosine[own, start + own] = -np.inf
        some = np.argpartition(-cosine, max(k - 1, 0), axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(cosine, some, axis=1), axis=1, kind="stable")
        chosen = np.take_along_axis(some, order, axis=1)
        yield start, chosen, np.take_along_axis(cosine, chosen, axis=1)


def _first(index: Ints) -> Ints:
    """Positions of the smallest indices."""
    return np.argsort(index, kind="stable")[:MAX_PROJECTED]


def _places(name: str, rows: Ints, columns: Ints) -> tuple[Ints, Floats]:
    """Coordinate and sign of every entry, by a hash of where it stands."""
    seed = zlib.crc32(name.encode())
    keys = hashed((np.int64(seed) << 20) + rows)[:, None] ^ hashed(columns)[None, :]
    bits = hashed(keys.ravel().view(np.int64))
    signs = np.where(bits >> np.uint64(63), np.float32(1), np.float32(-1))
    return (bits % np.uint64(N_ALIGNED)).astype(np.int64), signs
