"""States that a network is handed and hands back: inputs and outputs, but no data.

A cell that is run step by step from outside gets its state as an input and returns it as an output.
Nobody looks at the order of its units: relabelling both leaves what the network does as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weightkin.anatomy.graph.ir import Node

PASSED = ("reshape", "transpose", "slice", "concat", "elementwise")
MAX_STEPS = 32  # between an input and the cell that reads it


def states_of(
    nodes: Iterable[Node],
    cells: Sequence[tuple[str, str]],
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> tuple[set[str], set[str]]:
    """Inputs and outputs that are nothing but states of cells.

    Parameters
    ----------
    nodes : iterable of Node
        The network.
    cells : sequence of tuple
        The state of each cell before the first step and after the last.
    inputs, outputs : iterable of str
        Those of the network.

    Returns
    -------
    tuple
        Inputs that are states, and outputs; both empty where none of the one or the other are.
    """
    before = {state for state, _ in cells}
    after = {state for _, state in cells}
    makers = {x: node for node in nodes for x in node.outputs}
    readers: dict[str, list[Node]] = {}
    for node in makers.values():
        for x in node.inputs:
            readers.setdefault(x, []).append(node)
    given = {x for x in inputs if _becomes(x, readers, before)}
    handed = {x for x in outputs if _comes_from(x, makers, after | given)}
    return (given, handed) if given and handed else (set(), set())


def _becomes(value: str, readers: dict[str, list[Node]], states: set[str]) -> bool:
    """Whether all that reads a value passes it on to cells as their state."""
    left, n_steps = [value], 0
    while left:
        x = left.pop()
        n_steps += 1
        if x in states:
            continue
        nodes = readers.get(x, [])
        if not nodes or n_steps > MAX_STEPS:
            return False
        for node in nodes:
            if node.op not in PASSED[:3]:
                return False
            left += node.outputs
    return True


def _comes_from(value: str, makers: dict[str, Node], states: set[str]) -> bool:
    """Whether a value is put together from states of cells alone."""
    left, n_steps = [value], 0
    while left:
        x = left.pop()
        n_steps += 1
        if x in states:
            continue
        node = makers.get(x)
        if node is None or node.op not in PASSED or n_steps > MAX_STEPS:
            return False
        left += node.inputs
    return True
