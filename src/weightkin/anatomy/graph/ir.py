"""The graph of a network as the engine sees it: values with shapes, and what is done to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Op = Literal[
    "elementwise",  # any number of inputs, broadcast as numpy does. Softmax and norms too, with
    # facts: along, the dimensions (of the output) whose entries are mixed, all in the same way
    "einsum",  # facts: terms (letters of each input), out (letters): linear, matmul, attention
    "convolution",  # inputs x (n, c, *space), w, [bias]; facts: groups, is_transposed
    "group_norm",  # input x (n, c, ...); facts: groups: mean and deviation inside each group
    "reshape",  # also flatten, squeeze, unsqueeze; the target is the shape of the output
    "transpose",  # facts: order (of the input's dimensions)
    "expand",  # copies along dimensions of size 1, right-aligned; the target is the output's shape
    "repeat",  # copies that follow each other along a dimension (tile); facts: dim, times
    "concat",  # facts: dim
    "slice",  # facts: dim, start, stop, step (all non-negative, step >= 1)
    "reduce",  # facts: dims, keep: sum, mean, max, norm ... over whole dimensions
    "gather",  # inputs table, index; facts: dim: rows of a table by what data say
    "fix",  # facts: dims: acts on them by position (pool, pad, flip, roll, cumsum, sort, resize);
    # other dimensions pass; output of the same rank
    "tie",  # two inputs, no output: they are one value (the state of a recurrent cell)
    "opaque",  # nothing is known: every dimension of every input and output is fixed
]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation."""

    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """A network: nodes in the order in which they run, every value with its static shape.

    A value is a stored tensor (``weights``: the name of the value is that of the tensor), a
    constant, an input, or the output of exactly one node. ``constants`` are known beforehand
    (tables of positions, masks): for each dimension whether all entries along it are equal, so
    that a relabelling does not move them; other dimensions of constants are fixed. The same holds
    for weights that start from a formula and are listed in ``constants`` too. Inputs are data: all
    their dimensions are fixed. Dimensions of outputs are fixed but for those in ``free_outputs``
    (value and dimension), which somebody reads who does not mind their order.
    """

    nodes: tuple[Node, ...]
    shapes: Mapping[str, tuple[int, ...]]
    weights: frozenset[str]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    constants: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)
    free_outputs: frozenset[tuple[str, int]] = frozenset()
