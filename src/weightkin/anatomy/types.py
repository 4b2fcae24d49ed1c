"""The parts of a model that a test can use: blocks, and axes of units that may be relabelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from weightkin.formats.model import Problem

AxisKind = Literal["units", "vo", "heads", "residual", "qk"]  # qk: only made for tests of signs


@dataclass(frozen=True, slots=True)
class Place:
    """Where an axis runs: along ``dim`` of ``tensor``, over ``size`` entries from ``start``.

    ``role`` says what the tensor does there (``mlp.gate``, ``mlp.up``, ``mlp.down``, ``attn.v``,
    ``attn.o``, ``embed``, ``unembed``, ``conv`` ...). On grouped-query models an ``attn.o`` place
    is ``repeat`` times as long as the axis: unit ``(g, j)`` sits at
    ``((g * repeat) + r) * head_size + j``. A place of an axis of heads is ``n_units`` equal runs.
    Where a tensor stacks the matrices of all experts (first dimension), ``index`` is the expert
    and ``dim`` counts without that first dimension. On other axes unit ``j`` of ``n`` stands at
    ``start + (o * n + j) * inner + i`` for every ``o < outer`` and ``i < inner``.

    Queries and keys that are stored head by head do not stand together: ``spans`` are the entries
    (begin and end) that follow each other then. No axis of an anatomy has such a place.
    """

    tensor: str
    dim: int
    start: int
    size: int
    role: str
    repeat: int = 1
    index: int | None = None
    outer: int = 1
    inner: int = 1
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """A set of units with its symmetry group.

    ``labels`` names the relabelling: axes of one model with equal ``labels`` are permuted together,
    so their evidence is averaged, never multiplied. ``head_size`` is the number of V/O dimensions
    (kind ``vo``) or the run of rows one head owns (kind ``heads``); on units it is the size of the
    cells inside which any order is allowed, 0 where that is the whole axis.
    """

    name: str  # unique inside a block: "mlp", "mlp.3" (expert 3), "vo", "heads", "residual"
    kind: AxisKind
    stack: str  # "decoder", "encoder", "vision", ...: blocks are paired inside a stack
    block: int  # position in the stack; -1 for a model-wide axis
    n_units: int
    group: str  # the symmetry in words: "S_256", "S_24 in each of 4 heads", ...
    labels: str
    places: tuple[Place, ...]
    head_size: int = 0
    is_gated: bool = False  # gated MLP: units carry the sign symmetry of methods section 4


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What is known about the layout of one model."""

    family: str  # an entry of the catalogue, or "unknown" (axes inferred by shape)
    stacks: tuple[tuple[str, int], ...]  # (stack, number of blocks)
    axes: tuple[Axis, ...]
    roles: tuple[tuple[str, str], ...]  # (tensor, role) for every tensor, "other" where unknown
    skipped: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        stacks = ", ".join(f"{name} {n}" for name, n in self.stacks)
        counts = f"{len(self.axes)} axes, {len(self.roles)} tensors"
        return f"<Anatomy {self.family!r}: blocks {stacks or 'none'}; {counts}>"
