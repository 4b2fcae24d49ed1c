"""HDF5 files of Keras, TensorFlow and others: every set of numbers is a tensor, by its path.

Sets that lie in one piece are read in place, chunks (compressed or not) are put together. Weights
of Keras get the names and shapes of torch.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from weightkin.errors import UnreadableModel
from weightkin.formats.chunked import DEFLATE, SHUFFLE, Chunked, Piece, hiding
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.hdf5_blocks import (
    ATTRIBUTE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    NEWER,
    NOWHERE,
    SPACE,
    TYPE,
    Blocks,
    Chunk,
    Message,
    chunks,
    links,
    messages,
    read_heap,
    root_of,
)
from weightkin.formats.headers import check_empty, checked_name, checked_shape
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.module_names import in_torch_names
from weightkin.formats.pieces import MAX_ROW, STORED
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, TensorLocation
from weightkin.text import located, shown, unreadable

MAX_DEPTH = 64  # groups in groups
MAX_NAME = 1000  # characters of a path
MAX_OBJECTS = 1 << 17
MAX_CHUNKS = 1 << 16
MAX_CHUNK = 1 << 26  # bytes of one, unpacked
MAX_GAPS = 1 << 20  # bytes between blocks that are looked at
MOST_UNPACKED = 64  # times the size of the file
FLOATS = {(2, 5, 10): "F16", (2, 8, 7): "BF16", (4, 8, 23): "F32", (8, 11, 52): "F64"}


class Set(NamedTuple):
    """One set of numbers: its type, shape, how it is stored and filtered."""

    dtype: str  # of safetensors, or what it is instead
    shape: tuple[int, ...]
    layout: bytes
    filters: tuple[int, ...]
    width: int  # bytes of an element


def read_hdf5(file: File) -> Contents:
    """Tensors of an HDF5 file."""
    blocks, contents = Blocks(file), Contents()
    root = root_of(blocks)
    for name, address in _sets(blocks, root, contents):
        try:
            _add(blocks, contents, name, messages(blocks, address))
        except UnreadableModel as error:
            contents.problems.append(Problem(shown(name), str(error)))
    if not contents.tensors and not contents.problems:
        raise unreadable(file.path, "no set of numbers in it")
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    spans = sorted(blocks.read.items())
    contents.claims.append(Claim(file, list(_joined(spans)), "container"))
    contents.claims.append(Claim(file, list(_blank(file, contents, spans)), "container"))
    return in_torch_names(contents)


def _sets(blocks: Blocks, root: int, contents: Contents) -> Iterator[tuple[str, int]]:
    """The path and address of every set; a group that is held twice is entered once."""
    pending: list[tuple[tuple[str, ...], int]] = [((), root)]
    entered = {root}
    n = 0
    while pending:
        path, address = pending.pop()
        found = messages(blocks, address)
        _note_texts(blocks, found)
        for name, inner in sorted(links(blocks, found)):
            n += 1
            below = (*path, name)
            if n > MAX_OBJECTS or len(below) > MAX_DEPTH or sum(map(len, below)) > MAX_NAME:
                raise unreadable(blocks.file.path, "too many objects, or names too long")
            if inner in entered:
                continue  # a second name of it
            entered.add(inner)
            said = messages(blocks, inner)
            if any(message.kind == LAYOUT for message in said):
                _note_texts(blocks, said)
                yield checked_name(blocks.file.path, "/".join(below)), inner
            else:
                pending.append((below, inner))
    if n == 0:
        contents.problems.append(Problem("file", "its groups are empty"))


def _note_texts(blocks: Blocks, found: list[Message]) -> None:
    """Read the collections in which texts of attributes stand."""
    for message in found:
        data = message.data
        if message.kind != ATTRIBUTE or len(data) < 8 or data[0] not in (1, 2, 3):
            continue
        sizes = struct.unpack("<HHH", data[2:8])
        at = 8 + (1 if data[0] == 3 else 0)
        padded = [-(-n // 8) * 8 if data[0] == 1 else n for n in sizes]
        kind = data[at + padded[0] : at + padded[0] + 1]
        values = data[at + sum(padded) :]
        if kind and kind[0] & 15 == 9:  # of variable length: size, address, number
            for i in range(0, len(values) - 15, 16):
                address = int.from_bytes(values[i + 4 : i + 12], "little")
                if address not in (0, NOWHERE) and blocks.base + address not in blocks.read:
                    read_heap(blocks, address)


def _add(blocks: Blocks, contents: Contents, name: str, found: list[Message]) -> None:
    """One set as a tensor."""
    where = located(blocks.file.path, name)
    held = _described(where, found)
    if held.dtype not in NUMPY:
        contents.problems.append(Problem(shown(name), f"{held.dtype} is not supported"))
        return
    dtype = NUMPY[held.dtype]
    n_bytes = math.prod(held.shape) * dtype.itemsize
    info = TensorInfo(name, held.dtype, held.shape, n_bytes)
    layout = held.layout
    version, kind = layout[0], layout[1] if len(layout) > 1 else -1
    if version not in (3, 4) or kind not in (0, 1, 2) or (version == 4 and kind == 2):
        raise unreadable(where, NEWER)
    if kind == 2:
        _add_chunks(blocks, contents, info, held)
        return
    if kind == 0:
        raise unreadable(where, "stored inside its header, which is not read")
    address, size = struct.unpack("<QQ", layout[2:18])
    start = blocks.base + address
    if n_bytes and (address == NOWHERE or size < n_bytes or start + n_bytes > blocks.file.size):
        raise unreadable(where, f"its {n_bytes} bytes at {shown(address)} are not in the file")
    contents.tensors[name] = info
    contents.places[name] = TensorLocation(blocks.file, dtype, start if n_bytes else 0, held.shape)


def _described(where: str, found: list[Message]) -> Set:
    """What the messages of a set say."""
    said = {message.kind: message.data for message in reversed(found)}
    if EXTERNAL in said:
        raise unreadable(where, "its values lie in another file, which is not opened")
    space, kind = said.get(SPACE, b""), said.get(TYPE, b"")
    if len(space) < 4 or len(kind) < 8:
        raise unreadable(where, "without a shape or a type")
    at = {1: 8, 2: 4}.get(space[0], 0)
    sizes = space[at : at + 8 * space[1]]
    if not at or len(sizes) != 8 * space[1] or (space[0] == 2 and space[3] == 2):
        raise unreadable(where, "with a shape of an unknown kind")
    shape = checked_shape(where, list(struct.unpack(f"<{space[1]}Q", sizes)))
    dtype, width = _type_of(kind)
    return Set(dtype, shape, said[LAYOUT], _filters(where, said.get(FILTERS)), width)


def _type_of(data: bytes) -> tuple[str, int]:
    """The type of elements, and their bytes."""
    kind, bits, (width,) = data[0] & 15, data[1], struct.unpack("<I", data[4:8])
    if kind in (0, 1) and bits & 1:
        return "a type with the high byte first", width
    if kind == 0 and width in (1, 2, 4, 8):
        return f"{'I' if bits & 8 else 'U'}{8 * width}", width
    if kind == 1 and len(data) >= 20:
        found = FLOATS.get((width, data[13], data[15]))
        return found or f"a float of {8 * width} bits", width
    if kind == 8 and width == 1:
        return "BOOL", width
    return {3: "text", 9: "text", 6: "a record of several numbers"}.get(kind, f"type {kind}"), width


def _filters(where: str, data: bytes | None) -> tuple[int, ...]:
    """Numbers of the filters of a set, in the order in which they were applied."""
    if not data:
        return ()
    at, found = 8 if data[0] == 1 else 2, []
    for _ in range(min(data[1], 32)):
        (number,) = struct.unpack("<H", data[at : at + 2].ljust(2, b"\0"))
        is_named = data[0] == 1 or number >= 256
        (n_name,) = struct.unpack("<H", data[at + 2 : at + 4].ljust(2, b"\0")) if is_named else (0,)
        at += 4 if is_named else 2
        (n_values,) = struct.unpack("<H", data[at + 2 : at + 4].ljust(2, b"\0"))
        at += 4 + (-(-n_name // 8) * 8 if data[0] == 1 else n_name) + 4 * n_values
        at += 4 if data[0] == 1 and n_values % 2 else 0
        found.append(number)
    if unknown := [x for x in found if x not in (DEFLATE, SHUFFLE)]:
        raise unreadable(where, f"filtered in a way that is not read (filter {unknown[0]})")
    return tuple(found)


def _add_chunks(blocks: Blocks, contents: Contents, info: TensorInfo, held: Set) -> None:
    """A set in chunks, which are all there and in place."""
    where, rank = located(blocks.file.path, info.name), len(info.shape)
    if held.layout[2] != rank + 1 or len(held.layout) < 11 + 4 * (rank + 1):
        raise unreadable(where, "chunks of other dimensions than its own")
    (tree,) = struct.unpack("<Q", held.layout[3:11])
    sizes = struct.unpack(f"<{rank + 1}I", held.layout[11 : 11 + 4 * (rank + 1)])[:rank]
    n_chunk = math.prod(sizes) * held.width
    n_needed = math.prod(
        -(-n // size) if size else 0 for n, size in zip(info.shape, sizes, strict=True)
    )
    if not rank or 0 in sizes or n_chunk > MAX_CHUNK or n_needed > MAX_CHUNKS:
        raise unreadable(where, f"chunks of {shown(sizes)}, too large or too many")
    if info.n_bytes > MOST_UNPACKED * blocks.file.size:
        raise unreadable(
            where, f"{info.n_bytes} bytes unpacked, over {MOST_UNPACKED} times the file"
        )
    if info.n_bytes // max(1, info.shape[0]) > MAX_ROW:
        raise unreadable(where, f"chunks of a tensor with rows of over {MAX_ROW >> 20} MB")
    pieces: dict[tuple[int, ...], Piece] = {}
    for number, chunk in enumerate(chunks(blocks, tree, rank) if tree != NOWHERE else ()):
        if number >= n_needed or chunk.offsets in pieces:
            raise unreadable(where, "more chunks than its shape has")
        pieces[chunk.offsets] = _piece(blocks, contents, info.name, number, chunk)
        if any(
            at % size or at >= n
            for at, size, n in zip(chunk.offsets, sizes, info.shape, strict=True)
        ):
            raise unreadable(where, f"a chunk at {shown(chunk.offsets)}, not in its grid")
    if len(pieces) != n_needed:
        raise unreadable(where, f"{len(pieces)} of its {n_needed} chunks are stored")
    dtype: np.dtype[Any] = NUMPY[info.dtype]
    ordered = tuple(pieces[offsets] for offsets in sorted(pieces))
    contents.tensors[info.name] = info
    chunked = Chunked(info.shape, dtype, sizes, ordered, held.filters)
    contents.recipes[info.name] = chunked
    by_place = sorted(ordered, key=lambda piece: contents.places[piece.name].offset)
    starts = [(contents.places[piece.name].offset, piece.n_stored) for piece in by_place]
    spans = [(start, start + n) for start, n in starts]
    narrow = partial(hiding, chunked=chunked, pieces=tuple(by_place))
    contents.claims.append(Claim(blocks.file, spans, "unread", "behind-values", narrow=narrow))


def _piece(blocks: Blocks, contents: Contents, name: str, number: int, chunk: Chunk) -> Piece:
    """The stored bytes of one chunk."""
    start = blocks.base + chunk.address
    if start + chunk.n_bytes > blocks.file.size:
        raise unreadable(located(blocks.file.path, name), "a chunk ends outside the file")
    key = f"{STORED}{name}:{number}"
    place = TensorLocation(blocks.file, np.dtype("u1"), start, (chunk.n_bytes,))
    contents.places[key] = place
    return Piece(key, chunk.offsets, chunk.n_bytes, chunk.left_out)


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans without overlaps, ascending."""
    last: tuple[int, int] | None = None
    for start, stop in spans:
        if last is not None and start <= last[1]:
            last = last[0], max(last[1], stop)
            continue
        if last is not None:
            yield last
        last = start, stop
    if last is not None:
        yield last


def _blank(
    file: File, contents: Contents, spans: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Bytes between blocks and elements that are all zero: the library aligns and leaves room."""
    held = [
        (place.offset, place.offset + math.prod(place.shape) * place.dtype.itemsize)
        for place in contents.places.values()
    ]
    at, looked_at = 0, 0
    for start, stop in [*_joined(sorted([*spans, *held])), (file.size, file.size)]:
        if at < start and looked_at + start - at <= MAX_GAPS:
            looked_at += start - at
            if not file.read([(at, start)]).any():
                yield at, start
        at = max(at, stop)
