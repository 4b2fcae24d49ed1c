"""The network that an ONNX file carries: nodes with what they are told, read when it is wanted.

Opening a model looks for tensors alone; this reads the same messages once more for what is done to
them. Tensors stay where they are, but for the few whose values say a shape or a place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weightkin.formats.dtypes import BITS, NUMPY, to_float32
from weightkin.formats.onnx_beside import Beside, place_of
from weightkin.formats.onnx_graph import MAX_DEPTH, Stored, tensor_reader
from weightkin.formats.onnx_values import DTYPES, values_of
from weightkin.formats.protobuf import Messages, Value
from weightkin.text import unreadable

MAX_NODES = 1 << 16  # of one file
MAX_RANK = 64
MOST_READ = 1 << 16  # elements of a tensor whose values are asked for

Size: TypeAlias = "int | str"  # of a dimension: a number, or the name of one that is not given
Attribute: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | Stored | Body"


@dataclass(frozen=True, slots=True)
class Shown:
    """As what the model shows a stored tensor; without a name: a part of one that is unpacked."""

    name: str
    is_turned: bool = False  # the last two dimensions are exchanged
    is_unpacked: bool = False  # stored are codes of it


@dataclass(slots=True)
class Step:
    """One node: an operation of a domain, its ends, and its attributes."""

    op: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    passed: dict[str, str] = field(default_factory=dict)  # own attribute: that of the function


@dataclass(slots=True)
class Body:
    """One graph, or one function: its ends with their sizes where they are said."""

    steps: list[Step] = field(default_factory=list)
    inputs: dict[str, tuple[Size, ...] | None] = field(default_factory=dict)
    outputs: dict[str, tuple[Size, ...] | None] = field(default_factory=dict)
    declared: dict[str, tuple[Size, ...] | None] = field(default_factory=dict)
    tensors: dict[str, Stored] = field(default_factory=dict)
    defaults: dict[str, Attribute] = field(default_factory=dict)  # of a function


@dataclass(slots=True)
class Network:
    """What an ONNX file computes, and how its tensors are shown, by where each begins."""

    main: Body
    beside: Beside
    shown: Mapping[int, Shown]
    functions: dict[tuple[str, str], Body] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)  # of each domain of operations
    integers: set[str] = field(default_factory=set)  # inputs that are whole numbers

    def values(self, tensor: Stored) -> npt.NDArray[Any] | None:
        """Elements of a small tensor; None where it is large, or none that can be read."""
        dtype = DTYPES.get(tensor.kind, "")
        sizes = tensor.sizes
        if dtype not in NUMPY or tensor.why or any(n < 0 for n in sizes):
            return None
        if math.prod(sizes) > MOST_READ:
            return None
        where = str(self.beside.file.path)
        if tensor.numbers is not None:
            found: npt.NDArray[Any] = values_of(where, dtype, sizes, tensor.numbers)
        elif math.prod(sizes) == 0:
            return np.zeros(sizes, dtype=np.float32 if dtype[0] not in "IU" else np.int64)
        else:
            place = place_of(self.beside, where, tensor, dtype, is_turned=False)
            if place is None:
                return None
            n_bytes = math.prod(sizes) * BITS[dtype] // 8
            raw = place.file.read([(place.offset, place.offset + n_bytes)])
            found = raw.view(NUMPY[dtype])
        whole = found.dtype.kind in "iub"
        return (found if whole else to_float32(found)).reshape(sizes)


def read_network(beside: Beside, shown: Mapping[int, Shown], renamed: Mapping[str, str]) -> Network:
    """What an ONNX file computes.

    Parameters
    ----------
    beside : Beside
        The file, and those beside it that hold values.
    shown : mapping
        As what the model shows each tensor, by the byte at which its message begins.
    renamed : mapping
        Names of the model by those in ``shown``, where they differ.

    Returns
    -------
    Network
        Its own tensors are located, not read.

    Raises
    ------
    UnreadableModel
        The file is malformed, or has more nodes than are read.
    """
    reader = _NetworkReader(beside)
    shown = {at: replace(x, name=renamed.get(x.name, x.name)) for at, x in shown.items()}
    network = Network(Body(), beside, shown)
    for number, value in reader.fields((0, beside.file.size)):
        if number == 7:
            network.main = reader.read_graph(value, 0)
        elif number == 8:
            domain, version = reader.read_version(value)
            network.versions[domain] = version
        elif number == 25:
            key, body = reader.read_function(value)
            network.functions[key] = body
    network.integers = reader.integers
    return network


class _NetworkReader:
    """Walks the graphs of one file for their nodes."""

    def __init__(self, beside: Beside) -> None:
        self.file = beside.file
        self.messages = Messages(self.file)
        self.read_tensor = tensor_reader(self.file)
        self.integers: set[str] = set()
        self.n_nodes = 0

    def fields(self, value: Value) -> list[tuple[int, Value]]:
        return list(self.messages.fields(*self.messages.span(value)))

    def text(self, value: Value) -> str:
        return self.messages.text(value)

    def read_version(self, value: Value) -> tuple[str, int]:
        entry = dict(self.fields(value))
        version = self.messages.number(entry[2]) if 2 in entry else 0
        return (_plain(self.text(entry[1])) if 1 in entry else ""), version

    def read_graph(self, value: Value, depth: int) -> Body:
        if depth > MAX_DEPTH:
            raise unreadable(self.file.path, f"graphs are nested deeper than {MAX_DEPTH} levels")
        body = Body()
        ends = {11: body.inputs, 12: body.outputs, 13: body.declared}
        for number, part in self.fields(value):
            if number == 1:
                body.steps.append(self.read_step(part, depth))
            elif number == 5:
                tensor = self.read_tensor(part)
                body.tensors[tensor.name] = tensor
            elif number in ends:
                name, sizes = self.read_end(part)
                ends[number][name] = sizes
        return body

    def read_function(self, value: Value) -> tuple[tuple[str, str], Body]:
        body, name, domain = Body(), "", ""
        for number, part in self.fields(value):
            if number == 1:
                name = self.text(part)
            elif number == 10:
                domain = _plain(self.text(part))
            elif number in (4, 5):
                (body.inputs if number == 4 else body.outputs)[self.text(part)] = None
            elif number == 7:
                body.steps.append(self.read_step(part, 1))
            elif number == 11:
                key, attribute, _ = self.read_attribute(part, 1)
                if attribute is not None:
                    body.defaults[key] = attribute
        return (domain, name), body

    def read_end(self, value: Value) -> tuple[str, tuple[Size, ...] | None]:
        """Name and sizes of a value; None where no shape is said."""
        entry = dict(self.fields(value))
        name = self.text(entry[1]) if 1 in entry else ""
        kind = dict(self.fields(entry[2])) if 2 in entry else {}
        tensor = dict(self.fields(kind[1])) if 1 in kind else {}
        if tensor.get(1) in range(2, 10) or tensor.get(1) in (12, 13):
            self.integers.add(name)
        if 2 not in tensor:
            return name, None
        sizes: list[Size] = []
        for number, part in self.fields(tensor[2]):
            if number == 1 and len(sizes) < MAX_RANK:
                dim = dict(self.fields(part))
                size = self.messages.number(dim[1]) if 1 in dim else 0
                text = self.text(dim[2]) if 2 in dim else ""
                sizes.append(size if size > 0 else text or f"{name}.{len(sizes)}")
        return name, tuple(sizes)

    def read_step(self, value: Value, depth: int) -> Step:
        self.n_nodes += 1
        if self.n_nodes > MAX_NODES:
            raise unreadable(self.file.path, f"more than {MAX_NODES} nodes")
        step = Step()
        for number, part in self.fields(value):
            if number == 1:
                step.inputs.append(self.text(part))
            elif number == 2:
                step.outputs.append(self.text(part))
            elif number == 4:
                step.op = self.text(part)
            elif number == 7:
                step.domain = _plain(self.text(part))
            elif number == 5:
                name, attribute, passed = self.read_attribute(part, depth)
                if passed:
                    step.passed[name] = passed
                elif attribute is not None:
                    step.attributes[name] = attribute
        return step

    def read_attribute(self, value: Value, depth: int) -> tuple[str, Attribute | None, str]:
        """Name and value of an attribute, and that of the function that is passed on."""
        messages = self.messages
        name, passed, kind = "", "", 0
        found: Attribute | None = None
        ints: list[int] = []
        floats: list[float] = []
        for number, part in self.fields(value):
            if number == 1:
                name = self.text(part)
            elif number == 2:
                found = messages.floats(part, 1)[0]
            elif number == 3:
                found = messages.number(part)
            elif number == 4:
                start, stop = messages.span(part)
                found = self.text(part) if stop - start < 1 << 12 else ""
            elif number == 5:
                found = self.read_tensor(part)
            elif number == 6:
                found = self.read_graph(part, depth + 1)
            elif number == 7:
                floats += messages.floats(part, MOST_READ)
            elif number == 8:
                ints += messages.numbers(part, MOST_READ)
            elif number == 20:
                kind = messages.number(part)
            elif number == 21:
                passed = self.text(part)
            if len(ints) + len(floats) > MOST_READ:
                raise unreadable(self.file.path, f"an attribute of over {MOST_READ} numbers")
        if ints or floats or kind in (6, 7):
            found = tuple(floats) if floats or kind == 6 else tuple(ints)
        return name, found, passed


def _plain(domain: str) -> str:
    """The domain of operations; that of ONNX itself has two names."""
    return "" if domain == "ai.onnx" else domain
