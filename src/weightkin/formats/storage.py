"""What files turned out to hold, and the elements of a model that lie in files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from weightkin.errors import UnreadableModel
from weightkin.formats.computed import Recipe
from weightkin.formats.model import SKETCH_KEY, Problem, TensorInfo
from weightkin.sources.files import File, Folder, Spans, TensorLocation
from weightkin.sources.ranges import RemoteFile, fetch
from weightkin.text import shown

if TYPE_CHECKING:
    from weightkin.formats.onnx_network import Network
    from weightkin.formats.torch_text import Program

ReadNetwork = Callable[[Mapping[str, str]], "Network | Program"]  # by other names of its tensors

SKETCH_PARTS = ("run/", "scattered/", "tail/", "views/")  # names in the file of a sketch


Check = Callable[[File, Spans], bool]  # of the bytes of a claim; at the top level of its module
Narrow = Callable[[File, Spans], Spans]  # likewise: which of them it is of


@dataclass(frozen=True, slots=True)
class Claim:
    """Bytes of a file that belong to no tensor, and what a reader knows them to be.

    What neither a tensor nor a claim holds is unread: nothing is called the rest of a file. Bytes
    that opening does not look at, such as padding, have a ``check``, which the ledger runs. Bytes
    that a tensor seems to hold and does not, such as those behind a compressed stream, are found by
    ``narrow``, which the ledger runs too; no tensor counts them.
    """

    file: File
    spans: Spans
    state: Literal["container", "not-weights", "unread"]
    code: str = ""  # one of `records.codes.REASONS`; empty for the container
    check: Check | None = None  # where it does not hold, the bytes are unread ("not-blank")
    narrow: Narrow | None = None


@dataclass(slots=True)
class Contents:
    """What one file turned out to hold."""

    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    places: dict[str, TensorLocation] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    metadata: Mapping[str, str] = field(default_factory=dict)  # of a single safetensors file
    config: Mapping[str, Any] = field(default_factory=dict)  # of a file that holds its own
    facts: Mapping[str, Any] = field(default_factory=dict)  # of a GGUF file, for its later parts
    recipes: dict[str, Recipe] = field(default_factory=dict)  # of tensors that are computed
    headers: tuple[str, ...] = ()  # SHA-256 of the header of each safetensors file
    files: list[File] = field(default_factory=list)  # beside it, which hold values
    own_codes: bool = False  # what was packed in it was unpacked by its reader
    claims: list[Claim] = field(default_factory=list)  # bytes that are no tensor's
    networks: tuple[ReadNetwork, ...] = ()  # what its files compute


class SketchFound(UnreadableModel):
    """A source is the file of a sketch, which `sketch.open_model` reads: no model lies in it."""

    def __init__(self, source: str, file: File, contents: Contents) -> None:
        super().__init__(f"{shown(source)}: a sketch, but the model itself is needed")
        self.source = source
        self.file = file
        self.contents = contents


def is_sketch(contents: Contents) -> bool:
    """Whether a file is a sketch: it says so, and holds the parts of one and nothing else."""
    is_stated = SKETCH_KEY in contents.metadata
    return is_stated and all(name.startswith(SKETCH_PARTS) for name in contents.tensors)


@dataclass(frozen=True, slots=True)
class FileStorage:
    """The elements of a model that lie in files, here or on a server."""

    places: Mapping[str, TensorLocation]
    files: Sequence[File]
    claims: Sequence[Claim] = ()  # bytes of the files that are no tensor's
    folder: Folder | None = None  # that was opened as a whole

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Elements ``start:stop`` of the flattened tensor, in its stored dtype."""
        return self.read_runs(name, [(start, stop)])

    def read_runs(self, name: str, runs: Spans) -> npt.NDArray[Any]:
        """Elements of several ascending runs of the flattened tensor, joined."""
        place = self.places[name]
        spans = bytes_of(place, name, runs)
        if place.strides:
            return place.file.gather(place, runs)
        return place.file.read(spans).view(place.dtype)

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Say that these runs are read soon, so that a server is asked for them together."""
        spans: dict[int, list[tuple[int, int]]] = {}
        files: dict[int, RemoteFile] = {}
        for name, runs in wanted:
            place = self.places[name]
            if isinstance(place.file, RemoteFile) and not place.strides:
                width, base = place.dtype.itemsize, place.offset
                files[id(place.file)] = place.file
                spans.setdefault(id(place.file), []).extend(
                    (base + start * width, base + stop * width) for start, stop in runs
                )
        fetch([(file, sorted(spans[key])) for key, file in files.items()])

    @property
    def bytes_touched(self) -> int:
        """Distinct bytes touched so far, headers included: whole pages here, ranges on a server."""
        return sum(file.bytes_touched for file in self.files)

    @property
    def stamps(self) -> tuple[str, ...]:
        """Those of the files, in their order."""
        found = tuple(file.stamp for file in self.files)
        return found if all(found) else ()


def bytes_of(place: TensorLocation, name: str, runs: Spans) -> list[tuple[int, int]]:
    """Bytes of a file that hold runs of a tensor stored without gaps.

    Raises
    ------
    IndexError
        A run is outside the tensor.
    """
    n = math.prod(place.shape)
    if any(not 0 <= start <= stop <= n for start, stop in runs):
        raise IndexError(f"runs outside the {n} elements of {name!r}")
    width, base = place.dtype.itemsize, place.offset
    return [(base + start * width, base + stop * width) for start, stop in runs]
