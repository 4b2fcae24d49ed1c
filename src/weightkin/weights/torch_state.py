"""From the state dict of a torch file to tensors: names, and where the elements of views lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from weightkin.weights.dtypes import BITS, NUMPY
from weightkin.weights.files import Contents, File, Place
from weightkin.weights.messages import located, quoted, shown, unreadable
from weightkin.weights.model import Problem, TensorInfo
from weightkin.weights.shapes import checked_name, checked_shape, checked_strides
from weightkin.weights.torch_globals import TensorRecord

MAX_DEPTH = 16  # dicts within dicts
MAX_NAME = 1000  # characters of a dotted name, of which a small file could otherwise make gigabytes
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")


def state_contents(file: File, root: object, span: Callable[[str], tuple[int, int]]) -> Contents:
    """Tensors of what was unpickled; ``span`` says which bytes a storage has, by its key."""
    if not isinstance(root, dict):
        raise unreadable(file.path, f"{quoted(root)} at the top", "a state dict")
    contents = Contents()
    for name, record in _named_tensors(file, root):
        if name in contents.tensors:
            raise unreadable(file.path, f"duplicate tensor name {quoted(name)}", "it once")
        if record.dtype not in NUMPY:
            why = f"dtype {record.dtype} is not supported"
            contents.problems.append(Problem(shown(name), why))
            continue
        bounds = span(record.storage.key)
        where = located(file.path, checked_name(file.path, name))
        place = _place(where, file, record, bounds)
        contents.places[name] = place
        n_bytes = math.prod(place.shape) * place.dtype.itemsize
        contents.tensors[name] = TensorInfo(name, record.dtype, place.shape, n_bytes)
    return contents


def _named_tensors(file: File, root: dict[str, Any]) -> Iterator[tuple[str, TensorRecord]]:
    """Tensors by dotted name, of the state dict itself where a training checkpoint wraps it."""
    for _ in range(MAX_DEPTH):
        if any(isinstance(value, TensorRecord) for value in root.values()):
            break
        inner = next((root[key] for key in WRAPPERS if isinstance(root.get(key), dict)), None)
        if inner is None:
            break
        root = inner
    pending = [("", root, 0)]
    entered = {id(root)}  # a dict that holds itself, or is held twice, is read once
    while pending:
        prefix, items, depth = pending.pop()
        for key, value in items.items():
            if len(prefix) + len(key) > MAX_NAME:
                found = f"a name of {len(prefix) + len(key)} characters"
                raise unreadable(file.path, found, f"at most {MAX_NAME}")
            if isinstance(value, TensorRecord):
                yield prefix + key, value
            elif isinstance(value, dict) and depth < MAX_DEPTH and id(value) not in entered:
                entered.add(id(value))
                pending.append((f"{prefix}{key}.", value, depth + 1))


def _place(where: str, file: File, record: TensorRecord, span: tuple[int, int]) -> Place:
    """Where a view's elements lie, if all of them are inside its storage."""
    shape = checked_shape(where, record.shape)
    strides = checked_strides(where, record.strides, len(shape))
    offset = record.offset
    if type(offset) is not int or offset < 0:
        raise unreadable(where, f"offset {quoted(offset)}", "a non-negative integer")
    dtype = NUMPY[record.dtype]
    start, stop = span
    stated = record.storage.n * BITS.get(record.storage.dtype, 8) // 8
    if stated != stop - start:
        raise unreadable(where, f"a storage of {stop - start} bytes", quoted(stated))
    n = math.prod(shape)
    if n == 0:
        return Place(file, dtype, start, shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if (last + 1) * dtype.itemsize > stop - start:
        held = (stop - start) // dtype.itemsize
        raise unreadable(where, f"an element at {quoted(last)}", f"all in a storage of {held}")
    if n * dtype.itemsize > file.size:  # an expanded view costs no bytes on disk
        raise unreadable(where, f"{n} elements of an expanded view", "no more than the file holds")
    begin = start + offset * dtype.itemsize
    return Place(file, dtype, begin, shape, () if _is_contiguous(shape, strides) else strides)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
