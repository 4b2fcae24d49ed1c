"""Operations of ONNX Runtime that stand for several: attention, embeddings, linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from weightkin.anatomy.onnx.build import Builder, Call, Operation, UnknownValue
from weightkin.anatomy.onnx.forms import joined
from weightkin.anatomy.onnx.products import matmul


def attend(b: Builder, q: str, k: str, v: str, also: Sequence[str] = ()) -> str:
    """Return attention of (batch, heads, length, size) by queries of as many or more heads."""
    heads, kv_heads = b.shape(q)[1], b.shape(k)[1]
    if heads % kv_heads:
        raise UnknownValue(f"{heads} heads of queries, {kv_heads} of keys")
    batch, _, length, size = b.shape(q)
    if heads != kv_heads:
        q = b.reshape(q, (batch, kv_heads, heads // kv_heads, length, size))
        scores = b.einsum(("bhrqd", "bhkd"), "bhrqk", q, k)
        shares = b.elementwise(scores, along=[4])
        found = b.einsum(("bhrqk", "bhke"), "bhrqe", shares, v)
        return b.reshape(found, (batch, heads, length, b.shape(v)[3]))
    scores = b.einsum(("bhqd", "bhkd"), "bhqk", q, k)
    if also:
        scores = b.elementwise(scores, *also)
    return b.einsum(("bhqk", "bhke"), "bhqe", b.elementwise(scores, along=[3]), v)


def in_heads(b: Builder, x: str, heads: int) -> str:
    """(batch, length, heads * size) as (batch, heads, length, size)."""
    batch, length, width = b.shape(x)
    if not heads or width % heads:
        raise UnknownValue(f"{width} in {heads} heads")
    return b.transpose(b.reshape(x, (batch, length, heads, width // heads)), (0, 2, 1, 3))


def out_of_heads(b: Builder, x: str) -> str:
    """The way back."""
    batch, heads, length, size = b.shape(x)
    return b.reshape(b.transpose(x, (0, 2, 1, 3)), (batch, length, heads * size))


def _with_past(b: Builder, k: str, v: str, pasts: Sequence[str]) -> tuple[str, str]:
    """Keys and values behind those of before, which are data."""
    past = [x for x in pasts if x]
    if len(past) != 2:
        return k, v
    return joined(b, [past[0], k], 2), joined(b, [past[1], v], 2)


def _bias(b: Builder, value: str) -> list[str]:
    """What is added to scores; masks that are none are data of another shape."""
    return [value] if value and len(b.shape(value)) == 4 else []


def attention(b: Builder, call: Call) -> Sequence[str]:
    """One matrix for queries, keys and values, in heads."""
    x, w, bias = (call.input(i) for i in range(3))
    past, added = (call.input(i) for i in ((8, 9) if call.op == "QAttention" else (4, 5)))
    heads = call.number("num_heads")
    if past or call.number("do_rotary") or not call.input(1):
        raise UnknownValue("attention over what was computed before")
    projected = matmul(b, x, w)
    width = b.shape(projected)[-1]
    sizes = call.numbers("qkv_hidden_sizes") or (width // 3,) * 3
    if sum(sizes) != width or len(sizes) != 3:
        raise UnknownValue(f"{width} as queries, keys and values")
    projected = b.elementwise(projected, bias) if bias else projected
    parts, at = [], 0
    for size in sizes:
        parts.append(in_heads(b, b.slice(projected, 2, at, at + size), heads))
        at += size
    q, k, v = parts
    return [out_of_heads(b, attend(b, q, k, v, _bias(b, added)))]


def split_attention(b: Builder, call: Call) -> Sequence[str]:
    """Queries, keys and values that were computed before."""
    q, k, v, bias = (call.input(i) for i in range(4))
    heads = call.number("num_heads")
    if not k or not v or len(b.shape(k)) != 3:
        raise UnknownValue("queries, keys and values in one")
    values = [q, k, v]
    if bias:
        at = 0
        for i, value in enumerate(values):
            width = b.shape(value)[-1]
            values[i] = b.elementwise(value, b.slice(bias, 0, at, at + width))
            at += width
    q, k, v = (in_heads(b, x, heads) for x in values)
    k, v = _with_past(b, k, v, (call.input(6), call.input(7)))
    return [out_of_heads(b, attend(b, q, k, v, _bias(b, call.input(5)))), k, v]


def grouped_attention(b: Builder, call: Call) -> Sequence[str]:
    """Fewer heads of keys and values; queries and keys may be turned by their position."""
    q, k, v = (call.input(i) for i in range(3))
    heads, kv_heads = call.number("num_heads"), call.number("kv_num_heads")
    if not k:  # all in one
        width = b.shape(q)[-1]
        size = width // (heads + 2 * kv_heads)
        ends = np.cumsum([0, heads * size, kv_heads * size, kv_heads * size]).tolist()
        if ends[-1] != width:
            raise UnknownValue(f"{width} in {heads} and {kv_heads} heads")
        q, k, v = (b.slice(q, 2, x, y) for x, y in zip(ends, ends[1:], strict=False))
    q, k, v = (in_heads(b, x, n) for x, n in ((q, heads), (k, kv_heads), (v, kv_heads)))
    if call.number("do_rotary"):
        q, k = b.fix(q, [3]), b.fix(k, [3])
    k, v = _with_past(b, k, v, (call.input(3), call.input(4)))
    return [out_of_heads(b, attend(b, q, k, v)), k, v]


def plain_attention(b: Builder, call: Call) -> Sequence[str]:
    """Attention of ONNX itself, of three or four dimensions."""
    q, k, v = (call.input(i) for i in range(3))
    is_flat = len(b.shape(q)) == 3
    if is_flat:
        heads, kv_heads = call.number("q_num_heads"), call.number("kv_num_heads")
        q, k, v = (in_heads(b, x, n) for x, n in ((q, heads), (k, kv_heads), (v, kv_heads)))
    k, v = _with_past(b, k, v, (call.input(4), call.input(5)))
    mask = _bias(b, call.input(3)) if b.shape(q)[1] == b.shape(k)[1] else []
    found = attend(b, q, k, v, mask)
    return [out_of_heads(b, found) if is_flat else found, k, v]


def turned_by_position(b: Builder, call: Call) -> Sequence[str]:
    """Pairs of entries of a head turned by position."""
    x = call.input(0)
    return [b.fix(x, range(1, len(b.shape(x))))]


def embeddings(b: Builder, call: Call) -> Sequence[str]:
    """Rows for tokens, positions and segments, added and normalised."""
    ids, segments, words, positions, kinds, gain, bias = (call.input(i) for i in range(7))
    batch, length = b.shape(ids)
    width = b.shape(words)[1]
    rows = [b.add("gather", [words, ids], (batch, length, width), dim=0)]
    rows.append(b.slice(positions, 0, 0, length))
    b.fix(positions, [0])
    if segments and kinds:
        rows.append(b.add("gather", [kinds, segments], (batch, length, width), dim=0))
    total = b.elementwise(*rows)
    normed = b.elementwise(total, along=[2])
    found = b.elementwise(normed, *filter(None, (gain, bias)))
    return [found, b.table((batch,), (False,)), total]


def gated(b: Builder, call: Call) -> Sequence[str]:
    """Two halves, one of which opens the other; a bias first."""
    total = b.elementwise(*filter(None, call.inputs[:2]))
    rank, n = len(b.shape(total)), b.shape(total)[-1]
    halves = (b.slice(total, rank - 1, at, at + n // 2) for at in (0, n // 2))
    return [b.elementwise(*halves)]


def packed_product(b: Builder, call: Call) -> Sequence[str]:
    """A matrix of codes of a few bits, whose layout is not followed."""
    n_out = call.number("N")
    shape = b.shape(call.input(0))
    return b.opaque([x for x in call.inputs if x], (*shape[:-1], n_out))


OPERATIONS: Mapping[str, Operation] = {
    "com.microsoft:Attention": attention,
    "com.microsoft:MultiHeadAttention": split_attention,
    "com.microsoft:GroupQueryAttention": grouped_attention,
    "com.microsoft:RotaryEmbedding": turned_by_position,
    "com.microsoft:EmbedLayerNormalization": embeddings,
    "com.microsoft:BiasSplitGelu": gated,
    "com.microsoft:MatMulNBits": packed_product,
    "com.microsoft:MatMulBnb4": packed_product,
    "Attention": plain_attention,
    "RotaryEmbedding": turned_by_position,
}
