"""Weights of Flax: maps of maps in msgpack, an array as its shape, type and elements.

Parsed here without recursion: a container says how many values it has, and never more than the file
has bytes. Large arrays are stored in chunks, which are joined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from weightkin.formats.dtypes import NUMPY
from weightkin.formats.headers import check_empty, checked_name, checked_shape
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.module_names import in_torch_names
from weightkin.formats.pieces import STORED, Flat
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

MAX_DEPTH = 64  # maps in maps
MAX_VALUES = 1 << 18  # of all maps and lists
MAX_NAME = 1000  # bytes of the path of a tensor
MAX_SMALL = 1 << 16  # bytes of a text, or of what describes an array
MAX_PLAIN = 1 << 14  # bytes of plain numbers and texts beside the arrays
ARRAY = 1  # type of an extension of msgpack that Flax writes; 2 complex numbers, 3 scalars
CHUNKED = "__msgpack_chunked_array__"
TYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16",
    "uint32": "U32", "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16",
    "bfloat16": "BF16", "float32": "F32", "float64": "F64", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}  # fmt: skip
Path = tuple[str, ...]


class Array(NamedTuple):
    """One array: its type by the name of numpy, its shape, the bytes of its elements."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(slots=True)
class _Found:
    """What the maps hold, by path."""

    arrays: dict[Path, Array] = field(default_factory=dict)
    numbers: dict[Path, int] = field(default_factory=dict)  # whole numbers
    n_plain: int = 0  # bytes of values that are no arrays


def read_flax(file: File) -> Contents:
    """Tensors of a file of Flax, under the names and in the shapes of torch."""
    found = _walk(_Reader(file))
    contents = Contents()
    chunked = {path[:-1] for path in found.numbers if path and path[-1] == CHUNKED}
    # a chunked array says so of itself with a truth value, which counts as a number here
    pieces: dict[Path, list[tuple[int, Array]]] = {}
    for path, array in found.arrays.items():
        owner = path[:-2]
        if len(path) > 1 and path[-2] == "chunks" and owner in chunked and path[-1].isdigit():
            pieces.setdefault(owner, []).append((int(path[-1][:9]), array))
        else:
            _add(file, contents, path, array)
    for owner, chunks in pieces.items():
        _join(file, contents, owner, chunks, found.numbers)
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    held = sorted((a.start, a.stop) for a in found.arrays.values())
    ends = [0, *(stop for _, stop in held)]
    starts = [*(start for start, _ in held), file.size]
    if found.n_plain <= MAX_PLAIN:
        between = [(a, b) for a, b in zip(ends, starts, strict=True) if a < b]
        contents.claims.append(Claim(file, between, "container"))
    else:
        why = f"{found.n_plain} bytes of numbers and texts beside the arrays"
        contents.problems.append(Problem("plain values", why))
    return in_torch_names(contents)


def _add(file: File, contents: Contents, path: Path, array: Array) -> None:
    name = checked_name(file.path, ".".join(path))
    where = located(file.path, name)
    if name in contents.tensors:
        raise unreadable(where, "its name is that of another one too")
    if array.dtype not in TYPES:
        why = f"type {shown(array.dtype)} is not supported"
        contents.problems.append(Problem(shown(name), why))
        return
    dtype = TYPES[array.dtype]
    n_bytes = math.prod(array.shape) * NUMPY[dtype].itemsize
    if n_bytes != array.stop - array.start:
        raise unreadable(where, f"{array.stop - array.start} bytes, not {n_bytes}")
    contents.tensors[name] = TensorInfo(name, dtype, array.shape, n_bytes)
    contents.places[name] = TensorLocation(file, NUMPY[dtype], array.start, array.shape)


def _join(
    file: File,
    contents: Contents,
    path: Path,
    chunks: list[tuple[int, Array]],
    numbers: dict[Path, int],
) -> None:
    """An array in flattened chunks, with its shape in a map beside them."""
    name = checked_name(file.path, ".".join(path))
    where = located(file.path, name)
    sizes: list[int] = []
    while (size := numbers.get((*path, "shape", str(len(sizes))))) is not None:
        sizes.append(size)
    shape = checked_shape(where, sizes)
    parts = [array for _, array in sorted(chunks)]
    held = Contents()
    for i, array in enumerate(parts):
        _add(file, held, (f"{STORED}{name}", str(i)), array)
    kinds = {info.dtype for info in held.tensors.values()}
    n = sum(math.prod(info.shape) for info in held.tensors.values())
    if held.problems or len(kinds) != 1 or n != math.prod(shape):
        raise unreadable(where, f"{len(parts)} chunks of {n} values do not make up {shown(shape)}")
    dtype = kinds.pop()
    runs = tuple((key, math.prod(info.shape)) for key, info in held.tensors.items())
    contents.places |= held.places
    contents.tensors[name] = TensorInfo(name, dtype, shape, n * NUMPY[dtype].itemsize)
    contents.recipes[name] = Flat(shape, NUMPY[dtype], runs)


def _walk(reader: _Reader) -> _Found:
    """Everything below the outermost map, by its path of keys."""
    found = _Found()
    # path so far, values left, whether every value follows a key
    pending: list[list[Any]] = []
    path: Path = ()
    n_values = 0
    while True:
        kind, value = reader.value()
        if kind in ("map", "list"):
            n_values += value
            if len(pending) >= MAX_DEPTH or n_values > MAX_VALUES:
                raise unreadable(reader.file.path, "too many values, or maps nested too deeply")
            pending.append([path, value, kind == "map", 0])
        elif kind == "array":
            found.arrays[path] = value
        elif kind == "number":
            found.n_plain += 8
            if path[-1:] == (CHUNKED,) or path[-2:-1] == ("shape",):
                found.numbers[path] = value
        else:
            found.n_plain += value
        while pending and not pending[-1][1]:
            pending.pop()
        if not pending:
            break
        above, _, is_map, index = pending[-1]
        pending[-1][1] -= 1
        pending[-1][3] += 1
        path = (*above, reader.key() if is_map else str(index))
        if sum(map(len, path)) > MAX_NAME or path in found.arrays:
            raise unreadable(reader.file.path, f"key {quoted(path[-1])} is repeated or too long")
    if reader.at != reader.file.size:
        what = f"{reader.file.size - reader.at} bytes behind its end"
        raise unreadable(reader.file.path, what)
    if not found.arrays:
        raise unreadable(reader.file.path, "no array of Flax in it")
    return found


class _Reader:
    """Values of msgpack, one after the other; elements of arrays are passed over."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.at = self.start = 0
        self.window = b""

    def take(self, n: int) -> bytes:
        """The next bytes."""
        if n > MAX_SMALL or self.at + n > self.file.size:
            raise unreadable(self.file.path, "truncated, or not weights of Flax")
        first = self.at - self.start
        if first < 0 or first + n > len(self.window):
            stop = min(self.file.size, self.at + MAX_SMALL)
            self.window = self.file.read([(self.at, stop)]).tobytes()
            self.start, first = self.at, 0
        self.at += n
        return self.window[first : first + n]

    def number(self, n: int) -> int:
        """A whole number without a sign, of n bytes."""
        return int.from_bytes(self.take(n), "big")

    def key(self) -> str:
        """The key of a value."""
        code = self.number(1)
        if 0xA0 <= code <= 0xBF:
            n = code & 31
        elif code in (0xD9, 0xDA, 0xDB):
            n = self.number(1 << code - 0xD9)
        else:
            raise unreadable(self.file.path, "a key that is no text")
        return self.take(n).decode("utf-8", "surrogateescape")

    def value(self) -> tuple[str, Any]:
        """What comes next: a map or list with its length, an array, a number, or other bytes."""
        code = self.number(1)
        if code <= 0x7F or code >= 0xE0:
            return "number", code
        if code <= 0x9F:
            return ("map" if code <= 0x8F else "list"), code & 15
        if code <= 0xBF:
            return "other", len(self.take(code & 31))
        if code in (0xC0, 0xC2, 0xC3):
            return "number", code & 1
        if code in (0xDC, 0xDD, 0xDE, 0xDF):
            n = self.number(2 if code in (0xDC, 0xDE) else 4)
            return ("list" if code <= 0xDD else "map"), n
        if 0xCA <= code <= 0xD3:
            n = {0xCA: 4, 0xCB: 8}.get(code, 1 << (code - 0xCC) % 4)
            return "number", self.number(n)
        if code in (0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB):
            n = self.number(1 << (code - (0xC4 if code < 0xD0 else 0xD9)))
            self._pass(n)
            return "other", n
        if 0xC7 <= code <= 0xC9 or 0xD4 <= code <= 0xD8:
            n = 1 << code - 0xD4 if code >= 0xD4 else self.number(1 << code - 0xC7)
            return self._extension(n)
        raise unreadable(self.file.path, f"no value of msgpack begins with byte {code}")

    def _pass(self, n: int) -> None:
        if self.at + n > self.file.size:
            raise unreadable(self.file.path, "truncated, or not weights of Flax")
        self.at += n

    def _extension(self, n: int) -> tuple[str, Any]:
        """An array, or a scalar of Flax."""
        kind, end = self.number(1), self.at + n
        if kind not in (ARRAY, 3):
            self._pass(n)
            return "other", n
        outer, n_parts = self.value()
        inner, n_sizes = self.value() if outer == "list" and n_parts == 3 else ("", 0)
        sizes = [self.value() for _ in range(n_sizes)] if inner == "list" and n_sizes < 33 else []
        if inner != "list" or len(sizes) != n_sizes or any(x[0] != "number" for x in sizes):
            raise unreadable(self.file.path, "an array without its shape")
        shape = checked_shape(located(self.file.path), [x[1] for x in sizes])
        dtype = self.key()
        code = self.number(1)
        if code not in (0xC4, 0xC5, 0xC6):
            raise unreadable(self.file.path, "an array without its elements")
        n_bytes = self.number(1 << code - 0xC4)
        start = self.at
        self._pass(n_bytes)
        if self.at != end:
            raise unreadable(self.file.path, "an array of another length than it says")
        return "array", Array(dtype, shape, start, start + n_bytes)
