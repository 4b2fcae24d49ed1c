"""Arrays of numpy: one in ``.npy``, several in the zip archive ``.npz``, compressed or not.

A header of text, then the elements. Arrays of objects are pickles and are refused. Numbers of two
bytes without a type (``V2``) are bfloat16, which numpy itself cannot name.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from weightkin.formats.dtypes import NUMPY
from weightkin.formats.headers import check_empty, checked_name, checked_shape
from weightkin.formats.model import BATCH, Problem, TensorInfo
from weightkin.formats.module_names import in_torch_names
from weightkin.formats.pieces import STORED, Inflated, Turned, behind_stream
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.zip_archive import framing_claims, open_archive
from weightkin.sources.files import File, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

NPY_MAGIC = b"\x93NUMPY"
SUFFIX = ".npy"
MAX_HEADER = 4000  # bytes; without records of several numbers they have about 120
MOST_UNPACKED = 64  # times the compressed bytes of a file, beyond the first 16 MB
ALLOWED_UNPACKED = 1 << 24
_HEADER = re.compile(
    rb"\{'descr': ('[^'\\]*'|.*), 'fortran_order': (True|False), "
    rb"'shape': \(([0-9L, ]*)\),? *\} *\n",
    re.DOTALL,
)
TYPES = {dtype.str: name for name, dtype in NUMPY.items() if dtype.kind in "biuf"}
TYPES |= {"<V2": "BF16", "|V2": "BF16"}


class Header(NamedTuple):
    """What a header says: bytes before the elements, their type, shape and order."""

    n_bytes: int
    dtype: str  # of safetensors, or what the header says
    shape: tuple[int, ...]
    is_by_columns: bool


def read_npy(file: File) -> Contents:
    """The one array of a file, under the name of the file."""
    start = file.read([(0, min(file.size, MAX_HEADER + 12))]).tobytes()
    contents, name = Contents(), checked_name(file.path, PurePath(file.path).stem)
    header = _header(located(file.path), start)
    _add(contents, name, header, TensorLocation(file, np.dtype("u1"), 0, (file.size,)))
    contents.claims.append(Claim(file, [(0, header.n_bytes)], "container"))
    return contents


def read_npz(file: File) -> Contents:
    """All arrays of an archive, under the names of its entries."""
    archive = open_archive(file)
    contents = Contents(claims=framing_claims(archive))
    unpacked = stored = 0
    for name, info in archive.entries.items():
        _, (start, stop) = archive.framing(name)
        if not name.lower().endswith(SUFFIX):
            contents.problems.append(Problem(shown(name), "not an array of numpy, not read"))
            continue
        plain = checked_name(file.path, name[: -len(SUFFIX)])
        where = located(file.path, plain)
        if info.flag_bits & 1 or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            contents.problems.append(
                Problem(shown(plain), "encrypted, or compressed in a rare way")
            )
            continue
        stored += stop - start
        if stored > file.size:
            raise unreadable(file.path, "its entries overlap")
        raw = file.read([(start, min(stop, start + MAX_HEADER + 12))]).tobytes()
        place = TensorLocation(file, np.dtype("u1"), start, (stop - start,))
        if info.compress_type == zipfile.ZIP_STORED:
            header = _header(where, raw)
            _add(contents, plain, header, place)
            contents.claims.append(Claim(file, [(start, start + header.n_bytes)], "container"))
            continue
        unpacked += info.file_size
        if unpacked > ALLOWED_UNPACKED + MOST_UNPACKED * file.size:
            what = f"refused: unpacked, it is over {MOST_UNPACKED} times as large"
            raise unreadable(file.path, what)
        header = _header(where, _begun(where, raw))
        _add_packed(contents, plain, header, place, info.file_size)
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    return in_torch_names(contents)


def _header(where: str, raw: bytes) -> Header:
    """Parse the header of one array, without evaluating anything."""
    if raw[:6] != NPY_MAGIC or raw[6:7] not in (b"\1", b"\2", b"\3"):
        raise unreadable(where, "not an array of numpy (versions 1 to 3)")
    width = 2 if raw[6] == 1 else 4
    base = 8 + width
    n = int.from_bytes(raw[8:base], "little")
    found = _HEADER.fullmatch(raw[base : base + n])
    if n > MAX_HEADER or base + n > len(raw) or found is None:
        raise unreadable(where, "its header is not that of an array of numpy")
    descr, order, sizes = found[1], found[2], found[3].decode("ascii")
    numbers = [int(x[:20]) for x in sizes.replace("L", "").replace(" ", "").split(",") if x]
    shape = checked_shape(where, numbers)
    text = descr.decode("latin-1").strip("'")
    return Header(base + n, TYPES.get(text, text), shape, order == b"True" and len(shape) > 1)


def _begun(where: str, raw: bytes) -> bytes:
    """The first bytes of a compressed entry."""
    try:
        return zlib.decompressobj(-15).decompress(raw, MAX_HEADER + 12)
    except zlib.error as error:
        raise unreadable(where, f"damaged ({shown(error)})") from None


def _why_not(header: Header) -> str:
    if header.dtype in NUMPY:
        return ""
    if "O" in header.dtype:
        return "an array of objects, which is a pickle"
    return f"type {quoted(header.dtype)} is not supported"


def _add(contents: Contents, name: str, header: Header, stored: TensorLocation) -> None:
    """An array whose elements lie in the file as they are."""
    where = located(stored.file.path, name)
    if why := _why_not(header):
        contents.problems.append(Problem(shown(name), why))
        return
    dtype = NUMPY[header.dtype]
    n_bytes = math.prod(header.shape) * dtype.itemsize
    if header.n_bytes + n_bytes > stored.shape[0]:
        raise unreadable(where, f"truncated ({stored.shape[0]} bytes, {n_bytes} needed)")
    strides: tuple[int, ...] = ()
    if header.is_by_columns:
        strides = tuple(math.prod(header.shape[:i]) for i in range(len(header.shape)))
    at = stored.offset + header.n_bytes
    contents.tensors[name] = TensorInfo(name, header.dtype, header.shape, n_bytes)
    contents.places[name] = TensorLocation(stored.file, dtype, at, header.shape, strides)


def _add_packed(
    contents: Contents, name: str, header: Header, stored: TensorLocation, n_unpacked: int
) -> None:
    """An array whose entry is compressed."""
    why = _why_not(header)
    if header.is_by_columns and (len(header.shape) > 2 or math.prod(header.shape) > BATCH):
        why = why or "compressed by columns, which is not read (save it without compression)"
    if why:
        contents.problems.append(Problem(shown(name), why))
        return
    dtype = NUMPY[header.dtype]
    n_bytes = math.prod(header.shape) * dtype.itemsize
    if header.n_bytes + n_bytes != n_unpacked:
        where = located(stored.file.path, name)
        raise unreadable(where, f"{n_unpacked} bytes when unpacked, not {header.n_bytes + n_bytes}")
    packed = STORED + name
    contents.tensors[name] = TensorInfo(name, header.dtype, header.shape, n_bytes)
    contents.places[packed] = stored
    n_stored = stored.shape[0]
    by_rows = header.shape[::-1] if header.is_by_columns else header.shape
    inflated = Inflated(by_rows, dtype, packed, n_stored, header.n_bytes)
    contents.recipes[name] = Turned(header.shape, inflated) if header.is_by_columns else inflated
    spans = [(stored.offset, stored.offset + n_stored)]
    narrow = partial(behind_stream, n_unpacked=n_unpacked)
    claim = Claim(stored.file, spans, "unread", "behind-values", narrow=narrow)
    contents.claims.append(claim)
