"""Every tensor that an ONNX file holds, wherever it stands, and the nodes that use it.

Initialisers and sparse ones, of the graph, of graphs inside it (branches, loops, scans) and of
functions; tensors and lists of numbers in attributes, those of constants among them. Values are
located, not read, but for short lists of numbers that are not stored as plain bytes. Field numbers
are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from weightkin.formats import onnx_fields as known
from weightkin.formats.headers import MAX_DIMENSIONS
from weightkin.formats.onnx_fields import Account
from weightkin.formats.onnx_names import Graph, Node
from weightkin.formats.protobuf import Messages, Value
from weightkin.sources.files import File
from weightkin.text import counted, located, unreadable

MAX_DEPTH = 8  # graphs within graphs
MAX_NUMBERS = 1 << 20  # of one tensor that are stored one by one
MAX_ALL_NUMBERS = 1 << 22  # of a file
MAX_TEXTS = 1 << 20  # bytes of elements that are texts
FEW = 8  # whole numbers of an attribute that are no weights: sizes, paddings, an order
FLOAT, INT64, STRING = 1, 7, 8  # types of elements
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTION = 7, 20, 25
_TRAINING_GRAPHS = (1, 2)
_NAME, _FUNCTION_NODES = 1, 7
_NODES, _INITIALISERS, _SPARSE = 1, 5, 15  # of a graph
_NUMBER_FIELDS = (4, 5, 7, 10, 11)  # of a tensor: floats, int32, int64, doubles, uint64


@dataclass(slots=True)
class Stored:
    """A tensor as stored: plain bytes here or in a file beside, or numbers read one by one."""

    name: str = ""
    kind: int = 0
    sizes: tuple[int, ...] = ()
    span: tuple[int, int] | None = None  # bytes in this file
    beside: dict[str, str] | None = None  # location, offset, length
    numbers: list[float] | None = None
    numbers_at: tuple[int, int] | None = None  # the bytes of this file that are these numbers
    why: str = ""  # why its values are not read
    is_text: bool = False  # few enough texts, which are no weights
    at: int = -1  # byte at which its message begins


@dataclass(slots=True)
class Held:
    """What a file holds: its tensors by a name that each has alone, in the order of the file."""

    graph: Graph = field(default_factory=Graph)
    tensors: dict[str, Stored] = field(default_factory=dict)
    account: Account = field(default_factory=Account)

    def add(self, tensor: Stored, scope: str) -> str:
        """Keep a tensor; two graphs inside one may each have one of the same name."""
        wanted = tensor.name or "unnamed"
        name = wanted if wanted not in self.tensors else f"{scope}/{wanted}"
        n = 1
        while name in self.tensors:
            n += 1
            name = f"{scope}/{wanted}~{n}"
        self.tensors[name] = tensor
        return name


def read_held(file: File) -> Held:
    """All tensors of an ONNX file."""
    reader, n_graphs = _GraphReader(file), 0
    for number, value in reader.noted(known.MODEL, (0, file.size)):
        if number == _MODEL_GRAPH:
            n_graphs += 1
            reader.read_graph(value, "", 0)
        elif number == _MODEL_TRAINING:
            for part, inner in reader.noted(known.TRAINING, value):
                if part in _TRAINING_GRAPHS:
                    reader.read_graph(inner, "training", 0)
        elif number == _MODEL_FUNCTION:
            reader.read_function(value)
    if n_graphs != 1:
        raise unreadable(file.path, f"not an ONNX model ({counted(n_graphs, 'graph')})")
    return reader.held


def tensor_reader(file: File) -> Callable[[Value], Stored]:
    """What locates one tensor after the other, not more of them than a file may have."""
    return _GraphReader(file).read_tensor


class _GraphReader:
    """Walks the graphs of one file."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.messages = Messages(file)
        self.held = Held()
        self.n_numbers = 0  # read one by one so far

    def spend(self, numbers: list[float]) -> None:
        """Count numbers that were read one by one."""
        self.n_numbers += len(numbers)
        if self.n_numbers > MAX_ALL_NUMBERS:
            many = f"over {MAX_ALL_NUMBERS} numbers"
            raise unreadable(self.file.path, f"{many} that are not stored as plain bytes")

    def fields(self, value: Value) -> Iterator[tuple[int, Value]]:
        return self.messages.fields(*self.messages.span(value))

    def noted(self, message: frozenset[int], value: Value) -> Iterator[tuple[int, Value]]:
        """Fields of a message of a known kind; what is not read of them is remembered."""
        for number, part in self.fields(value):
            self.held.account.note(message, number, part)
            yield number, part

    def read_graph(self, value: Value, scope: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise unreadable(self.file.path, f"graphs are nested deeper than {MAX_DEPTH} levels")
        seen: set[str] = set()
        for number, part in self.noted(known.GRAPH, value):
            if number == _NODES:
                self.read_node(part, scope, depth)
            elif number in (_INITIALISERS, _SPARSE):
                tensors = self.read_sparse(part) if number == _SPARSE else [self.read_tensor(part)]
                for tensor in tensors:
                    if tensor.name in seen:
                        raise unreadable(located(self.file.path, tensor.name), "listed twice")
                    seen.add(tensor.name)
                    self.held.add(tensor, scope)

    def read_function(self, value: Value) -> None:
        """A function has nodes, and its constants are tensors."""
        parts = list(self.noted(known.FUNCTION, value))
        name = next((self.messages.text(part) for n, part in parts if n == _NAME), "function")
        for number, part in parts:
            if number == _FUNCTION_NODES:
                self.read_node(part, name, 0)
            elif number == 11:  # values of attributes that a call may leave out
                self.read_attribute(part, name, name, 0)

    def read_node(self, value: Value, scope: str, depth: int) -> None:
        messages, scopes, texts = self.messages, "", {3: "", 4: ""}
        inputs, outputs, attributes = [], [], []
        for number, part in self.noted(known.NODE, value):
            if number == 1:
                inputs.append(messages.text(part))
            elif number == 2:
                outputs.append(messages.text(part))
            elif number in texts:
                texts[number] = messages.text(part)
            elif number == 5:
                attributes.append(part)
            elif number == 9:
                entry = {n: p for n, p in self.fields(part) if n in (1, 2)}
                if len(entry) == 2 and messages.text(entry[1]).endswith("name_scopes"):
                    scopes = messages.text(entry[2])
        name, op = texts[3], texts[4]
        where = outputs[0] if op == "Constant" and len(outputs) == 1 else ""
        inner = "/".join(filter(None, (scope, name or (outputs or [op])[0])))
        ints: dict[str, int] = {}
        order: list[float] = []
        for part in attributes:
            found, numbers = self.read_attribute(part, where, inner, depth)
            ints |= found
            order = numbers or order
        is_turned, axis = not ints.get("transB", 0), ints.get("axis", 1)
        is_swapped = op == "Transpose" and order in ([], [1, 0])
        block = max(0, ints.get("block_size", 0))
        node = Node(
            op, name, tuple(inputs), tuple(outputs), scopes, is_turned, axis, is_swapped, block
        )
        self.held.graph.note(node)

    def read_attribute(
        self, value: Value, constant: str, scope: str, depth: int
    ) -> tuple[dict[str, int], list[float]]:
        """Tensors, graphs and lists of numbers of one attribute; its number and its list."""
        messages = self.messages
        name, whole = "", None
        tensors: list[Stored] = []
        graphs: list[Value] = []
        numbers: list[float] = []
        is_floats = False
        spans: list[tuple[int, int]] = []
        for number, part in self.noted(known.ATTRIBUTE, value):
            if number == 1:
                name = messages.text(part)
            elif number == 3:
                whole = messages.number(part)
            elif number in (5, 10):
                tensors.append(self.read_tensor(part))
            elif number in (22, 23):
                tensors += self.read_sparse(part)
            elif number in (6, 11):
                graphs.append(part)
            elif number in (2, 7):  # one float, or several
                is_floats = is_floats or number == 7
                numbers += messages.floats(part, MAX_NUMBERS)
            elif number == 8:
                numbers += messages.numbers(part, MAX_NUMBERS)
            if number in (7, 8) and not isinstance(part, int):
                spans.append(part)
            if len(numbers) > MAX_NUMBERS:
                raise unreadable(self.file.path, f"an attribute of over {MAX_NUMBERS} numbers")
        self.spend(numbers)
        for graph in graphs:
            self.read_graph(graph, f"{scope}.{name}", depth + 1)
        if constant and whole is not None:
            numbers.append(whole)
        if numbers and (constant or len(numbers) > (1 if is_floats else FEW)):
            kind = FLOAT if isinstance(numbers[0], float) else INT64
            sizes = (len(numbers),) if len(numbers) > 1 or name.endswith("s") else ()
            where = spans[0] if len(spans) == 1 else None
            tensors.append(Stored(kind=kind, sizes=sizes, numbers=numbers, numbers_at=where))
        for tensor in tensors:
            tensor.name = constant or f"{scope}.{name}" + f"/{tensor.name}" * bool(tensor.name)
            self.held.add(tensor, scope)
        return ({} if whole is None else {name: whole}), numbers

    def read_sparse(self, value: Value) -> list[Stored]:
        """The values of a sparse tensor, and the places where they stand."""
        found = []
        for number, part in self.noted(known.SPARSE, value):
            if number in (1, 2):
                found.append(self.read_tensor(part))
                found[-1].name += ".indices" * (number == 2)
        if len(found) == 2:
            found[1].name = f"{found[0].name}.indices"
        return found

    def read_tensor(self, value: Value) -> Stored:
        messages, tensor, is_beside = self.messages, Stored(at=self.messages.span(value)[0]), False
        sizes: list[int] = []
        numbers: list[tuple[int, Value]] = []
        texts: list[tuple[int, int]] = []
        for number, part in self.noted(known.TENSOR, value):
            if number == 1:
                sizes += messages.numbers(part, MAX_DIMENSIONS)
            elif number == 2:
                tensor.kind = messages.number(part)
            elif number == 8:
                tensor.name = messages.text(part)
            elif number == 9:
                tensor.span = messages.span(part)
            elif number in _NUMBER_FIELDS and len(numbers) <= MAX_NUMBERS:
                numbers.append((number, part))
            elif number == 6:
                texts.append(messages.span(part))
            elif number == 13:
                entry = dict(self.fields(part))
                if 1 in entry and 2 in entry:
                    tensor.beside = tensor.beside or {}
                    tensor.beside[messages.text(entry[1])] = messages.text(entry[2])
            elif number == 14:
                is_beside = messages.number(part) == 1
        tensor.sizes = tuple(sizes)
        if not is_beside:
            tensor.beside = None
        if tensor.kind == STRING or texts:
            n_bytes = sum(stop - start for start, stop in texts)
            is_text = tensor.kind == STRING and n_bytes <= MAX_TEXTS and not tensor.span
            tensor.why = "its elements are texts"
            tensor.is_text = is_text
            (self.held.account.texts if is_text else self.held.account.unread).extend(texts)
        self.read_numbers(tensor, numbers)
        return tensor

    def read_numbers(self, tensor: Stored, fields: list[tuple[int, Value]]) -> None:
        """Values that are not raw bytes: packed floats are plain bytes, others are read."""
        if not fields or tensor.beside is not None:
            return
        if tensor.span is not None:
            raise unreadable(located(self.file.path, tensor.name), "its values are in two fields")
        number, value = fields[0]
        if len(fields) == 1 and number in (4, 10) and not isinstance(value, int):
            tensor.span = value
            return
        if len(fields) > MAX_NUMBERS or any(n != number for n, _ in fields):
            tensor.why = "its values are not stored as plain bytes"
            return
        tensor.numbers = self.one_by_one(fields)
        if len(fields) == 1 and not isinstance(value, int):
            tensor.numbers_at = value
        if tensor.numbers is None:
            tensor.why = "its values are not stored as plain bytes"

    def one_by_one(self, fields: list[tuple[int, Value]]) -> list[float] | None:
        """Numbers of repeated fields; None where there are too many, or doubles."""
        numbers: list[float] = []
        for number, value in fields:
            n_bytes = 0 if isinstance(value, int) else value[1] - value[0]
            if number == 10 or n_bytes > 4 * MAX_NUMBERS or len(numbers) > MAX_NUMBERS:
                return None
            read = self.messages.floats if number == 4 else self.messages.numbers
            numbers += read(value, 4 * MAX_NUMBERS)
        self.spend(numbers)
        return numbers
