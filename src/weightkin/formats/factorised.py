"""Matrices that a file holds as two factors, each shown as the one matrix that they make.

A module of attention or of an MLP that the catalogue knows by its last word (``q_proj``, ``fc1``,
``query``) has one matrix. Where two stand in its place, below it (``q_proj.0``, ``q_proj.1``) or
beside it (``q_u_proj``, ``fc1_u``), and their shapes can be multiplied, what counts is the product;
a vector of the rank between them scales its terms. Shapes say which factor comes first; for square
ones those of other modules with factors of the same names do. What nothing tells stays as stored.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from weightkin.catalogue.entry import TensorPart
from weightkin.catalogue.table import entries
from weightkin.formats.adapter_deltas import exact, summed
from weightkin.formats.computed import Floats, Index, Recipe, stored_rows, stored_whole
from weightkin.formats.model import Storage, TensorInfo

MAX_RANK = 1 << 14
MARK = "factors of rank "  # how a tensor is stored, before the rank
_FLOATS = ("F64", "F32", "F16", "BF16")
_ROLES = re.compile(r"mlp[.]\w+|attn[.](q|k|v|o|qkv)")
_END = re.compile(r"[.](weight|kernel)$")
_BESIDE = re.compile(  # q_u_proj and q_v_proj, fc1_u and fc1_v
    r"(?P<start>\w+?)_(?P<tail>u|v|vt|vh|left|right)(?P<end>_proj)?", re.IGNORECASE
)
_OUTER = ("u", "left")  # names of the factor that has the outputs


@dataclass(frozen=True, slots=True)
class Factors:
    """``left @ right``, the right one stored straight or with rows and columns exchanged."""

    shape: tuple[int, int]
    rank: int
    left: str
    right: str
    is_right_turned: bool = False  # stored (width, rank)
    scales: str = ""  # a vector of the rank

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows of the product as float32, summed in one order on every machine."""
        left = exact(stored_rows(storage, self.left, rows, self.rank))
        size = (self.rank, self.shape[1])
        stored = stored_whole(storage, self.right, size[::-1] if self.is_right_turned else size)
        right = exact(stored.T if self.is_right_turned else stored)
        with np.errstate(all="ignore"):
            if self.scales:
                left = left * exact(stored_whole(storage, self.scales, (self.rank,)))
            return summed(left, right).astype(np.float32)


@dataclass(slots=True)
class _Module:
    """What stands in the place of one matrix, by the words that tell it apart."""

    matrices: dict[str, TensorInfo] = field(default_factory=dict)
    vectors: dict[str, TensorInfo] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Way:
    """Which of two factors is the left one, and whether the other one is stored turned."""

    left: str
    right: str
    is_turned: bool = False


def multiplied_out(
    tensors: Mapping[str, TensorInfo],
) -> tuple[dict[str, TensorInfo], dict[str, Recipe]]:
    """Show the matrices that pairs of factors make, in place of these.

    A bias keeps its stored name. Nothing is multiplied where the module has a matrix of its own
    too, or where the factor that reads the inputs has a bias, as in a net with something between.

    Parameters
    ----------
    tensors : mapping
        Tensors by name.

    Returns
    -------
    tensors : dict
        With ``MODULE.weight`` in float32 for every pair of factors; ``packed`` says the rank.
    recipes : dict
        How the products follow from what is stored.
    """
    modules = {
        stem: module
        for stem, module in _modules(tensors).items()
        if len(module.matrices) == 2 and f"{stem}.weight" not in tensors
    }
    ways = {stem: _ways(module) for stem, module in modules.items()}
    told = Counter(x[0] for x in ways.values() if len(x) == 1)
    shown = dict(tensors)
    recipes: dict[str, Recipe] = {}
    for stem, module in modules.items():
        way = _chosen(ways[stem], told)
        factors = None if way is None else _factors(tensors, module, way)
        if factors is None:
            continue
        for part in filter(None, (factors.left, factors.right, factors.scales)):
            del shown[part]
        name, packed = f"{stem}.weight", f"{MARK}{factors.rank}"
        n_bytes = 4 * factors.shape[0] * factors.shape[1]
        shown[name] = TensorInfo(name, "F32", factors.shape, n_bytes, packed)
        recipes[name] = factors
    return shown, recipes


@cache
def _words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Last words of modules with a matrix of attention or of an MLP, and those of all modules."""
    every = [part for entry in entries().values() for part in (*entry.parts, *entry.top)]
    own = [part for part in every if _ROLES.fullmatch(part.role)]
    return _any_of(own), _any_of(every)


def _any_of(parts: list[TensorPart]) -> re.Pattern[str]:
    last = {part.pattern.rpartition(".")[2] for part in parts}
    plain = (x for x in last if x.count("(") == x.count(")") and re.search("[a-zA-Z]", x))
    return re.compile("|".join(x for x in sorted(plain) if "*" not in x))


def _modules(tensors: Mapping[str, TensorInfo]) -> dict[str, _Module]:
    """Modules that may stand for one matrix, with what lies below them and beside them."""
    found: dict[str, _Module] = defaultdict(_Module)
    for name, info in tensors.items():
        if info.dtype in _FLOATS and len(info.shape) in (1, 2) and 0 not in info.shape:
            place = _place(_END.sub("", name))
            if place is not None:
                module = found[place[0]]
                own = module.matrices if len(info.shape) == 2 else module.vectors
                own[place[1]] = info
    return found


def _place(path: str) -> tuple[str, str] | None:
    """The module that a tensor may be a factor of, and which of its factors it is."""
    matrix, known = _words()
    above, _, word = path.rpartition(".")
    if matrix.fullmatch(above.rpartition(".")[2]):
        return above, word
    match = _BESIDE.fullmatch(word)
    if match is None or known.fullmatch(word):
        return None
    stem = match["start"] + (match["end"] or "")
    return (f"{above}.{stem}".lstrip("."), match["tail"]) if matrix.fullmatch(stem) else None


def _ways(module: _Module) -> list[_Way]:
    """How two factors may be multiplied, the likelier first."""
    (a, x), (b, y) = sorted(module.matrices.items())
    if a.isdecimal() and b.isdecimal():
        if int(b) - int(a) != 1:
            return []  # something stands between them
        a, x, b, y = b, y, a, x  # the last of a sequence has the outputs
    if b.lower() in _OUTER:
        a, x, b, y = b, y, a, x
    is_named = a.lower() in _OUTER
    found = []
    if x.shape[1] == y.shape[0]:
        found.append((x.shape[0] * y.shape[1], _Way(a, b)))
    if y.shape[1] == x.shape[0] and not (is_named or a.isdecimal()):
        found.append((y.shape[0] * x.shape[1], _Way(b, a)))
    if is_named and x.shape[1] == y.shape[1]:
        found.append((x.shape[0] * y.shape[0], _Way(a, b, is_turned=True)))
    largest = max((size for size, _ in found), default=0)
    return [way for size, way in found if size == largest]


def _chosen(ways: Sequence[_Way], told: Mapping[_Way, int]) -> _Way | None:
    """The one way, that of most other modules, or that which names say; None where nothing does."""
    if len(ways) == 1:
        return ways[0]
    best = max(ways, key=lambda way: told.get(way, 0), default=None)  # the first of equal ones
    if best is None or told.get(best) or best.left.isdecimal() or best.left.lower() in _OUTER:
        return best
    return None


def _factors(tensors: Mapping[str, TensorInfo], module: _Module, way: _Way) -> Factors | None:
    left, right = module.matrices[way.left], module.matrices[way.right]
    rank = left.shape[1]
    width = right.shape[0] if way.is_turned else right.shape[1]
    scales = [x.name for tail, x in module.vectors.items() if tail != "bias" and x.shape == (rank,)]
    inner = f"{_END.sub('', right.name)}.bias"
    if rank > MAX_RANK or inner in tensors or len(scales) > 1:
        return None
    shape = (left.shape[0], width)
    return Factors(shape, rank, left.name, right.name, way.is_turned, "".join(scales))
