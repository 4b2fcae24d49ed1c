"""An open model: names, dtypes, shapes, rows of one tensor at a time, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from weightkin.formats.dtypes import to_float32
from weightkin.notebooks import Drawn
from weightkin.sources.files import Spans, batches

if TYPE_CHECKING:
    from weightkin.formats.onnx_network import Network
    from weightkin.formats.torch_text import Program

Rows = slice | npt.NDArray[np.int64]

SKETCH_KEY = "weightkin-sketch"  # marks the metadata of a sketch file
SKETCH_SUFFIX = ".sketch.safetensors"  # ends its name
BATCH = 1 << 22  # elements converted at a time: working memory of `Model.rows` beyond its result


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a header says about one tensor; ``dtype`` is the safetensors name (``F32``, ...).

    Of a packed tensor they are those of the values it stands for; ``packed`` says how it is stored.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    packed: str = ""  # "nf4", "gptq 4 bits", "Q4_K", ...; empty where values are stored as such


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read, and why. Goes to ``skipped`` in every record.

    ``code`` is one of `records.codes.REASONS`, whose ``error`` is the line ``why``.
    """

    what: str
    why: str
    loses_tensors: bool = True  # False for a broken hint, such as config.json
    code: str = "unread"


class Sketched(Protocol):
    """The sketch whose runs a model holds: a `sketch.types.Sketch`, of a room above this one."""

    @property
    def digest(self) -> str:
        """Digest of the model it was taken of."""

    @property
    def full_digest(self) -> str | None:
        """Full digest of that model, if it was taken."""

    @property
    def anatomy(self) -> Any:
        """Anatomy of that model, cut to what the sketch holds."""


class Storage(Protocol):
    """Raw little-endian elements of the tensors of one or several files, read-only."""

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Elements ``start:stop`` of the flattened tensor, in its stored dtype."""

    def read_runs(self, name: str, runs: Spans) -> npt.NDArray[Any]:
        """Elements of several ascending runs of the flattened tensor, joined, in few reads."""

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Say that these runs of these tensors are read soon. May do nothing."""

    @property
    def bytes_touched(self) -> int:
        """Distinct bytes touched so far, in whole 4 KiB pages (requested ranges when remote)."""

    @property
    def stamps(self) -> tuple[str, ...]:
        """One for each file, equal only while the file is the same; empty where none is known."""


@dataclass(frozen=True, eq=False)  # the same only where it is the very same open model
class Model(Drawn):
    """A read-only model: tensors in sorted name order, config (a hint, never trusted), storage.

    With ``sketched`` it stands in for another: its tensors are the runs that the sketch holds.
    """

    source: str
    name: str
    tensors: Mapping[str, TensorInfo]
    config: Mapping[str, Any]
    storage: Storage
    revision: str | None = None
    problems: tuple[Problem, ...] = field(default=())
    sketched: Sketched | None = None
    held: Sketched | None = None  # a sketch that holds all of it, where that is what was opened
    headers: tuple[str, ...] = ()  # SHA-256 of the header of each safetensors file
    beside: Callable[[str, int], bytes | None] | None = None  # a small file: its name, most bytes
    networks: tuple[
        Callable[[], Network | Program], ...
    ] = ()  # what its files compute, read when asked
    metadata: Mapping[str, str] = field(default_factory=dict)  # of one safetensors file: claims
    parts: tuple[str, ...] = ()  # of a base and its adapters: the source of each

    def __repr__(self) -> str:
        size = f"{len(self.tensors)} tensors, {self.n_bytes:,} bytes"
        return f"<Model {self.name!r}: {size}, {len(self.problems)} problems>"

    def rows(self, name: str, index: Rows | None = None) -> npt.NDArray[np.float32]:
        """Rows of one tensor as float32, reading no other rows.

        Parameters
        ----------
        name : str
            A key of ``tensors``.
        index : slice or array of int, optional
            Indices along the first dimension, in any order, repeats allowed, none negative.
            All rows without it. Rows of a 1-D tensor are its elements.

        Returns
        -------
        ndarray of float32
            Shape ``(n, *shape[1:])``, or ``()`` for a 0-d tensor. NaN and infinities pass
            unchanged; float64 beyond float32 becomes infinite.

        Raises
        ------
        KeyError
            No such tensor.
        IndexError
            An index outside the tensor.
        UnreadableModel
            The file no longer is what it was when opened.
        """
        if name not in self.tensors:
            raise KeyError(f"{self.name} has no tensor {name!r}")
        shape = self.tensors[name].shape
        if not shape:
            if isinstance(index, np.ndarray):
                raise IndexError(f"{name!r} is a scalar and has no rows to index")
            return to_float32(self.storage.read(name, 0, 1)).reshape(())
        runs, n_rows, order = _row_runs(name, index, shape[0])
        width = math.prod(shape[1:])  # elements per row
        flat = np.empty(n_rows * width, dtype=np.float32)
        filled = 0
        for batch in batches([(start * width, stop * width) for start, stop in runs], BATCH):
            raw = self.storage.read_runs(name, batch)
            flat[filled : filled + raw.size] = to_float32(raw)
            filled += raw.size
        rows = flat.reshape(n_rows, *shape[1:])
        return rows if order is None else rows[order]

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors, as their headers say."""
        return sum(info.n_bytes for info in self.tensors.values())

    @property
    def bytes_read(self) -> int:
        """Distinct bytes touched so far, headers included, in whole 4 KiB pages."""
        return self.storage.bytes_touched

    @property
    def is_partial(self) -> bool:
        """Whether tensors are missing that the source was meant to hold."""
        return any(problem.loses_tensors for problem in self.problems)


def _row_runs(
    name: str, index: Rows | None, n: int
) -> tuple[list[tuple[int, int]], int, npt.NDArray[np.intp] | None]:
    """Ascending runs of rows, how many rows they hold, the order wanted (None: as read)."""
    if index is None:
        return [(0, n)], n, None
    if isinstance(index, slice):
        wanted = range(*index.indices(n))
        if wanted.step == 1:
            return [(wanted.start, wanted.stop)] if wanted else [], len(wanted), None
        index = np.array(wanted, dtype=np.int64)
    rows = np.asarray(index)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError(f"rows of {name!r} are {rows.dtype} of {rows.ndim}-D, not 1-D integers")
    if not rows.size:
        return [], 0, None
    if rows.min() < 0 or rows.max() >= n:
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {name!r}: not within 0 to {n - 1}")
    unique, order = np.unique(rows, return_inverse=True)
    breaks = np.flatnonzero(np.diff(unique) != 1) + 1
    starts = unique[np.concatenate(([0], breaks))].tolist()
    stops = (unique[np.concatenate((breaks - 1, [len(unique) - 1]))] + 1).tolist()
    in_order = len(unique) == len(rows) and np.array_equal(unique, rows)
    return list(zip(starts, stops, strict=True)), len(unique), None if in_order else order
