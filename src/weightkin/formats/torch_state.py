"""From what the pickle of a torch file describes to tensors: names, and where their elements lie.

Every tensor of the file is one, wherever it stands: a checkpoint may hold a second model, lists,
numbered entries and the moments of an optimiser. The first model loses the keys that wrap it; all
others keep theirs, so that several state dicts are several stacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from weightkin.formats.byte_pieces import is_blank
from weightkin.formats.computed import Numbers
from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.formats.headers import (
    check_empty,
    checked_name,
    checked_shape,
    checked_strides,
    plain_names,
)
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.stated_config import stated_config
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.torch_arrays import Array
from weightkin.formats.torch_globals import QuantisedRecord, TensorRecord
from weightkin.formats.torch_quantised import CODES, add_quantised
from weightkin.formats.torch_walk import Path, Tensor, walk
from weightkin.sources.files import File, Spans, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

MAX_TENSORS = 1 << 18  # of one file
MAX_NAMES = 1 << 25  # characters of all names together
MAX_VIEWS = 32  # layers of a model may share their weights
MAX_ARRAYS = 1 << 27  # bytes of all arrays that stand in a pickle
MAX_LOOSE = 1 << 18  # bytes of numbers and texts beside the tensors
LOOSE = "plain values"
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
Found = list[tuple[Path, Tensor]]


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
        It is malformed.
    """
    walked = walk(root)
    found = walked.tensors
    names = _names(file, found)
    contents = Contents(config=stated_config(root))
    for name, (_, tensor) in zip(names, found, strict=True):
        if isinstance(tensor, Array):
            _add_array(contents, file, name, tensor)
        elif isinstance(tensor, QuantisedRecord):
            why = add_quantised(contents, name, tensor, partial(_place_of, file, span))
            if why:
                contents.problems.append(Problem(shown(name), why))
        else:
            _add(contents, file, name, tensor, span)
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    n_bytes = sum(info.n_bytes for info in contents.tensors.values())
    if n_bytes > MAX_VIEWS * file.size:
        what = f"views of {n_bytes} bytes in all, over {MAX_VIEWS} times the file's size"
        raise unreadable(file.path, what)
    if walked.n_loose > MAX_LOOSE:
        why = f"{walked.n_loose} bytes of numbers and texts beside the tensors are not read"
        contents.problems.append(Problem(LOOSE, why))
    shown_ones = [x for name, (_, x) in zip(names, found, strict=True) if name in contents.tensors]
    contents.claims += _padding(file, shown_ones, span)
    seen = {record.storage.key for _, x in found for record in _records(x)}
    unused = [key for key in storages if key not in seen]
    if unused:
        why = f"{len(unused)} of them belong to no tensor"
        contents.problems.append(Problem("storages", why))
        spans = sorted(span(key) for key in unused)
        contents.claims.append(Claim(file, spans, "unread", "unused-storage"))
    return contents


def _records(tensor: Tensor) -> list[TensorRecord]:
    """The views of storages that a tensor consists of."""
    if isinstance(tensor, Array):
        return []
    if isinstance(tensor, TensorRecord):
        return [tensor]
    parts = (tensor.codes, tensor.scale, tensor.zero)
    return [x for x in parts if isinstance(x, TensorRecord)]


def _padding(
    file: File, tensors: Iterable[Tensor], span: Callable[[str], tuple[int, int]]
) -> Iterator[Claim]:
    """Claim what follows the last element of a storage, if it is zero: FSDP pads uneven parts."""
    ends: dict[str, int] = {}
    for record in (record for tensor in tensors for record in _records(tensor)):
        key, where = record.storage.key, located(file.path)
        shape = checked_shape(where, record.shape)
        strides = checked_strides(where, record.strides, len(shape))
        last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        n = 0 if 0 in shape or not isinstance(record.offset, int) else record.offset + last + 1
        end = span(key)[0] + n * NUMPY[CODES.get(record.dtype, record.dtype)].itemsize
        ends[key] = max(ends.get(key, 0), end)
    for key, end in ends.items():
        if end < span(key)[1]:
            yield Claim(file, [(end, span(key)[1])], "container", check=is_blank)


def pickle_claim(contents: Contents, file: File, spans: Spans) -> Claim:
    """Claim the pickles of a file, unless they hold much that is neither a name nor a place."""
    if any(problem.what == LOOSE for problem in contents.problems):
        return Claim(file, spans, "unread", "plain-values")
    return Claim(file, spans, "container")


def _add(
    contents: Contents,
    file: File,
    name: str,
    record: TensorRecord,
    span: Callable[[str], tuple[int, int]],
) -> None:
    if record.dtype not in NUMPY:
        why = f"dtype {record.dtype} is not supported"
        contents.problems.append(Problem(shown(name), why))
        return
    place = _place_of(file, span, name, record)
    contents.places[name] = place
    n_bytes = math.prod(place.shape) * place.dtype.itemsize
    contents.tensors[name] = TensorInfo(name, record.dtype, place.shape, n_bytes)


def _place_of(
    file: File, span: Callable[[str], tuple[int, int]], name: str, record: TensorRecord
) -> TensorLocation:
    """Where a view lies, once its name and its storage are known to be sound."""
    bounds = span(record.storage.key)
    return _place(located(file.path, checked_name(file.path, name)), file, record, bounds)


def _add_array(contents: Contents, file: File, name: str, array: Array) -> None:
    """Show an array of numpy, whose elements were read with the pickle."""
    where = located(file.path, checked_name(file.path, name))
    shape = checked_shape(where, array.shape)
    values = array.values()
    contents.tensors[name] = TensorInfo(name, array.dtype, shape, values.nbytes)
    contents.recipes[name] = Numbers(shape, values)


def _names(file: File, found: Found) -> list[str]:
    """A name for each tensor: dotted, without the keys that wrap the model, and its alone."""
    n_arrays = sum(x.n_bytes for _, x in found if isinstance(x, Array))
    n_characters = sum(sum(map(len, path)) + len(path) for path, _ in found)
    for n, most, what in (
        (len(found), MAX_TENSORS, "tensors"),
        (n_characters, MAX_NAMES, "characters of tensor names"),
        (n_arrays, MAX_ARRAYS, "bytes of arrays in the pickle"),
    ):
        if n > most:
            raise unreadable(file.path, f"{n} {what} (at most {most} allowed)")
    prefix = _prefix(found)
    inside = {i for i, (path, _) in enumerate(found) if path[: len(prefix)] == prefix}
    names = [".".join(path[len(prefix) :] if i in inside else path) for i, (path, _) in
             enumerate(found)]  # fmt: skip
    plain = plain_names(dict.fromkeys(names[i] for i in sorted(inside)))
    names = [plain.get(name, name) if i in inside else name for i, name in enumerate(names)]
    if len(set(names)) != len(names):
        names = [".".join(path) for path, _ in found]
    return _each_once(names)


def _each_once(names: Sequence[str]) -> list[str]:
    """The names; one that stood before gets a number behind it."""
    taken = set(names)
    n_times: dict[str, int] = {}
    found = []
    for name in names:
        n = n_times.get(name, 0)
        chosen = name or "unnamed"
        while n and chosen in taken:
            n += 1
            chosen = f"{name}~{n}"
        n_times[name] = max(1, n)
        taken.add(chosen)
        found.append(chosen)
    return found


def _prefix(found: Found) -> Path:
    """The keys under which a training checkpoint wraps the model; none of a plain state dict."""
    prefix: Path = ()
    inside = [path for path, tensor in found if tensor.shape != ()]
    while inside and all(len(path) > 1 + len(prefix) for path in inside):
        keys = {path[len(prefix)] for path in inside}
        inner = next((key for key in WRAPPERS if key in keys), None)
        if inner is None and len(keys) == 1 and min(keys).isdigit():  # a list of one model
            inner = min(keys)
        if inner is None:
            break
        prefix = (*prefix, inner)
        inside = [path for path in inside if path[: len(prefix)] == prefix]
    return prefix


def _place(where: str, file: File, record: TensorRecord, span: tuple[int, int]) -> TensorLocation:
    """Where a view's elements lie, if all of them are inside its storage."""
    shape = checked_shape(where, record.shape)
    strides = checked_strides(where, record.strides, len(shape))
    offset = record.offset
    if type(offset) is not int or offset < 0:
        raise unreadable(where, f"offset {quoted(offset)} is not a non-negative integer")
    dtype = NUMPY[record.dtype]
    start, stop = span
    stated = (
        record.storage.n * BITS.get(CODES.get(record.storage.dtype, record.storage.dtype), 8) // 8
    )
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
