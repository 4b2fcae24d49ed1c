"""What the metadata of a sketch file says, checked before anything is computed from it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from weightkin.arrays import Ints
from weightkin.errors import UnreadableModel
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.headers import checked_name, checked_shape
from weightkin.formats.json_text import parse, parse_object
from weightkin.formats.model import SKETCH_KEY
from weightkin.formats.named_class import architecture
from weightkin.sketch.scheme import MAX_STARTS, MAX_VECTOR, Scheme
from weightkin.sketch.types import matrix_shape
from weightkin.text import quoted, shown, unreadable

MAX_COUNT = 1 << 62
MAX_MODEL_NAME = 1000  # characters
DIGESTS = {
    "digest": re.compile(r"wk1-[0-9a-f]{64}(-partial)?", re.ASCII),
    "full_digest": re.compile(r"(wkfull1-[0-9a-f]{64}(-partial)?)?", re.ASCII),
}
MAX_PACKED = 40  # characters of the name of a packing
MAX_WHOLE = 1 << 24  # rows or columns of a matrix that a sketch may claim to hold whole


@dataclass(frozen=True, slots=True)
class StatedTensor:
    """One tensor as the metadata states it, with the indices that follow from it."""

    name: str
    role: str
    stack: str
    block: int
    dtype: str
    shape: tuple[int, ...]
    row_starts: tuple[int, ...]
    column_starts: tuple[int, ...]
    run: Ints
    scattered: Ints
    columns: Ints
    tail_rows: Ints
    tail_columns: Ints
    packed: str

    @property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """Name, rows and columns of the pieces that the file must hold."""
        return (
            ("run", len(self.run), len(self.columns)),
            ("scattered", len(self.scattered), len(self.columns)),
            ("tail", len(self.tail_rows), len(self.tail_columns)),
        )


def damaged(path: PurePath, what: str) -> UnreadableModel:
    """Make the error for a file of a sketch that was changed since it was written."""
    return unreadable(path, f"damaged sketch ({what})")


def checked_identity(path: PurePath, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Name, digests and config of the model that was sketched."""
    if metadata[SKETCH_KEY] != "1":
        version = quoted(metadata[SKETCH_KEY])
        raise unreadable(path, f"a sketch of version {version}, and only version 1 is read")
    for key, pattern in DIGESTS.items():
        if not pattern.fullmatch(metadata.get(key, "none")):
            raise damaged(path, f"{key} is {quoted(metadata.get(key))}, not a digest")
    name = metadata.get("name", "")
    if not 0 < len(name) <= MAX_MODEL_NAME:
        raise damaged(path, f"a name of {len(name)} characters, not 1 to {MAX_MODEL_NAME}")
    raw = metadata.get("config", "").encode("utf-8", "replace")
    return {
        "name": name,
        "digest": metadata["digest"],
        "full_digest": metadata["full_digest"] or None,
        "config": parse_object(raw, path, "metadata", is_hint=True),
    }


def checked_columns(path: PurePath, metadata: Mapping[str, str]) -> tuple[str, int, str]:
    """Architecture, parameters and usual dtype of the model, for a list of many.

    Raises
    ------
    UnreadableModel
        What the metadata says is malformed.
    """
    if SKETCH_KEY not in metadata:
        raise damaged(path, "not a sketch")
    facts, config = checked_facts(path, metadata), checked_identity(path, metadata)["config"]
    sizes: Counter[str] = Counter()
    entries = _parsed(path, metadata, "tensors")
    for entry in entries if isinstance(entries, list) else ():
        match entry:
            case {"dtype": str(dtype), "shape": list(shape)} if dtype in NUMPY:
                sizes[dtype] += math.prod(checked_shape(str(path), shape))
            case _:
                raise damaged(path, "an invalid tensor in the metadata")
    dtype = max(sizes, key=sizes.__getitem__, default="")
    return architecture(config, facts["family"]), facts["n_parameters"], dtype


def checked_facts(path: PurePath, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a `Sketch` that nothing else in the file shows."""
    match _parsed(path, metadata, "facts"):
        case {
            "source": str(source),
            "n_parameters": int(n_parameters),
            "n_bytes": int(n_bytes),
            "family": str(family),
            "stacks": list(stacks),
            "bytes_read": int(bytes_read),
            "problems": list(problems),
            "is_partial": bool(is_partial),
            "revision": str() | None as revision,
        } if all(0 <= n < MAX_COUNT for n in (n_parameters, n_bytes, bytes_read)):
            pass
        case _:
            raise damaged(path, "its facts are not those of a sketch")
    for pair, kinds in [*((s, (str, int)) for s in stacks), *((p, (str, str)) for p in problems)]:
        if not isinstance(pair, list) or tuple(map(type, pair)) != kinds:
            raise damaged(path, f"{quoted(pair)} in place of a pair, in its stacks or problems")
    return {
        "source": source,
        "n_parameters": n_parameters,
        "n_bytes": n_bytes,
        "family": family,
        "stacks": tuple((name, n) for name, n in stacks),
        "bytes_read": bytes_read,
        "problems": tuple((what, why) for what, why in problems),
        "is_partial": is_partial,
        "revision": revision,
    }


def checked_entries(
    path: PurePath, metadata: Mapping[str, str], scheme: Scheme
) -> Iterator[StatedTensor]:
    """Tensors that the metadata lists, in its order, each name once.

    Parameters
    ----------
    path : PurePath
        File that errors name.
    metadata : mapping of str to str
        Metadata of the file.
    scheme : Scheme
        Scheme of the sketch, from which the indices of each tensor follow.

    Yields
    ------
    StatedTensor
        One tensor, with the indices of its rows and columns.

    Raises
    ------
    UnreadableModel
        The list is malformed, or names do not ascend.
    """
    scattered = _parsed(path, metadata, "scattered")
    entries = _parsed(path, metadata, "tensors")
    if not isinstance(scattered, list) or not isinstance(entries, list):
        raise damaged(path, "its tensors are not a list")
    sets = [_indices(path, index) for index in scattered]
    seen = ""
    for fields in entries:
        entry = _entry(path, fields, sets, scheme)
        if seen and entry.name <= seen:
            raise damaged(path, f"tensor {quoted(entry.name)} is not in the order of names")
        seen = entry.name
        yield entry


def _entry(path: PurePath, fields: Any, sets: list[Ints], scheme: Scheme) -> StatedTensor:
    match fields:
        case {
            "name": str(name),
            "role": str(role),
            "stack": str(stack),
            "block": int(block),
            "dtype": str(dtype),
            "shape": list(sizes),
            "starts": [list(row_starts), list(column_starts)],
            "scattered": int(ordinal),
            "n_tail": int(n_tail),
        } if dtype in NUMPY and -1 <= block < MAX_COUNT and 0 <= ordinal < len(sets):
            pass
        case _:
            raise damaged(path, "an invalid tensor in the metadata")
    shape = checked_shape(f"{path}: {shown(checked_name(path, name))}", sizes)
    n_rows, n_columns = matrix_shape(shape)
    for starts, n in ((row_starts, n_rows), (column_starts, n_columns)):
        if starts[:1] != [0] or len(starts) > MAX_STARTS or not _ascending(starts, max(n, 1)):
            raise damaged(path, f"runs of {shown(name)} outside the tensor")
    if scheme.is_whole and max(shape, default=0) > MAX_WHOLE:
        raise damaged(path, f"{shown(name)} has {quoted(math.prod(shape))} elements, too many")
    is_vector = len(shape) < 2
    row, column = tuple(row_starts), tuple(column_starts)
    run = (scheme.elements if is_vector else scheme.run)(n_rows, row)
    index = sets[ordinal]
    if len(index) and (is_vector or index[-1] >= n_rows or np.isin(index, run).any()):
        raise damaged(path, f"scattered rows of {shown(name)} in its runs or outside the tensor")
    packed = fields.get("packed", "")
    if not isinstance(packed, str) or len(packed) > MAX_PACKED:
        raise damaged(path, f"the packing of {shown(name)} is {quoted(packed)}, not a name")
    tail = scheme.tail(n_rows) if n_tail else run[:0]
    if len(tail) != n_tail or (n_tail and is_vector):
        raise damaged(path, f"{quoted(n_tail)} last rows of {shown(name)}, not {len(tail)}")
    return StatedTensor(
        name=name,
        role=role,
        stack=stack,
        block=block,
        dtype=dtype,
        shape=shape,
        row_starts=row,
        column_starts=column,
        run=run,
        scattered=index,
        columns=np.arange(min(n_columns, 1)) if is_vector else scheme.columns(n_columns, column),
        tail_rows=tail,
        tail_columns=np.arange(min(n_columns, scheme.n_tail_columns) if n_tail else 0),
        packed=packed,
    )


def _indices(path: PurePath, index: Any) -> Ints:
    is_list = isinstance(index, list) and len(index) <= MAX_VECTOR * MAX_VECTOR
    if not is_list or not _ascending(index, MAX_COUNT):
        raise damaged(path, "scattered rows are not ascending row numbers")
    return np.array(index, dtype=np.int64)


def _ascending(numbers: list[Any], limit: int) -> bool:
    if any(type(n) is not int or not 0 <= n < limit for n in numbers):
        return False
    return all(x < y for x, y in zip(numbers, numbers[1:], strict=False))


def _parsed(path: PurePath, metadata: Mapping[str, str], key: str) -> Any:
    return parse(metadata.get(key, "").encode("utf-8", "replace"), path, f"metadata {key!r}")
