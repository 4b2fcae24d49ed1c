"""Loops: their body is followed once, and what it hands to its next run is what it was given."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

from weightkin.anatomy.onnx.build import Builder, Call, UnknownValue, axis_of, evenness
from weightkin.anatomy.onnx.rows import length_by_data
from weightkin.formats.onnx_graph import Stored
from weightkin.formats.onnx_network import Body

Environment = MutableMapping[str, "str | Stored"]
Follow = Callable[[Body, Sequence[str]], list[str]]  # a body with its inputs: its outputs


def loop(b: Builder, call: Call, follow: Follow) -> Sequence[str]:
    """As often as a number or a condition says; outputs: what is carried, and rows of each run."""
    body = _body(call)
    carried = [_not_known(b, x) for x in call.inputs[2:]]
    inner = [b.table((), ()), b.table((), ()), *carried]
    n = b.known[call.inputs[0]].reshape(-1)[0] if call.inputs[0] in b.known else 0
    n = int(n) if 0 < n <= 1 << 16 else length_by_data(b, call.inputs[:2])
    _, *found = follow(body, inner)
    after, rows = _carried(b, carried, found)
    return [*after, *(_stacked(b, x, 0, n) for x in rows)]


def scan(b: Builder, call: Call, follow: Follow) -> Sequence[str]:
    """Along a dimension of some inputs; outputs: the last states, and rows of each run."""
    if call.version < 9:
        raise UnknownValue("a scan of older versions")
    body, n_rows = _body(call), call.number("num_scan_inputs")
    n_states = len(call.inputs) - n_rows
    states = [_not_known(b, x) for x in call.inputs[:n_states]]
    axes = call.numbers("scan_input_axes") or (0,) * n_rows
    rows, n = [], 0
    for x, axis in zip(call.inputs[n_states:], axes, strict=True):
        shape = b.shape(x)
        dim = axis_of(axis, len(shape))
        n = shape[dim]
        one = b.slice(b.fix(x, [dim]), dim, 0, 1)
        rows.append(b.reshape(one, (*shape[:dim], *shape[dim + 1 :])))
    after, found = _carried(b, states, follow(body, [*states, *rows]))
    axes = call.numbers("scan_output_axes") or (0,) * len(found)
    return [*after, *(_stacked(b, x, a, n) for x, a in zip(found, axes, strict=True))]


def _body(call: Call) -> Body:
    body = call.attributes.get("body")
    if not isinstance(body, Body):
        raise UnknownValue("a loop without a body")
    return body


def _not_known(b: Builder, value: str) -> str:
    """A value that is another one in the next run."""
    if value in b.known:
        return b.table(b.shape(value), evenness(b.known[value]))
    b.shape(value)
    return value


def _carried(
    b: Builder, before: Sequence[str], after: Sequence[str]
) -> tuple[list[str], Sequence[str]]:
    """What is handed on, one with what was handed in; and all other outputs."""
    handed = list(after[: len(before)])
    for x, y in zip(before, handed, strict=True):
        if b.shape(x) != b.shape(y):
            raise UnknownValue("what a loop carries changes its shape")
        b.tie(x, y)
    return handed, after[len(before) :]


def _stacked(b: Builder, value: str, axis: int, n: int) -> str:
    """Rows of all runs along a new dimension."""
    shape = list(b.shape(value))
    dim = axis_of(axis, len(shape) + 1)
    shape.insert(dim, 1)
    one = b.reshape(value, shape)
    shape[dim] = n
    return b.fix(one, [dim], shape)


LOOPS = {"Loop": loop, "Scan": scan}
