"""Which rows of a fused matrix are queries, keys, values, gate or up."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.anatomy.naming import Bound

_PIECES = {"g": "mlp.gate", "u": "mlp.up", "q": "attn.q", "k": "attn.k", "v": "attn.v"}


@dataclass(frozen=True, slots=True)
class Attention:
    """What the attention of a block writes from, and its heads as a config says; 0: unknown."""

    n_out: int
    n_heads: int


def runs_of(
    bound: Bound, word: str, size: int, attention: Attention
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Spans of every role that is fused along one dimension, empty where sizes do not fit."""
    words = word.split("+")
    if word == "qkv":
        return _LAYOUTS[bound.part.fused](size, attention) if bound.part.fused else {}
    if len(words) < 2:
        return {}
    first = size // 2 if len(words) == 2 else attention.n_out
    others, odd = divmod(size - first, len(words) - 1)
    if odd or first < 1 or others < 1 or (len(words) == 2 and size % 2):
        return {}
    ends = [first + i * others for i in range(len(words))]
    return {_PIECES[w]: ((a, b),) for w, a, b in zip(words, [0, *ends], ends, strict=False)}


def _by_head(size: int, attention: Attention) -> dict[str, tuple[tuple[int, int], ...]]:
    """Spans where every key head stands with its queries before it and its values behind it."""
    n_heads, n_out = attention.n_heads, attention.n_out
    if not n_heads or n_out % n_heads or (size - n_out) % 2:
        return {}
    dim = n_out // n_heads
    n_key_heads, odd = divmod((size - n_out) // 2, dim)
    if odd or n_key_heads < 1 or n_heads % n_key_heads:
        return {}
    n_rows = n_heads // n_key_heads * dim  # of the queries of one key head
    begins = range(0, size, n_rows + 2 * dim)
    parts = {"q": (0, n_rows), "k": (n_rows, n_rows + dim), "v": (n_rows + dim, n_rows + 2 * dim)}
    return {_PIECES[w]: tuple((at + a, at + b) for at in begins) for w, (a, b) in parts.items()}


def _of_one_key_head(size: int, attention: Attention) -> dict[str, tuple[tuple[int, int], ...]]:
    """Spans where all queries read one key; where there are more, their order is not known."""
    spans = _by_head(size, attention)
    return spans if all(len(some) == 1 for some in spans.values()) else {}


def _by_quarter(size: int, attention: Attention) -> dict[str, tuple[tuple[int, int], ...]]:
    """Spans of four parts, of a quarter of the heads each: their queries, values and keys."""
    n_heads, n_out = attention.n_heads, attention.n_out
    if not n_heads or n_heads % 4 or size != 3 * n_out or n_out % n_heads:
        return {}
    n = n_out // 4
    begins = range(0, size, 3 * n)
    return {
        _PIECES[word]: tuple((at + i * n, at + (i + 1) * n) for at in begins)
        for i, word in enumerate("qvk")
    }


_LAYOUTS = {"by head": _by_head, "one key head": _of_one_key_head, "by quarter": _by_quarter}
