"""Attention: V/O dimensions within each key-value head, and the heads themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weightkin.anatomy.naming import Bound, Reading, is_scale
from weightkin.anatomy.types import Axis, Place
from weightkin.anatomy.units import MAX_STRANGERS, Refusal, block_width
from weightkin.catalogue.config import keys_of, whole_number
from weightkin.formats.model import Problem

_ATTENTION_WORDS = ("q", "k", "v", "o", "qkv", "q+k+v", "H", "Dq", "Dk")
_UNCERTAIN = "fused layout is not certain"


@dataclass(frozen=True, slots=True)
class _Heads:
    """One attention: ``n`` key-value heads of ``dim`` V dimensions, read by ``repeat`` queries."""

    n: int
    dim: int
    repeat: int
    query_rows: int
    key_rows: int


def head_axes(reading: Reading, block: int, config: Mapping[str, Any]) -> Iterator[Axis | Problem]:
    """Yield the `vo` and `heads` axes of one block, or (axis name, reason).

    Parameters
    ----------
    reading : Reading
        The stack, read with one entry of the catalogue.
    block : int
        Number of the block.
    config : mapping
        The model's config: numbers of heads that shapes do not show.

    Yields
    ------
    Axis or (str, str)
        An axis, or the name of one that cannot be declared and why; an attention group at a time.
    """
    groups: dict[str, list[Bound]] = {}
    for bound in reading.bound[block]:
        if any(word in _ATTENTION_WORDS for word in bound.dims) or bound.part.fixed:
            groups.setdefault(bound.group, []).append(bound)
    for group, members in groups.items():
        suffix = f".{group}" if group else ""
        try:
            heads = _heads(reading, block, members, config)
        except Refusal as reason:
            yield reason.of(f"vo{suffix}")
            yield reason.of(f"heads{suffix}")
            continue
        yield _vo_axis(reading, block, f"vo{suffix}", members, heads)
        try:
            yield _heads_axis(reading, block, f"heads{suffix}", members, heads, config)
        except Refusal as reason:
            yield reason.of(f"heads{suffix}")


def _vo_axis(reading: Reading, block: int, name: str, members: list[Bound], heads: _Heads) -> Axis:
    return Axis(
        name=name,
        kind="vo",
        stack=reading.name,
        block=block,
        n_units=heads.n * heads.dim,
        group=f"S_{heads.dim} in each of {heads.n} heads",
        labels=f"{reading.name}.{block}.{name}",
        places=tuple(_places(members, heads, ("v", "o"))),
        head_size=heads.dim,
    )


def _heads_axis(
    reading: Reading,
    block: int,
    name: str,
    members: list[Bound],
    heads: _Heads,
    config: Mapping[str, Any],
) -> Axis:
    entry = reading.entry
    reasons = [entry.label("kv").get("fixed", ""), *(b.part.heads_fixed for b in members)]
    if reason := next(filter(None, reasons), ""):
        raise Refusal("positions", reason)
    if entry.positions == "stored" and not reading.has_positions:
        why = "no position table was found: heads may carry positions of their own"
        raise Refusal("positions", why)
    if "alibi" in str(config.get("position_embedding_type")) or config.get("alibi"):
        raise Refusal(
            "positions", "heads have fixed position slopes (ALiBi), according to the config"
        )
    if heads.n < 2:
        raise Refusal("few-units", "there is one key-value head")
    is_shared = entry.shares_heads and name == "heads"
    where = f"{reading.name}.{name}" if is_shared else f"{reading.name}.{block}.{name}"
    words = ("q", "k", "v", "o", "H", "Dq", "Dk")
    return Axis(
        name=name,
        kind="heads",
        stack=reading.name,
        block=block,
        n_units=heads.n,
        group=f"S_{heads.n}" + (" on groups of queries" if heads.repeat > 1 else ""),
        labels=where,
        places=tuple(_places(members, heads, words)),
        head_size=heads.dim,
    )


def _places(members: list[Bound], heads: _Heads, words: tuple[str, ...]) -> Iterator[Place]:
    """Where the heads run: V first, then O, then the rest; matrices before biases."""
    query, key, value = heads.query_rows, heads.key_rows, heads.n * heads.dim
    sizes = {"q": query, "k": key, "v": value, "o": value * heads.repeat, "Dq": query, "Dk": key}
    found = []
    for bound in members:
        for dim, (size, word) in enumerate(zip(bound.info.shape, bound.dims, strict=True)):
            start = 0
            for piece in word.split("+"):
                extent = size if piece == "H" else sizes.get(piece, 0)
                # a norm of one head's dimensions is the same for all heads: no place
                if piece in words and not (piece in ("Dq", "Dk") and size != extent):
                    role = "attn.bias" if piece == "H" else f"attn.{piece.removeprefix('D')}"
                    repeat = heads.repeat if piece in ("q", "o", "H", "Dq") else 1
                    rank = ("v", "o").index(piece) if piece in ("v", "o") else 2
                    place = Place(bound.info.name, dim, start, extent, role, repeat)
                    found.append((rank, -len(bound.info.shape), bound.info.name, start, place))
                start += extent
    for *_, place in sorted(found, key=lambda row: row[:4]):
        yield place


def _heads(reading: Reading, block: int, members: list[Bound], config: Mapping[str, Any]) -> _Heads:
    """Establish the heads of one attention from shapes and config, or refuse."""
    if reason := next((b.part.fixed for b in members if b.part.fixed), ""):
        raise Refusal("positions", reason)
    _check_strangers(reading, block, members)
    width = block_width(reading.bound[block])
    _check_width(members, width)
    query, key, value, out = _rows(members)
    n_queries, dim = _established(reading, members, config, width, out, query)
    if dim < 1 or n_queries < 1 or out != n_queries * dim or query != out:
        raise Refusal(
            "sizes",
            f"{n_queries} heads of {dim} do not fit {query} query rows and {out} output columns",
        )
    if value % dim or key != value or out % value:
        raise Refusal("sizes", f"{key} key rows and {value} value rows do not fit heads of {dim}")
    n_kv = value // dim
    stated = whole_number(config, keys_of("kv_heads"))
    is_fused = any("qkv" in b.dims for b in members)
    if stated and stated != n_kv and not is_fused and reading.entry.has_heads_in_config:
        raise Refusal("sizes", f"{stated} key-value heads in the config, {n_kv} by the shapes")
    if dim < 2:
        raise Refusal("few-units", "its heads have one dimension")
    return _Heads(n_kv, dim, out // value, query, key)


def _rows(members: list[Bound]) -> tuple[int, int, int, int]:
    """Rows of queries, keys and values, and columns of the output projection."""
    seen: dict[str, set[int]] = {}
    for bound in members:
        for size, word in zip(bound.info.shape, bound.dims, strict=True):
            seen.setdefault(word, set()).add(size)
    if any(len(sizes) > 1 for w, sizes in seen.items() if w in ("q", "k", "v", "o", "q+k+v")):
        raise Refusal("sizes", "the tensors of one role have different shapes in it")
    n_matrices = [w for b in members if len(b.info.shape) > 1 for w in b.dims]
    if any(n_matrices.count(w) > 1 for w in ("q", "k", "v", "o", "q+k+v", "qkv")):
        raise Refusal("two-parts", "several tensors have the same role in it")
    if "o" not in seen:
        raise Refusal("no-part", "no output projection was found for it")
    out = next(iter(seen["o"]))
    if not out:
        raise Refusal("no-part", "its output projection is empty")
    if "q+k+v" in seen:
        rest, odd = divmod(next(iter(seen["q+k+v"])) - out, 2)
        if odd or rest < 1:
            raise Refusal(
                "heads",
                "the fused projection is not queries, keys and values of this output",
            )
        return out, rest, rest, out
    if "qkv" in seen:
        if seen["qkv"] != {3 * out}:
            raise Refusal("heads", _UNCERTAIN)
        return out, out, out, out
    if not {"q", "k", "v"} <= seen.keys():
        raise Refusal("no-part", "queries, keys and values were not all found for it")
    query, key, value = (next(iter(seen[w])) for w in "qkv")
    if not (query and key and value):
        raise Refusal("no-part", "a projection is empty")
    return query, key, value, out


def _established(
    reading: Reading,
    members: list[Bound],
    config: Mapping[str, Any],
    width: int,
    out: int,
    query: int,
) -> tuple[int, int]:
    """Return the number of query heads and the size of a head, from shapes, else from the config.

    A table with one entry for each head, or a norm with one for each dimension of a head, settles
    it; a config that contradicts them refuses the axis, as does one without anything to say.
    """
    tables = {n for b in members for n in b.sizes("H")}
    if not tables and reading.entry.shares_heads:
        tables = {n for row in reading.bound for b in row for n in b.sizes("H")}
    norms = {n for b in members for w in ("Dq", "Dk") for n in b.sizes(w)}
    norms -= {query, *(n for b in members for n in b.sizes("k"))}
    facts: set[tuple[int, int]] = {(n, out // n) for n in tables if n and out % n == 0}
    facts |= {(out // n, n) for n in norms if n and out % n == 0}
    if tables and len(tables) > 1 or norms and len(norms) > 1 or len(facts) > 1:
        raise Refusal("sizes", "its shapes disagree about the number of heads")
    if reading.entry.has_heads_in_config and (stated := _stated(config, reading.name, width, out)):
        facts.add(stated)
    if len(facts) > 1:
        raise Refusal("sizes", "config and shapes disagree about the number of heads")
    if not facts:
        raise Refusal("heads", "the size of a head is not in the shapes, and no config settles it")
    return facts.pop()


def _stated(config: Mapping[str, Any], stack: str, width: int, out: int) -> tuple[int, int] | None:
    """Heads and head size as a config says, unless it contradicts the width."""
    if (hidden := whole_number(config, keys_of("width"))) and hidden != width:
        return None
    sided = {"encoder": "encoder_attention_heads", "decoder": "decoder_attention_heads"}
    keys = (sided.get(stack, ""), *keys_of("heads"))
    n_heads, dim = whole_number(config, keys), whole_number(config, keys_of("head_dim"))
    if n_heads:
        return n_heads, dim or width // n_heads
    return (out // dim, dim) if dim else None


def _check_strangers(reading: Reading, block: int, members: list[Bound]) -> None:
    """Refuse when a tensor nobody knows stands inside the attention module."""
    strangers = reading.strangers[block]
    if len(strangers) > MAX_STRANGERS:
        raise Refusal("unknown-tensor", f"{len(strangers)} tensors of the block are not understood")
    path = reading.stack.blocks[block].path
    scopes = {_scope(path, b.info.name) for b in members}
    for info in strangers:
        if any(info.name.startswith(scope) for scope in scopes) and not is_scale(info):
            raise Refusal("unknown-tensor", f"{info.name} is not understood and stands inside it")


def _scope(path: str, tensor: str) -> str:
    """The attention module around a projection: ``layers.0.self_attn.``."""
    words = tensor[len(path) + 1 :].split(".")[:-1]
    inside = next((i for i, word in enumerate(words) if "att" in word.lower()), len(words))
    return ".".join([path, *words[: inside + 1]]) + "."


def _check_width(members: list[Bound], width: int) -> None:
    for bound in members:
        if any(size != width for size in bound.sizes("d")):
            shape = "x".join(map(str, bound.info.shape))
            raise Refusal("sizes", f"{bound.info.name} has shape {shape}, but the width is {width}")
