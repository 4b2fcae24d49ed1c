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
    if word == "qkv" and bound.part.fused == "by head":
        return _by_head(size, attention)
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
