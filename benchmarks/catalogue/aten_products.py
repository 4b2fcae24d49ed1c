"""Operations of aten that multiply matrices: linear maps, attention, convolutions."""

from __future__ import annotations

import string

from benchmarks.catalogue.call import Call, rule
from benchmarks.catalogue.tape import Tape

LETTERS = string.ascii_letters


def matmul(tape: Tape, x: str, y: str) -> str:
    """Return a product as numpy defines it: batches broadcast, vectors are rows or columns."""
    ranks = [len(tape.shapes[v]) for v in (x, y)]
    batch = LETTERS[3 : 3 + max(0, max(ranks) - 2)]
    left = batch[len(batch) - ranks[0] + 2 :] + "ab" if ranks[0] > 1 else "b"
    right = batch[len(batch) - ranks[1] + 2 :] + "bc" if ranks[1] > 1 else "b"
    out = batch + "a" * (ranks[0] > 1) + "c" * (ranks[1] > 1)
    return tape.einsum([left, right], [x, y], out)


@rule("matmul", "mm", "bmm", "mv", "dot", "vdot")
def product(call: Call) -> str:
    """``x @ y``."""
    x, y = (call.values[id(v)] for v in list(call.args.values())[:2])
    return matmul(call.tape, x, y)


@rule("addmm", "baddbmm", "addmv", "addbmm")
def added_product(call: Call) -> str:
    """``self + x @ y``."""
    own, x, y = (call.values[id(v)] for v in list(call.args.values())[:3])
    if call.name == "addbmm":
        return call.tape.unknown(call.name, [own, x, y], call.shapes)[0]
    return call.tape.elementwise(own, matmul(call.tape, x, y))


@rule("outer", "ger")
def outer(call: Call) -> str:
    """Every entry of one vector times every entry of another."""
    x, y = (call.values[id(v)] for v in list(call.args.values())[:2])
    return call.tape.einsum(["a", "b"], [x, y], "ab")


@rule("linear")
def linear(call: Call) -> str:
    """``x @ w.T + b``."""
    w = call.value("weight")
    flipped = call.tape.transpose(w, list(range(len(call.tape.shapes[w])))[::-1])
    return call.tape.elementwise(
        matmul(call.tape, call.value("input"), flipped), *call.optional("bias")
    )


@rule("bilinear")
def bilinear(call: Call) -> str:
    """Return ``x w y`` for every matrix ``w`` of a stack."""
    batch = LETTERS[3 : 3 + call.rank - 1]
    terms = [f"{batch}a", "cab", f"{batch}b"]
    values = [call.value("input1"), call.value("weight"), call.value("input2")]
    return call.tape.elementwise(
        call.tape.einsum(terms, values, f"{batch}c"), *call.optional("bias")
    )


@rule("einsum")
def einsum(call: Call) -> str:
    """A sum of products by letters."""
    equation = str(call["equation"]).replace(" ", "")
    left, arrow, out = equation.partition("->")
    terms, values = left.split(","), call.every("tensors")
    ranks = [len(call.tape.shapes[v]) for v in values]
    n_dots = [r - len(t.replace("...", "")) for t, r in zip(terms, ranks, strict=True)]
    spare = [x for x in LETTERS if x not in equation]
    dots = "".join(spare[: max(0, *n_dots, 0)])
    terms = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, n_dots, strict=True)]
    if not arrow:
        every = "".join(terms)
        once = sorted(x for x in set(every) if every.count(x) == 1 and x not in dots)
        out = "..." + "".join(once)
    out = out.replace("...", dots)
    if any(len(set(t)) < len(t) for t in terms):
        return call.tape.unknown("einsum of a diagonal", values, call.shapes)[0]
    return call.tape.einsum(terms, values, out)


@rule("scaled_dot_product_attention")
def attention(call: Call) -> str:
    """Scores of queries and keys, a mask, softmax, a sum of values."""
    tape = call.tape
    q, k, v = (call.value(key) for key in ("query", "key", "value"))
    if call["enable_gqa"]:
        times = tape.shapes[q][-3] // tape.shapes[k][-3]
        k, v = (repeat_each(tape, x, len(tape.shapes[x]) - 3, times) for x in (k, v))
    rank = len(tape.shapes[k])
    scores = matmul(tape, q, tape.move(k, rank - 1, rank - 2))
    n = len(tape.shapes[scores])
    if call["is_causal"]:
        scores = tape.fix(scores, [n - 2, n - 1])
    scores = tape.elementwise(scores, *call.optional("attn_mask"))
    return matmul(tape, normalised(tape, scores, [n - 1]), v)


def normalised(tape: Tape, x: str, dims: list[int]) -> str:
    """Return entries compared with a sum over some dimensions: softmax, a norm."""
    return tape.elementwise(x, tape.reduce(x, dims, keep=True)) if dims else x


def repeat_each(tape: Tape, x: str, dim: int, times: int) -> str:
    """Return every index of a dimension several times, copies beside each other."""
    shape = tape.shapes[x]
    wide = (*shape[: dim + 1], times, *shape[dim + 1 :])
    own = tape.expand(tape.reshape(x, (*shape[: dim + 1], 1, *shape[dim + 1 :])), wide)
    return tape.reshape(own, (*shape[:dim], shape[dim] * times, *shape[dim + 1 :]))


@rule("convolution", "_convolution", "convolution_overrideable")
def convolution(call: Call) -> str:
    """A convolution of one to three dimensions, also transposed or grouped."""
    tape, x, w = call.tape, call.x, call.value("weight")
    is_single = len(tape.shapes[x]) < len(tape.shapes[w])
    shape = (1, *call.shape) if is_single else call.shape
    own = tape.reshape(x, (1, *tape.shapes[x])) if is_single else x
    inputs = [own, w, *call.optional("bias")]
    facts = {"groups": int(call["groups"]), "is_transposed": bool(call["transposed"])}
    out = tape.emit("convolution", inputs, shape, **facts)
    return tape.reshape(out, call.shape)


@rule("_grouped_mm")
def grouped(call: Call) -> str:
    """Rows of a matrix, each run of them times one matrix of a stack."""
    x, stack = (call.values[id(v)] for v in list(call.args.values())[:2])
    if len(call.tape.shapes[x]) != 2 or len(call.tape.shapes[stack]) != 3:
        return call.tape.unknown(call.name, [x, stack], call.shapes)[0]
    own = call.tape.fix(stack, [0])
    out = call.tape.einsum(["ab", "dbc"], [x, own], "ac")
    return call.tape.elementwise(out, *call.optional("bias"))


@rule("linalg_solve_triangular")
def solved(call: Call) -> str:
    """Solutions of linear equations, one system for each index of the batch."""
    tape = call.tape
    b, a = call.value("B"), call.value("self")
    if not call["left"]:
        return tape.unknown(call.name, [a, b], call.shapes)[0]
    n = len(tape.shapes[a])
    return matmul(tape, tape.fix(a, [n - 2, n - 1]), tape.fix(b, [n - 2]))


@rule("linalg_inv", "linalg_inv_ex", "inverse", "linalg_cholesky", "linalg_matrix_exp",
      "matrix_exp", "linalg_pinv", "pinverse")  # fmt: skip
def of_a_matrix(call: Call) -> list[str]:
    """A function of whole matrices, one for each index of the batch."""
    dims = [call.rank - 2, call.rank - 1]
    own = call.tape.fix(call.x, dims)
    rest = call.tape.reduce(own, dims, keep=False)
    return [own if shape == call.shape else rest for shape in call.shapes]


@rule("cdist", "_cdist_forward", "_euclidean_dist")
def distances(call: Call) -> str:
    """Return how far every row of one matrix is from every row of another."""
    tape = call.tape
    x, y = (call.values[id(v)] for v in list(call.args.values())[:2])
    left, right = tape.shapes[x], tape.shapes[y]
    x = tape.reshape(x, (*left[:-1], 1, left[-1]))
    y = tape.reshape(y, (*right[:-2], 1, *right[-2:]))
    both = tape.elementwise(x, y)
    return tape.reduce(both, [len(tape.shapes[both]) - 1], keep=False)
