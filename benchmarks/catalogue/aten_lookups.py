"""Operations of aten that pick entries by what other tensors say."""

from __future__ import annotations

import torch

from benchmarks.catalogue.call import Call, rule
from benchmarks.catalogue.tape import Tape, size


def rows(tape: Tape, table: str, dim: int, index: str) -> str:
    """Return indices of one dimension, in the shape of the index."""
    shape = tape.shapes[table]
    out = (*shape[:dim], *tape.shapes[index], *shape[dim + 1 :])
    return tape.emit("gather", [table, index], out, dim=dim)


@rule("embedding")
def embedding(call: Call) -> str:
    """Rows of a table."""
    return rows(call.tape, call.value("weight"), 0, call.value("indices"))


@rule("_embedding_bag_forward_only", "_embedding_bag")
def embedding_bag(call: Call) -> list[str]:
    """Sums of rows of a table, weighted by what data say."""
    tape, table = call.tape, call.value("weight")
    given = call.optional("indices", "offsets", "per_sample_weights")
    data = [tape.reduce(tape.fix(x, [0]), [0], keep=False) for x in given]
    out = tape.elementwise(tape.fix(table, [0], call.shapes[0]), *data)
    return [out, *tape.unknown(call.name, given, call.shapes[1:])]


@rule("index_select")
def index_select(call: Call) -> str:
    """Indices of one dimension."""
    return rows(call.tape, call.value("self"), call.dim(), call.value("index"))


def _merged(call: Call) -> tuple[str, int, str, list[int]] | None:
    """Make several indices one: the dimensions they pick from stand beside each other, merged.

    Returns the table, its merged dimension, the index, and the order in which dimensions of the
    table stand; None where the indices do not fit that pattern.
    """
    tape, x = call.tape, call.value("self")
    given = [(d, i) for d, i in enumerate(call["indices"]) if i is not None]
    if any(i.dtype in (torch.bool, torch.uint8) for _, i in given):
        if len(given) != 1:
            return None
        ((start, mask),) = given
        picked = list(range(start, start + mask.ndim))
        index = places(tape, call.values[id(mask)], int(mask.sum()))
        order = list(range(call.rank))
    else:
        picked = [d for d, _ in given]
        rest = [d for d in range(call.rank) if d not in picked]
        is_run = picked == list(range(picked[0], picked[-1] + 1))
        at = picked[0] if is_run else 0
        order = [*rest[:at], *picked, *rest[at:]]
        start = at
        index = tape.elementwise(*(call.values[id(i)] for _, i in given))
    own = tape.transpose(x, order)
    shape = tape.shapes[own]
    n = len(picked)
    merged = (*shape[:start], size(shape[start : start + n]), *shape[start + n :])
    if n > 1:
        own = tape.fix(own, list(range(start, start + n)))
    return tape.reshape(own, merged), start, index, order


@rule("index", "_unsafe_index")
def index(call: Call) -> str:
    """``x[i, j]`` with tensors as indices."""
    found = _merged(call)
    if found is None:
        return call.tape.unknown(call.name, list(call.values.values()), call.shapes)[0]
    table, dim, index, _ = found
    return rows(call.tape, table, dim, index)


@rule("index_put", "_index_put_impl", "_unsafe_index_put")
def index_put(call: Call) -> str:
    """``x[i, j] = values``: what stands beside the dimensions picked from stays beside them."""
    tape = call.tape
    found = _merged(call)
    if found is None:
        return tape.unknown(call.name, list(call.values.values()), call.shapes)[0]
    table, dim, index, order = found
    shape = tape.shapes[table]
    given = call.value("values")
    picked = tape.shapes[index]
    wide = (*shape[:dim], *picked, *shape[dim + 1 :])
    own = tape.shapes[given]
    if len(own) > len(wide):
        return tape.unknown(call.name, list(call.values.values()), call.shapes)[0]
    source = tape.reshape(given, (*[1] * (len(wide) - len(own)), *own))
    source = tape.elementwise(tape.expand(source, wide), _between(tape, index, wide, dim))
    source = tape.fix(source, list(range(dim, dim + len(picked))))
    source = tape.reshape(source, (*shape[:dim], size(picked), *shape[dim + 1 :]))
    out = tape.elementwise(tape.fix(table, [dim]), tape.fix(source, [dim], shape))
    moved = tape.reshape(out, [call.shape[i] for i in order])
    return tape.transpose(moved, [order.index(i) for i in range(len(order))])


def _between(tape: Tape, index: str, shape: tuple[int, ...], dim: int) -> str:
    """Return an index among the other dimensions of a table, so that it can be compared."""
    own = tape.shapes[index]
    before, after = dim, len(shape) - dim - len(own)
    return tape.reshape(index, (*[1] * before, *own, *[1] * after))


@rule("index_add", "index_copy", "index_reduce")
def index_add(call: Call) -> str:
    """Rows of a source go where an index says."""
    tape, dim = call.tape, call.dim()
    source = call.optional("source", "src")
    index = tape.fix(call.value("index"), [0])
    shape = tape.shapes[source[0]]
    own = tape.elementwise(source[0], _between(tape, index, shape, dim))
    own = tape.fix(own, [dim], call.shape)
    return tape.elementwise(tape.fix(call.value("self"), [dim]), own)


@rule("index_fill")
def index_fill(call: Call) -> str:
    """One number for some indices of a dimension."""
    return call.tape.fix(call.value("self"), [call.dim()])


@rule("gather")
def gather(call: Call) -> str:
    """Entries along one dimension, as an index of the same rank says; others stay beside it."""
    tape, dim = call.tape, call.dim()
    x, index = call.value("self"), call.value("index")
    if not _fits(tape.shapes[x], tape.shapes[index], dim):
        return tape.unknown(call.name, [x, index], call.shapes)[0]
    return tape.elementwise(tape.fix(x, [dim], call.shape), tape.fix(index, [dim]))


@rule("scatter", "scatter_add", "scatter_reduce")
def scatter(call: Call) -> str:
    """Entries go where an index of the same rank says along one dimension."""
    tape, dim = call.tape, call.dim()
    x, others = call.value("self"), [call.value("index"), *call.optional("src")]
    if call.has("value") and isinstance(call["value"], torch.Tensor):
        others.append(call.value("value"))
    if not all(_fits(tape.shapes[x], tape.shapes[y], dim) for y in others if tape.shapes[y]):
        return tape.unknown(call.name, [x, *others], call.shapes)[0]
    moved = (tape.fix(y, [dim], call.shape) if tape.shapes[y] else y for y in others)
    return tape.elementwise(tape.fix(x, [dim]), *moved)


def _fits(shape: tuple[int, ...], index: tuple[int, ...], dim: int) -> bool:
    """Whether two shapes differ in one dimension at most."""
    return len(shape) == len(index) and all(
        n == m for d, (n, m) in enumerate(zip(shape, index, strict=True)) if d != dim
    )


@rule("masked_scatter")
def masked_scatter(call: Call) -> str:
    """Rows of a source go, one after the other, where a mask is true for a whole row."""
    tape = call.tape
    x, mask, source = (call.value(key) for key in ("self", "mask", "source"))
    own = call["mask"]
    is_row = own.ndim == call.rank and bool((own == own[..., :1]).all())
    if not is_row or tape.shapes[source][-1:] != call.shape[-1:]:
        return tape.unknown(call.name, [x, mask, source], call.shapes)[0]
    n = call.shape[-1]
    flat = (size(call.shape[:-1]), n)
    moved = tape.reshape(source, (size(tape.shapes[source][:-1]), n))
    x = tape.elementwise(x, mask)
    out = tape.elementwise(tape.reshape(x, flat), tape.fix(moved, [0], flat))
    return tape.reshape(tape.fix(out, [0]), call.shape)


@rule("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sample(call: Call) -> str:
    """Pixels at places that a grid names."""
    tape = call.tape
    x, grid = call.value("input"), call.value("grid")
    rank = len(call.shape)
    places = tape.reduce(tape.fix(grid, [rank - 1]), [rank - 1], keep=False)
    places = tape.fix(places, list(range(1, rank - 1)))
    shape = tape.shapes[places]
    places = tape.reshape(places, (shape[0], 1, *shape[1:]))
    return tape.elementwise(tape.fix(x, list(range(2, rank)), call.shape), places)


@rule("bucketize")
def bucketize(call: Call) -> str:
    """Number of the interval each entry falls in."""
    bounds = call.tape.fix(call.value("boundaries"), [0])
    own = [call.value("self")] if isinstance(call["self"], torch.Tensor) else []
    return call.tape.elementwise(*own, call.tape.reduce(bounds, [0], keep=False))


@rule("isin")
def isin(call: Call) -> str:
    """Whether each entry is among some others, in any order."""
    tape, keys = call.tape, ("elements", "test_elements")
    own, others = ([call.value(k)] if isinstance(call[k], torch.Tensor) else [] for k in keys)
    rank = range(len(tape.shapes[others[0]])) if others else range(0)
    return tape.elementwise(*own, *(tape.reduce(x, list(rank), keep=False) for x in others))


@rule("nonzero", "argwhere")
def nonzero(call: Call) -> str:
    """Where entries are not zero, one row for each."""
    tape, (n, rank) = call.tape, call.shape
    found = tape.reshape(places(tape, call.x, n), (n, 1))
    return tape.fix(tape.expand(found, (n, rank)), [1])


def places(tape: Tape, mask: str, n: int) -> str:
    """Return where a mask is true: ``n`` numbers that depend on the order of everything."""
    rank = len(tape.shapes[mask])
    own = tape.reshape(tape.fix(mask, list(range(rank))), (size(tape.shapes[mask]),))
    return tape.fix(own, [0], (n,))
