"""Which rows and columns of a matrix a sketch keeps: fixed by shape and scheme, before reading.

Three sets. A **run** of rows from the first one: survivors of pruning overlap there, and tests of
units need neighbours. **Scattered** rows beyond the run, by consistent sampling: those with the
smallest hash of their index, so that tensors that grew or shrank keep most of them in common
(bottom-k sampling). A **tail** of a token table: the last rows, where tokens lie that are reserved
and never used. Columns are a run from the first one.

Limitations: the first columns stand for all columns only where columns are alike; a run is no
random sample (see `sketch.overlap` for what that costs an estimate).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Ints
from weightkin.errors import UsageError

MAX_VECTOR = 1024  # elements kept of a tensor of one dimension
N_EXPERTS = 4  # matrices kept of a tensor that stacks those of all experts, unless all is
MAX_STARTS = 8  # fused parts of one tensor that get a run of their own
MOST_ROWS = 1 << 22  # of a matrix, among which scattered rows are chosen
KNOWN_ROWS, N_KNOWN = 1 << 16, 64  # shapes whose rows are remembered: models repeat a few
MAX_NUMBER = 1 << 20  # of any parameter in a name
WHOLE_SCHEME = "ws1-whole"
_NAME = re.compile(r"(ws1|ws2)-r(\d{1,7})-s(\d{1,7})-c(\d{1,7})-t(\d{1,7})x(\d{1,7})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How much a sketch keeps of every tensor. Two sketches of equal schemes can be compared.

    ``ws2`` is ``ws1`` and token views beside it (`sketch.token_views`): samples of one are samples
    of the other, so the two are equal.
    """

    n_rows: int = 48
    n_scattered: int = 16
    n_columns: int = 96
    n_tail: int = 64
    n_tail_columns: int = 32
    is_whole: bool = False
    has_views: bool = field(default=True, compare=False)

    @classmethod
    def whole(cls) -> Scheme:
        """Keep everything: for small models, and to check estimates."""
        return cls(0, 0, 0, 0, 0, is_whole=True, has_views=False)

    @classmethod
    def from_name(cls, name: str) -> Scheme:
        """Return the scheme that a name spells out."""
        if name == WHOLE_SCHEME:
            return cls.whole()
        match = _NAME.fullmatch(name)
        version, *texts = match.groups() if match else ("",)
        numbers = [int(text) for text in texts]
        if not numbers or not numbers[0] or not numbers[2] or max(numbers) > MAX_NUMBER:
            raise UsageError(
                f"{name[:80]!r} is not a sketch scheme; use {cls().name} or {WHOLE_SCHEME}"
            )
        n_rows, n_scattered, n_columns, n_tail, n_tail_columns = numbers
        return cls(
            n_rows, n_scattered, n_columns, n_tail, n_tail_columns, has_views=version == "ws2"
        )

    @property
    def name(self) -> str:
        """The version of the rules and every parameter."""
        if self.is_whole:
            return WHOLE_SCHEME
        kept = f"r{self.n_rows}-s{self.n_scattered}-c{self.n_columns}"
        version = "ws2" if self.has_views else "ws1"
        return f"{version}-{kept}-t{self.n_tail}x{self.n_tail_columns}"

    def run(self, n: int, starts: tuple[int, ...] = (0,)) -> Ints:
        """Rows of the runs of a matrix of n rows: one from each start, in ascending order."""
        return _runs(n, starts, n if self.is_whole else self.n_rows)

    def columns(self, n: int, starts: tuple[int, ...] = (0,)) -> Ints:
        """Columns kept of a matrix of n columns, in ascending order."""
        return _runs(n, starts, n if self.is_whole else self.n_columns)

    def scattered(self, n: int, starts: tuple[int, ...] = (0,)) -> Ints:
        """Rows beyond the runs with the smallest hashes of their index, in ascending order.

        Of the rows below the smaller of two sizes, both sizes keep those whose hash is among the
        smallest, so a table that grew by a tenth keeps about nine in ten. Rows beyond the first
        4,194,304 have no part in it.
        """
        if self.is_whole or not self.n_scattered:
            return np.zeros(0, dtype=np.int64)
        return _scattered(min(n, MOST_ROWS), starts, self.n_rows, self.n_scattered)

    def tail(self, n: int) -> Ints:
        """Last rows of a token table, as far as they lie beyond its run."""
        if self.is_whole:
            return np.zeros(0, dtype=np.int64)
        return np.arange(max(n - self.n_tail, min(self.n_rows, n)), n)

    def elements(self, n: int, starts: tuple[int, ...] = (0,)) -> Ints:
        """Elements kept of a vector of n: a run from each start, in ascending order."""
        return _runs(n, starts, n if self.is_whole else MAX_VECTOR)


def hashed(index: Ints) -> npt.NDArray[np.uint64]:
    """Hash row indices: the output function of SplitMix64, a bijection of 64 bits.

    References
    ----------
    .. [1] Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    z = (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def _runs(n: int, starts: tuple[int, ...], length: int) -> Ints:
    return (_known_runs if n <= KNOWN_ROWS else _new_runs)(n, starts, length)


def _new_runs(n: int, starts: tuple[int, ...], length: int) -> Ints:
    runs = [np.arange(start, min(start + length, n)) for start in (0, *starts) if start < n]
    found: Ints = np.unique(np.concatenate(runs)) if runs else np.zeros(0, dtype=np.int64)
    found.flags.writeable = False  # shared by all matrices of one shape
    return found


_known_runs = lru_cache(N_KNOWN)(_new_runs)


@lru_cache(N_KNOWN)
def _scattered(n: int, starts: tuple[int, ...], length: int, n_kept: int) -> Ints:
    """Rows of a matrix of n that lie beyond its runs and have the smallest hashes."""
    beyond = np.setdiff1d(np.arange(n), _runs(n, starts, length), assume_unique=True)
    if len(beyond) > n_kept:
        beyond = np.sort(beyond[np.argpartition(hashed(beyond), n_kept)[:n_kept]])
    beyond.flags.writeable = False
    return beyond
