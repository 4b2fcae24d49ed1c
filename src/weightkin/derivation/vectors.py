"""Tensors as vectors along each of their dimensions, and which of these say something.

A vector says nothing if it could be equal by chance: a constant, zeros, a few small numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats, Ints
from weightkin.sketch.tables import is_counted
from weightkin.sketch.types import SketchedTensor

N_PER_PIECE = 8  # entries of a vector's pieces: biases stand one behind the other in fused ones
LEAST_BITS = 40.0  # of a vector that two models do not share by chance
MOST_DISTINCT = 4096  # entries looked at to count how many values a tensor takes
MASK = 2  # values of a mask, which is the same in many models
DIGITS = {"fp32": 16, "fp64": 16, "fp16": 7, "bf16": 5}  # of random values, carefully

Keys = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """One tensor as vectors: ``(n_vectors, length)``, and which of them say something."""

    name: str
    kind: str  # matrix, rows, columns or pieces
    vectors: Floats
    is_told: Flags

    @cached_property
    def keys(self) -> Keys:
        """Of every vector: `keys_of`."""
        return keys_of(self.vectors)


def views_of(tensor: SketchedTensor) -> Iterator[View]:
    """A tensor as vectors along its dimensions; of a sample, as what is held of its rows."""
    with np.errstate(all="ignore"):
        x = tensor.values + np.float32(0)  # no negative zero
        wide = np.asarray(tensor.stored, dtype=np.float64)
        is_exact = np.array_equal(wide, x.astype(np.float64), equal_nan=True)
    if not x.size or not is_exact:
        return
    bits = _bits_of_entry(tensor.values, tensor.lattice)
    is_whole = x.size == math.prod(tensor.shape)
    shape = tensor.shape if is_whole else x.shape
    if len(tensor.shape) < 2 or min(shape[0], x.size // shape[0]) == 1:
        flat = x.reshape(-1)
        n = len(flat) // N_PER_PIECE * N_PER_PIECE
        if n:
            yield _view(tensor, bits, "pieces", flat[:n].reshape(-1, N_PER_PIECE))
        if n < len(flat):
            yield _view(tensor, bits, "pieces", flat[None, :])
        return
    yield _view(tensor, bits, "matrix", x.reshape(shape[0], -1))
    if not is_whole:
        return
    whole = x.reshape(shape)
    if len(shape) > 2:
        yield _view(tensor, bits, "rows", whole.reshape(-1, shape[-1]))
    turned = np.ascontiguousarray(np.swapaxes(whole, -1, -2))
    yield _view(tensor, bits, "columns", turned.reshape(-1, shape[-2]))


def _view(tensor: SketchedTensor, bits: float, kind: str, vectors: Floats) -> View:
    """Mark the vectors that hold too much to be equal by chance, with so many bits an entry."""
    n_told = np.minimum(np.count_nonzero(vectors, axis=1), _n_changes(vectors))
    is_constant = (vectors == vectors[:, :1]).all(axis=1)
    is_finite = np.isfinite(vectors).all(axis=1)
    is_told = (n_told * bits >= LEAST_BITS) & ~is_constant & is_finite
    return View(tensor.name, kind, vectors, is_told)


def tells(values: Floats, lattice: str) -> bool:
    """Whether values that are all equal say too much to be so by chance."""
    values = values.reshape(-1)
    is_constant = bool((values == values[:1]).all())
    n_told = min(int(np.count_nonzero(values)), int(_n_changes(values[None])[0]))
    return bool(not is_constant and n_told * _bits_of_entry(values, lattice) >= LEAST_BITS)


def _n_changes(vectors: Floats) -> Ints:
    """Entries unlike the one before them, which masks and steps have few of."""
    changes: Ints = 1 + np.count_nonzero(np.diff(vectors, axis=1), axis=1)
    return changes


def _bits_of_entry(values: Floats, lattice: str) -> float:
    """What an entry that is not zero says: by the values taken, or by digits where all differ."""
    values = values.reshape(-1)
    few = values[:: max(1, values.size // MOST_DISTINCT)]
    n_distinct = len(np.unique(few))
    if n_distinct <= MASK or (lattice == "integer" and is_counted(values[:MOST_DISTINCT])):
        return 0.0
    digits = DIGITS.get(lattice, 0) if 2 * n_distinct > len(few) else 0
    return max(math.log2(max(1, n_distinct)), digits)


def shared_keys(a: Sequence[View], b: Sequence[View]) -> dict[int, Keys]:
    """Keys that vectors of both sides have, ascending, by the length of the vectors."""
    sides = []
    for views in (a, b):
        by_length: dict[int, list[Keys]] = {}
        for view in views:
            by_length.setdefault(view.vectors.shape[1], []).append(view.keys)
        sides.append({n: np.sort(np.concatenate(keys)) for n, keys in by_length.items()})
    return {n: keys[are_among(keys, sides[1][n])] for n, keys in sides[0].items() if n in sides[1]}


def are_among(keys: Keys, known: Keys) -> Flags:
    """Which keys are in an ascending array of them."""
    if not len(known):
        return np.zeros(len(keys), dtype=np.bool_)
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.asarray(known[at] == keys)


def keys_of(vectors: Floats) -> Keys:
    """One number for each vector, equal for equal ones; matches are compared by value after."""
    bits = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(0).integers(0, 1 << 62, vectors.shape[1], dtype=np.uint64)
    mixed = (bits + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    keys: Keys = (mixed * (factors * np.uint64(2) + np.uint64(1))).sum(axis=1, dtype=np.uint64)
    return keys
