"""The header of a GGUF file, read from its beginning a window at a time; hostile until checked."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from weightkin.formats.headers import checked_name, checked_shape
from weightkin.sources.files import File, Spans, Window
from weightkin.text import located, unreadable

MAX_HEADER = 1 << 28  # bytes of metadata and table; tokenisers take tens of millions
MAX_ITEMS = 1 << 24  # numbers of an array
MAX_TEXTS = 1 << 21  # texts of all arrays; tokenisers have hundreds of thousands
MAX_TEXT = 1 << 16  # bytes of a text that is kept
MAX_LISTED = 1 << 14  # numbers in arrays of one file that describe no tokens
MAX_CHARSMAP = 1 << 20  # bytes of the table by which a tokeniser writes characters in one way
TOKENIZER = "tokenizer."  # before facts about tokens
TOKENS, CHARSMAP = "tokenizer.ggml.tokens", "tokenizer.ggml.precompiled_charsmap"
OF_TOKENS = ("tokenizer.ggml.scores", "tokenizer.ggml.token_type")  # a number for each
WINDOW = 1 << 16  # bytes read at a time
_SCALARS = dict(enumerate(("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"))) | {
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _ARRAY = 8, 9


class _Array(NamedTuple):
    """An array of the metadata: how many values; bytes where they are numbers, and the first."""

    n: int
    n_bytes: int
    start: int


class Cursor:
    """Reads a header from its beginning, a window at a time."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.at = 0
        self.window = Window(file, WINDOW)
        self.texts = 0  # in arrays, passed over so far
        self.arrays: dict[str, _Array] = {}
        self.of_tokens: list[tuple[int, int]] = []  # bytes of the arrays of a tokeniser

    def take(self, n: int) -> bytes:
        """Return the next bytes."""
        if self.at + n > min(self.file.size, MAX_HEADER):
            is_cut = self.at + n > self.file.size
            what = "truncated in the header" if is_cut else f"a header of over {MAX_HEADER} bytes"
            raise unreadable(self.file.path, what)
        taken = self.window.bytes_at(self.at, n)
        self.at += n
        return taken

    def skip(self, n: int) -> None:
        """Leave bytes unread."""
        if self.at + n > min(self.file.size, MAX_HEADER):
            raise unreadable(self.file.path, f"a metadata value of {n} bytes exceeds the header")
        self.at += n

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Numbers by a `struct` format."""
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def text(self) -> str:
        """Return a text of bounded length."""
        (n,) = self.numbers("<Q")
        if n > MAX_TEXT:
            raise unreadable(self.file.path, f"a name of {n} bytes (at most {MAX_TEXT} allowed)")
        return self.take(n).decode("utf-8", "replace")

    def others(self) -> Spans:
        """All bytes so far but those that describe tokens."""
        bounds = [0, *(at for span in self.of_tokens for at in span), self.at]
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    def unknown(self) -> tuple[int, Spans]:
        """Numbers of arrays that may be something else than facts about tokens and layers."""
        n_tokens = self.arrays[TOKENS].n if TOKENS in self.arrays else 0
        listed: list[_Array] = []
        for key, x in self.arrays.items():
            is_known = key == TOKENS or (key == CHARSMAP and x.n_bytes <= MAX_CHARSMAP)
            if x.n_bytes and not is_known and not (key in OF_TOKENS and x.n <= n_tokens):
                listed.append(x)
        n = sum(x.n for x in listed)
        return (n, [(x.start, x.start + x.n_bytes) for x in listed]) if n > MAX_LISTED else (0, [])

    def fact(self) -> tuple[str, Any]:
        """Return a key and its value."""
        key = self.text()
        begin = self.at
        value = self.value(key, *self.numbers("<I"))
        if key.startswith(TOKENIZER):
            self.of_tokens.append((begin, self.at))
        return key, value

    def value(self, key: str, kind: int) -> Any:
        """Return a value; arrays and long texts are passed over and become None."""
        if kind in _SCALARS:
            return self.numbers(_SCALARS[kind])[0]
        if kind == _TEXT:
            (n,) = self.numbers("<Q")
            if n <= MAX_TEXT:
                return self.take(n).decode("utf-8", "replace")
            self.skip(n)
            return None
        if kind != _ARRAY:
            raise unreadable(self.file.path, f"a metadata value of unknown type {kind}")
        inner, n = self.numbers("<IQ")
        if n > MAX_ITEMS or inner == _ARRAY:
            what = f"an array of {n} values of type {inner}, nested or too long"
            raise unreadable(self.file.path, what)
        n_bytes = n * struct.calcsize(_SCALARS[inner]) if inner in _SCALARS else 0
        self.arrays[key] = _Array(n, n_bytes, self.at)
        if inner in _SCALARS:
            self.skip(n_bytes)
            return None
        if inner != _TEXT:
            raise unreadable(self.file.path, f"metadata values of unknown type {inner}")
        self.texts += n
        if self.texts > MAX_TEXTS:
            what = f"too many texts in arrays ({self.texts}, at most {MAX_TEXTS})"
            raise unreadable(self.file.path, what)
        for _ in range(n):
            self.skip(int.from_bytes(self.take(8), "little"))
        return None

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape with rows first, type and offset of one tensor."""
        name = checked_name(self.file.path, self.text())
        (n_dimensions,) = self.numbers("<I")
        if n_dimensions > 4:
            what = f"too many dimensions ({n_dimensions}, at most 4)"
            raise unreadable(located(self.file.path, name), what)
        sizes = self.numbers(f"<{n_dimensions}Q")
        kind, offset = self.numbers("<IQ")
        return name, checked_shape(located(self.file.path, name), sizes[::-1]), kind, offset
