"""Files of a source, wherever they lie: bytes by position, and where in them a tensor's lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Spans = Sequence[tuple[int, int]]  # half-open, ascending


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
