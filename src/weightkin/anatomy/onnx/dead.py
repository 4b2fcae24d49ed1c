"""Parts of values that nothing reads: they are fixed.

A table of positions is cut to the length of a text, so which of its rows are never read is chance;
classes that an export leaves out had an order all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from weightkin.anatomy.graph.ir import Node
from weightkin.anatomy.onnx.build import Builder

MAX_DIM = 1 << 22  # of a dimension that is looked at; a longer one is fixed


def fix_unread(b: Builder, outputs: Iterable[str]) -> None:
    """Add nodes that fix what no cut of a value reaches, where nothing else reads it."""
    read = set(outputs)
    cuts: dict[str, list[Node]] = {}
    whole = set(outputs)
    for node in reversed(b.nodes):
        if node.outputs and not read.intersection(node.outputs):
            continue
        read.update(node.inputs)
        if node.op == "slice":
            cuts.setdefault(node.inputs[0], []).append(node)
        else:
            whole.update(node.inputs)
    for value, nodes in cuts.items():
        if value in whole:
            continue
        for dim, runs in _unread(nodes, b.shapes).items():
            for start, stop in runs:
                part = b.slice(value, dim, start, stop)
                b.fix(part, [dim])


def _unread(
    nodes: list[Node], shapes: Mapping[str, tuple[int, ...]]
) -> dict[int, list[tuple[int, int]]]:
    """Runs that no cut reaches, by dimension."""
    shape = shapes[nodes[0].inputs[0]]
    dims = {node.facts["dim"] for node in nodes}
    if len(dims) > 1:  # what is cut along one dimension is read whole along another
        return {}
    (dim,) = dims
    if shape[dim] > MAX_DIM:
        return {dim: [(0, shape[dim])]}
    is_read = np.zeros(shape[dim] + 1, dtype=bool)
    is_read[-1] = True
    for node in nodes:
        facts = node.facts
        is_read[facts["start"] : min(facts["stop"], shape[dim]) : facts["step"]] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([True], is_read)).astype(np.int8)))
    return {dim: list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))}
