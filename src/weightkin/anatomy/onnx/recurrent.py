"""Recurrent cells, taken apart: gates of one width, and a state that comes back.

A unit of a cell is one entry of the state: the same row of every gate, in the matrices of the input
and of the state, and one column of the latter. The order of the gates does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(b: Builder, call: Call) -> Sequence[str]:
    """All directions of a layer; outputs: all states, the last one, the last cell."""
    x = call.input(0)
    if call.number("layout"):
        x = b.transpose(x, (1, 0, 2))
    n_steps, batch, _ = b.shape(x)
    n_ways, rows, _ = b.shape(call.input(1))
    gates = GATES[call.op]
    if rows % gates or n_ways > 2:
        raise UnknownValue(f"{rows} rows of {gates} gates")
    if call.input(4):
        b.opaque([call.input(4)])
    all_ways: list[tuple[str, str, str]] = []
    for way in range(n_ways):
        all_ways.append(_one_way(b, call, x, way))
    units = rows // gates
    outer = (n_steps, 1, batch, units)
    every = _side_by_side(b, [b.reshape(a, outer) for a, _, _ in all_ways], 1)
    ends = [
        _side_by_side(b, [b.reshape(way[i], (1, batch, units)) for way in all_ways], 0)
        for i in (1, 2)
    ]
    if call.number("layout"):
        every = b.transpose(every, (2, 0, 1, 3))
        ends = [b.transpose(end, (1, 0, 2)) for end in ends]
    return [every, *ends]


def _one_way(b: Builder, call: Call, x: str, way: int) -> tuple[str, str, str]:
    """States (steps, batch, units), the last one and the last cell (batch, units)."""
    n_steps, batch, _ = b.shape(x)
    gates = GATES[call.op]
    w, r = (_of_way(b, call.input(i), way) for i in (1, 2))
    rows, width = b.shape(w)
    units = rows // gates
    if b.shape(r) != (rows, units):
        raise UnknownValue("a state of another width")
    w, r = b.reshape(w, (gates, units, width)), b.reshape(r, (gates, units, units))
    state, cell = (_start(b, call, at, way, (batch, units)) for at in (5, 6))
    own = b.einsum(("sbi", "ghi"), "sbgh", x, w)
    fed = b.einsum(("bk", "ghk"), "bgh", state, r)
    inputs = [own, fed]
    if call.input(3):
        bias = b.reshape(_of_way(b, call.input(3), way), (2, gates, units))
        inputs += [_at(b, bias, 0, i) for i in range(2)]
    summed = b.elementwise(*inputs)
    parts = [_at(b, summed, 2, i) for i in range(gates)]
    if call.op == "LSTM" and call.input(7):
        peep = b.reshape(_of_way(b, call.input(7), way), (3, units))
        parts += [_at(b, peep, 0, i) for i in range(3)]
    states = b.elementwise(*parts, state, *([cell] if call.op == "LSTM" else []))
    states = b.fix(states, [0])
    last = _at(b, states, 0, n_steps - 1)
    b.tie(last, state)
    last_cell = last
    b.states.append((state, last))
    if call.op == "LSTM":
        last_cell = b.elementwise(last, cell)
        b.states.append((cell, last_cell))
    return states, last, last_cell


def _of_way(b: Builder, value: str, way: int) -> str:
    """What belongs to one direction, without the dimension of directions."""
    return _at(b, value, 0, way)


def _at(b: Builder, value: str, dim: int, at: int) -> str:
    """One entry of a dimension, without it."""
    shape = b.shape(value)
    part = b.slice(value, dim, at, at + 1) if shape[dim] > 1 else value
    return b.reshape(part, (*shape[:dim], *shape[dim + 1 :]))


def _start(b: Builder, call: Call, at: int, way: int, shape: tuple[int, int]) -> str:
    """The state before the first step: given, or nothing."""
    if not call.input(at):
        return b.table(shape, (True, True))
    value = call.input(at)
    if call.number("layout"):
        value = b.transpose(value, (1, 0, 2))
    return _of_way(b, value, way)


def _side_by_side(b: Builder, values: list[str], dim: int) -> str:
    if len(values) == 1:
        return values[0]
    shape = list(b.shape(values[0]))
    shape[dim] = len(values)
    return b.add("concat", values, shape, dim=dim)


def turned(b: Builder, call: Call) -> Sequence[str]:
    """A layer whose codes are stored the other way round."""
    x, w, r, *rest = call.inputs
    turned_ones = [b.transpose(v, (0, 2, 1)) for v in (w, r)]
    return recurrent(b, Call("LSTM", (x, *turned_ones, *rest[:5]), call.attributes, 3, 1))


OPERATIONS: Mapping[str, Operation] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN"), recurrent),
    "DynamicQuantizeLSTM": turned,
}
