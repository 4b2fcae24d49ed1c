"""ONNX: the initialisers of a graph, under the names their modules had, in the layout of torch.

Weights that an exporter stored as (inputs, outputs) are shown as (outputs, inputs). Only the graph
is read, never what lies between; values may lie in a file beside, whose path is hostile until
checked. Field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from weightkin.weights.dtypes import BITS, NUMPY
from weightkin.weights.files import Contents, File, LocalFile, Place, readable
from weightkin.weights.messages import located, quoted, shown, unreadable
from weightkin.weights.model import Problem, TensorInfo
from weightkin.weights.onnx_names import MAX_DEPTH, Graph, Node, is_own_name, module_name
from weightkin.weights.protobuf import Messages, Value
from weightkin.weights.shapes import MAX_DIMENSIONS, checked_name, checked_shape

DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16",
    11: "F64", 12: "U32", 13: "U64", 14: "C64", 16: "BF16", 17: "F8_E4M3", 18: "F8_E4M3FNUZ",
    19: "F8_E5M2", 20: "F8_E5M2FNUZ", 24: "F8_E8M0",
}  # fmt: skip
MAX_PATH = 1000  # characters of the name of a file beside
_GRAPH = 7  # of a model
_NODES, _INITIALIZERS = 1, 5  # of a graph
_QUANTISED = ("_quantized", "_scale", "_zero_point")  # how ONNX Runtime names its codes


@dataclass(slots=True)
class _Tensor:
    """An initialiser as stored."""

    name: str = ""
    kind: int = 0
    sizes: tuple[int, ...] = ()
    span: tuple[int, int] | None = None  # bytes in this file
    beside: dict[str, str] | None = None  # location, offset, length


def read_onnx(file: File, open_file: Callable[[str], File]) -> tuple[Contents, list[File]]:
    """Tensors of an ONNX file, and the files beside it that hold their values."""
    messages, graph = Messages(file), Graph()
    tensors: dict[str, _Tensor] = {}
    n_graphs = 0
    for number, value in messages.fields(0, file.size):
        if number == _GRAPH:
            n_graphs += 1
            _read_graph(messages, value, graph, tensors, 0)
    if n_graphs != 1:
        raise unreadable(file.path, f"{n_graphs} graphs", "an ONNX model")
    contents, beside = Contents(), _Beside(file, open_file)
    for name, tensor, is_turned in _named(graph, tensors):
        if name in contents.tensors:
            raise unreadable(located(file.path, name), "it twice", "it once")
        _add(contents, file, beside, name, tensor, is_turned=is_turned)
    return contents, list(beside.files.values())


def _read_graph(
    messages: Messages, value: Value, graph: Graph, tensors: dict[str, _Tensor], depth: int
) -> None:
    for number, part in messages.fields(*messages.span(value)):
        if number == _NODES:
            _read_node(messages, part, graph, tensors, depth)
        elif number == _INITIALIZERS:
            tensor = _read_tensor(messages, part)
            tensors[tensor.name] = tensor


def _read_node(
    messages: Messages, value: Value, graph: Graph, tensors: dict[str, _Tensor], depth: int
) -> None:
    inputs, outputs, texts = [], [], {3: "", 4: ""}
    scopes, is_turned, constant = "", True, None
    for number, part in messages.fields(*messages.span(value)):
        if number == 1:
            inputs.append(messages.text(part))
        elif number == 2:
            outputs.append(messages.text(part))
        elif number in texts:
            texts[number] = messages.text(part)
        elif number == 5:
            name, fields = _attribute(messages, part)
            is_turned &= not (name == "transB" and messages.number(fields.get(3, 0)))
            constant = fields.get(5) if name == "value" else constant
            if 6 in fields and depth < MAX_DEPTH:
                _read_graph(messages, fields[6], graph, tensors, depth + 1)
        elif number == 9:
            entry = {n: p for n, p in messages.fields(*messages.span(part)) if n in (1, 2)}
            if len(entry) == 2 and messages.text(entry[1]).endswith("name_scopes"):
                scopes = messages.text(entry[2])
    name, op = texts[3], texts[4]
    graph.note(Node(op, name, tuple(inputs), tuple(outputs), scopes, is_turned))
    if op == "Constant" and constant is not None and len(outputs) == 1:
        tensor = _read_tensor(messages, constant)
        tensor.name = outputs[0]
        tensors[tensor.name] = tensor


def _attribute(messages: Messages, value: Value) -> tuple[str, dict[int, Value]]:
    fields = dict(messages.fields(*messages.span(value)))
    return messages.text(fields[1]) if 1 in fields else "", fields


def _read_tensor(messages: Messages, value: Value) -> _Tensor:
    tensor, is_beside = _Tensor(), False
    sizes: list[int] = []
    for number, part in messages.fields(*messages.span(value)):
        if number == 1:
            sizes += messages.numbers(part, MAX_DIMENSIONS)
        elif number == 2:
            tensor.kind = messages.number(part)
        elif number == 8:
            tensor.name = messages.text(part)
        elif number in (4, 9, 10) and not isinstance(part, int):  # floats, bytes, doubles
            tensor.span = part
        elif number == 13:
            entry = dict(messages.fields(*messages.span(part)))
            if 1 in entry and 2 in entry:
                tensor.beside = tensor.beside or {}
                tensor.beside[messages.text(entry[1])] = messages.text(entry[2])
        elif number == 14:
            is_beside = messages.number(part) == 1
    tensor.sizes = tuple(sizes)
    if not is_beside:
        tensor.beside = None
    return tensor


def _named(graph: Graph, tensors: dict[str, _Tensor]) -> Iterator[tuple[str, _Tensor, bool]]:
    """Parameters among the initialisers, by the names they had; constants are passed over."""
    taken = {name for name in tensors if is_own_name(name)}
    for stored, tensor in tensors.items():
        if is_own_name(stored):
            yield stored, tensor, False
        elif len(tensor.sizes) > 1:
            name, is_turned = module_name(graph, stored, tensors)
            if name and name in taken:  # two products in one module
                name = f"{name.removesuffix('.weight')}.{stored}.weight"
            if name:
                taken.add(name)
                yield name, tensor, is_turned and len(tensor.sizes) == 2
        for alias in graph.aliases.get(stored, ()):
            if is_own_name(alias) and alias not in taken:
                taken.add(alias)
                yield alias, tensor, False


def _add(
    contents: Contents,
    file: File,
    beside: _Beside,
    name: str,
    tensor: _Tensor,
    *,
    is_turned: bool,
) -> None:
    where = located(file.path, checked_name(file.path, name))
    shape = checked_shape(where, tensor.sizes)
    dtype = DTYPES.get(tensor.kind, "")
    if tensor.name.endswith(_QUANTISED):
        contents.problems.append(Problem(shown(name), "codes of ONNX Runtime are not unpacked"))
        return
    if dtype not in NUMPY:
        contents.problems.append(Problem(shown(name), f"type {tensor.kind} is not supported"))
        return
    n_bytes = math.prod(shape) * BITS[dtype] // 8
    if tensor.beside is None and tensor.span is None and n_bytes:
        contents.problems.append(Problem(shown(name), "its values are not stored as plain bytes"))
        return
    home, (start, stop) = (file, tensor.span or (0, 0))
    if tensor.beside is not None:
        home, start, stop = beside.place(where, tensor.beside, n_bytes)
    if stop - start != n_bytes:
        raise unreadable(where, f"{stop - start} bytes", f"{n_bytes} of {dtype}")
    strides: tuple[int, ...] = ()
    if is_turned:
        strides, shape = (1, shape[1]), shape[::-1]
    contents.tensors[name] = TensorInfo(name, dtype, shape, n_bytes)
    contents.places[name] = Place(home, NUMPY[dtype], start, shape, strides)


class _Beside:
    """Files of values beside a graph, opened once each."""

    def __init__(self, file: File, open_file: Callable[[str], File]) -> None:
        self.file, self.open_file = file, open_file
        self.files: dict[str, File] = {}

    def place(self, where: str, said: dict[str, str], n_bytes: int) -> tuple[File, int, int]:
        """File, first and last byte of a tensor; refuse a path that leads out of the folder."""
        name = said.get("location", "").removeprefix("./")
        is_plain = name not in ("", ".", "..") and len(name) <= MAX_PATH
        if not is_plain or any(character in name for character in "/\\\0:"):
            raise unreadable(
                where, f"refused path {quoted(name)}", "the name of a file in the same folder"
            )
        if name not in self.files:
            opened = self.open_file(name)
            _check_link(where, self.file, opened)
            self.files[name] = opened
        file = self.files[name]
        start = _number(where, said.get("offset", "0"))
        stop = start + _number(where, said.get("length", str(n_bytes)))
        if stop > file.size:
            found = f"bytes {start} to {stop} of {shown(name)}, which has {file.size}"
            raise unreadable(where, found, "bytes inside it")
        return file, start, stop


def _check_link(where: str, graph: File, values: File) -> None:
    """Refuse a link that leads elsewhere than the graph's own folder or where its link leads."""
    if isinstance(graph, LocalFile) and isinstance(values, LocalFile):
        near, far = Path(graph.path), Path(values.path)
        with readable(far):
            homes = (near.parent.resolve(), near.resolve().parent)
            if far.resolve().parent not in homes:
                found = f"refused link {quoted(far.name)}"
                raise unreadable(where, found, "a file in the same folder")


def _number(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise unreadable(where, f"{quoted(text)} as offset or length", "a number of bytes")
    return int(text)
