"""The pickle inside a torch file, run by a machine that builds containers and records only.

`pickle.Unpickler` is not used, not even with a restricted ``find_class``: a few megabytes of nested
tuples used as a dictionary key overflow the C stack of the interpreter, and its BUILD instruction
writes attributes of whatever ``find_class`` returned. This machine knows the instructions that
torch writes, imports and calls nothing that a file names (see `torch_calls`), takes texts and
numbers alone as dictionary keys, and does not recurse. Reference for the instructions: CPython,
``Lib/pickletools.py``.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import IO, Any

from weightkin.errors import UnreadableModel
from weightkin.formats.torch_calls import Unexpected, made_by_call, new_object
from weightkin.formats.torch_globals import (
    Global,
    Key,
    Record,
    StorageRecord,
    TensorRecord,
    named_global,
)
from weightkin.text import shown, unreadable

MAX_INSTRUCTIONS = 1_000_000  # about 40 per tensor
MAX_GLOBAL = 1000  # bytes of a module's or function's name
MAX_INTEGER = 64  # bytes of a whole number
_MARK = object()


def unpickle(data: bytes, head: str, folder: str = "") -> object:
    """Run a pickle; the result holds dicts, lists, tuples, plain values and records.

    ``head`` names the file at the beginning of messages, ``folder`` stands before the keys of
    storages.
    """
    return unpickle_next(io.BytesIO(data), head, folder)[0]


def unpickle_next(
    stream: IO[bytes], head: str, folder: str = ""
) -> tuple[object, dict[str, StorageRecord]]:
    """Run the pickle that begins here and stop behind it; list the storages it names, by key."""
    machine = _Machine(head, folder)
    for _ in range(MAX_INSTRUCTIONS):
        code = stream.read(1)
        if code == pickle.STOP:
            return machine.pop(), machine.storages
        if not code:
            raise unreadable(head, "broken pickle (no end)")
        if code not in _STEPS:
            what = f"refused: pickle instruction {code!r}, which torch.save does not write"
            raise unreadable(head, what)
        read_argument, act = _STEPS[code]
        try:
            act(machine, read_argument(stream))
        except ValueError as error:
            raise unreadable(head, f"broken pickle ({shown(error)})") from None
        except Unexpected as error:
            raise machine.malformed(str(error)) from None
    raise unreadable(head, f"a pickle of over {MAX_INSTRUCTIONS} instructions")


class _Machine:
    """The stack and the memo of one run."""

    def __init__(self, head: str, folder: str) -> None:
        self.head, self.folder = head, folder
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StorageRecord] = {}

    def malformed(self, what: str) -> UnreadableModel:
        return unreadable(self.head, f"malformed pickle ({what})")

    def top(self) -> Any:
        if not self.stack:
            raise self.malformed("an empty stack")
        return self.stack[-1]

    def pop(self) -> Any:
        value = self.top()
        if value is _MARK:
            raise self.malformed("a mark in the place of a value")
        del self.stack[-1]
        return value

    def pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self.top()) is not _MARK:
            values.append(value)
            del self.stack[-1]
        del self.stack[-1]
        return values[::-1]

    def ignore(self, _: object) -> None:
        pass

    def push(self, value: object) -> None:
        self.stack.append(value)

    def put(self, index: int) -> None:
        self.memo[index] = self.top()

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise self.malformed("a value that was never stored")
        self.stack.append(self.memo[index])

    def drop(self, _: object) -> None:
        self.top()
        del self.stack[-1]

    def drop_to_mark(self, _: object) -> None:
        self.pop_to_mark()

    def push_tuple(self, n: int) -> None:
        values = [self.pop() for _ in range(n)]
        self.stack.append(tuple(values[::-1]))

    def extend(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Record):
            target.elements = target.elements if target.elements is not None else []
            target = target.elements
        if not isinstance(target, list):
            raise self.malformed("elements for something that is no list")
        target.extend(values)

    def store(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            raise self.malformed("items for something that is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # another key than a text or a number is wrapped: its hash could overflow the stack
            target[key if type(key) in (str, int) else Key(key)] = value

    def push_dict(self, _: object) -> None:
        values = self.pop_to_mark()
        self.stack.append({})
        self.store(values)

    def store_one(self, _: object) -> None:
        value, key = self.pop(), self.pop()
        self.store([key, value])

    def push_global(self, name: str) -> None:
        self.stack.append(named_global(name))

    def stack_global(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise self.malformed("a global without a name")
        self.push_global(f"{module}.{name}")

    def push_storage(self, _: object) -> None:
        pid = self.pop()
        match pid:
            # before 1.6 a view of another storage followed, which nothing since 0.4 writes
            case ("storage", Global("storage", dtype), str(key), str(), int(n), *rest) if (
                n >= 0 and rest in ([], [None])
            ):
                record = StorageRecord(dtype, f"{self.folder}{key}", n)
                if self.storages.setdefault(record.key, record) != record:
                    raise self.malformed("a storage of two kinds")
                self.stack.append(record)
            case ("module", Global() as kind, *_):  # a class with its text, before 1.6
                self.stack.append(kind)
            case _:
                raise self.malformed("a persistent id that is no storage")

    def build(self, _: object) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Record):
            target.state = state if target.state is None else (target.state, state)
        elif not isinstance(target, TensorRecord):  # of a parameter: its attributes
            raise self.malformed("state for something that has none")

    def new(self, _: object) -> None:
        arguments, kind = self.pop(), self.pop()
        self.stack.append(new_object(kind, arguments))

    def new_with_names(self, _: object) -> None:
        names, arguments, kind = self.pop(), self.pop(), self.pop()
        made = new_object(kind, arguments)
        made.state = names or None
        self.stack.append(made)

    def new_from_mark(self, _: object) -> None:
        kind, *arguments = self.pop_to_mark() or [None]
        self.stack.append(new_object(kind, tuple(arguments)))

    def reduce(self, _: object) -> None:
        arguments, function = self.pop(), self.pop()
        self.stack.append(made_by_call(function, arguments))


_ARGUMENTS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING", "BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.ignore,
    "FRAME": _Machine.ignore,
    **dict.fromkeys(_ARGUMENTS, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.push(_MARK),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_SET": lambda machine, _: machine.push([]),  # elements are never hashed
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_to_mark,
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "FROZENSET": lambda machine, _: machine.push(machine.pop_to_mark()),
    "DICT": _Machine.push_dict,
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_names,
    "OBJ": _Machine.new_from_mark,
    "SETITEM": _Machine.store_one,
    "SETITEMS": lambda machine, _: machine.store(machine.pop_to_mark()),
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.push_storage,
}


def _read_nothing(_: IO[bytes]) -> None:
    return None


def _read_integer(width: int) -> Callable[[IO[bytes]], int]:
    """Read whole numbers behind their length; pickletools would build one of any size."""

    def read(stream: IO[bytes]) -> int:
        n = int.from_bytes(stream.read(width), "little")
        data = stream.read(n) if n <= MAX_INTEGER else b""
        if len(data) != n:
            raise ValueError(f"a number of {n} bytes")
        return int.from_bytes(data, "little", signed=True)

    return read


def _read_global(stream: IO[bytes]) -> str:
    """Module and name, a line each, taken literally (pickletools would interpret escapes)."""
    lines = [stream.readline(MAX_GLOBAL) for _ in range(2)]
    if not all(line.endswith(b"\n") for line in lines):
        raise ValueError("a global without an end")
    return ".".join(line[:-1].decode("utf-8") for line in lines)


# Byte of an instruction -> how to read its argument, what to do. Others are refused before their
# argument is read.
_STEPS: dict[bytes, tuple[Callable[[IO[bytes]], Any], Callable[[_Machine, Any], None]]] = {
    instruction.code.encode("latin-1"): (
        instruction.arg.reader if instruction.arg else _read_nothing,
        _ACTIONS[instruction.name],
    )
    for instruction in pickletools.opcodes
    if instruction.name in _ACTIONS
} | {
    pickle.GLOBAL: (_read_global, _Machine.push_global),
    pickle.LONG1: (_read_integer(1), _Machine.push),
    pickle.LONG4: (_read_integer(4), _Machine.push),
}
