"""Operations that read or write entries at places that are data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue, axis_of

SAID_BY_DATA = 101  # a length that only data say


def gather(b: Builder, call: Call) -> Sequence[str]:
    """Rows of a table; where they are known to be one run, that run."""
    x, index = call.input(0), call.input(1)
    shape, places = b.shape(x), b.shape(index)
    axis = axis_of(call.number("axis"), len(shape))
    out = (*shape[:axis], *places, *shape[axis + 1 :])
    if index in b.known and b.known[index].size:
        at = [i + shape[axis] if i < 0 else i for i in b.integers(index)]
        is_run = at == list(range(at[0], at[0] + len(at))) and at[0] >= 0
        if is_run and at[-1] < shape[axis]:
            return [b.reshape(b.slice(x, axis, at[0], at[-1] + 1), out)]
    return [b.add("gather", [x, index], out, dim=axis)]


def gather_elements(b: Builder, call: Call) -> Sequence[str]:
    """Every entry from another place along one dimension."""
    x, index = call.input(0), call.input(1)
    shape, places = b.shape(x), b.shape(index)
    axis = axis_of(call.number("axis"), len(shape))
    changed = [d for d, n in enumerate(shape) if d == axis or places[d] != n]
    return [b.elementwise(b.fix(x, changed, places), index)]


def gather_cells(b: Builder, call: Call) -> Sequence[str]:
    """Rows of a table by several numbers each."""
    x, index = call.input(0), call.input(1)
    shape, places = b.shape(x), b.shape(index)
    n_outer = call.number("batch_dims")
    inner = shape[n_outer + places[-1] :]
    if n_outer:
        return b.opaque([x, index], (*places[:-1], *inner))
    rows = math.prod(shape[: places[-1]])
    one = b.slice(index, len(places) - 1, 0, 1)
    table, at = b.reshape(x, (rows, *inner)), b.reshape(one, places[:-1])
    b.opaque([index])
    return [b.add("gather", [table, at], (*places[:-1], *inner), dim=0)]


def scatter_cells(b: Builder, call: Call) -> Sequence[str]:
    """Rows of a table are replaced."""
    x, index, news = call.inputs[:3]
    shape, places, new = b.shape(x), b.shape(index), b.shape(news)
    n_places = len(places) - 1
    if new != (*places[:-1], *shape[places[-1] :]):
        raise UnknownValue("rows of another shape")
    b.opaque([index])
    outer = range(n_places)
    each = b.reduce(b.fix(news, outer), outer, keep=False) if n_places else news
    return [b.elementwise(b.fix(x, range(places[-1])), each)]


def scatter_elements(b: Builder, call: Call) -> Sequence[str]:
    """Entries are replaced, along one dimension at places that are data."""
    x, index, news = call.inputs[:3]
    shape, new = b.shape(x), b.shape(news)
    axis = axis_of(call.number("axis"), len(shape))
    changed = [d for d, n in enumerate(shape) if d == axis or new[d] != n]
    b.opaque([index])
    each = b.reduce(b.fix(news, changed), changed, keep=True)
    return [b.elementwise(b.fix(x, changed), each)]


def chosen(b: Builder, call: Call) -> Sequence[str]:
    """Return the places of entries that are not zero: as many as there may be."""
    shape = b.shape(call.input(0))
    return b.opaque([call.input(0)], (len(shape), math.prod(shape)))


def counted(b: Builder, call: Call) -> Sequence[str]:
    """Numbers in a row, as many as data say: any number of them is one that they may say."""
    for x in call.inputs[:3]:
        b.shape(x)
    return [b.table((length_by_data(b, call.inputs[:3]),), (False,))]


def length_by_data(b: Builder, values: tuple[str, ...]) -> int:
    """Return the length that some values say, which are data; equal ones say the same."""
    return b.lengths.setdefault(values, SAID_BY_DATA + 2 * len(b.lengths))


def one_of_many(b: Builder, call: Call) -> Sequence[str]:
    """A one at each place that is data."""
    places = list(b.shape(call.input(0)))
    axis = axis_of(call.number("axis", -1), len(places) + 1)
    places.insert(axis, int(b.array(call.input(1)).reshape(-1)[0]))
    return b.opaque([call.input(0)], tuple(places))


def spectrum(b: Builder, call: Call) -> Sequence[str]:
    """A transform of Fourier, of the whole or of windows."""
    shape = list(b.shape(call.input(0)))
    if call.op == "STFT":
        step = b.integers(call.input(1))[0]
        wide = b.shape(call.input(2))[0] if call.input(2) else b.integers(call.input(3))[0]
        bins = wide // 2 + 1 if call.number("onesided", 1) else wide
        out = [shape[0], 1 + (shape[1] - wide) // step, bins, 2]
    else:
        axis = b.integers(call.input(2))[0] if call.input(2) else call.number("axis", 1)
        axis = axis_of(axis, len(shape))
        out = list(shape)
        out[axis] = b.integers(call.input(1))[0] if call.input(1) else shape[axis]
        if call.number("onesided"):
            out[axis] = out[axis] // 2 + 1
        out[-1] = 2
    return b.opaque([x for x in call.inputs if x], tuple(out))


OPERATIONS: Mapping[str, Operation] = {
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_cells,
    "ScatterND": scatter_cells,
    **dict.fromkeys(("Scatter", "ScatterElements"), scatter_elements),
    "OneHot": one_of_many,
    "NonZero": chosen,
    "Range": counted,
    **dict.fromkeys(("DFT", "STFT"), spectrum),
}
