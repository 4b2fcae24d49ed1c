"""Operations with matrices and kernels of weights."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue
from weightkin.anatomy.onnx.space import windows

LETTERS = string.ascii_lowercase


def matmul(b: Builder, x: str, y: str) -> str:
    """Matrices in the last two dimensions of both."""
    ranks = len(b.shape(x)), len(b.shape(y))
    if min(ranks) < 1 or max(ranks) > 20:
        raise UnknownValue("a product of single numbers")
    rows, columns, inner = "XYZ"
    n_outer = max(0, *(rank - 2 for rank in ranks))
    outer = LETTERS[:n_outer]
    left = inner if ranks[0] == 1 else outer[n_outer - ranks[0] + 2 :] + rows + inner
    right = inner if ranks[1] == 1 else outer[n_outer - ranks[1] + 2 :] + inner + columns
    out = outer + rows * (ranks[0] > 1) + columns * (ranks[1] > 1)
    return b.einsum((left, right), out, x, y)


def product(b: Builder, call: Call) -> Sequence[str]:
    """Return a product of matrices."""
    return [matmul(b, call.input(0), call.input(1))]


def turned_product(b: Builder, call: Call) -> Sequence[str]:
    """Return a product of matrices of which either may be stored the other way."""
    if call.number("transBatchA") or call.number("transBatchB"):
        raise UnknownValue("outer dimensions in another order")
    sides = []
    for value, name in zip(call.inputs[:2], ("transA", "transB"), strict=True):
        rank = len(b.shape(value))
        order = (*range(rank - 2), rank - 1, rank - 2)
        sides.append(b.transpose(value, order) if call.number(name) and rank > 1 else value)
    return [matmul(b, *sides)]


def gemm(b: Builder, call: Call) -> Sequence[str]:
    """Return a product of two matrices, and a summand."""
    terms = ["ki" if call.number("transA") else "ik", "jk" if call.number("transB") else "kj"]
    found = b.einsum(terms, "ij", call.input(0), call.input(1))
    return [b.elementwise(found, call.input(2)) if call.input(2) else found]


def convolve(b: Builder, call: Call) -> Sequence[str]:
    """Kernels over space."""
    x, w, *rest = (value for value in call.inputs[:4] if value)
    shape, kernel = b.shape(x), b.shape(w)
    groups = call.number("group", 1)
    space = windows(call, shape[2:], kernel[2:])
    inputs = [x, w, *rest[:1]]
    found = b.add("convolution", inputs, (shape[0], kernel[0], *space), groups=groups)
    return [b.elementwise(found, rest[1]) if len(rest) > 1 else found]


def convolve_back(b: Builder, call: Call) -> Sequence[str]:
    """Kernels over space, transposed."""
    x, w, *rest = (value for value in call.inputs if value)
    shape, kernel = b.shape(x), b.shape(w)
    n, groups = len(shape) - 2, call.number("group", 1)
    given = call.numbers("output_shape")
    strides = call.numbers("strides") or (1,) * n
    wide = call.numbers("dilations") or (1,) * n
    more = call.numbers("output_padding") or (0,) * n
    pads = call.numbers("pads") or (0,) * 2 * n
    if call.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        space = [size * step for size, step in zip(shape[2:], strides, strict=True)]
    else:
        space = [
            strides[i] * (shape[2 + i] - 1)
            + more[i]
            + (kernel[2 + i] - 1) * wide[i]
            + 1
            - pads[i]
            - pads[n + i]
            for i in range(n)
        ]
    out = (shape[0], kernel[1] * groups, *(given[-n:] if given else space))
    facts = {"groups": groups, "is_transposed": True}
    return [b.add("convolution", [x, w, *rest[:1]], out, **facts)]


def bent(b: Builder, call: Call) -> Sequence[str]:
    """Kernels over space whose places are computed."""
    x, w, offset, bias, mask = (call.input(i) for i in range(5))
    if call.number("offset_group", 1) > 1:
        raise UnknownValue("places for each group of channels")
    b.opaque([offset, mask])
    inner = Call("Conv", (x, w, bias), call.attributes, 1, call.version)
    return convolve(b, inner)


def letters(b: Builder, call: Call) -> Sequence[str]:
    """Return a sum of products by letters."""
    text = call.text("equation").replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(call.inputs) or len(text) > 200:
        raise UnknownValue("letters do not fit")
    ranks = [len(b.shape(x)) for x in call.inputs]
    n_dots = max(
        (n - len(t) + 3 for t, n in zip(terms, ranks, strict=True) if "..." in t), default=0
    )
    dots = "0123456789"[:n_dots]
    if len(dots) != n_dots:
        raise UnknownValue("too many dimensions")
    for i, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        if "..." in term:
            n = rank - len(term) + 3
            terms[i] = term.replace("...", dots[n_dots - n :] if n else "")
    if not arrow:
        joined = "".join(terms)
        right = dots + "".join(sorted(x for x in set(joined) - set(dots) if joined.count(x) == 1))
    right = right.replace("...", dots)
    if any(len(set(term)) != len(term) for term in (*terms, right)):
        raise UnknownValue("a diagonal")
    return [b.einsum(terms, right, *call.inputs)]


OPERATIONS: Mapping[str, Operation] = {
    "MatMul": product,
    "MatMulInteger": product,
    **dict.fromkeys(("FusedMatMul", "TransposeMatMul"), turned_product),
    **dict.fromkeys(("Gemm", "FusedGemm"), gemm),
    **dict.fromkeys(("Conv", "FusedConv"), convolve),
    "ConvTranspose": convolve_back,
    "DeformConv": bent,
    "Einsum": letters,
}
