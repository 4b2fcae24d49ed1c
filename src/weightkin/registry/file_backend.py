"""Vectors and sketches in plain files beside the registry's file: the store that needs nothing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from weightkin.arrays import Floats
from weightkin.registry.blocks import (
    ALIGNED,
    INVARIANT,
    Check,
    Halves,
    VectorBlock,
    read_rows,
    write_rows,
)
from weightkin.registry.prepared import MAX_SKETCH
from weightkin.scan import Bits
from weightkin.sketch import Sketch, read_sketch, write_sketch
from weightkin.sources.local import LocalFile
from weightkin.text import unreadable


class FileStore:
    """A folder with the blocks of vectors and a folder of sketches, one file each."""

    def __init__(self, folder: Path, *, to_write: bool = False) -> None:
        self._folder = folder
        if to_write:
            folder.joinpath("sketches").mkdir(parents=True, exist_ok=True)

    def write(
        self, slot: int, file: str, sketch: Sketch, aligned: Floats, invariant: Floats
    ) -> None:
        """Write the sketch, over any file of that name, and one row of each block."""
        write_sketch(sketch, self._file(file), overwrite=True)
        write_rows(self._folder, ALIGNED, slot, [aligned])
        write_rows(self._folder, INVARIANT, slot, [invariant])

    def vectors(self, block: VectorBlock, n: int) -> tuple[Bits, Halves]:
        """The first ``n`` rows, mapped from disk."""
        return read_rows(self._folder, block, n)

    def sketch(self, slot: int, file: str, check: Check | None = None) -> Sketch:
        """Read one sketch; a file says all, slots are for other stores."""
        if check is not None:
            check(self.sketch_bytes(slot, file))
        path = self._file(file)
        return _sketch_at(path, LocalFile(path).stamp)

    def sketch_bytes(self, slot: int, file: str) -> bytes:  # noqa: ARG002 (as any store)
        """Read one file as it is."""
        sketch = LocalFile(self._file(file))
        if sketch.size > MAX_SKETCH:
            what = f"too large ({sketch.size:,} bytes, at most {MAX_SKETCH:,})"
            raise unreadable(sketch.path, what)
        return sketch.read([(0, sketch.size)]).tobytes()

    def forget(self, slot: int, file: str) -> None:  # noqa: ARG002 (as any store)
        """Remove one file; its vectors stay until their slot is used again."""
        self._file(file).unlink(missing_ok=True)

    def _file(self, file: str) -> Path:
        return self._folder / "sketches" / file


@lru_cache(maxsize=8)  # one question to a registry asks for the same sketches again and again
def _sketch_at(path: Path, _stamp: str) -> Sketch:
    """The sketch in a file that is as it was."""
    return read_sketch(path)
