"""What a table of names makes of one tensor: itself under another name, or its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from weightkin.catalogue.names_table import NamesTable
from weightkin.formats.model import TensorInfo

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Home:
    """Where a tensor stands in the file: in a stored one; of its rows, in these spans of them."""

    tensor: str
    spans: tuple[Span, ...] = ()  # in order; none: all of it


def by_table(
    table: NamesTable, root: str, name: str, stored: str, tensors: Mapping[str, TensorInfo]
) -> Iterator[tuple[str, TensorInfo, Home]]:
    """What a table makes of one tensor: itself under another name, or its parts."""
    info = tensors[stored]
    for pattern, parts in table.split:
        if found := pattern.search(name):
            spans = _spans(table, stored, tensors, len(parts))
            for part, span in zip(parts, spans, strict=False):
                new = f"{name[: found.start()]}{part}{name[found.end() :]}"
                shape = (span[1] - span[0], *info.shape[1:])
                for own in by_table(replace(table, split=()), root, new, stored, tensors):
                    yield own[0], replace(own[1], shape=shape), Home(info.name, (span,))
            if spans:
                return
    for pattern, target in table.modules:
        name = pattern.sub(target, name)
    shape, spans = info.shape, ()
    if any(x.search(name) for x in table.flat) and shape[2:] == (1,) * len(shape[2:]):
        shape = shape[:2]
    if any(x.search(name) for x in table.swapped):
        spans = _halves(stored, tensors)
    yield f"{root}{name}", replace(info, name=f"{root}{name}", shape=shape), Home(info.name, spans)


def _spans(
    table: NamesTable, name: str, tensors: Mapping[str, TensorInfo], n_parts: int
) -> tuple[Span, ...]:
    """Rows of each part of a fused tensor; none where they do not fit."""
    rows, width = _size(name, tensors)
    if first := _first(table, name, tensors):
        rest, odd = divmod(rows - first, n_parts - 1)
        sizes = [first, *[rest] * (n_parts - 1)] if not odd else []
    elif n_parts in (2, 3) and rows % n_parts == 0:
        sizes = [rows // n_parts] * n_parts
    else:
        sizes = [width] * (n_parts - 1) + [rows - width * (n_parts - 1)]
    ends = list(accumulate(sizes))
    return tuple(zip([0, *ends], ends, strict=False)) if min(sizes, default=0) > 0 else ()


def _first(table: NamesTable, name: str, tensors: Mapping[str, TensorInfo]) -> int:
    """How many rows the first part of a fused tensor has, by what reads it; 0 if none shows."""
    for pattern, reader in table.first:
        if found := pattern.search(name):
            info = tensors.get(f"{name[: found.start()]}{reader}.weight")
            return info.shape[1] if info is not None and len(info.shape) == 2 else 0
    return 0


def _halves(name: str, tensors: Mapping[str, TensorInfo]) -> tuple[Span, ...]:
    """The second half of the rows before the first one, where there are two of one width."""
    rows, width = _size(name, tensors)
    return ((width, rows), (0, width)) if width and rows == 2 * width else ()


def _size(name: str, tensors: Mapping[str, TensorInfo]) -> Span:
    """Rows of a tensor, and how many features the matrix of its module reads; 0 if none shows."""
    shape = tensors[name].shape
    matrix = tensors.get(f"{name.rpartition('.')[0]}.weight")
    is_known = matrix is not None and len(matrix.shape) == 2
    return (shape[0] if shape else 0), (matrix.shape[1] if matrix and is_known else 0)
