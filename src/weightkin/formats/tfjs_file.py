"""Models of TensorFlow.js: ``model.json`` lists tensors, whose bytes follow one another in shards.

A tensor may begin in one shard and end in the next. Rounded ones (uint8, uint16 with a scale and an
offset, float16) are shown as the values they stand for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Index, stored_rows
from weightkin.formats.dtypes import NUMPY, to_float32
from weightkin.formats.headers import check_empty, checked_name, checked_shape
from weightkin.formats.json_text import MAX_BYTES, parse_object
from weightkin.formats.model import Problem, Storage, TensorInfo
from weightkin.formats.module_names import in_torch_names
from weightkin.formats.pieces import STORED, Flat
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, Opener, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

MAX_SHARDS = 10_000
TYPES = {"float32": "F32", "int32": "I32", "uint8": "U8", "uint16": "U16", "bool": "BOOL",
         "float16": "F16"}  # fmt: skip


class Shard(NamedTuple):
    """One file of a group, and the byte of the group at which it begins."""

    file: File
    start: int


@dataclass(frozen=True, slots=True)
class Affine:
    """``code * scale + offset``."""

    shape: tuple[int, ...]
    codes: str
    scale: float
    offset: float

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows unpacked."""
        codes = stored_rows(storage, self.codes, rows, math.prod(self.shape[1:]))
        return to_float32(codes) * np.float32(self.scale) + np.float32(self.offset)


def read_tfjs(file: File, open_file: Opener) -> Contents:
    """Tensors of a model of TensorFlow.js, under the names and in the shapes of torch."""
    if file.size > MAX_BYTES:
        raise unreadable(file.path, f"too large ({file.size} bytes, at most {MAX_BYTES})")
    raw = file.read([(0, file.size)]).tobytes()
    groups = parse_object(raw, file.path, "model").get("weightsManifest")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise unreadable(file.path, "no weightsManifest: not a model of TensorFlow.js")
    contents = Contents(claims=[Claim(file, [(0, file.size)], "container")])
    named: set[str] = set()
    for group in groups:
        shards = list(_shards(file, group.get("paths"), open_file, named))
        contents.files += [shard.file for shard in shards]
        if len(contents.files) > MAX_SHARDS:
            raise unreadable(file.path, f"too many shards (at most {MAX_SHARDS} allowed)")
        _read_group(file, contents, group.get("weights"), shards)
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    return in_torch_names(contents)


def _shards(file: File, paths: object, open_file: Opener, named: set[str]) -> Iterator[Shard]:
    """The files of one group; none is named twice."""
    if not isinstance(paths, list):
        raise unreadable(file.path, "a group of weights without its files")
    start = 0
    for path in paths[: MAX_SHARDS + 1]:
        is_plain = isinstance(path, str) and path not in ("", ".", "..")
        if not is_plain or any(character in path for character in "/\\\0:"):
            what = f"shard {quoted(path)} is not the name of a file in the same folder"
            raise unreadable(file.path, what)
        if path in named:
            raise unreadable(file.path, f"shard {quoted(path)} is named twice")
        named.add(path)
        shard = open_file(path)
        yield Shard(shard, start)
        start += shard.size


def _read_group(file: File, contents: Contents, weights: object, shards: list[Shard]) -> None:
    """Tensors of one group, one behind the other."""
    if not isinstance(weights, list):
        raise unreadable(file.path, "a group without a list of weights")
    at = 0
    for entry in weights:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise unreadable(file.path, "a weight without a name")
        name = checked_name(file.path, entry["name"])
        where = located(file.path, name)
        if name in contents.tensors:
            raise unreadable(where, "listed twice")
        shape = checked_shape(where, entry.get("shape"))
        rounding = entry.get("quantization")
        stated = rounding.get("dtype") if isinstance(rounding, dict) else entry.get("dtype")
        if not isinstance(stated, str) or stated not in TYPES:
            why = f"type {quoted(stated)} is not supported; what follows it is not read either"
            contents.problems.append(Problem(shown(name), why))
            return
        dtype = TYPES[stated]
        n_bytes = math.prod(shape) * NUMPY[dtype].itemsize
        if shards and at + n_bytes > shards[-1].start + shards[-1].file.size or not shards:
            raise unreadable(where, "its bytes end outside the shards")
        _add(contents, name, shape, dtype, list(_runs(shards, at, at + n_bytes)))
        if isinstance(rounding, dict) and dtype != "F16":
            _unpack(contents, where, name, rounding)
        at += n_bytes


def _runs(shards: list[Shard], start: int, stop: int) -> Iterator[tuple[File, int, int]]:
    """The files that hold some bytes of a group: where in each, and how many."""
    at = bisect_right(shards, start, key=lambda shard: shard.start) - 1
    while 0 <= at < len(shards) and shards[at].start < stop:
        shard = shards[at]
        a, b = max(start, shard.start), min(stop, shard.start + shard.file.size)
        if a < b:
            yield shard.file, a - shard.start, b - a
        at += 1


def _add(
    contents: Contents,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    runs: list[tuple[File, int, int]],
) -> None:
    width = NUMPY[dtype].itemsize
    n_bytes = math.prod(shape) * width
    contents.tensors[name] = TensorInfo(name, dtype, shape, n_bytes)
    if len(runs) == 1:
        at_file, at, _ = runs[0]
        contents.places[name] = TensorLocation(at_file, NUMPY[dtype], at, shape)
        return
    if any(n % width for _, _, n in runs):
        del contents.tensors[name]
        contents.problems.append(Problem(shown(name), "a number of it is cut between two shards"))
        return
    parts = []
    for i, (at_file, at, n) in enumerate(runs):
        key = f"{STORED}{name}:{i}"
        contents.places[key] = TensorLocation(at_file, NUMPY[dtype], at, (n // width,))
        parts.append((key, n // width))
    contents.recipes[name] = Flat(shape, NUMPY[dtype], tuple(parts))


def _unpack(contents: Contents, where: str, name: str, rounding: dict[str, Any]) -> None:
    """Show codes with a scale and an offset as the values they stand for."""
    scale, offset = rounding.get("scale"), rounding.get("min")
    if not isinstance(scale, int | float) or not isinstance(offset, int | float):
        raise unreadable(where, "rounded, without a scale and an offset")
    if name not in contents.places:
        contents.tensors.pop(name, None)
        contents.recipes.pop(name, None)
        contents.problems.append(Problem(shown(name), "rounded, and cut between two shards"))
        return
    place, codes = contents.places.pop(name), f"{STORED}{name}"
    contents.places[codes] = place
    bits = 8 * place.dtype.itemsize
    n = math.prod(place.shape)
    contents.tensors[name] = TensorInfo(name, "F32", place.shape, 4 * n, f"tfjs {bits} bits")
    contents.recipes[name] = Affine(place.shape, codes, float(scale), float(offset))
