"""Families as files: one compressed file for each, and one archive for a half.

A family is stored as what its members hold, bit for bit, so that any version can sketch it. Values
are whole numbers in the order of the floats; each tensor is kept as its difference from the most
similar one of an earlier member, bytes of equal weight together, which is what makes it small.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

DTYPES: dict[str, Any] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]
SUFFIX = ".xz"
Tensors = dict[str, npt.NDArray[Any]]
Words = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of one member that is not hidden."""

    config: dict[str, Any]
    tensors: Tensors


@dataclass(frozen=True, slots=True)
class KeptFamily:
    """The truth about a family, losses of its trainings, and the members that can be seen."""

    truth: dict[str, Any]
    losses: dict[str, list[float]]
    members: dict[str, Kept]


def encode(family: KeptFamily) -> bytes:
    """The file of a family, a function of the family alone."""
    seen: dict[tuple[str, tuple[int, ...], str], list[tuple[int, Words]]] = {}
    header: list[dict[str, Any]] = []
    planes: list[list[bytes]] = [[], [], [], []]
    for number, (name, kept) in enumerate(family.members.items()):
        tensors = []
        for key, x in kept.tensors.items():
            dtype = x.dtype.name
            words = _ordered(x)
            earlier = seen.setdefault((key, x.shape, dtype), [])
            against, difference = _nearest(words, earlier)
            tensors.append([key, list(x.shape), dtype, against])
            for k, plane in enumerate(_planes(difference)):
                planes[k].append(plane)
            earlier.append((number, words))
        header.append({"name": name, "config": kept.config, "tensors": tensors})
    said = {"truth": family.truth, "losses": family.losses, "members": header}
    text = json.dumps(said, separators=(",", ":")).encode()
    body = b"".join(b"".join(plane) for plane in planes)
    whole = len(text).to_bytes(8, "little") + text + body
    return lzma.compress(whole, format=lzma.FORMAT_XZ, filters=FILTERS)


def decode(data: bytes) -> KeptFamily:
    """Read the file of a family back."""
    whole = lzma.decompress(data)
    start = 8 + int.from_bytes(whole[:8], "little")
    said = json.loads(whole[8:start])
    entries = [(m, *t) for m in said["members"] for t in m["tensors"]]
    counts = [int(np.prod(shape)) for _, _, shape, _, _ in entries]
    sizes = [DTYPES[dtype].itemsize for _, _, _, dtype, _ in entries]
    begins = _begins(counts, sizes)
    numbers = {m["name"]: i for i, m in enumerate(said["members"])}
    done: dict[tuple[int, str], Words] = {}
    members = {m["name"]: Kept(m["config"], {}) for m in said["members"]}
    body = np.frombuffer(whole, dtype=np.uint8, offset=start)
    for i, (member, key, shape, dtype, against) in enumerate(entries):
        n, size = counts[i], sizes[i]
        cut = [body[begins[k][i] : begins[k][i] + n] for k in range(size)]
        words = _from_planes(cut)
        if against >= 0:
            words = _unfolded(words) + done[against, key]
        done[numbers[member["name"]], key] = words
        members[member["name"]].tensors[key] = _values(words, dtype).reshape(shape)
    return KeptFamily(said["truth"], said["losses"], members)


def _begins(counts: list[int], sizes: list[int]) -> list[list[int]]:
    """Where each tensor begins in each plane, over the planes one after the other."""
    begins, at = [], 0
    for k in range(4):
        row = []
        for n, size in zip(counts, sizes, strict=True):
            row.append(at)
            at += n if k < size else 0
        begins.append(row)
    return begins


def _ordered(x: npt.NDArray[Any]) -> Words:
    """Bits of floats as whole numbers that ascend with them."""
    kind = np.dtype(f"u{x.dtype.itemsize}")
    bits = np.ascontiguousarray(x).reshape(-1).view(kind)
    top = kind.type(1 << (8 * kind.itemsize - 1))
    return np.where(bits & top, ~bits, bits | top)


def _values(words: Words, dtype: str) -> npt.NDArray[Any]:
    top = words.dtype.type(1 << (8 * words.itemsize - 1))
    return np.where(words & top, words ^ top, ~words).view(DTYPES[dtype])


def _nearest(words: Words, earlier: list[tuple[int, Words]]) -> tuple[int, Words]:
    """The tensor as it is, or its difference from the earlier one that leaves the fewest bits."""
    best, found, least = -1, words, np.inf
    for number, other in earlier:
        difference = _folded(words - other)
        cost = float(np.log2(difference.astype(np.float64) + 1).sum())
        if cost < least:
            best, found, least = number, difference, cost
    return best, found


def _folded(difference: Words) -> Words:
    """Small differences of either sign as small numbers."""
    signed = difference.view(np.dtype(f"i{difference.itemsize}"))
    return ((signed << 1) ^ (signed >> (8 * difference.itemsize - 1))).view(difference.dtype)


def _unfolded(words: Words) -> Words:
    one = words.dtype.type(1)
    return (words >> one) ^ (~(words & one) + one)


def _planes(words: Words) -> list[bytes]:
    """Bytes of equal weight together, the lowest first."""
    raw = words.view(np.uint8).reshape(len(words), words.itemsize)
    return [raw[:, k].tobytes() for k in range(words.itemsize)]


def _from_planes(planes: list[npt.NDArray[np.uint8]]) -> Words:
    return np.ascontiguousarray(np.stack(planes, axis=1)).view(f"u{len(planes)}").reshape(-1)


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Many files as one, with nothing in it but names and contents."""
    draft = path.with_suffix(".draft")
    with tarfile.open(draft, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            archive.addfile(info, io.BytesIO(files[name]))
    draft.replace(path)


def read_half(path: Path) -> Iterator[KeptFamily]:
    """All families of an archive, or of a folder that is still growing, by seed."""
    if path.is_dir():
        for file in sorted(path.glob(f"*{SUFFIX}")):
            yield decode(file.read_bytes())
        return
    with tarfile.open(path) as archive:
        for info in archive:
            file = archive.extractfile(info)
            if file is not None:
                yield decode(file.read())
