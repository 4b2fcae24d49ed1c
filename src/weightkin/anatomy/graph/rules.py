"""What each operation does to the dimensions of its inputs: one function for each kind of node.

A rule unites dimensions that have to be relabelled together, takes dimensions apart where the
operation does, and returns the dimensions of the outputs. It may fix or unite more than needed,
never less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from weightkin.anatomy.graph.call import Call, Dims, Mismatch, place, sizes, united
from weightkin.anatomy.graph.dims import (
    ONE,
    Product,
    Sum,
    Term,
    cut,
    divide,
    fix,
    fresh,
    join,
    multiply,
    resolved,
    split,
    unify,
)

MAX_PARTS = 1 << 11  # of a concatenation; beyond, nothing of it may move
MAX_GROUPS = 4096  # of a norm


def elementwise(call: Call) -> list[Dims]:
    """Inputs broadcast against each other, dimensions aligned at the right."""
    found = []
    for shape in call.shapes:
        rank = len(shape)
        if any(len(dims) > rank for dims in call.inputs):
            raise Mismatch("an input of higher rank than the output")
        rows = [[ONE] * (rank - len(dims)) + dims for dims in call.inputs]
        found.append([united([row[i] for row in rows], n) for i, n in enumerate(shape)])
    return found


def einsum(call: Call) -> list[Dims]:
    """Equal letters are one dimension; what is not in the output is summed over."""
    letters: dict[str, list[Term]] = {}
    for dims, term in zip(call.inputs, call.facts["terms"], strict=True):
        if len(dims) != len(term) or len(set(term)) != len(term):
            raise Mismatch("letters do not fit")
        for letter, dim in zip(term, dims, strict=True):
            letters.setdefault(letter, []).append(dim)
    whole = {
        letter: united(terms, max(term.size for term in terms)) for letter, terms in letters.items()
    }
    if not set(call.facts["out"]) <= whole.keys():
        raise Mismatch("a letter of the output is in no input")
    return [[whole[letter] for letter in call.facts["out"]]]


def convolution(call: Call) -> list[Dims]:
    """Channels of the input meet those of the kernel, inside each group; space is fixed."""
    x, w, *bias = call.inputs
    groups = int(call.facts.get("groups", 1))
    if len(x) < 2 or len(w) != len(x) or w[0].size % groups or x[1].size % groups:
        raise Mismatch("kernel and input do not fit")
    if call.facts.get("is_transposed"):
        unify(x[1], w[0])
        out = w[1]
        if groups > 1:
            out = multiply((divide(w[0], w[0].size // groups)[0], w[1]))
    else:
        outer, inner = divide(x[1], x[1].size // groups)
        unify(inner, w[1])
        out = w[0]
        if groups > 1:
            unify(outer, divide(w[0], w[0].size // groups)[0])
    fix(*w[2:], *x[2:])
    shape = call.shapes[0]
    if out.size != shape[1]:
        raise Mismatch("channels of the output do not fit")
    for dims in bias:
        unify(dims[0], out)
    batch = [x[0]] if x[0].size == shape[0] else [fresh(shape[0], is_fixed=True)]
    return [[*batch, resolved(out), *(fresh(n, is_fixed=True) for n in shape[2:])]]


def group_norm(call: Call) -> list[Dims]:
    """Channels may move inside their group alone."""
    channels = call.first[1]
    groups = int(call.facts["groups"])
    if groups < 1 or channels.size % groups:
        raise Mismatch("groups do not fit")
    n = channels.size // groups
    if groups > MAX_GROUPS or n == 1:
        fix(channels)
    else:
        cut(channels, range(n, channels.size, n))
    return [list(call.first)]


def reshape(call: Call) -> list[Dims]:
    """Dimensions are read out in order and cut anew."""
    shape = call.shapes[0]
    if math.prod(sizes(call.first)) != math.prod(shape):
        raise Mismatch("numbers of elements differ")
    if 0 in shape:
        return [[fresh(n, is_fixed=True) for n in shape]]
    left: list[Term] = list(call.first)
    found: Dims = []
    for n in reversed(shape):
        inner: list[Term] = []
        missing = n
        while missing > 1:
            term = left.pop()
            if missing % term.size == 0:
                part = term
            elif term.size % missing == 0:
                outer, part = divide(term, missing)
                left.append(outer)
            else:  # cut across: nothing here may move
                return [_tangled(call.first, shape)]
            inner.insert(0, part)
            missing //= part.size
        found.insert(0, multiply(inner))
    return [found]


def _tangled(dims: Dims, shape: tuple[int, ...]) -> Dims:
    fix(*dims)
    return [fresh(n, is_fixed=True) for n in shape]


def transpose(call: Call) -> list[Dims]:
    """Dimensions in another order."""
    return [[call.first[i] for i in call.facts["order"]]]


def expand(call: Call) -> list[Dims]:
    """Copies along dimensions of size one."""
    shape = call.shapes[0]
    own = [ONE] * (len(shape) - len(call.first)) + call.first
    return [[fresh(n) if x.size == 1 else x for x, n in zip(own, shape, strict=True)]]


def repeat(call: Call) -> list[Dims]:
    """The whole dimension several times, one after the other."""
    dim, out = call.dim(), list(call.first)
    out[dim] = multiply((fresh(int(call.facts["times"])), out[dim]))
    return [out]


def concat(call: Call) -> list[Dims]:
    """Parts one after the other along one dimension."""
    dim, shape = call.dim(), call.shapes[0]
    out: Dims = []
    for i, n in enumerate(shape):
        terms = [dims[i] for dims in call.inputs]
        out.append(_joined(terms) if i == dim else united(terms, n))
    return [out]


def n_parts(term: Term) -> int:
    """How many atoms a dimension is made of, those of size one too."""
    match resolved(term):
        case Sum(parts=inner) | Product(factors=inner):
            return max(1, sum(map(n_parts, inner)))
    return 1


def _joined(terms: Sequence[Term]) -> Term:
    if sum(n_parts(term) for term in terms) <= MAX_PARTS:
        return join(terms)
    fix(*terms)
    return fresh(sum(term.size for term in terms), is_fixed=True)


def slice_(call: Call) -> list[Dims]:
    """A run of one dimension, or every so many-th index of it."""
    dim, out = call.dim(), list(call.first)
    term, n = out[dim], out[dim].size
    start, stop, step = (int(call.facts[x]) for x in ("start", "stop", "step"))
    start, stop = min(start, n), min(stop, n)
    if step < 1 or start < 0 or stop < start:
        raise Mismatch("a run backwards")
    if step > 1:
        out[dim] = _every(term, start, stop, step)
        return [out]
    points = sorted({p for p in (start, stop) if 0 < p < n})
    parts = split(term, points)
    at = 0
    for part in parts:
        if at == start and part.size == stop - start:
            out[dim] = part
            return [out]
        at += part.size
    out[dim] = fresh(stop - start, is_fixed=True)
    return [out]


def _every(term: Term, start: int, stop: int, step: int) -> Term:
    if term.size % step or start >= step or stop <= term.size - step + start:
        fix(term)
        return fresh(len(range(start, stop, step)), is_fixed=True)
    outer, inner = divide(term, step)
    fix(inner)
    return outer


def reduce(call: Call) -> list[Dims]:
    """Some dimensions are summed over, in any order."""
    rank = len(call.first)
    gone = {place(int(d), rank) for d in call.facts["dims"]}
    keep = bool(call.facts.get("keep"))
    out = [ONE if i in gone else term for i, term in enumerate(call.first) if keep or i not in gone]
    return [list(out) for _ in call.shapes]


def gather(call: Call) -> list[Dims]:
    """Rows of a table by what data say: which row is which is fixed."""
    table, index = call.inputs
    dim = call.dim()
    fix(table[dim])
    return [[*table[:dim], *index, *table[dim + 1 :]]]


def by_position(call: Call) -> list[Dims]:
    """Some dimensions are acted on by position; all others pass."""
    rank = len(call.first)
    touched = {place(int(d), rank) for d in call.facts["dims"]}
    fix(*(call.first[d] for d in touched))
    return [
        [fresh(n, is_fixed=True) if i in touched else call.first[i] for i, n in enumerate(shape)]
        for shape in call.shapes
    ]


def tie(call: Call) -> list[Dims]:
    """Two values are one."""
    x, y = call.inputs
    if sizes(x) != sizes(y):
        raise Mismatch("shapes differ")
    for own, other in zip(x, y, strict=True):
        unify(own, other)
    return []


def opaque(call: Call) -> list[Dims]:
    """Nothing is known."""
    fix(*(term for dims in call.inputs for term in dims))
    return [[fresh(n, is_fixed=True) for n in shape] for shape in call.shapes]


RULES: Mapping[str, Callable[[Call], list[Dims]]] = {
    "elementwise": elementwise,
    "einsum": einsum,
    "convolution": convolution,
    "group_norm": group_norm,
    "reshape": reshape,
    "transpose": transpose,
    "expand": expand,
    "repeat": repeat,
    "concat": concat,
    "slice": slice_,
    "reduce": reduce,
    "gather": gather,
    "fix": by_position,
    "tie": tie,
    "opaque": opaque,
}
