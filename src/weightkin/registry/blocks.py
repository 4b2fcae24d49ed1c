"""Flat blocks of vectors: row after row without a header, beside the registry's file.

A row is written before the transaction that makes it known, under the write lock of the database:
a row that nobody knows is written over by the next one, so that a stop at any moment leaves
nothing half-written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weightkin.errors import UnusableRegistry
from weightkin.scan import Bits, bits_of
from weightkin.sketch import invariant, vectors

Halves = npt.NDArray[np.float16]
Check = Callable[[bytes], None]  # refuses the bytes of a sketch that are not those written


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """One kind of vector: two files, bits and half-precision numbers."""

    name: str
    n_dims: int


ALIGNED = VectorBlock("aligned", vectors.N_ALIGNED)
INVARIANT = VectorBlock("invariant", invariant.N_INVARIANT)


def write_rows(
    folder: Path, block: VectorBlock, first: int, rows: Sequence[npt.NDArray[np.float32]]
) -> None:
    """Write vectors at a position; the caller holds the lock. On disk when this returns.

    Parameters
    ----------
    folder : Path
        Where the files of the block lie.
    block : VectorBlock
        Which kind of vector.
    first : int
        Row of the first vector.
    rows : sequence of (n_dims,) arrays
        float32; kept in half precision, with their bits beside them.
    """
    x = np.stack(rows).astype(np.float16)
    for suffix, data in (("bits", bits_of(x)), ("vectors", x)):
        path = folder / f"{block.name}.{suffix}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            size = data.nbytes // len(x)
            raw = data.tobytes()
            done = 0
            while done < len(raw):
                done += os.pwrite(handle, raw[done:], first * size + done)
            os.fsync(handle)
        finally:
            os.close(handle)


def read_rows(folder: Path, block: VectorBlock, n: int) -> tuple[Bits, Halves]:
    """The first ``n`` rows, mapped from disk.

    Parameters
    ----------
    folder : Path
        Where the files of the block lie.
    block : VectorBlock
        Which kind of vector.
    n : int
        How many rows the registry knows.

    Returns
    -------
    bits : (n, n_dims / 64) array of uint64
        Bits of the vectors.
    vectors : (n, n_dims) array of float16
        The vectors.

    Raises
    ------
    UnusableRegistry
        A file is shorter than the registry says.
    """
    if n == 0:
        return np.zeros((0, block.n_dims // 64), np.uint64), np.zeros((0, block.n_dims), np.float16)
    bits = _mapped(folder / f"{block.name}.bits", np.dtype(np.uint64), n, block.n_dims // 64)
    numbers = _mapped(folder / f"{block.name}.vectors", np.dtype(np.float16), n, block.n_dims)
    return bits, numbers


def n_written(folder: Path, block: VectorBlock) -> int:
    """How many rows there are, known or not."""
    try:
        return (folder / f"{block.name}.bits").stat().st_size // (block.n_dims // 8)
    except OSError:
        return 0


def _mapped(path: Path, dtype: np.dtype, n: int, width: int) -> npt.NDArray:  # type: ignore[type-arg]
    wanted = n * width * dtype.itemsize
    try:
        size = path.stat().st_size
        if size >= wanted:
            return np.memmap(path, dtype, "r", shape=(n, width))
    except OSError as error:
        raise UnusableRegistry(f"{path}: cannot be read ({error.strerror})") from None
    raise UnusableRegistry(f"{path}: truncated ({size} bytes, at least {wanted} needed)")
