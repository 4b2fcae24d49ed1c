"""Files on this machine, read-only and in pieces: nothing stays open or mapped between two reads.

Bytes are read, not mapped, so that memory stays bounded by what was asked for and a file cut short
under the reader is an error message rather than a bus error. Only tensors stored as strided views
are gathered through a mapping, which ends with the call. `opened` is the one place where a file of
a model is opened.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.sources.files import File, Folder, Spans, TensorLocation
from weightkin.sources.touched import PAGE, TouchedPages
from weightkin.text import unreadable

BLOCK = 1 << 20  # bytes: neighbouring pieces are read together up to this length
GATHER = 1 << 16  # elements of a strided tensor gathered at a time
SPARSE, SPARSENESS = 1 << 34, 1000  # a file beyond this size exists to more than one part in 1000
OTHER_KIND = "neither a file nor a folder"
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class LocalFile:
    """One regular file: its path, its size when opened, the pages touched since.

    With ``homes`` the path may be a link, but only to a file inside one of these folders.
    """

    __slots__ = ("_opened", "pages", "path", "size")

    def __init__(self, path: Path, homes: Sequence[Path] = ()) -> None:
        if homes:
            with readable(path):
                _check_link(path, homes)
        with opened(path) as handle:
            status = os.fstat(handle.fileno())
        if status.st_size > SPARSE and 0 < status.st_blocks * 512 < status.st_size // SPARSENESS:
            there = f"only {status.st_blocks * 512} of {status.st_size} bytes are on the disk"
            raise unreadable(path, f"refused: a sparse file ({there})")
        self.path = path
        self.size = status.st_size
        self._opened = stamp_of(status)
        self.pages = TouchedPages()

    def read(self, spans: Spans) -> npt.NDArray[np.uint8]:
        """Bytes of ascending spans, joined; pieces less than a page apart share one read."""
        joined = np.empty(sum(stop - start for start, stop in spans), dtype=np.uint8)
        filled = 0
        with opened(self.path) as handle:
            for near in _neighbours(spans):
                start, stop = near[0][0], near[-1][1]
                if len(near) == 1:
                    block = joined[filled : filled + stop - start]
                    self._fill(handle, start, block)
                    filled += stop - start
                    continue
                block = np.empty(stop - start, dtype=np.uint8)
                self._fill(handle, start, block)
                for a, b in near:
                    joined[filled : filled + b - a] = block[a - start : b - start]
                    filled += b - a
            self._note(handle)
        return joined

    @property
    def stamp(self) -> str:
        """Which file it is and when it was last changed; empty once it is not what was opened."""
        try:
            now = stamp_of(self.path.stat())
        except OSError:
            now = ""
        if now != self._opened:
            self._opened = ""
        return self._opened

    def _note(self, handle: io.FileIO) -> None:
        """Remember that what was read is not what was opened."""
        if stamp_of(os.fstat(handle.fileno())) != self._opened:
            self._opened = ""

    @property
    def bytes_touched(self) -> int:
        """Distinct bytes touched so far, in whole pages."""
        return self.pages.n_bytes

    def prefetch(self, spans: Spans) -> None:
        """Nothing: a local file answers at once."""

    def _fill(self, handle: io.FileIO, start: int, block: npt.NDArray[np.uint8]) -> None:
        handle.seek(start)
        left = memoryview(block.data)
        while left:
            n = handle.readinto(left)
            if not n:
                what = f"shorter than when it was opened ({handle.tell()} bytes, not {self.size})"
                raise unreadable(self.path, what)
            left = left[n:]
        self.pages.touch(start, start + len(block))

    def gather(self, place: TensorLocation, runs: Spans) -> npt.NDArray[Any]:
        """Elements of a strided tensor in the order of its flattened indices."""
        width = place.dtype.itemsize
        extent = 1 + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))
        out = np.empty(sum(stop - start for start, stop in runs), dtype=f"<u{width}")
        filled = 0
        cells = self._mapped(out.dtype, place.offset, extent)
        for run_start, run_stop in runs:
            for start in range(run_start, run_stop, GATHER):
                flat = np.arange(start, min(start + GATHER, run_stop))
                corners = np.unravel_index(flat, place.shape)
                cell = np.zeros(len(flat), dtype=np.int64)
                for corner, stride in zip(corners, place.strides, strict=True):
                    cell += corner * stride
                out[filled : filled + len(flat)] = cells[cell]
                filled += len(flat)
                self.pages.touch_each(place.offset + cell * width, width)
        return out.view(place.dtype)

    def _mapped(self, dtype: np.dtype[Any], offset: int, n: int) -> npt.NDArray[Any]:
        with opened(self.path) as handle:
            self._note(handle)
            try:
                return np.memmap(handle, dtype, "r", offset, shape=(n,))
            except ValueError:  # longer than the file is now
                what = f"shorter than when it was opened ({self.size} bytes)"
                raise unreadable(self.path, what) from None


def folder_at(path: Path) -> Folder:
    """A folder and what lies in it, hidden files left out."""
    with readable(path):
        names = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
    return Folder(path, sorted(names), partial(_open_in, path, (home_of(path),)))


def folder_around(path: Path, beside: Sequence[str]) -> Folder:
    """The folder of a file that was named alone, with what may be read beside it.

    The file itself may be a link to anywhere, as it was named; beside it, or beside what it links
    to, links stay inside the folder.
    """
    near = path.parent
    with readable(path):
        names = [name for name in beside if os.path.lexists(near / name)]
    homes = home_of(near), home_of(_real(path).parent)
    return Folder(near, names, partial(_open_beside, path.name, near, homes))


def _open_in(folder: Path, homes: Sequence[Path], name: str) -> File:
    return LocalFile(folder / name, homes)


def _open_beside(named: str, folder: Path, homes: Sequence[Path], name: str) -> File:
    return LocalFile(folder / name, () if name == named else homes)


@contextmanager
def opened(path: Path) -> Iterator[io.FileIO]:
    """Open a regular file for reading. A pipe, a socket or a device is refused, never waited for.

    Where the path is a link, the caller has checked where it leads (see `LocalFile`).
    """
    with readable(path):
        _check_regular(path, os.stat(path).st_mode)  # to open some devices does something
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with io.FileIO(descriptor) as handle:
            _check_regular(path, os.fstat(descriptor).st_mode)
            yield handle


def read_whole(path: Path, most: int) -> bytes:
    """All bytes of a small file that the user named: a record, a policy, controls.

    Raises
    ------
    UnreadableModel
        It is missing, no regular file, of more than ``most`` bytes, or changed meanwhile.
    """
    if "\0" in str(path):
        raise unreadable(path, "no such file or folder")
    with opened(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > most:
            raise unreadable(path, f"too large ({size:,} bytes, at most {most:,})")
        raw = handle.read(size + 1)
    if len(raw) != size:
        raise unreadable(path, "changed while it was read")
    return raw


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = KINDS.get(stat.S_IFMT(mode), OTHER_KIND)
        raise unreadable(path, f"not a regular file ({what})")


def home_of(folder: Path) -> Path:
    """The folder inside which links beside a model may lead: its own.

    A snapshot in the cache of a hub may point at the blobs of its repository.
    """
    here = _real(folder)
    for place in here.parents:
        if place.name == "snapshots" and (place.parent / "blobs").is_dir():
            return place.parent
    return here


def _check_link(path: Path, homes: Sequence[Path]) -> None:
    """Refuse a path that leads outside some folders."""
    target = _real(path)
    if not any(target.is_relative_to(home) for home in homes):
        what = "refused: a link that leads outside the folder; name the file itself to read it"
        raise unreadable(path, what)


def _real(path: Path) -> Path:
    """The path without links; a link that leads round in a circle stays, and fails later."""
    return Path(os.path.realpath(path))


@contextmanager
def readable(path: PurePath) -> Iterator[None]:
    """Turn what the operating system says about a path into one line for the caller."""
    try:
        yield
    except (FileNotFoundError, UnicodeEncodeError):  # no file has half a pair in its name
        raise unreadable(path, "no such file or folder") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise unreadable(path, f"cannot be read ({why})") from None


def stamp_of(status: os.stat_result) -> str:
    """Which file it is and when it was last changed, to the nanosecond.

    The time of the last change of its state (ctime) is set by the system alone: who sets back the
    time of modification moves it.
    """
    times = status.st_mtime_ns, status.st_ctime_ns
    return ":".join(map(str, (status.st_dev, status.st_ino, status.st_size, *times)))


def _neighbours(spans: Spans) -> Iterator[Spans]:
    """Group spans so near to one another that reading the gaps touches no further page."""
    near: list[tuple[int, int]] = []
    for start, stop in spans:
        if near and not (0 <= start - near[-1][1] <= PAGE and stop - near[0][0] <= BLOCK):
            yield near
            near = []
        near.append((start, stop))
    if near:
        yield near
