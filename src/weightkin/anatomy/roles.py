"""One key for every tensor, by what it does: ``decoder.3.mlp.up``, whoever named it.

Publishers, GGUF files and exporters call one tensor by many names, store models inside of modules,
and fuse matrices or split them. A key has the stack, the rank of the block, and the role; experts
are numbered (``mlp.up[3]``), further attentions named (``cross.attn.q``). What no entry of the
catalogue knows is left over by its name, after what the names of its model begin with is taken off
(``decoder.3:adapter.down``, ``:extra.weight``). Keys depend on names and shapes alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from weightkin.anatomy.by_table import Home
from weightkin.anatomy.fused import Attention, runs_of
from weightkin.anatomy.gains import norm_before
from weightkin.anatomy.naming import Bound, Reading
from weightkin.anatomy.networks import split_networks
from weightkin.anatomy.stacks import Stacks, read_stacks
from weightkin.anatomy.translate import components_of
from weightkin.formats.model import TensorInfo

OUTSIDE = -1  # block of what is in none
Shapes = tuple[tuple[str, tuple[int, ...]], ...]  # of named tensors
_SEVERAL = ("norm", "head", "token", "scale", "attn.latent", "projector")  # are told by name too
_DIGITS = re.compile(r"[0-9]+")
_LEAVES = {"gamma": "weight", "beta": "bias"}
_WRITERS = ("attn.o", "mlp.down")  # the residual width is what they write


@dataclass(frozen=True, slots=True, order=True)
class RoleKey:
    """What a tensor does, or a run of one: equal keys of two models stand for each other."""

    stack: str
    block: int  # rank in the stack, or `OUTSIDE`
    role: str  # a role of the catalogue; or, after a colon, what is left of a name

    def __str__(self) -> str:
        where = [self.stack, *([str(self.block)] if self.block != OUTSIDE else [])]
        head = ".".join(filter(None, where))
        return f"{head}{'' if self.role.startswith(':') or not head else '.'}{self.role}"


@dataclass(frozen=True, slots=True)
class Piece:
    """Where one role stands: in ``spans`` (begin and end) along ``dim`` of a tensor.

    Where a tensor stacks the matrices of all experts (first dimension), ``index`` is the expert and
    ``dim`` counts without that first dimension.
    """

    tensor: str
    role: str
    dim: int
    spans: tuple[tuple[int, int], ...]
    index: int | None = None
    is_whole: bool = True
    is_turned: bool = False  # stored (in, out)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One tensor: its key, what is left of its name, what it is to an entry, where it is stored."""

    info: TensorInfo
    key: RoleKey
    rest: str
    bound: Bound | None = None
    home: Home = Home("")
    component: str = ""


def role_keys(tensors: Mapping[str, TensorInfo]) -> dict[str, RoleKey]:
    """Return the key of every tensor; no two are equal."""
    found: dict[str, list[RoleKey]] = {}
    for seen in _all(_shapes(tensors)):
        found.setdefault(seen.home.tensor, []).append(seen.key)
    return {
        name: found[name][0] if len(found[name]) == 1 else _joined(found[name], name)
        for name in tensors
    }


def _joined(keys: Sequence[RoleKey], name: str) -> RoleKey:
    """The key of what stores several tensors."""
    return replace(keys[0], role=f":{'+'.join(k.role.lstrip(':') for k in keys)}:{name}")


def role_pieces(
    tensors: Mapping[str, TensorInfo], n_heads: Mapping[str, int] = MappingProxyType({})
) -> dict[RoleKey, Piece]:
    """Return where every role stands: fused matrices in their parts, stacked experts one by one.

    A tensor that cannot be taken apart with certainty is one piece under its own key. ``n_heads``
    of each stack, as a config says, is needed where queries, keys and values of a head are fused.
    """
    found: dict[RoleKey, Piece] = {}
    seen = _all(_shapes(tensors))
    outs = {
        (x.key.stack, x.key.block, x.bound.group): size
        for x in seen
        if x.bound and len(x.info.shape) > 1
        for size in x.bound.sizes("o")
    }
    for x in seen:
        n_out = outs.get((x.key.stack, x.key.block, x.bound.group if x.bound else ""), 0)
        heads = n_heads.get(x.key.stack) or n_heads.get("", 0)
        own = _pieces(x, Attention(n_out, heads))
        found.update((key, _at_home(piece, x.home)) for key, piece in own)
    return found


def _at_home(piece: Piece, home: Home) -> Piece:
    """A piece of a tensor as it stands in the stored one."""
    if not home.spans:
        return replace(piece, tensor=home.tensor)
    if piece.dim or piece.index is not None or not piece.is_whole:  # of one part: moved with it
        begin = home.spans[0][0] if not piece.dim else 0
        spans = tuple((a + begin, b + begin) for a, b in piece.spans)
        return replace(piece, tensor=home.tensor, spans=spans, is_whole=False)
    return replace(piece, tensor=home.tensor, spans=home.spans, is_whole=False)


def _pieces(seen: _Seen, attention: Attention) -> Iterator[tuple[RoleKey, Piece]]:
    """Parts of one tensor."""
    info, key, bound = seen.info, seen.key, seen.bound
    shape = info.shape or (1,)
    n_experts = shape[0] if bound is not None and bound.dims[:1] == ("e",) else 0
    dims = bound.dims[n_experts > 0 :] if bound else ()
    sizes = shape[n_experts > 0 :]
    dim = next((i for i, word in enumerate(dims) if "+" in word or word == "qkv"), 0)
    runs = runs_of(bound, dims[dim], sizes[dim], attention) if bound else {}
    if bound is None or not (runs or n_experts):
        role = bound.part.role if bound else "other"
        is_turned = bound is not None and _is_turned(role, dims)
        yield key, Piece(info.name, role, 0, ((0, shape[0]),), is_turned=is_turned)
        return
    runs = runs or {bound.part.role: ((0, sizes[0]),)}
    for index in range(n_experts) if n_experts else (None,):
        for role, spans in runs.items():
            number = "" if index is None else f"[{index}]"
            own = replace(key, role=f"{key.role.replace(bound.part.role, role, 1)}{number}")
            is_turned = _is_turned(role, dims)
            yield own, Piece(info.name, role, dim, spans, index, False, is_turned)


def _is_turned(role: str, dims: Sequence[str]) -> bool:
    """Whether a matrix of a block is stored (in, out)."""
    if len(dims) != 2 or dims.count("d") != 1 or not role.startswith(("attn.", "mlp.", "router")):
        return False
    return dims[1 if role in _WRITERS else 0] == "d"


def _shapes(tensors: Mapping[str, TensorInfo]) -> Shapes:
    return tuple((name, info.shape) for name, info in tensors.items())


@lru_cache(maxsize=8)  # one comparison asks for the same names three times and more
def _all(shapes: Shapes) -> tuple[_Seen, ...]:
    """Every tensor with a key of its own."""
    seen: list[_Seen] = []
    for component in components_of({n: TensorInfo(n, "F32", shape, 0) for n, shape in shapes}):
        networks, outside = split_networks(component.tensors)
        own = [
            replace(x, key=replace(x.key, stack=f"{head}{x.key.stack}")) if head else x
            for prefix, those in networks.items()
            for head in (f"{component.label}{prefix}",)
            for x in _network(those)
        ]
        own += [_left(component.label, OUTSIDE, info.name, info) for info in outside]
        seen += [
            replace(x, home=component.homes[x.info.name], component=component.name) for x in own
        ]
    seen = _told_apart(seen, lambda x: f"{x.key.role}:{x.rest}")
    seen = _told_apart(seen, lambda x: ":" + ".".join(filter(None, (x.component, x.info.name))))
    return tuple(_told_apart(seen, lambda x: f":{x.home.tensor}:{x.info.name}"))


def _told_apart(seen: Sequence[_Seen], role: Callable[[_Seen], str]) -> list[_Seen]:
    """Give those that share a key another role."""
    counts = Counter(x.key for x in seen)
    return [_longer(x, role(x)) if counts[x.key] > 1 else x for x in seen]


def _longer(seen: _Seen, role: str) -> _Seen:
    return replace(seen, key=replace(seen.key, role=role))


def _network(tensors: Mapping[str, TensorInfo]) -> Iterator[_Seen]:
    stacks = read_stacks(tensors)
    roots = _roots(stacks, tensors)
    known: set[str] = set()
    for reading in stacks.readings:
        for rank in range(len(reading.stack.blocks)):
            yield from _block(reading, rank)
        for bound in reading.top:
            known.add(bound.info.name)
            yield _top(reading, bound, _without(bound.info.name, roots))
    for stack in (*stacks.unread, *stacks.too_long):
        for rank, block in enumerate(stack.blocks):
            for rest, info in block.tensors.items():
                yield _left(_without(stack.prefix, roots), rank, rest, info)
    for info in stacks.top:
        if info.name not in known:
            yield _left("", OUTSIDE, _without(info.name, roots), info)


def _block(reading: Reading, rank: int) -> Iterator[_Seen]:
    """The tensors of one block; norms are called by what reads the stream through them."""
    block = reading.stack.blocks[rank]
    bound = {b.info.name: b for b in reading.bound[rank]}
    norms: dict[str, str] = {}
    for b in bound.values():
        is_attention = b.part.role in ("attn.v", "attn.qkv")
        if is_attention or b.part.role in ("mlp.up", "mlp.gate_up", "mlp.up_gate"):
            name = norm_before(b.info.name, bound.__contains__, is_attention=is_attention)
            group = f"{b.group}." if b.group == "cross" else ""
            norms.setdefault(
                name.rpartition(".")[0], f"{group}norm.{'attn' if is_attention else 'mlp'}"
            )
    for rest, info in block.tensors.items():
        if info.name not in bound:
            yield _left(reading.name, rank, rest, info)
            continue
        module, _, leaf = info.name.rpartition(".")
        norm = norms.get(module)
        role = _norm(norm, leaf) if norm else _role(bound[info.name], rest)
        yield _Seen(info, RoleKey(reading.name, rank, role), rest, bound[info.name])


def _role(bound: Bound, rest: str) -> str:
    """Role of a known tensor, with its attention or expert, and whether it is a bias."""
    group = bound.group
    number = f"[{group}]" if group.isdecimal() else ""
    named = f"{group}." if group and not number else ""
    is_bias = bound.info.name.endswith((".bias", ".beta", "_bias"))
    role = bound.part.role
    if role in _SEVERAL:
        module, dot, leaf = rest.rpartition(".")
        return f"{named}{role}:{module}{dot}{_LEAVES.get(leaf, leaf)}"
    return f"{named}{role}{'.bias' if is_bias else ''}{number}"


def _top(reading: Reading, bound: Bound, rest: str) -> _Seen:
    """A known tensor outside the blocks; of its norms the last one has a role of its own."""
    *_, name, leaf = ("", *rest.split("."))
    is_last = bound.part.role == "norm" and name in reading.entry.norms.last
    role = _norm("norm.last", leaf) if is_last else _role(bound, rest)
    return _Seen(bound.info, RoleKey(reading.name, OUTSIDE, role), rest, bound)


def _norm(role: str, leaf: str) -> str:
    return f"{role}.bias" if leaf in ("bias", "beta") else role


def _roots(stacks: Stacks, tensors: Mapping[str, TensorInfo]) -> list[str]:
    """What names begin with that says where a network lies in a larger one; the longest first.

    It is every module above a stack that is read. Where none is, it is what more than half of the
    names begin with, up to the first number.
    """
    if stacks.readings:
        found = {root for reading in stacks.readings for root in reading.stack.roots}
        return sorted(filter(None, found), key=lambda root: (-len(root), root))
    names, root, found = [name.split(".") for name in tensors], "", set()
    for depth in range(max(map(len, names), default=0)):
        words = Counter(words[depth] for words in names if len(words) > depth + 1)
        word, n = words.most_common(1)[0] if words else ("", 0)
        if 2 * n <= len(tensors) or _is_numbered(word, words):
            break
        root += f"{word}."
        found.add(root)
        names = [words for words in names if words[depth] == word]
    return sorted(found, key=len, reverse=True)


def _is_numbered(word: str, words: Iterable[str]) -> bool:
    """Whether a word is one of several that differ in a number alone."""
    if not any(letter.isdigit() for letter in word):
        return False
    form = _DIGITS.sub("#", word)
    return sum(_DIGITS.sub("#", other) == form for other in words) > 1


def _without(name: str, roots: Iterable[str]) -> str:
    return name.removeprefix(next((root for root in roots if name.startswith(root)), ""))


def _left(stack: str, block: int, rest: str, info: TensorInfo) -> _Seen:
    return _Seen(info, RoleKey(stack, block, f":{rest}"), rest)
