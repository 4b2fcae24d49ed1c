"""Seals: what the registry wrote is used, and what anything else changed is seen.

Every row of the database is sealed with all it says and the number it has, a sketch with its file,
a search vector with its slot. The signs of all vectors, which a search looks at together, have one
mark, a sum to which each slot adds its own: adding and removing cost one row, checking a glance.

Seals are digests without a key. They show damage, and changes by whoever does not know them; who
may write the registry's file may seal anew.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3

import numpy as np
import numpy.typing as npt

from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.scan import Bits

SKETCH_FILE = re.compile(f"[0-9a-f]{{64}}{re.escape(SKETCH_SUFFIX)}", re.ASCII)  # of a sketch
SLOTS_AT_ONCE = 16384  # slots at a time
WORD = (1 << 64) - 1
MARK_SEED = 0x574B  # of the weights of a mark: any will do, for good


class Altered(sqlite3.DatabaseError):
    """Something here is not what the registry wrote; `store.file_errors` makes one line of it."""


def seal(*values: object) -> str:
    """One digest of values in their order: texts, numbers, bytes, None."""
    plain = [(len(x), hashlib.sha256(x).digest()) if isinstance(x, bytes) else x for x in values]
    return hashlib.sha256(repr(plain).encode(errors="backslashreplace")).hexdigest()


def check(what: str, given: object, *values: object) -> None:
    """Refuse what is not sealed as it stands."""
    if given != seal(*values):
        raise Altered(f"{what} was changed by something other than weightkin")


def mark_of(slots: npt.NDArray[np.int64], *blocks: Bits, first: int = 0) -> int:
    """Sum over slots, modulo 2**64, of a number made of the slot and its bits in all blocks.

    Slots ascend; row 0 of each block is that of slot ``first``.
    """
    rng = np.random.default_rng(MARK_SEED)
    weights = [rng.integers(0, WORD, b.shape[1], np.uint64, endpoint=True) | 1 for b in blocks]
    odd, second = rng.integers(0, WORD, 2, np.uint64, endpoint=True) | 1
    total = 0
    for start in range(0, len(slots), SLOTS_AT_ONCE):
        at = slots[start : start + SLOTS_AT_ONCE]
        there = at - first
        x = (at.astype(np.uint64) + np.uint64(1)) * odd
        for bits, weight in zip(blocks, weights, strict=True):
            is_run = len(at) == at[-1] - at[0] + 1  # then nothing is copied
            rows = bits[there[0] : there[-1] + 1] if is_run else bits[there]
            x += (rows * weight).sum(axis=1, dtype=np.uint64)
        x ^= x >> np.uint64(32)  # mixed, so that rows that trade places count otherwise
        x *= second
        x ^= x >> np.uint64(29)
        total += int(x.sum(dtype=np.uint64))
    return total & WORD


def checked_name(file: str) -> str:
    """The name of a sketch as the registry gives it; anything else might lead elsewhere."""
    if not isinstance(file, str) or not SKETCH_FILE.fullmatch(file):
        raise Altered("the name of a sketch was changed by something other than weightkin")
    return file
