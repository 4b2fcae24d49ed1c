"""States that a network is handed and hands back: inputs and outputs, but no data.

A cell that is run step by step from outside gets its state as an input and returns it as an output,
attention over a text that grows gets keys and values of before and returns them with the new ones.
Nobody looks at the order of their units: relabelling both leaves what the network does as it was.
What is a state is told by what is done to it, and where that is no operation of a cell by its name
too: a picture that is multiplied by a mask is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from weightkin.anatomy.graph.ir import Node
from weightkin.anatomy.onnx.build import Builder

CUT = ("reshape", "transpose", "slice")
PASSED = (*CUT, "concat", "elementwise")
MAX_STEPS = 64  # between an input and the cell that reads it
STATE = re.compile(r"(^|[^a-z])([hc][nx0-9]?|\w*(state|hidden|cell))([^a-rt-z]|$)", re.IGNORECASE)
PAST = re.compile(r"past|cache", re.IGNORECASE)
PRESENT = re.compile(r"present(_key_values)?[._]\d+[._]((de|en)coder[._])?(key|value)s?", re.ASCII)


@dataclass(slots=True)
class States:
    """Inputs and outputs that are states, parts cut from them, and what is one in two of them."""

    given: set[str]
    handed: set[str]
    parts: set[str] = field(default_factory=set)
    ties: list[tuple[str, str]] = field(default_factory=list)
    idle: set[int] = field(default_factory=set)  # positions of nodes that only cut or join parts


class Flow:
    """Which node makes a value, and which ones read it."""

    def __init__(self, b: Builder) -> None:
        self.nodes, self.shapes = b.nodes, b.shapes
        self.still = {*b.weights, *b.constants}
        self.maker = {x: i for i, node in enumerate(b.nodes) for x in node.outputs}
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(b.nodes):
            for x in dict.fromkeys(node.inputs):
                self.readers.setdefault(x, []).append(i)

    def read_by(self, value: str) -> list[Node]:
        """Nodes that read a value."""
        return [self.nodes[i] for i in self.readers.get(value, ())]

    def cut_from(self, value: str) -> list[str]:
        """A value, and what is brought into other shapes or cut from it."""
        found, at = [value], 0
        while at < len(found) and at < MAX_STEPS:
            found += [y for node in self.read_by(found[at]) if node.op in CUT for y in node.outputs]
            at += 1
        return list(dict.fromkeys(found))


def states_of(b: Builder, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> States:
    """Inputs and outputs that are nothing but states.

    Parameters
    ----------
    b : Builder
        The network, with the states of its cells.
    inputs, outputs : mapping of str to str
        Those of the network, and what the file calls them.

    Returns
    -------
    States
        Empty where no input or no output is one; but keys and values that an exporter names so are
        outputs without an input where a text begins.
    """
    flow = Flow(b)
    before, after = ({pair[i] for pair in b.states} for i in (0, 1))
    given = {x for x in inputs if _becomes(x, flow, before)}
    named = {x for x, name in inputs.items() if STATE.search(name) and "hidden_states" not in name}
    gated = {x: own for x in sorted(named) if (own := _gated(x, flow))}
    grown = {x: own for x in inputs if PAST.search(inputs[x]) and (own := _grown(x, flow))}
    given |= {*gated, *grown}
    after.update(y for own in (*gated.values(), *grown.values()) for y in own)
    known: dict[str, bool] = {}
    handed = {x for x in outputs if _comes_from(x, flow, after | given, known)}
    shapes = [{b.shapes[x] for x in own} for own in (gated, handed)]
    given |= {x for x in named if all(b.shapes[x] in own for own in shapes)}  # of a gated cell
    present = {x for x, name in outputs.items() if PRESENT.fullmatch(name)}
    if not (given and handed):
        return States(set(), present)
    return _tied(flow, States(given, handed | present))


def _gated(value: str, flow: Flow) -> list[str]:
    """What a state becomes that is multiplied by a gate and added to something new."""
    products = [
        node.outputs[0]
        for part in flow.cut_from(value)
        for node in flow.read_by(part)
        if node.facts.get("is_product") and not flow.still.intersection(node.inputs)
    ]
    sums = (node for x in products for node in flow.read_by(x) if node.op == "elementwise")
    return [node.outputs[0] for node in sums if not node.facts.get("is_product")]


def _grown(value: str, flow: Flow) -> list[str]:
    """What keys or values become that new ones are appended to."""
    return [
        node.outputs[0]
        for part in flow.cut_from(value)
        for node in flow.read_by(part)
        if node.op == "concat" and node.inputs[0] == part and len(node.inputs) == 2
    ]


def _becomes(value: str, flow: Flow, states: set[str]) -> bool:
    """Whether all that reads a value passes it on to cells as their state."""
    left, n_steps = [value], 0
    while left:
        x = left.pop()
        n_steps += 1
        if x in states:
            continue
        nodes = flow.read_by(x)
        if not nodes or n_steps > MAX_STEPS or any(node.op not in CUT for node in nodes):
            return False
        left += [y for node in nodes for y in node.outputs]
    return True


def _comes_from(
    value: str, flow: Flow, states: set[str], known: dict[str, bool], n_steps: int = 0
) -> bool:
    """Whether a value is put together from states alone, or is one that a gate lets through.

    Parameters
    ----------
    value : str
        The value.
    flow : Flow
        The network.
    states : set of str
        Values that are states.
    known : dict
        Answers so far.
    n_steps : int
        Nodes on the way to it.

    Returns
    -------
    bool
        False where the way is too long.
    """
    if value in states:
        return True
    if value not in known:
        known[value] = False
        node = flow.nodes[flow.maker[value]] if value in flow.maker else None
        if node is not None and node.op in PASSED and n_steps < MAX_STEPS:
            found = [_comes_from(x, flow, states, known, n_steps + 1) for x in node.inputs]
            known[value] = any(found) if node.facts.get("is_product") else all(found)
    return known[value]


def _tied(flow: Flow, found: States) -> States:
    """The states, each one with what it becomes; of several layers in one value, part by part."""
    for x in sorted(found.given):
        becomes = [y for y in sorted(found.handed) if flow.shapes[y] == flow.shapes[x]]
        if len(becomes) != 1 or not _in_parts(flow, found, x, becomes[0]):
            found.ties += [(x, y) for y in becomes]
    return found


def _in_parts(flow: Flow, found: States, given: str, handed: str) -> bool:
    """Whether a state is entries along one dimension alone, which come back in their order."""
    cuts = flow.read_by(given)
    at = flow.maker.get(handed)
    joined = None if at is None else flow.nodes[at]
    if joined is None or joined.op != "concat" or flow.readers.get(handed):
        return False
    dim, rank = joined.facts["dim"], len(flow.shapes[given])
    own = {}
    for node in cuts:
        if node.op != "slice" or node.facts["dim"] != dim % rank or node.facts["step"] != 1:
            return False
        if node.facts["stop"] - node.facts["start"] != 1:
            return False
        own[node.facts["start"]] = node.outputs[0]
    if sorted(own) != list(range(len(joined.inputs))) or len(own) != len(cuts):
        return False
    found.parts.update(own.values())
    found.ties += [(own[i], x) for i, x in enumerate(joined.inputs)]
    found.idle.update((flow.maker[handed], *(flow.maker[x] for x in own.values())))
    return True
