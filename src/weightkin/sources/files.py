"""Files of a source, wherever they lie: bytes by position, and where in them a tensor's lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Spans = Sequence[tuple[int, int]]  # half-open, ascending


def batches(spans: Spans, most: int) -> Iterator[Spans]:
    """Cut and group spans so that one batch holds at most so many."""
    batch: list[tuple[int, int]] = []
    n = 0
    for start, stop in spans:
        for first in range(start, stop, most):
            last = min(first + most, stop)
            if batch and n + last - first > most:
                yield batch
                batch, n = [], 0
            batch.append((first, last))
            n += last - first
    if batch:
        yield batch


class File(Protocol):
    """One file of a model, here or on a server: bytes by position, and an account of them."""

    @property
    def path(self) -> PurePath:
        """Where it is, for messages; its suffix names the format."""

    @property
    def size(self) -> int:
        """Bytes when it was opened."""

    @property
    def bytes_touched(self) -> int:
        """Bytes read so far: whole pages here, requested ranges on a server."""

    @property
    def stamp(self) -> str:
        """Equal for two files only if they are one, unchanged; empty once a change was seen."""

    def read(self, spans: Spans) -> npt.NDArray[np.uint8]:
        """Bytes of ascending spans, joined."""

    def gather(self, place: TensorLocation, runs: Spans) -> npt.NDArray[Any]:
        """Elements of a strided tensor in the order of its flattened indices."""

    def prefetch(self, spans: Spans) -> None:
        """Say that these ascending spans, which may overlap, are read soon."""


Opener = Callable[[str], File]  # of a file by its name in a folder


@dataclass(frozen=True, slots=True)
class TensorLocation:
    """Where the elements of one tensor lie. ``strides`` (in elements) is empty when contiguous."""

    file: File
    dtype: np.dtype[Any]
    offset: int  # byte of the first element in the file
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder here or in a repository: what lies in it, and how to open that."""

    path: PurePath
    names: Sequence[str]
    open_file: Opener
    deeper: Sequence[str] = ()  # paths of files in folders below, where all are listed at once

    def read_beside(self, name: str, limit: int) -> bytes | None:
        """Contents of a small file; None if there is none, or it is larger than the limit."""
        if name not in self.names:
            return None
        file = self.open_file(name)
        return file.read([(0, file.size)]).tobytes() if file.size <= limit else None


class Window:
    """Bytes of a file by position, of which the next so many are read at a time."""

    def __init__(self, file: File, size: int) -> None:
        self.file, self.size = file, size
        self.start = 0
        self.held = b""

    def bytes_at(self, at: int, n: int) -> bytes:
        """The `n` bytes from `at`; both lie within the file."""
        first = at - self.start
        if first < 0 or first + n > len(self.held):
            stop = min(self.file.size, at + max(n, self.size))
            self.held = self.file.read([(at, stop)]).tobytes()
            self.start, first = at, 0
        return self.held[first : first + n]
