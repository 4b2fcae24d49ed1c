"""A file on a server, of which only the byte ranges that are asked for are fetched.

Ranges near one another are fetched as one, several at a time, and kept in a temporary file for as
long as the model is open, so that nothing is fetched twice.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weightkin.errors import OutOfReach
from weightkin.sources.files import Spans, TensorLocation
from weightkin.text import located, unreadable

if TYPE_CHECKING:
    from weightkin.sources.transfer import Transfer

GAP = 1 << 16  # bytes between two ranges up to which they are fetched as one
OPENING = 1 << 16  # bytes fetched to learn the size: most headers whole
PIECE = 8 << 20  # bytes of one request, at most
AT_ONCE = 16  # requests
MOST_HELD = 1 << 30  # bytes kept of one file; beyond that it starts anew
MOST_STRIDED = 64 << 20  # bytes fetched to gather a strided tensor
PAUSE = 0.2  # seconds between two words on progress
LOGGER = logging.getLogger("weightkin.hub")  # that of `transfer`, which loads much

Intervals = list[tuple[int, int]]


class RemoteFile:
    """One file of a repository at one commit: its name, its size, the ranges fetched since."""

    __slots__ = ("_spool", "_transfer", "_url", "bytes_touched", "held", "path", "size")

    def __init__(self, path: PurePosixPath, url: str, transfer: Transfer) -> None:
        self.path, self._url, self._transfer = path, url, transfer
        self.held: Intervals = []
        self._spool: IO[bytes] = tempfile.TemporaryFile(prefix="weightkin-")  # noqa: SIM115 (kept)
        data, self.size = transfer.range(url, located(path), 0, OPENING)
        if self.size < 0 or len(data) != min(OPENING, self.size):
            what = f"the server sent {len(data)} bytes of {self.size}, not its beginning"
            raise unreadable(path, what)
        self.bytes_touched = 0
        self.keep(0, data)

    def __reduce__(self) -> tuple[type[RemoteFile], tuple[PurePosixPath, str, Transfer]]:
        """Open it anew in another process, with nothing fetched."""
        return RemoteFile, (self.path, self._url, self._transfer)

    @property
    def stamp(self) -> str:
        """Its address, which names the commit, and its size."""
        return f"{self._url} {self.size}"

    def read(self, spans: Spans) -> npt.NDArray[np.uint8]:
        """Bytes of ascending spans, joined."""
        n_held = sum(stop - start for start, stop in self.held)
        if n_held > MOST_HELD and missing(spans, self.held):
            self._spool.truncate(0)
            self.held.clear()
        self.prefetch(spans)
        joined = np.empty(sum(stop - start for start, stop in spans), dtype=np.uint8)
        filled = 0
        for start, stop in spans:
            self._spool.seek(start)
            block = self._spool.read(stop - start)
            joined[filled : filled + len(block)] = np.frombuffer(block, dtype=np.uint8)
            filled += stop - start
        return joined

    def prefetch(self, spans: Spans) -> None:
        """Fetch what is missing of ascending spans, which may overlap."""
        fetch([(self, spans)])

    def gather(self, place: TensorLocation, runs: Spans) -> npt.NDArray[Any]:
        """Elements of a strided tensor, where the bytes between them are not too many."""
        width = place.dtype.itemsize
        extent = 1 + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))
        if extent * width > MOST_STRIDED:
            what = f"a strided tensor of {extent * width} bytes is not read from a server"
            raise unreadable(self.path, f"{what}; download the file")
        flat = np.concatenate([np.arange(start, stop) for start, stop in runs])
        cells = np.zeros(len(flat), dtype=np.int64)
        for corner, stride in zip(np.unravel_index(flat, place.shape), place.strides, strict=True):
            cells += corner * stride
        block = self.read([(place.offset, place.offset + extent * width)])
        return block.view(place.dtype)[cells]

    def fetch(self, start: int, stop: int) -> bytes:
        """Ask the server for one range; safe to call from several threads."""
        data, size = self._transfer.range(self._url, located(self.path), start, stop)
        if size != self.size or len(data) != stop - start:
            what = f"changed on the server ({len(data)} bytes of a file of {size}"
            raise unreadable(self.path, f"{what}, not {stop - start} of {self.size})")
        return data

    def keep(self, start: int, data: bytes) -> None:
        """Put a range that was fetched where `read` finds it."""
        self.bytes_touched += len(data)
        try:
            self._spool.seek(start)
            self._spool.write(data)
            self._spool.flush()
        except OSError as error:
            what = f"cannot store {len(data)} downloaded bytes ({error.strerror})"
            raise OutOfReach(f"{tempfile.gettempdir()}: {what}") from None
        add(self.held, start, start + len(data))


def fetch(wanted: Sequence[tuple[RemoteFile, Spans]]) -> None:
    """Fetch what is missing of ascending spans of several files, which may overlap, at once."""
    todo = [
        (file, start, stop)
        for file, spans in wanted
        for start, stop in pieces_of(missing(spans, file.held), GAP)
    ]
    if len(todo) == 1:
        file, start, stop = todo[0]
        file.keep(start, file.fetch(start, stop))
    elif todo:
        with ThreadPoolExecutor(min(AT_ONCE, len(todo))) as pool:
            fetched = pool.map(lambda x: x[0].fetch(x[1], x[2]), todo)
            for (file, start, _), data in zip(todo, _told(todo, fetched), strict=True):
                file.keep(start, data)


def _told(todo: Sequence[tuple[RemoteFile, int, int]], fetched: Iterator[bytes]) -> Iterator[bytes]:
    """Pass ranges on as they come, with a word on how far this is, now and then."""
    total, done = sum(stop - start for _, start, stop in todo), 0
    name = located(todo[0][0].path.parent)
    started = last = time.monotonic()
    for data in fetched:
        yield data
        done += len(data)
        now = time.monotonic()
        if now - last > PAUSE:
            left = (now - started) * (total - done) / max(1, done)
            LOGGER.info("%s: %.0f of %.0f MB, %.0f s left", name, done / 1e6, total / 1e6, left)
            last = now
    LOGGER.info("%s: %.1f MB fetched", name, total / 1e6, extra={"is_last": True})


def missing(spans: Spans, held: Sequence[tuple[int, int]]) -> Intervals:
    """Parts of ascending spans that disjoint, ascending intervals do not cover."""
    found: Intervals = []
    done = 0
    for start, stop in spans:
        at = max(start, done)
        done = max(done, stop)
        k = bisect_right(held, (at, math.inf)) - 1
        k = max(k, 0)
        while at < stop:
            while k < len(held) and held[k][1] <= at:
                k += 1
            if k == len(held) or held[k][0] >= stop:
                found.append((at, stop))
                break
            if held[k][0] > at:
                found.append((at, held[k][0]))
            at = held[k][1]
    return found


def pieces_of(spans: Spans, gap: int) -> Intervals:
    """Ascending spans as requests: near ones joined, long ones cut."""
    joined: Intervals = []
    for start, stop in spans:
        if joined and start - joined[-1][1] <= gap and stop - joined[-1][0] <= PIECE:
            joined[-1] = joined[-1][0], stop
        else:
            joined.extend((at, min(at + PIECE, stop)) for at in range(start, stop, PIECE))
    return joined


def add(held: Intervals, start: int, stop: int) -> None:
    """Add an interval to others, joining those it touches.

    Parameters
    ----------
    held : list of tuple
        Disjoint, ascending intervals; changed in place.
    start, stop : int
        The interval, half-open.
    """
    first = bisect_right(held, (start, -1.0))
    if first and held[first - 1][1] >= start:
        first -= 1
    last = first
    while last < len(held) and held[last][0] <= stop:
        last += 1
    if last > first:
        start, stop = min(start, held[first][0]), max(stop, held[last - 1][1])
    if stop > start:
        held[first:last] = [(start, stop)]
