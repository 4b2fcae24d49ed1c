"""A run of bytes of a file as a file of its own: an archive in an archive, read in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, Spans, TensorLocation


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes ``start:stop`` of a file."""

    whole: File
    start: int
    stop: int

    @property
    def path(self) -> PurePath:
        """That of the file."""
        return self.whole.path

    @property
    def size(self) -> int:
        """Bytes of the part."""
        return self.stop - self.start

    @property
    def bytes_touched(self) -> int:
        """Those of the file."""
        return self.whole.bytes_touched

    @property
    def stamp(self) -> str:
        """That of the file."""
        return self.whole.stamp

    def read(self, spans: Spans) -> npt.NDArray[np.uint8]:
        """Bytes of ascending spans, joined."""
        return self.whole.read(self._moved(spans))

    def gather(self, place: TensorLocation, runs: Spans) -> npt.NDArray[Any]:
        """Elements of a strided tensor."""
        return self.whole.gather(self.outside(place), runs)

    def prefetch(self, spans: Spans) -> None:
        """Say so of the file."""
        self.whole.prefetch(self._moved(spans))

    def outside(self, place: TensorLocation) -> TensorLocation:
        """The same place in the whole file."""
        return replace(place, file=self.whole, offset=place.offset + self.start)

    def _moved(self, spans: Spans) -> list[tuple[int, int]]:
        return [(self.start + a, self.start + b) for a, b in spans]


def in_whole(contents: Contents) -> Contents:
    """What was read of parts of files, with every place as one in the file itself."""
    for name, place in contents.places.items():
        if isinstance(place.file, FilePart):
            contents.places[name] = place.file.outside(place)
    contents.claims = list(_outside(contents.claims))
    return contents


def _outside(claims: Iterable[Claim]) -> Iterable[Claim]:
    for claim in claims:
        if isinstance(claim.file, FilePart):
            yield replace(claim, file=claim.file.whole, spans=claim.file._moved(claim.spans))
        else:
            yield claim
