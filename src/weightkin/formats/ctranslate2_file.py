"""Models of CTranslate2 (``model.bin``): variables one after the other, then names for them again.

Whole numbers of 8 or 16 bits have a scale beside them by which they are divided.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Index, stored_rows, stored_whole
from weightkin.formats.dtypes import NUMPY, to_float32
from weightkin.formats.headers import check_empty, checked_name, checked_shape
from weightkin.formats.model import Problem, Storage, TensorInfo
from weightkin.formats.pieces import STORED
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, TensorLocation, Window
from weightkin.text import located, quoted, shown, unreadable

# a version below 16, the length of a name, and the name of a specification
CT2_BEGINNING = rb"[\x01-\x0f]\0\0\0[\x04-\x60]\0[A-Z][A-Za-z0-9]{3}"
VERSIONS = range(4, 7)
TYPES = ("F32", "I8", "I16", "I32", "F16", "BF16")
MAX_VARIABLES = 1 << 17
WINDOW = 1 << 16
SCALE = "_scale"


@dataclass(frozen=True, slots=True)
class Divided:
    """``code / scale`` with a scale for each row, or one for all."""

    shape: tuple[int, ...]
    codes: str
    scale: str
    n_scales: int

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows unpacked."""
        codes = to_float32(stored_rows(storage, self.codes, rows, math.prod(self.shape[1:])))
        scales = to_float32(stored_whole(storage, self.scale, (self.n_scales, 1)))
        return codes / (scales if self.n_scales == 1 else scales[rows])


def read_ctranslate2(file: File) -> Contents:
    """Variables of a model of CTranslate2, under their names with dots."""
    cursor = _Cursor(file)
    (version,) = cursor.numbers("<I")
    cursor.text()
    cursor.numbers("<I")  # revision of the specification
    (n,) = cursor.numbers("<I")
    if version not in VERSIONS or n > MAX_VARIABLES:
        what = f"version {version} with {n} variables (versions 4 to 6 are read)"
        raise unreadable(file.path, f"CTranslate2 of {what}")
    contents = Contents()
    for _ in range(n):
        name = checked_name(file.path, cursor.text().replace("/", "."))
        where = located(file.path, name)
        (rank,) = cursor.numbers("<B")
        shape = checked_shape(where, list(cursor.numbers(f"<{min(rank, 33)}I")))
        kind, n_bytes = cursor.numbers("<BI")
        if name in contents.tensors:
            raise unreadable(where, "stored twice")
        start = cursor.at
        cursor.skip(n_bytes)
        if kind >= len(TYPES):
            contents.problems.append(Problem(shown(name), f"type {kind} is not supported"))
            continue
        dtype = NUMPY[TYPES[kind]]
        if math.prod(shape) * dtype.itemsize != n_bytes:
            raise unreadable(where, f"{n_bytes} bytes for {TYPES[kind]} of shape {shown(shape)}")
        contents.tensors[name] = TensorInfo(name, TYPES[kind], shape, n_bytes)
        contents.places[name] = TensorLocation(file, dtype, start, shape)
        cursor.mark()
    (n_aliases,) = cursor.numbers("<I")  # two names for one variable: the second adds nothing
    if n_aliases > MAX_VARIABLES:
        raise unreadable(file.path, f"too many names ({quoted(n_aliases)})")
    for _ in range(2 * n_aliases):
        cursor.text()
    cursor.mark()
    contents.claims.append(Claim(file, cursor.parsed, "container"))
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    _unpack(contents)
    return contents


def _unpack(contents: Contents) -> None:
    """Show codes as the values they stand for."""
    for name in [x for x in contents.tensors if x.endswith(SCALE)]:
        codes, scale = contents.tensors.get(name.removesuffix(SCALE)), contents.tensors[name]
        n = math.prod(scale.shape)
        if codes is None or codes.dtype not in ("I8", "I16") or scale.dtype != "F32":
            continue
        if not codes.shape or n not in (1, codes.shape[0]) or 8 * n > math.prod(codes.shape):
            continue
        stored = [f"{STORED}{x}" for x in (codes.name, name)]
        contents.places[stored[0]] = contents.places.pop(codes.name)
        contents.places[stored[1]] = contents.places.pop(name)
        del contents.tensors[name]
        bits = 8 * np.dtype(NUMPY[codes.dtype]).itemsize
        size = 4 * math.prod(codes.shape)
        shown_as = TensorInfo(codes.name, "F32", codes.shape, size, f"int{bits} with scales")
        contents.tensors[codes.name] = shown_as
        contents.recipes[codes.name] = Divided(codes.shape, stored[0], stored[1], n)


class _Cursor:
    """Reads what stands between the elements, a window at a time."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.at = self.begun = 0
        self.window = Window(file, WINDOW)
        self.parsed: list[tuple[int, int]] = []

    def take(self, n: int) -> bytes:
        """The next bytes."""
        if self.at + n > self.file.size:
            raise unreadable(self.file.path, "truncated, or not a model of CTranslate2")
        taken = self.window.bytes_at(self.at, n)
        self.at += n
        return taken

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Numbers by a `struct` format."""
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def text(self) -> str:
        """A text with its length before it and a zero at its end."""
        (n,) = self.numbers("<H")
        return self.take(n).rstrip(b"\0").decode("utf-8", "surrogateescape")

    def skip(self, n: int) -> None:
        """Pass over elements; what was read before them is parsed."""
        if self.at + n > self.file.size:
            raise unreadable(self.file.path, "truncated, or not a model of CTranslate2")
        self.parsed.append((self.begun, self.at))
        self.at += n
        self.begun = self.at

    def mark(self) -> None:
        """All up to here is parsed or elements."""
        if self.begun < self.at:
            self.parsed.append((self.begun, self.at))
            self.begun = self.at
