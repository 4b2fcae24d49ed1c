"""The blocks of an HDF5 file: superblock, object headers, groups, trees of chunks.

Everything is found by addresses, each read once and claimed; what is not reached belongs to nobody.
Reference: HDF5 File Format Specification, versions 1.1 to 3.0. Groups and chunks in the layouts of
"latest" (fractal heaps, version 2 trees) are refused; external files and virtual sets never opened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from weightkin.sources.files import File
from weightkin.text import shown, unreadable

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BLOCK = 1 << 24  # bytes of one block
WINDOW, MAX_WINDOWS = 1 << 15, 64  # bytes read at a time, and how many of them are kept
MAX_BLOCKS = 1 << 19
MAX_TAKEN = 1 << 26  # bytes of all blocks together
MAX_MESSAGES = 1 << 20
MAX_TEXT = 1 << 16  # bytes of a name
NOWHERE = (1 << 64) - 1  # the address of nothing
NEWER = (
    "stored in the layout of newer releases, which is not read (write it with libver='earliest')"
)


class Message(NamedTuple):
    """One message of an object header."""

    kind: int
    data: bytes


@dataclass(slots=True)
class Blocks:
    """Reads blocks at addresses, and notes what was read."""

    file: File
    base: int = 0
    read: dict[int, int] = field(default_factory=dict)  # first byte of a block -> its end
    windows: dict[int, bytes] = field(default_factory=dict)
    n_taken: int = 0  # bytes
    n_messages: int = 0

    def take(self, address: int, n: int) -> bytes:
        """Bytes of a block; the address counts from the superblock's base."""
        start = self.base + address
        self.n_taken += n
        is_inside = address != NOWHERE and start + n <= self.file.size
        is_small = n <= MAX_BLOCK and self.n_taken <= MAX_TAKEN and len(self.read) <= MAX_BLOCKS
        if not is_inside or not is_small:
            what = f"a block of {n} bytes at {address}, outside the file or too large"
            raise unreadable(self.file.path, f"damaged or truncated HDF5 ({what})")
        self.read[start] = max(start + n, self.read.get(start, 0))
        first = start // WINDOW * WINDOW
        if start + n > first + WINDOW:
            return self.file.read([(start, start + n)]).tobytes()
        if first not in self.windows:  # neighbouring blocks are read together
            if len(self.windows) >= MAX_WINDOWS:
                self.windows.pop(next(iter(self.windows)))
            stop = min(self.file.size, first + WINDOW)
            self.windows[first] = self.file.read([(first, stop)]).tobytes()
        return self.windows[first][start - first : start - first + n]

    def count_message(self) -> None:
        """Count a message, and refuse very many of them."""
        self.n_messages += 1
        if self.n_messages > MAX_MESSAGES:
            raise self.bad(f"over {MAX_MESSAGES} messages in its headers")

    def bad(self, what: str) -> Exception:
        """What to raise for a block that is not what it must be."""
        return unreadable(self.file.path, f"damaged HDF5 ({what})")


def root_of(blocks: Blocks) -> int:
    """Check the superblock, and return the address of the root group's header."""
    head = blocks.file.read([(0, min(96, blocks.file.size))]).tobytes()
    if head[:8] != HDF5_MAGIC or len(head) < 96:
        raise unreadable(
            blocks.file.path, "not an HDF5 file (it does not begin with its signature)"
        )
    version = head[8]
    sizes = head[13:15] if version < 2 else head[9:11]
    if version > 3 or sizes != b"\x08\x08":
        what = f"superblock {version} with addresses of {sizes[0]} and {sizes[1]} bytes"
        raise unreadable(blocks.file.path, f"HDF5 with a {what} is not supported")
    at = {0: 24, 1: 28}.get(version, 12)
    (blocks.base,) = struct.unpack("<Q", head[at : at + 8])
    if version < 2:
        blocks.take(0, at + 32 + 40)
        return int(struct.unpack("<Q", head[at + 40 : at + 48])[0])
    blocks.take(0, 48)
    return int(struct.unpack("<Q", head[at + 24 : at + 32])[0])


def messages(blocks: Blocks, address: int) -> list[Message]:
    """All messages of an object header, continued ones too."""
    start = blocks.take(address, 16)
    if start[:4] == b"OHDR":
        return list(_new_messages(blocks, address, start))
    if start[0] != 1:
        raise blocks.bad(f"no object header at {address}")
    (n,) = struct.unpack("<I", start[8:12])
    pending, found = [(address + 16, n)], []
    seen: set[int] = set()
    while pending:
        at, n = pending.pop()
        if at in seen:
            raise blocks.bad("an object header that continues in itself")
        seen.add(at)
        data, i = blocks.take(at, n), 0
        while i + 8 <= len(data):
            kind, size = struct.unpack("<HH", data[i : i + 4])
            body = data[i + 8 : i + 8 + size]
            if len(body) != size:
                raise blocks.bad("a message that ends outside its header")
            if kind == CONTINUED and size >= 16:
                pending.append(struct.unpack("<QQ", body[:16]))
            blocks.count_message()
            found.append(Message(kind, body))
            i += 8 + size
    return found


def _new_messages(blocks: Blocks, address: int, start: bytes) -> Iterator[Message]:
    """Messages of a header of version 2."""
    flags, at = start[5], 6 + (16 if start[5] & 32 else 0) + (4 if start[5] & 16 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(blocks.take(address, at + width)[at:], "little")
    pending = [(address + at + width, size, 0)]
    seen: set[int] = set()
    while pending:
        where, n, skip = pending.pop()
        if where in seen:
            raise blocks.bad("an object header that continues in itself")
        seen.add(where)
        data, i = blocks.take(where, n + (4 if not skip else 0))[:n], skip
        head = 6 if flags & 4 else 4
        while i + head <= len(data) - skip:
            kind, size = struct.unpack("<BH", data[i : i + 3])
            body = data[i + head : i + head + size]
            if len(body) != size:
                raise blocks.bad("a message that ends outside its header")
            if kind == CONTINUED and size >= 16:
                pending.append((*struct.unpack("<QQ", body[:16]), 4))
            blocks.count_message()
            yield Message(kind, body)
            i += head + size


SPACE, LINK_INFO, TYPE, LINK, EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE, CONTINUED, TABLE = (
    1, 2, 3, 6, 7, 8, 11, 12, 16, 17,
)  # fmt: skip


def links(blocks: Blocks, found: list[Message]) -> Iterator[tuple[str, int]]:
    """Names in a group, and the address of the object that each names; soft links are left out."""
    for message in found:
        if message.kind == TABLE and len(message.data) >= 16:
            tree, heap = struct.unpack("<QQ", message.data[:16])
            yield from _symbols(blocks, tree, _heap(blocks, heap))
        elif message.kind == LINK:
            if (link := _link(blocks, message.data)) is not None:
                yield link
        elif message.kind == LINK_INFO:
            at = 10 if message.data[1] & 1 else 2
            if int.from_bytes(message.data[at : at + 8], "little") != NOWHERE:
                raise unreadable(blocks.file.path, f"HDF5 with a group {NEWER}")


def _link(blocks: Blocks, data: bytes) -> tuple[str, int] | None:
    if len(data) < 4 or data[0] != 1:
        raise blocks.bad("a link of an unknown version")
    flags, at = data[1], 2
    kind = data[at] if flags & 8 else 0
    at += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    n = int.from_bytes(data[at : at + width], "little")
    name = data[at + width : at + width + n]
    address = data[at + width + n : at + width + n + 8]
    if kind:
        return None
    if len(address) != 8:
        raise blocks.bad("a link without an address")
    return name.decode("utf-8", "surrogateescape"), int.from_bytes(address, "little")


def _heap(blocks: Blocks, address: int) -> bytes:
    """The names of a group."""
    head = blocks.take(address, 32)
    if head[:4] != b"HEAP":
        raise blocks.bad(f"no heap of names at {address}")
    size, _, data = struct.unpack("<QQQ", head[8:32])
    return blocks.take(data, size)


def _symbols(blocks: Blocks, tree: int, names: bytes) -> Iterator[tuple[str, int]]:
    """Entries of all symbol nodes below a tree."""
    for node in _leaves(blocks, tree, 0, 8):
        head = blocks.take(node, 8)
        (n,) = struct.unpack("<H", head[6:8])
        if head[:4] != b"SNOD":
            raise blocks.bad(f"no symbols at {node}")
        data = blocks.take(node, 8 + 40 * n)
        for i in range(n):
            at, address, cache = struct.unpack("<QQI", data[8 + 40 * i : 28 + 40 * i])
            end = names.find(b"\0", at, at + MAX_TEXT)
            if end < 0:
                raise blocks.bad("a name without an end")
            if cache != 2:  # a soft link has no object of its own
                yield names[at:end].decode("utf-8", "surrogateescape"), address


def _leaves(blocks: Blocks, tree: int, kind: int, key: int) -> Iterator[int]:
    """What the leaves of a tree point to; of a tree of chunks with their keys, see `chunks`."""
    for node, level, n in _nodes(blocks, tree, kind, key):
        data = blocks.take(node, 24 + (key + 8) * n + key)
        if not level:
            for i in range(n):
                start = 24 + key + i * (key + 8)
                yield int.from_bytes(data[start : start + 8], "little")


def _nodes(blocks: Blocks, tree: int, kind: int, key: int) -> Iterator[tuple[int, int, int]]:
    """All nodes of a tree: address, level, number of children."""
    pending, seen = [tree], set()
    while pending:
        node = pending.pop()
        if node in seen:
            raise blocks.bad("a tree that holds itself")
        seen.add(node)
        head = blocks.take(node, 24)
        if head[:4] != b"TREE" or head[4] != kind:
            raise blocks.bad(f"no tree at {node}")
        level, (n,) = head[5], struct.unpack("<H", head[6:8])
        yield node, level, n
        if level:
            data = blocks.take(node, 24 + (key + 8) * n + key)
            for i in reversed(range(n)):
                start = 24 + key + i * (key + 8)
                pending.append(int.from_bytes(data[start : start + 8], "little"))


class Chunk(NamedTuple):
    """One stored chunk: where in the set it begins, where in the file, and its bytes."""

    offsets: tuple[int, ...]
    address: int
    n_bytes: int
    left_out: int  # bits of the filters that were not applied


def chunks(blocks: Blocks, tree: int, rank: int) -> Iterator[Chunk]:
    """The stored chunks of a set of some dimensions."""
    key = 8 + 8 * (rank + 1)
    for node, level, n in _nodes(blocks, tree, 1, key):
        if level:
            continue
        data = blocks.take(node, 24 + (key + 8) * n + key)
        for i in range(n):
            start = 24 + i * (key + 8)
            size, mask = struct.unpack("<II", data[start : start + 8])
            offsets = struct.unpack(f"<{rank}Q", data[start + 8 : start + 8 + 8 * rank])
            (address,) = struct.unpack("<Q", data[start + key : start + key + 8])
            yield Chunk(offsets, address, size, mask)


def read_heap(blocks: Blocks, address: int) -> None:
    """Note a collection of texts of attributes, as far as texts stand in it."""
    head = blocks.take(address, 16)
    if head[:4] != b"GCOL":
        raise blocks.bad(f"no collection of texts at {shown(address)}")
    (size,) = struct.unpack("<Q", head[8:16])
    data, at = blocks.take(address, size), 16
    while at + 16 <= len(data):
        index, n = struct.unpack("<H6xQ", data[at : at + 16])
        if not index:
            break
        at += 16 + -(-n // 8) * 8
    free = data[min(at, len(data)) + 16 :]
    if free.strip(b"\0"):  # only texts are container
        blocks.read[blocks.base + address] = blocks.base + address + min(at, len(data))
