"""Unknown families: find the MLP of every block by shape alone, or say why it cannot be told.

Blocks are groups of tensors whose names differ only in one number. With d the most common
dimension of their matrices, an MLP is two or three matrices of shapes (h, d), (h, d), (d, h),
h > d, each once per block. Which of two (h, d) is gate and which is up stays unknown. A wide
attention, with output (d, h) and queries (h, d), has the same shapes; so names that speak of
anything but an MLP, other tensors along h, and leftovers that are no whole attention each refuse
the axis.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from weightkin.anatomy.naming import is_buffer, natural
from weightkin.anatomy.types import Axis, Place
from weightkin.anatomy.units import Refusal
from weightkin.formats.model import Problem, TensorInfo

MIN_BLOCKS = 2
MAX_NUMBERS = 8  # of one name that are looked at
MAX_TENSORS = 64  # in one block: more is no MLP with its attention

_NUMBERED = re.compile(r"(?:(?<=\.)|(?<=_)|^|(?<=[A-Za-z]))([0-9]+)(?=[._])")
_NOT_MLP = re.compile(
    r"att|(?:^|[._])(?:q|k|v|o|r|g|qk|kv|qkv|to_[qkv]|w[qkvo])(?:$|[._])|query|key|value|mixer|mix"
    r"|conv|ssm|mamba|rnn|lstm|gru|hyena|scan|state|lora|adapter|expert|router|embed|time",
    re.IGNORECASE,
)
_MLP = re.compile(r"mlp|ffn|ff|feed|fc|dense|intermediate|hidden|expand", re.IGNORECASE)


@dataclass(slots=True)
class Found:
    """Axes read without a family, and the stacks they stand in."""

    stacks: list[tuple[str, int]] = field(default_factory=list)
    axes: list[Axis] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    skipped: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Mlp:
    """The matrices of one MLP by the rest of their names, and the dimension of each that is h."""

    ins: tuple[tuple[str, int], ...]
    out: tuple[str, int]
    n_units: int


def inferred_axes(tensors: Iterable[TensorInfo], *, taken: Collection[str] = ()) -> Found:
    """Infer the MLP axes of numbered blocks. ``taken``: stack names in use already."""
    found = Found()
    for prefix, blocks in sorted(_group(tensors).items(), key=lambda item: natural(item[0])):
        if len(blocks) < MIN_BLOCKS:
            continue
        name = prefix.rstrip("._") or "blocks"
        while name in taken or name in dict(found.stacks):
            name += "'"
        try:
            width = _width(blocks.values())
        except Refusal as reason:
            found.skipped.append(reason.of(f"{name} mlp"))
            continue
        axes = list(_stack_axes(name, width, blocks, found))
        if axes:
            found.stacks.append((name, len(blocks)))
            found.axes += axes
            found.roles.update((p.tensor, p.role) for axis in axes for p in axis.places)
    return found


def _group(tensors: Iterable[TensorInfo]) -> dict[str, dict[str, dict[str, TensorInfo]]]:
    """Tensors by prefix before the first number, number, and rest of the name."""
    groups: dict[str, dict[str, dict[str, TensorInfo]]] = {}
    infos = [info for info in tensors if not is_buffer(info)]
    for info, cut in zip(infos, index_of_blocks([info.name for info in infos]), strict=True):
        if cut:
            rest = info.name[cut.end() + 1 :]
            blocks = groups.setdefault(info.name[: cut.start()], {})
            blocks.setdefault(cut[1], {})[rest] = info
    return groups


def index_of_blocks(names: Sequence[str]) -> list[re.Match[str] | None]:
    """The number in each name that tells blocks apart: of those in it the first that varies.

    In ``wav2vec2.encoder.layers.0`` and ``0.auto_model.layer.1`` the first one does not. Where
    none varies, it is the first that is no end of a word; and none where there is no such.
    """
    found = [list(islice(_NUMBERED.finditer(name), MAX_NUMBERS)) for name in names]
    values: dict[str, set[str]] = {}
    for name, cuts in zip(names, found, strict=True):
        for cut in cuts:
            values.setdefault(name[: cut.start()], set()).add(cut[1])
    chosen: list[re.Match[str] | None] = []
    for name, cuts in zip(names, found, strict=True):
        varying = (cut for cut in cuts if len(values[name[: cut.start()]]) > 1)
        alone = (cut for cut in cuts if not name[: cut.start()][-1:].isalpha())
        chosen.append(next(varying, None) or next(alone, None))
    return chosen


def _width(blocks: Iterable[dict[str, TensorInfo]]) -> int:
    """Return the most common dimension of the matrices of a stack, if one is."""
    counts = Counter(
        n for block in blocks for i in block.values() if len(i.shape) == 2 for n in i.shape
    )
    ranked = counts.most_common(2)
    if not ranked or ranked[0][0] < 2:
        raise Refusal("ambiguous", "no matrices: no unit axis can be inferred")
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        raise Refusal(
            "ambiguous",
            "two dimensions are equally common: the residual width is not certain",
        )
    return ranked[0][0]


def _stack_axes(
    name: str, width: int, blocks: dict[str, dict[str, TensorInfo]], found: Found
) -> Iterator[Axis]:
    readings: dict[int, _Mlp] = {}
    reasons: dict[tuple[str, str], list[int]] = {}
    for rank, number in enumerate(sorted(blocks, key=natural)):
        try:
            readings[rank] = _mlp(blocks[number], width)
        except Refusal as reason:
            reasons.setdefault((reason.code, str(reason)), []).append(rank)
    shared = Counter((mlp.ins, mlp.out) for mlp in readings.values())
    ordered = [blocks[number] for number in sorted(blocks, key=natural)]
    for rank, mlp in readings.items():
        if shared[mlp.ins, mlp.out] < MIN_BLOCKS:
            why = "no other block has an MLP under these names"
            reasons.setdefault(("ambiguous", why), []).append(rank)
            continue
        yield Axis(
            name="mlp",
            kind="units",
            stack=name,
            block=rank,
            n_units=mlp.n_units,
            group=f"S_{mlp.n_units}",
            labels=f"{name}.{rank}.mlp",
            places=tuple(_places(ordered[rank], mlp)),
        )
    for (code, why), ranks in reasons.items():
        more = f" and {len(ranks) - 1} more" if len(ranks) > 1 else ""
        found.skipped.append(Problem(f"{name}.{ranks[0]} mlp{more}", why, code=code))


def _mlp(block: dict[str, TensorInfo], width: int) -> _Mlp:
    """Return the one MLP that the shapes of a block show, or refuse."""
    if len(block) > MAX_TENSORS:
        raise Refusal("too-many", f"{len(block)} tensors in a block of an unknown family")
    matrices = {rest: (i.shape[0], i.shape[1]) for rest, i in block.items() if len(i.shape) == 2}
    rows: dict[int, list[str]] = {}  # h: names of (h, d)
    columns: dict[int, list[str]] = {}  # h: names of (d, h)
    for rest, (n, m) in matrices.items():
        if m == width and n > width:
            rows.setdefault(n, []).append(rest)
        elif n == width and m > width:
            columns.setdefault(m, []).append(rest)
    readings = []
    for h in rows.keys() & columns.keys():
        counts = len(rows[h]), len(columns[h])
        if counts in ((1, 1), (2, 1)):
            readings.append(_Mlp(_side(rows[h], 0), (columns[h][0], 1), h))
        elif counts == (1, 2):  # stored (in, out)
            readings.append(_Mlp(_side(columns[h], 1), (rows[h][0], 0), h))
        else:
            raise Refusal("ambiguous", f"{sum(counts)} matrices share the dimension {h}")
    # a fused gate and up, (2h, d) with (d, h), is a second reading of the same block
    fused = [h for h in columns if h not in rows and 2 * h in rows]
    if len(readings) + len(fused) > 1:
        raise Refusal("ambiguous", "several readings of its matrices fit equally")
    if not readings:
        raise Refusal("ambiguous", "no pair of matrices has the shapes of an MLP")
    _check(block, matrices, readings[0], width)
    return readings[0]


def _side(names: list[str], dim: int) -> tuple[tuple[str, int], ...]:
    return tuple((name, dim) for name in sorted(names, key=natural))


def _check(
    block: dict[str, TensorInfo], matrices: dict[str, tuple[int, int]], mlp: _Mlp, width: int
) -> None:
    """Refuse when the matrices of a supposed MLP may be something else."""
    own = {name for name, _ in [*mlp.ins, mlp.out]}
    if foreign := next((name for name in sorted(own) if _NOT_MLP.search(name)), None):
        raise Refusal("ambiguous", f"{foreign} has the shape of an MLP but not the name of one")
    biases = {_bias(name) for name in own}
    for rest, info in block.items():
        if rest not in own and rest not in biases and mlp.n_units in info.shape:
            raise Refusal("ambiguous", f"{rest} has a dimension of {mlp.n_units} too")
    others = [shape for name, shape in matrices.items() if name not in own and width in shape]
    if all(_MLP.search(name) for name in own) or not others or len(others) >= 4:
        return
    # two left over: a fused projection with its output, never a lone pair of keys and values
    if len(others) == 2 and others[0] != others[1] and (width, width) in others:
        return
    raise Refusal("ambiguous", "the matrices besides the supposed MLP are not a complete attention")


def _places(block: dict[str, TensorInfo], mlp: _Mlp) -> Iterator[Place]:
    roles = [(name, dim, f"mlp.in{i}") for i, (name, dim) in enumerate(mlp.ins)]
    for name, dim, role in [*roles, (*mlp.out, "mlp.down")]:
        yield Place(block[name].name, dim, 0, mlp.n_units, role)
        bias = block.get(_bias(name))
        if role != "mlp.down" and bias is not None and bias.shape == (mlp.n_units,):
            yield Place(bias.name, 0, 0, mlp.n_units, role)


def _bias(matrix: str) -> str:
    """Name of the bias beside a matrix."""
    if matrix.endswith("weight"):
        return f"{matrix.removesuffix('weight')}bias"
    return f"{matrix}_bias"
