"""Protocol buffers without a schema: the fields of a message in a file, each checked to lie in it.

Long values are not read, only located, so that a file of any size costs its small fields. Reference
for the encoding: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from weightkin.sources.files import File
from weightkin.text import unreadable

MAX_FIELDS = 1 << 23  # of one file; a graph of 100,000 nodes has about 4 million
OF_MESSAGE = 6  # fields that a message costs as much time as, though it is empty
MAX_TEXT = 1 << 16  # bytes of a name
WINDOW = 1 << 12  # bytes read at a time
VARINT, FIXED64, SPAN, FIXED32 = 0, 1, 2, 5

Value = int | tuple[int, int]  # a number, or where the bytes begin and end


class Messages:
    """One file of messages within messages, read a window at a time."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.start = 0
        self.window = b""
        self.n_fields = 0

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, Value]]:
        """Number and value of each field of the message between two bytes."""
        at = start
        self.n_fields += OF_MESSAGE
        while at < stop:
            self.n_fields += 1
            if self.n_fields > MAX_FIELDS:
                raise unreadable(self.file.path, f"more than {MAX_FIELDS} fields")
            key, at = self._varint(at, stop)
            number, kind = key >> 3, key & 7
            value: Value
            if kind == VARINT:
                value, at = self._varint(at, stop)
            elif kind == SPAN:
                n, at = self._varint(at, stop)
                value, at = (at, at + n), at + n
            elif kind in (FIXED32, FIXED64):
                n = 4 if kind == FIXED32 else 8
                value, at = (at, at + n), at + n
            else:
                raise unreadable(self.file.path, f"not a protocol buffer (a field of type {kind})")
            if at > stop or not number:
                raise unreadable(self.file.path, f"a field ends outside its message (byte {stop})")
            yield number, value

    def text(self, value: Value) -> str:
        """Return a text of bounded length."""
        start, stop = self.span(value)
        if stop - start > MAX_TEXT:
            what = f"a text of {stop - start} bytes (at most {MAX_TEXT} allowed)"
            raise unreadable(self.file.path, what)
        return self._bytes(start, stop).decode("utf-8", "replace")

    def read(self, value: Value) -> bytes:
        """The bytes of a field, whose length the caller has looked at."""
        return self._bytes(*self.span(value))

    def span(self, value: Value) -> tuple[int, int]:
        """Where the bytes of a field are."""
        if isinstance(value, int):
            raise unreadable(self.file.path, "a number in place of a message")
        return value

    def number(self, value: Value) -> int:
        """Return a field that is a whole number, signed of 64 bits."""
        if not isinstance(value, int):
            raise unreadable(self.file.path, "bytes in place of a number")
        return value - (1 << 64) if value >> 63 else value

    def numbers(self, value: Value, most: int) -> list[int]:
        """Return whole numbers, one or several packed in one field."""
        if isinstance(value, int):
            return [self.number(value)]
        found = []
        at, stop = value
        while at < stop:
            n, at = self._varint(at, stop)
            found.append(n - (1 << 64) if n >> 63 else n)
            if len(found) > most:
                raise unreadable(self.file.path, f"more than {most} numbers in a field")
        return found

    def floats(self, value: Value, most: int) -> list[float]:
        """Return floats of 32 bits, one or several packed in one field."""
        start, stop = self.span(value)
        if (stop - start) % 4 or stop - start > 4 * most:
            what = f"{stop - start} bytes of floats, too many or not 4 bytes each"
            raise unreadable(self.file.path, what)
        return list(struct.unpack(f"<{(stop - start) // 4}f", self._bytes(start, stop)))

    def _varint(self, at: int, stop: int) -> tuple[int, int]:
        """A number of seven bits a byte, and the byte behind it."""
        number = 0
        for shift in range(0, 70, 7):
            if at >= stop:
                raise unreadable(self.file.path, f"truncated in a number at byte {at}")
            offset = at - self.start
            if not 0 <= offset < len(self.window):
                self._move(at)
                offset = 0
            byte = self.window[offset]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number & (1 << 64) - 1, at
        raise unreadable(self.file.path, "not a protocol buffer (a number of over ten bytes)")

    def _bytes(self, start: int, stop: int) -> bytes:
        first = start - self.start
        if first < 0 or first + stop - start > len(self.window):
            self._move(start, stop - start)
            first = 0
        return self.window[first : first + stop - start]

    def _move(self, at: int, n: int = 0) -> None:
        stop = min(self.file.size, at + max(n, WINDOW))
        if at + n > self.file.size or at >= stop:
            raise unreadable(self.file.path, f"truncated at byte {self.file.size}")
        self.window = self.file.read([(at, stop)]).tobytes()
        self.start = at
