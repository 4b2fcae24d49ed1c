"""From the state dict of a torch file to tensors: names, and where the elements of views lie.

Every tensor of the file is read, or a problem says where it stands: a training checkpoint may hold
a second model, lists, numbered entries and the state of an optimiser.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.formats.headers import check_empty, checked_name, checked_shape, checked_strides
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.storage import Contents
from weightkin.formats.torch_globals import TensorRecord
from weightkin.sources.files import File, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

MAX_DEPTH = 64  # dicts within dicts
MAX_NAME = 1000  # characters of a dotted name, of which a small file could otherwise make gigabytes
MAX_VIEWS = 32  # layers of a model may share their weights
MAX_NOTES = 64  # single numbers beside the model
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
OPTIMISER = "optim"  # how keys begin under which trainers keep moments of gradients
IN_LISTS = "in lists or under numbers"
OF_OPTIMISER = "of an optimiser"
TOO_DEEP = f"below {MAX_DEPTH} levels"
Path = tuple[str, ...]


def state_contents(
    file: File, root: object, span: Callable[[str], tuple[int, int]], storages: Iterable[str]
) -> Contents:
    """Tensors of what was unpickled.

    Parameters
    ----------
    file : File
        The file.
    root : object
        What its pickle made.
    span : callable
        First byte of a storage and the one behind its last, by its key.
    storages : iterable of str
        Keys of all storages that the file holds.

    Returns
    -------
    Contents
        The tensors, and what of the file is not read.

    Raises
    ------
    UnreadableModel
        It is no state dict, or malformed.
    """
    if not isinstance(root, dict):
        raise unreadable(file.path, f"not a state dict ({quoted(root)})")
    contents = Contents()
    found: list[tuple[Path, TensorRecord]] = []
    left: Counter[tuple[str, str]] = Counter()
    seen: set[str] = set()
    for path, record, why in _tensors(file, root):
        seen.add(record.storage.key)
        if why:
            left[path[0] if path else "entries", why] += 1
        else:
            found.append((path, record))
    prefix = _prefix(found)
    notes = [path for path, record in found if record.shape == () and path[: len(prefix)] != prefix]
    if len(notes) <= MAX_NOTES:  # a loss or a step, beside the model
        found = [(path, record) for path, record in found if path not in notes]
        for path in notes:
            why = "a single number beside the model is not read"
            contents.problems.append(Problem(shown(".".join(path)), why, loses_tensors=False))
    for name, (_, record) in zip(_names(found, prefix), found, strict=True):
        _add(contents, file, name, record, span)
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    n_bytes = sum(info.n_bytes for info in contents.tensors.values())
    if n_bytes > MAX_VIEWS * file.size:
        what = f"views of {n_bytes} bytes in all, over {MAX_VIEWS} times the file's size"
        raise unreadable(file.path, what)
    for (what, why), n in left.items():
        contents.problems.append(Problem(shown(what), f"{n} tensors {why} are not read"))
    unused = [key for key in storages if key not in seen]
    if unused:
        why = f"{len(unused)} of them belong to no tensor of the state dict"
        contents.problems.append(Problem("storages", why))
    return contents


def _add(
    contents: Contents,
    file: File,
    name: str,
    record: TensorRecord,
    span: Callable[[str], tuple[int, int]],
) -> None:
    if name in contents.tensors:
        raise unreadable(file.path, f"tensor name {quoted(name)} is repeated")
    if record.dtype not in NUMPY:
        why = f"dtype {record.dtype} is not supported"
        contents.problems.append(Problem(shown(name), why))
        return
    bounds = span(record.storage.key)
    where = located(file.path, checked_name(file.path, name))
    place = _place(where, file, record, bounds)
    contents.places[name] = place
    n_bytes = math.prod(place.shape) * place.dtype.itemsize
    contents.tensors[name] = TensorInfo(name, record.dtype, place.shape, n_bytes)


def _tensors(file: File, root: dict[Any, Any]) -> Iterator[tuple[Path, TensorRecord, str]]:
    """Every tensor below a dict, by its path, and why it is not read where it has no name."""
    pending: list[tuple[Path, Any, str]] = [((), root, "")]
    entered = {id(root)}  # what holds itself, or is held twice, is read once
    while pending:
        path, holder, why = pending.pop()
        is_named = isinstance(holder, dict)
        for key, value in holder.items() if is_named else enumerate(holder):
            is_holder = isinstance(value, dict) or type(value) in (list, tuple)
            if not isinstance(value, TensorRecord) and (not is_holder or id(value) in entered):
                continue
            place = (path, why) if why else _below(file, path, key, is_named=is_named)
            if is_holder:
                entered.add(id(value))
                pending.append((place[0], value, place[1]))
            else:
                yield place[0], value, place[1]


def _below(file: File, path: Path, key: object, *, is_named: bool) -> tuple[Path, str]:
    """The path of an entry, and why what stands there has no name of its own."""
    if not is_named or not isinstance(key, str):
        return path, IN_LISTS
    length = sum(map(len, path)) + len(path) + len(key)
    if length > MAX_NAME:
        what = f"a tensor name of {length} characters (at most {MAX_NAME} allowed)"
        raise unreadable(file.path, what)
    path = (*path, key)
    if len(path) > MAX_DEPTH:
        return path, TOO_DEEP
    return path, OF_OPTIMISER if len(path) == 1 and key.startswith(OPTIMISER) else ""


def _prefix(found: list[tuple[Path, TensorRecord]]) -> Path:
    """The keys under which a training checkpoint wraps the model; none of a plain state dict."""
    prefix: Path = ()
    inside = [path for path, record in found if record.shape != ()]
    while inside and all(len(path) > 1 + len(prefix) for path in inside):
        keys = {path[len(prefix)] for path in inside}
        inner = next((key for key in WRAPPERS if key in keys), None)
        if inner is None:
            break
        prefix = (*prefix, inner)
        inside = [path for path in inside if path[: len(prefix)] == prefix]
    return prefix


def _names(found: list[tuple[Path, TensorRecord]], prefix: Path) -> list[str]:
    """Dotted names, of the model without its wrappers' unless two names would meet."""
    n = len(prefix)
    names = [".".join(path[n:] if path[:n] == prefix else path) for path, _ in found]
    return names if len(set(names)) == len(names) else [".".join(path) for path, _ in found]


def _place(where: str, file: File, record: TensorRecord, span: tuple[int, int]) -> TensorLocation:
    """Where a view's elements lie, if all of them are inside its storage."""
    shape = checked_shape(where, record.shape)
    strides = checked_strides(where, record.strides, len(shape))
    offset = record.offset
    if type(offset) is not int or offset < 0:
        raise unreadable(where, f"offset {quoted(offset)} is not a non-negative integer")
    dtype = NUMPY[record.dtype]
    start, stop = span
    stated = record.storage.n * BITS.get(record.storage.dtype, 8) // 8
    if stated != stop - start:
        raise unreadable(where, f"its storage has {stop - start} bytes, not {quoted(stated)}")
    n = math.prod(shape)
    if n == 0:
        return TensorLocation(file, dtype, start, shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if (last + 1) * dtype.itemsize > stop - start:
        held = (stop - start) // dtype.itemsize
        what = f"element {quoted(last)} is outside its storage of {held} elements"
        raise unreadable(where, what)
    if n * dtype.itemsize > file.size:  # an expanded view costs no bytes on disk
        raise unreadable(where, f"an expanded view of {n} elements, more than the file has")
    begin = start + offset * dtype.itemsize
    return TensorLocation(
        file, dtype, begin, shape, () if _is_contiguous(shape, strides) else strides
    )


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
