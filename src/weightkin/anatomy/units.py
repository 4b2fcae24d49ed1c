"""The hidden units of every MLP: one axis for each MLP, expert and shared expert of a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from weightkin.anatomy.naming import Bound, Reading, is_scale
from weightkin.anatomy.types import Axis, Place
from weightkin.formats.model import Problem, TensorInfo

MAX_UNITS = 1 << 17  # of an axis: a few hundred units are compared with all of another
MAX_EXPERTS = 1 << 16
MAX_STRANGERS = 64

# what a dimension's word says about the units; in the order in which places are listed
_MLP_WORDS = {
    "g": ("mlp.gate",),
    "g+u": ("mlp.gate", "mlp.up"),
    "u+g": ("mlp.up", "mlp.gate"),
    "u": ("mlp.up",),
    "gu": (),  # interleaved: no run of rows is either, see `PAIRS`
    "h": ("mlp.down",),
}
_LISTED = tuple(_MLP_WORDS)
PAIRS = "mlp.pairs"  # of a gate and an up row side by side: on the axis, and no view of it


class Refusal(Exception):  # noqa: N818 (not an error: the reason why an axis is left out)
    """Why an axis cannot be declared: a code of `records.codes.REASONS`, and one line."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code

    def of(self, what: str) -> Problem:
        """What is left out, and why."""
        return Problem(what, str(self), code=self.code)


def unit_axes(
    reading: Reading, block: int, *, is_clamped: bool = False
) -> Iterator[Axis | Problem]:
    """Yield the MLP axes of one block, or the problem where one cannot be declared.

    Parameters
    ----------
    reading : Reading
        The stack, read with one entry of the catalogue.
    block : int
        Number of the block.
    is_clamped : bool
        Take the sign symmetry away: what happens between up and down is not certain.

    Yields
    ------
    Axis or Problem
        Axes of the MLP or of each expert, or a name and why there is none.
    """
    groups: dict[str, list[Bound]] = {}
    for bound in reading.bound[block]:
        if any(word in _MLP_WORDS for word in bound.dims):
            groups.setdefault(bound.group, []).append(bound)
    width = block_width(reading.bound[block])
    attention = _attention(reading.stack.blocks[block].path, reading.bound[block])
    unknown = reading.strangers[block]
    near = [  # what stands inside an attention acts on what it makes
        info for info in unknown if not is_scale(info) and not info.name.startswith(attention)
    ]
    for group, members in groups.items():
        name = f"mlp.{group}" if group else "mlp"
        try:
            _check_number(unknown)
            n_units = _n_units(members, width)
            _check_strangers(near, members, n_units, width)
            yield from _axes_of(reading, block, name, members, n_units, is_clamped=is_clamped)
        except Refusal as reason:
            yield reason.of(name)


def _axes_of(
    reading: Reading,
    block: int,
    name: str,
    members: list[Bound],
    n_units: int,
    *,
    is_clamped: bool,
) -> Iterator[Axis]:
    roles = [role for b in members for w in b.dims for role in _MLP_WORDS.get(w, ())]
    n_experts = _n_experts(members)
    has_both = {"mlp.gate", "mlp.up"} <= set(roles)
    for index in range(n_experts) if n_experts else (None,):
        own = name if index is None else f"{name}.{index}"
        yield Axis(
            name=own,
            kind="units",
            stack=reading.name,
            block=block,
            n_units=n_units,
            group=f"S_{n_units}",
            labels=f"{reading.name}.{block}.{own}",
            places=tuple(_places(members, n_units, index)),
            is_gated=has_both and reading.entry.is_odd and not is_clamped,
        )


def _places(members: list[Bound], n_units: int, index: int | None) -> Iterator[Place]:
    for bound in sorted(members, key=_order):
        dims = bound.dims if index is None else bound.dims[1:]
        for dim, word in enumerate(dims):
            if word == "gu":
                yield Place(bound.info.name, dim, 0, 2 * n_units, PAIRS, index=index, inner=2)
            for half, role in enumerate(_MLP_WORDS.get(word, ())):
                yield Place(bound.info.name, dim, half * n_units, n_units, role, index=index)


def _order(bound: Bound) -> tuple[int, int, str]:
    """Matrices before biases; gate, up, down."""
    first = min(_LISTED.index(w) for w in bound.dims if w in _MLP_WORDS)
    return -len(bound.info.shape), first, bound.info.name


def _n_units(members: list[Bound], width: int) -> int:
    """Number of hidden units; every matrix of the MLP must agree on it, and on the width."""
    matrices = [b for b in members if len(b.info.shape) - ("e" in b.dims) == 2]
    words = Counter(w for b in matrices for w in b.dims if w in _MLP_WORDS)
    ins, outs = words["u"] + words["g+u"] + words["u+g"] + words["gu"], words["h"]
    if not ins or not outs:
        raise Refusal("no-part", f"no {'up' if outs else 'down'} projection was found for it")
    if ins > 1 or outs > 1 or words["g"] > 1 or (words["g"] and not words["u"]):
        raise Refusal("two-parts", "several tensors have the same role in it")
    sizes: dict[int, str] = {}
    for bound in members:
        for size, word in zip(bound.info.shape, bound.dims, strict=True):
            if word == "d" and size != width:
                raise Refusal(
                    "sizes",
                    f"{bound.info.name} has shape {_shape(bound.info)}, "
                    f"but the residual width of the block is {width}",
                )
            if word in _MLP_WORDS:
                if size % _share(word):
                    raise Refusal("sizes", f"{bound.info.name} does not split into two halves")
                sizes.setdefault(size // _share(word), bound.info.name)
    if len(sizes) > 1:
        (a, name_a), (b, name_b) = list(sizes.items())[:2]
        raise Refusal("sizes", f"{name_a} has {a} hidden units, {name_b} has {b}")
    n_units = next(iter(sizes))
    if n_units < 2 or width < 1:
        raise Refusal("few-units", "it has fewer than two units")
    return n_units


def _share(word: str) -> int:
    return 2 if word in ("g+u", "u+g", "gu") else 1


def _n_experts(members: list[Bound]) -> int:
    """Number of experts stacked in one tensor; 0 when each has tensors of its own."""
    counts = {b.info.shape[0] if b.dims[0] == "e" else 0 for b in members}
    if len(counts) > 1:
        raise Refusal("sizes", "its tensors stack different numbers of experts")
    n_experts = counts.pop()
    if n_experts > MAX_EXPERTS:
        raise Refusal("too-many", f"{n_experts} experts, {MAX_EXPERTS} at most are read")
    return n_experts


def _check_number(strangers: list[TensorInfo]) -> None:
    if len(strangers) > MAX_STRANGERS:
        raise Refusal("unknown-tensor", f"{len(strangers)} tensors of the block are not understood")


def _check_strangers(
    strangers: list[TensorInfo], members: list[Bound], n_units: int, width: int
) -> None:
    """Refuse when a tensor nobody knows may act on the units between up and down."""
    scopes = {_scope(b.info.name) for b in members}
    for info in strangers:
        if any(info.name.startswith(s) for s in scopes):
            raise Refusal("unknown-tensor", f"{info.name} is not understood and stands inside it")
        if n_units != width and n_units in info.shape:
            raise Refusal(
                "unknown-tensor",
                f"{info.name} is not understood and has a dimension of {n_units} too",
            )


def _attention(path: str, bound: list[Bound]) -> tuple[str, ...]:
    """The modules called an attention that hold its tensors in a block: ``layers.0.self_attn.``."""
    scopes = set()
    for b in bound:
        if b.part.role.startswith("attn."):
            words = b.info.name[len(path) + 1 :].split(".")[:-1]
            inside = next((i for i, word in enumerate(words) if "att" in word.lower()), None)
            if inside is not None:
                scopes.add(".".join([path, *words[: inside + 1]]) + ".")
    return tuple(scopes)


def _scope(tensor: str) -> str:
    """The module around a projection, ``layers.0.mlp.``; itself if a block is around it."""
    module = tensor.rsplit(".", 1)[0]
    parent = module.rsplit(".", 1)[0]
    last = parent.rsplit(".", 1)[-1]
    return f"{module}." if last.isdecimal() and not _is_expert(parent) else f"{parent}."


def _is_expert(parent: str) -> bool:
    return parent.rsplit(".", 2)[-2:-1] == ["experts"]


def block_width(bound: list[Bound]) -> int:
    """Residual width as most parts of a block show it."""
    counts = Counter(n for b in bound for n in b.sizes("d"))
    return counts.most_common(1)[0][0] if counts else 0


def _shape(info: TensorInfo) -> str:
    return "x".join(map(str, info.shape))
