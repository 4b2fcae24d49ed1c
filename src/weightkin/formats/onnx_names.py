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
}
TURNED = ("MatMul", "FusedMatMul", "Gemm")  # operations that want (inputs, outputs)
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


@dataclass(slots=True)
class Graph:
    """Who consumes an initialiser as a weight, and under which other names it is known."""

    users: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)  # by Identity
    added: dict[str, list[str]] = field(default_factory=dict)  # to a value: the other summands
    unpacked: list[Node] = field(default_factory=list)  # from codes to values

    def note(self, node: Node) -> None:
        """Remember a node."""
        if node.op == "Identity" and len(node.inputs) == len(node.outputs) == 1:
            self.aliases.setdefault(node.inputs[0], []).append(node.outputs[0])
        if node.op == "Add" and len(node.inputs) == 2:
            for one, other in (node.inputs, node.inputs[::-1]):
                self.added.setdefault(one, []).append(other)
        if node.op == "DequantizeLinear":
            self.unpacked.append(node)
        at = WEIGHT_INPUT.get(node.op)
        if at is not None and at < len(node.inputs):
            self.users.setdefault(node.inputs[at], node)


def is_own_name(name: str) -> bool:
    """Whether a name is that of a parameter, and none that an exporter made up."""
    is_made = "::" in name or name.startswith("/")
    return not is_made and ("." in name or "/" in name or name in ("weight", "bias"))


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
    user = graph.users.get(initializer)
    if user is None:
        return "", False
    is_turned = user.op in TURNED and user.is_turned
    scopes = _SCOPE.findall(user.scopes)
    if len(scopes) > 1 and scopes[-2]:
        return f"{scopes[-2]}.weight", is_turned
    path = user.name.strip("/").split("/")
    if len(path) > 1:
        return f"{'.'.join(path[:-1])}.weight", is_turned
    for output in user.outputs:
        for other in graph.added.get(output, ()):
            if other in held and is_own_name(other) and other.endswith("bias"):
                return f"{other.removesuffix('bias')}weight", is_turned
    return f"{user.name}.weight" if user.name else "", is_turned
