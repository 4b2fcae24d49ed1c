"""What ONNX calls an initialiser, and what the module called it whose graph was exported.

Exporters keep the name of a parameter they store as it is, and rename (``onnx::MatMul_123``,
``val_108``) what they transpose while folding constants. The node that consumes such a one says
which module it was: in metadata (torch since 2.5), in its name (torch since 1.13), or by the bias
that is added next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

WEIGHT_INPUT = {  # operation -> which input is the weight
    "MatMul": 1,
    "FusedMatMul": 1,
    "Gemm": 1,
    "Gather": 0,
    "Conv": 1,
    "ConvTranspose": 1,
    "ConvInteger": 1,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
    "QLinearMatMul": 3,
    "QLinearConv": 3,
    "QGemm": 3,
}
# operations that want (inputs, outputs)
TURNED = (
    *("MatMul", "FusedMatMul", "Gemm", "MatMulInteger", "MatMulIntegerToFloat"),
    *("DynamicQuantizeMatMul", "QLinearMatMul", "QGemm"),
)
PASSED = ("Cast", "Transpose", "Identity")  # operations that leave a weight what it is
CODED = (  # operations that take codes
    *("DequantizeLinear", "Cast", "MatMulInteger", "ConvInteger", "MatMulIntegerToFloat"),
    *("DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QLinearMatMul", "QLinearConv", "QGemm"),
    *("QLinearAdd", "QAttention", "MatMulNBits", "GatherBlockQuantized", "MatMulBnb4"),
    *("QEmbedLayerNormalization", "QOrderedMatMul"),
)
MAX_PASSED = 4  # such operations in a row
_SCOPE = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a graph, as far as names go."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scopes: str = ""
    is_turned: bool = True  # transB is not set
    axis: int = 1  # along which codes have a scale each
    is_swapped: bool = False  # exchanges the dimensions of a matrix
    block: int = 0  # codes that share a scale


@dataclass(slots=True)
class Graph:
    """Who consumes an initialiser as a weight, and under which other names it is known."""

    users: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)  # by Identity
    added: dict[str, list[str]] = field(default_factory=dict)  # to a value: the other summands
    coded: list[Node] = field(default_factory=list)  # which may take codes
    steps: dict[str, list[Node]] = field(default_factory=dict)  # sums, products, casts of a value
    factors: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of a product
    passed: dict[str, Node] = field(default_factory=dict)  # by which a value is cast or transposed

    def note(self, node: Node) -> None:
        """Remember a node."""
        if node.op == "Identity" and len(node.inputs) == len(node.outputs) == 1:
            self.aliases.setdefault(node.inputs[0], []).append(node.outputs[0])
        if node.op == "Add" and len(node.inputs) == 2:
            for one, other in (node.inputs, node.inputs[::-1]):
                self.added.setdefault(one, []).append(other)
        if node.op in CODED:
            self.coded.append(node)
        if node.op in ("Add", "Mul", "Cast"):
            for value in node.inputs:
                self.steps.setdefault(value, []).append(node)
        if node.op == "Mul" and node.outputs:
            self.factors[node.outputs[0]] = node.inputs
        if node.op in PASSED and node.inputs and node.outputs:
            self.passed.setdefault(node.inputs[0], node)
        at = WEIGHT_INPUT.get(node.op)
        if at is not None and at < len(node.inputs):
            self.users.setdefault(node.inputs[at], node)


def is_own_name(name: str) -> bool:
    """Whether a name is that of a parameter, and none that an exporter made up."""
    is_made = "::" in name or name.startswith("/")
    return not is_made and ("." in name or "/" in name or name in ("weight", "bias"))


def _user(graph: Graph, value: str) -> tuple[Node | None, bool]:
    """The node that reads a weight, through casts; whether it was transposed on the way."""
    is_swapped = False
    for _ in range(MAX_PASSED):
        if value in graph.users or value not in graph.passed:
            break
        step = graph.passed[value]
        is_swapped ^= step.is_swapped
        value = step.outputs[0]
    return graph.users.get(value), is_swapped


def _module(scopes: list[str]) -> str:
    """Path of a module from scopes, of which one in a sequence repeats the name of the sequence."""
    nexts = [*scopes[1:], ""]
    return ".".join(x for x, y in zip(scopes, nexts, strict=True) if not y.startswith(f"{x}."))


def module_name(graph: Graph, initializer: str, held: Mapping[str, object]) -> tuple[str, bool]:
    """Name of a weight whose own was lost, empty if nothing says it; whether it is transposed.

    Parameters
    ----------
    graph : Graph
        Which node reads an initialiser, and what is added to its output.
    initializer : str
        Name of the weight in the graph.
    held : mapping
        All initialisers, by name.

    Returns
    -------
    tuple
        ``(name, is_transposed)``; transposed: stored as (inputs, outputs).
    """
    user, is_swapped = _user(graph, initializer)
    if user is None:
        return "", False
    is_turned = (user.op in TURNED and user.is_turned) != is_swapped
    scopes = _SCOPE.findall(user.scopes)
    if len(scopes) > 1 and scopes[-2]:
        return f"{scopes[-2]}.weight", is_turned
    path = user.name.strip("/").split("/")
    if len(path) > 1:
        return f"{_module(path[:-1])}.weight", is_turned
    for output in user.outputs:
        for other in graph.added.get(output, ()):
            if other in held and is_own_name(other) and other.endswith("bias"):
                return f"{other.removesuffix('bias')}weight", is_turned
    return f"{user.name}.weight" if user.name else "", is_turned
