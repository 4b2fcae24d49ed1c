"""Every tensor below what a pickle made, in any container, with the path of keys that leads to it.

Dicts, lists, tuples, numbered keys and the stand-ins of objects are walked in the order of the
file, without recursion. What else stands there is counted: plain numbers and texts could hold
weights as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from weightkin.formats.torch_arrays import Array, array_of
from weightkin.formats.torch_globals import Encoded, QuantisedRecord, Record, TensorRecord

MAX_DEPTH = 64  # keys of one name
MAX_NAME = 1000  # characters of a name, of which a small file could otherwise make gigabytes
ALIASES = "_flat_weights"  # where a recurrent layer lists its own parameters once more
PARTS_OF_MODULE = ("_parameters", "_buffers", "_modules")  # attributes that no name mentions
Path = tuple[str, ...]
Tensor = TensorRecord | QuantisedRecord | Array


@dataclass(slots=True)
class Walked:
    """The tensors with their paths, and how many bytes of other values stand beside them."""

    tensors: list[tuple[Path, Tensor]] = field(default_factory=list)
    n_loose: int = 0


def walk(root: object) -> Walked:
    """Everything below a value; what is held twice is walked once."""
    found = Walked()
    pending: list[tuple[Path, Any]] = [((), root)]
    entered: set[int] = set()
    while pending:
        path, value = pending.pop()
        if isinstance(value, TensorRecord | QuantisedRecord):
            found.tensors.append((path, value))
        elif _is_holder(value):
            if id(value) in entered:
                continue
            entered.add(id(value))
            array = array_of(value) if isinstance(value, Record) else None
            if array is not None:
                found.tensors.append((path, array))
            else:
                pending += [(_below(path, key), x) for key, x in _entries(value)][::-1]
                found.n_loose += sum(map(len, filter(_is_text, value)))
        else:
            found.n_loose += _size_of(value)
    found.tensors = list(_without_aliases(found.tensors))
    return found


def _is_holder(value: object) -> bool:
    return isinstance(value, dict) or type(value) in (list, tuple)


def _is_text(key: object) -> bool:
    return isinstance(key, str)


def _entries(holder: Any) -> Iterator[tuple[str, Any]]:
    """The keys and values of a container; an empty key adds nothing to a name."""
    if isinstance(holder, Record):
        yield from ((str(i) if i else "", x) for i, x in enumerate(holder.made_from))
        yield from _state(holder.state)
        yield from _numbered(holder.elements or ())
    if isinstance(holder, dict):
        for i, (key, value) in enumerate(holder.items()):
            yield str(key) if isinstance(key, str | int) else f"key{i}", value
    else:
        yield from _numbered(holder)


def _state(state: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object."""
    if isinstance(state, dict) and not isinstance(state, Record):
        for key, value in state.items():
            name = str(key) if isinstance(key, str | int) else ""
            yield "" if name in PARTS_OF_MODULE else name, value
    elif state is not None:
        yield "", state


def _numbered(values: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Values under their numbers."""
    return ((str(i), x) for i, x in enumerate(values))


def _below(path: Path, key: str) -> Path:
    """The path of an entry; one that is too long stays as it is, and gets a number as a name."""
    if not key or len(path) >= MAX_DEPTH or sum(map(len, path)) + len(path) + len(key) > MAX_NAME:
        return path
    return (*path, key)


def _size_of(value: object) -> int:
    """Bytes that a plain value could carry."""
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if isinstance(value, Encoded):
        return len(value.text)
    if isinstance(value, float):
        return 8
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() // 8 + 1
    return 0


def _without_aliases(tensors: list[tuple[Path, Tensor]]) -> Iterator[tuple[Path, Tensor]]:
    """Leave out what a recurrent layer lists a second time, if it has another name as well."""
    if not any(ALIASES in path for path, _ in tensors):
        return iter(tensors)
    known = {x for path, x in tensors if ALIASES not in path and _is_view(x)}
    return (
        (path, x) for path, x in tensors if not (ALIASES in path and _is_view(x) and x in known)
    )


def _is_view(tensor: Tensor) -> bool:
    """Whether a record can be looked up: a hostile one may hold anything."""
    if not isinstance(tensor, TensorRecord) or type(tensor.offset) is not int:
        return False
    sizes = (tensor.shape, tensor.strides)
    return all(type(x) is tuple and all(type(n) is int for n in x) for x in sizes)
