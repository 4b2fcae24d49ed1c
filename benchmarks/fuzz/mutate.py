"""One change of a valid file, made where its structure is; what no parser here knows is bytes.

`mutated` looks at what a text of bytes is (a zip, a pickle, JSON, a safetensors file, a protocol
buffer, a text), takes it apart, changes one piece, which may have a structure of its own, and puts
it together again so that what is around it stays valid.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from benchmarks.fuzz import json_changes, packages, values

Change = Callable[[bytes, random.Random], bytes]
DEEPEST = 4  # structures inside each other
COUNTED = ("<B", "<H", "<I", "<Q")
MOST = 1 << 20  # bytes of a mutant


def mutated(raw: bytes, rng: random.Random, depth: int = 0) -> bytes:
    """The bytes with one change."""
    changes: list[Change] = [_bytes, _cut]
    if depth < DEEPEST:
        changes += _fitting(raw, lambda inner, r: mutated(inner, r, depth + 1)) * 8
    return rng.choice(changes)(raw, rng)[:MOST]


def _fitting(raw: bytes, inner: Change) -> list[Change]:
    """Changes by the structures that the bytes have."""
    found: list[Change] = []
    if raw[:4] == b"PK\x03\x04":
        found.append(lambda x, rng: packages.zip_changed(x, rng, inner))
    if raw[:1] == b"\x80" and packages.pickles(raw):
        found.append(packages.pickle_changed)
    if raw.lstrip()[:1] in (b"{", b"[") and json_changes.is_json(raw):
        found.append(json_changes.changed)
    if raw[8:9] == b"{" and raw[4:8] == b"\0\0\0\0":
        found.append(lambda x, rng: packages.safetensors_changed(x, rng, elements_changed))
    if not found and len(raw) > 1 and (fields := packages.fields_of(raw)):
        found.append(lambda _, rng: packages.protobuf_changed(fields, rng, inner))
    if not found and _is_text(raw):
        found.append(_text)
    if not found:
        found += [_counted, _number, elements_changed]
    return found


def _is_text(raw: bytes) -> bool:
    try:
        return all(x.isprintable() or x in "\n\r\t" for x in raw[:4096].decode())
    except UnicodeDecodeError:
        return False


def _text(raw: bytes, rng: random.Random) -> bytes:
    """One line changed, dropped, moved or repeated."""
    lines = raw.decode("utf-8", "replace").split("\n")
    at = rng.randrange(len(lines))
    way = rng.randrange(5)
    if way == 0:
        lines[at] = rng.choice(lines)
    elif way == 1:
        lines.insert(at, rng.choice(lines))
    elif way == 2:
        del lines[at]
    else:
        lines[at] = values.text(rng, lines[at])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _bytes(raw: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, dropped, repeated or put in."""
    at = rng.randrange(len(raw) + 1)
    n = rng.choice((1, 1, 2, 4, 8, 64))
    way = rng.randrange(5)
    if way == 0:
        return raw[:at] + raw[at + n :]
    if way == 1:
        return raw[:at] + raw[at : at + n] * rng.choice((2, 3, 1000)) + raw[at + n :]
    if way == 2:
        return raw[:at] + rng.randbytes(n) + raw[at:]
    if way == 3:
        return raw + rng.choice((raw, b"\0" * n, rng.randbytes(n)))
    new = bytearray(raw)
    for _ in range(n if new else 0):
        new[rng.randrange(len(new))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(new)


def elements_changed(raw: bytes, rng: random.Random) -> bytes:
    """A run of elements, or all of them, replaced by one odd number."""
    odd = rng.choice(values.FLOATS)
    n = len(raw) // len(odd)
    first = rng.randrange(n + 1)
    count = rng.choice((1, 2, 16, 64, 512, n))
    start, stop = first * len(odd), min(n, first + count) * len(odd)
    return raw[:start] + odd * ((stop - start) // len(odd)) + raw[stop:]


def _counted(raw: bytes, rng: random.Random) -> bytes:
    """A text behind its length, in any of the usual widths, and the length that fits."""
    for _ in range(400):
        at = rng.randrange(max(1, len(raw) - 9))
        form = rng.choice(COUNTED)
        start = at + struct.calcsize(form)
        n = int.from_bytes(raw[at:start], "little")
        old = raw[start : start + n]
        if 1 < n < 4096 and len(old) == n and old.isascii() and old.decode().isprintable():
            new = values.text(rng, old.decode()).encode("utf-8", "surrogatepass")
            length = len(new) if rng.random() < 0.9 else values.integer(rng, n)
            width = struct.calcsize(form)
            written = (length & (1 << 8 * width) - 1).to_bytes(width, "little")
            return raw[:at] + written + new + raw[start + n :]
    return _bytes(raw, rng)


def _number(raw: bytes, rng: random.Random) -> bytes:
    """A small whole number of four or eight bytes, replaced by another."""
    for _ in range(400):
        width = rng.choice((4, 8))
        at = rng.randrange(max(1, len(raw) - width))
        old = int.from_bytes(raw[at : at + width], "little")
        if 0 < old < 1 << 16:
            new = values.integer(rng, old) & (1 << 8 * width) - 1
            return raw[:at] + new.to_bytes(width, "little") + raw[at + width :]
    return _bytes(raw, rng)
