"""Safetensors: eight bytes of header length, a JSON header, then the elements without holes.

The header is hostile until checked. The rules of layout are those of the reference library;
repeated keys, more than 32 dimensions and sizes beyond 64 bits are refused as well.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.formats.headers import check_empty, checked_name, checked_shape
from weightkin.formats.json_text import MAX_BYTES, parse_object
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

MAX_HEADER = MAX_BYTES


def read_safetensors(file: File) -> Contents:
    """Tensors that a safetensors file declares, each with its place in the file."""
    header, base = _header(file)
    raw = file.read([(0, base)]).tobytes()
    contents = Contents(headers=(hashlib.sha256(raw).hexdigest(),))
    contents.claims.append(Claim(file, [(0, base)], "container"))
    taken: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name == "__metadata__":
            contents.metadata = _checked_metadata(file, entry)
            continue
        where = located(file.path, checked_name(file.path, name))
        dtype, shape, begin, end = _checked_entry(where, entry)
        taken.append((begin, end, name))
        if dtype not in NUMPY:
            span = [(base + begin, base + end)]
            contents.claims.append(Claim(file, span, "unread", "tensor-unread"))
            contents.problems.append(Problem(shown(name), f"dtype {dtype} is not supported"))
            continue
        contents.tensors[name] = TensorInfo(name, dtype, shape, end - begin)
        contents.places[name] = TensorLocation(file, NUMPY[dtype], base + begin, shape)
    _check_layout(file, taken, file.size - base)
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    return contents


def read_json(
    file: File, what: str, start: int, stop: int, *, is_hint: bool = False
) -> dict[str, Any]:
    """Parse a piece of a file as one JSON object without repeated keys.

    Parameters
    ----------
    file : File
        The file.
    what : str
        What the text is, for messages.
    start, stop : int
        First byte of the text, and the one behind its last.
    is_hint : bool
        Nothing rests on it; see `parse`.

    Returns
    -------
    dict
        The object.
    """
    raw = file.read([(start, stop)]).tobytes()
    return parse_object(raw, file.path, what, is_hint=is_hint)


def _header(file: File) -> tuple[dict[str, Any], int]:
    """Parse the header; the second value is the byte at which the elements begin."""
    if file.size < 8:
        raise unreadable(file.path, f"not a safetensors file ({file.size} bytes)")
    length = int.from_bytes(file.read([(0, 8)]).tobytes(), "little")
    if length > MAX_HEADER:
        said = f"the header claims {length:.1e} bytes, at most {MAX_HEADER:,} are allowed"
        raise unreadable(file.path, f"not a safetensors file ({said})")
    if 8 + length > file.size:
        said = f"the header claims {length} bytes, the file has {file.size}"
        raise unreadable(file.path, f"truncated, or not a safetensors file ({said})")
    return read_json(file, "header", 8, 8 + length), 8 + length


def _checked_metadata(file: File, entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise unreadable(file.path, "__metadata__ is not an object of texts")
    return entry


def _checked_entry(where: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    """Dtype, shape, begin and end of one tensor, if they fit together."""
    if not isinstance(entry, dict):
        raise unreadable(where, f"its entry in the header is {quoted(entry)}, not an object")
    dtype, offsets = entry.get("dtype"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise unreadable(where, f"unknown dtype {quoted(dtype)}")
    shape = checked_shape(where, entry.get("shape"))
    match offsets:
        case [int(begin), int(end)] if 0 <= begin <= end and bool not in map(type, offsets):
            pass
        case _:
            raise unreadable(where, "data_offsets are not two ascending integers")
    n_bits = BITS[dtype] * math.prod(shape)
    if n_bits != 8 * (end - begin):
        needed = f"{-(-n_bits // 8)} ({dtype} of shape {shown(shape)})"
        raise unreadable(where, f"{quoted(end - begin)} bytes, not {needed}")
    return dtype, shape, begin, end


def _check_layout(file: File, taken: list[tuple[int, int, str]], n_bytes: int) -> None:
    """Refuse tensors that overlap, leave holes, end outside the file or before its end."""
    expected = 0
    for begin, end, name in sorted(taken):
        if begin != expected:
            what = "overlaps" if begin < expected else "leaves a hole after"
            said = f"its data begins at {quoted(begin)}, not {quoted(expected)}"
            raise unreadable(located(file.path, name), f"{what} the tensor before it ({said})")
        expected = end
    if expected != n_bytes:
        what = "truncated" if n_bytes < expected else "bytes after the last tensor"
        raise unreadable(file.path, f"{what} ({n_bytes} bytes of data, not {quoted(expected)})")
