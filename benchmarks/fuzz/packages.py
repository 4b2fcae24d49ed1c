"""Changes of what packs other things: zips, pickles, protocol buffers and safetensors files."""

from __future__ import annotations

import io
import json
import pickletools
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

from benchmarks.fuzz import json_changes, values

Change = Callable[[bytes, random.Random], bytes]
Field = tuple[int, int, int | bytes]  # number, kind of wire, value
INSTRUCTIONS = (  # whole ones, put between those of a pickle
    *(b"N", b"(", b"}", b"]", b")", b"0", b"1", b"2", b"e", b"s", b"u", b"t", b"R", b"b", b"a"),
    *(b"Q", b"\x81", b"\x85", b"\x86", b"\x87", b"\x88", b"\x93", b"\x94", b"\x8f", b"\x90"),
    *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nSize\n", b"ccollections\nOrderedDict\n"),
    *(b"h\x00", b"h\x01", b"j\xff\xff\xff\x7f", b"q\x00", b"\x95" + b"\xff" * 8, b"\x82\x01"),
    *(b"B\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"I" + b"9" * 5000 + b"\n", b"F1e999\n"),
    *(b"\x8a\xff" + b"\x7f" * 255, b"\x96" + b"\xff" * 8, b"V\\ud800\n", b"P1\n", b"I01\n", b"."),
)
VARINT, FIXED64, SPAN, FIXED32 = 0, 1, 2, 5
REPEATS = (2, 3, 2000)


def zip_changed(raw: bytes, rng: random.Random, inner: Change) -> bytes:
    """One entry changed, dropped, repeated, renamed or compressed, and a new archive of all."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = [(x.filename, archive.read(x)) for x in archive.infolist()]
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        EOFError,
        struct.error,
        zlib.error,
    ):
        return inner(raw[:-1], rng)
    at = rng.randrange(len(entries) or 1)
    name, data = entries[at] if entries else ("x", b"x")
    way = rng.randrange(10)
    new = [(name, data)]
    if way == 0:
        new = []
    elif way == 1:
        new = [(values.text(rng, name)[:60_000], data)]
    elif way == 2:
        new = [(name, data), (rng.choice((name, f"{name}x", "../x")), data)]
    elif way > 3:
        new = [(name, inner(data, rng))]
    entries[at : at + 1] = new
    kind = zipfile.ZIP_DEFLATED if way == 3 else zipfile.ZIP_STORED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names given twice
        for key, value in entries:
            archive.writestr(zipfile.ZipInfo(key.encode("utf-8", "replace").decode()), value, kind)
    return out.getvalue()


def pickles(raw: bytes) -> list[list[bytes]]:
    """Instructions of the pickles that follow each other; what is behind them is one more list."""
    found: list[list[bytes]] = []
    at = 0
    while raw[at : at + 1] == b"\x80":
        try:
            starts = [x for _, _, x in pickletools.genops(raw[at:]) if x is not None]
        except (ValueError, IndexError, UnicodeDecodeError, struct.error, OverflowError):
            break
        stop = starts[-1] + 1
        ends = [*starts[1:], stop]
        found.append([raw[at + a : at + b] for a, b in zip(starts, ends, strict=True)])
        at += stop
    return [*found, [raw[at:]]] if found else []


def pickle_changed(raw: bytes, rng: random.Random) -> bytes:
    """One instruction dropped, repeated, moved, put in, or given another number or text."""
    programs = pickles(raw)
    program = rng.choice(programs)
    at = rng.randrange(len(program))
    way = rng.randrange(8)
    if way == 0:
        del program[at]
    elif way == 1:
        program[at:at] = [program[at]] * rng.choice(REPEATS)
    elif way == 2:
        program[at] = rng.choice(program)
    elif way == 3:
        program.insert(at, rng.choice(INSTRUCTIONS))
    else:
        known = [i for i, x in enumerate(program) if x[:1] in b"KMJX\x8cc" and len(x) > 1]
        at = rng.choice(known) if known else at
        program[at] = _instruction(program[at], rng)
    return b"".join(x for one in programs for x in one)


def _instruction(old: bytes, rng: random.Random) -> bytes:
    """A number or a text, changed."""
    if old[:1] in (b"K", b"M", b"J"):
        new = values.integer(rng, int.from_bytes(old[1:], "little"))
        long = new.to_bytes(new.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(long)]) + long
    if old[:1] == b"c":
        return rng.choice((b"cos\nsystem\n", b"ctorch._utils\n_rebuild_parameter\n", b"c\n\n",
                           b"ctorch\nIntStorage\n", b"cbuiltins\n__import__\n"))  # fmt: skip
    if old[:1] in (b"X", b"\x8c"):
        start = 5 if old[:1] == b"X" else 2
        new_text = values.text(rng, old[start:].decode("utf-8", "replace"))
        data = new_text.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(data)) + data
    return old + rng.randbytes(1)


def safetensors_changed(raw: bytes, rng: random.Random, inner: Change) -> bytes:
    """The header changed as JSON, tensors put behind the last one, or elements changed."""
    n = int.from_bytes(raw[:8], "little")
    text, data = raw[8 : 8 + n], raw[8 + n :]
    if not json_changes.is_json(text):
        return raw[: rng.randrange(len(raw) + 1)]
    header = json.loads(text)
    if rng.random() < 0.3:
        return raw[: 8 + n] + inner(data, rng)
    if rng.random() < 0.2 and isinstance(header, dict):
        many, at = rng.choice((1, 1, 30, 3000)), len(data)
        name = rng.choice((*values.TEXTS, values.SURROGATE, *header))
        dtype, width = rng.choice((("F32", 4), ("U8", 1), ("BF16", 2), ("I32", 4), ("F64", 8)))
        shape = rng.choice(([], [1], [2, 2], [0, 3], [1] * 33, [4, 1, 1]))
        size = width * (4 if 4 in shape or 2 in shape else 0 if 0 in shape else 1)
        for i in range(many):
            entry = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            header[name.replace("0", str(i)) if i else name] = entry
            at += size
        text, data = json_changes.written(header), data + bytes(at - len(data))
    elif rng.random() < 0.9:
        text = json_changes.changed(text, rng)
    else:
        return struct.pack("<Q", values.integer(rng, n) & (1 << 64) - 1) + raw[8:]
    return struct.pack("<Q", len(text)) + text + data


def fields_of(raw: bytes) -> list[Field]:
    """The fields of a message; none if the bytes are no message."""
    found: list[Field] = []
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        number, kind = key >> 3, key & 7
        if at < 0 or not 0 < number < 1 << 16 or kind not in (VARINT, FIXED64, SPAN, FIXED32):
            return []
        if kind == VARINT:
            value, at = _varint(raw, at)
            if at < 0:
                return []
            found.append((number, kind, value))
            continue
        n, at = _varint(raw, at) if kind == SPAN else (8 if kind == FIXED64 else 4, at)
        if at < 0 or at + n > len(raw):
            return []
        found.append((number, kind, raw[at : at + n]))
        at += n
    return found


def protobuf_changed(fields: list[Field], rng: random.Random, inner: Change) -> bytes:
    """One field dropped, repeated, moved, or with another number or value."""
    at = rng.randrange(len(fields))
    number, kind, value = fields[at]
    way = rng.randrange(10)
    if way == 0:
        new: list[Field] = []
    elif way == 1:
        new = [fields[at]] * rng.choice(REPEATS if len(fields) < 1000 else REPEATS[:2])
    elif way == 2:
        new = [rng.choice(fields)]
    elif way == 3:
        new = [(rng.choice((number + 1, max(1, number - 1), rng.randrange(1, 30))), kind, value)]
    elif isinstance(value, int):
        new = [(number, kind, values.integer(rng, value) & (1 << 64) - 1)]
    else:
        new = [(number, kind, inner(value, rng))]
    return b"".join(map(_field, [*fields[:at], *new, *fields[at + 1 :]]))


def _field(field: Field) -> bytes:
    number, kind, value = field
    if isinstance(value, int):
        return _number(number << 3 | kind) + _number(value)
    return _number(number << 3 | kind) + (_number(len(value)) if kind == SPAN else b"") + value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number and where the next thing begins; -1 where it does not end."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            return 0, -1
        value |= (raw[at] & 127) << shift
        at += 1
        if raw[at - 1] < 128:
            return value, at
    return 0, -1


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])
