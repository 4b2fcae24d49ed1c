"""Local copies of vectors that lie elsewhere: blocks, and a key for each slot that is copied.

The key is a digest of the name of the contents, so that a copy is never taken for that of others:
numbers of slots come back after a removal. It is there only while its vectors are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import numpy as np

from weightkin.arrays import Floats
from weightkin.registry.blocks import VectorBlock, write_rows

KEYS_FILE = "copied.keys"
KEY = 32  # bytes; zeros where nothing is copied


def missing(folder: Path, names: Mapping[int, str]) -> list[int]:
    """Slots that are not copied, among those with the names of their contents."""
    slots = np.fromiter(names, np.int64, len(names))
    wanted = np.frombuffer(b"".join(map(_key, names.values())), np.uint8).reshape(-1, KEY)
    if not (folder / KEYS_FILE).is_file():  # a pipe is never waited for
        return list(names)
    raw = np.fromfile(folder / KEYS_FILE, np.uint8, KEY * (max(names, default=0) + 1))
    copied = raw[: len(raw) // KEY * KEY].reshape(-1, KEY)
    is_there = slots < len(copied)
    is_there[is_there] = (copied[slots[is_there]] == wanted[is_there]).all(axis=1)
    return [int(slot) for slot in slots[~is_there]]


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The file of keys, which one process at a time writes."""
    handle = os.open(folder / KEYS_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def keep(
    folder: Path,
    handle: int,
    slots: Sequence[int],
    names: Mapping[int, str],
    rows: Mapping[VectorBlock, Floats],
) -> None:
    """Write vectors, one row of each block for each slot, in order; the caller holds the lock.

    Parameters
    ----------
    folder : Path
        Where the copies lie.
    handle : int
        The open file of keys, as `locked` gives it.
    slots : sequence of int
        In ascending order.
    names : mapping
        Name of the contents by slot.
    rows : mapping
        (n_slots, n_dims) array by block.
    """
    for _, pairs in groupby(enumerate(slots), lambda pair: pair[1] - pair[0]):
        run = list(pairs)
        (begin, first), n = run[0], len(run)
        os.pwrite(handle, bytes(KEY * n), KEY * first)
        for block, vectors in rows.items():
            write_rows(folder, block, first, list(vectors[begin : begin + n]))
        os.pwrite(handle, b"".join(_key(names[slot]) for _, slot in run), KEY * first)


def _key(file: str) -> bytes:
    return hashlib.blake2b(file.encode(errors="replace"), digest_size=KEY).digest()
