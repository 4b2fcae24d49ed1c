"""Queries and keys of one rotary model: what is read of them, and which heads are copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy.queries import QueryKeys
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.formulas import Formulas
from weightkin.evidence.key_signs import formula_rows
from weightkin.evidence.planes import Planes, narrow_planes, read_planes
from weightkin.evidence.signpairs import LARGE_FOR_SIGNS
from weightkin.evidence.turns import copied_key_heads
from weightkin.evidence.views import MAX_TABLE_BYTES, TokenRows, unit_rows_of

Attention = tuple[str, int, str]  # stack, block, name
Head = tuple[Attention, int]


@dataclass(slots=True)
class Attentions:
    """The attentions of one model whose planes may be turned, and what was read of them."""

    side: Side
    frame: TokenRows | None
    held: dict[Attention, QueryKeys]
    with_queries: bool = True
    formulas: Formulas = field(default_factory=Formulas)
    planes: dict[Attention, Planes | None] = field(default_factory=dict)

    def read(self, key: Attention) -> Planes | None:
        """Planes of one attention, read once."""
        if key not in self.planes:
            self.planes[key] = self._read(self.held[key])
        return self.planes[key]

    def _read(self, held: QueryKeys) -> Planes | None:
        model = self.side.model
        planes = read_planes(model, held, self.frame, with_queries=self.with_queries)
        if planes is not None:
            rows = {
                place.role: unit_rows_of(model, place, 0, formula_rows(held.size))
                for place in (held.keys, held.queries)
            }
            views = {role: x for role, x in rows.items() if x is not None}
            self.formulas.look(model, key_dimensions(held), views, n_views=2 * len(self.held))
        return planes

    def copies(self, keys: Iterable[Attention]) -> dict[Head, int]:
        """A number for each key head of some attentions, the same for copies."""
        heads: list[Head] = []
        pieces = []
        for key in keys:
            few = narrow_planes(self.side.model, self.held[key])
            if few is not None:
                pieces.append(few)
                heads += [(key, i) for i in range(len(few))]
        if not pieces:
            return {}
        return dict(zip(heads, copied_key_heads(np.concatenate(pieces)), strict=True))


def attention_of(axis: Axis) -> Attention:
    """Name of the attention whose heads an axis holds."""
    return axis.stack, axis.block, axis.name


def fit(x: QueryKeys, y: QueryKeys) -> bool:
    """Whether planes of two attentions can be compared, number by number."""
    return (x.n_turned, x.repeat) == (y.n_turned, y.repeat)


def key_dimensions(held: QueryKeys) -> Axis:
    """Key dimensions of one attention, as an axis that may have begun as a formula."""
    axis = held.axis
    labels = f"{axis.labels}.keys"
    n = held.n_heads * held.size
    return replace(axis, kind="qk", labels=labels, n_units=n, head_size=held.size)


def chosen(pairs: Sequence[Attention], n: int) -> list[Attention]:
    """Some blocks, spread evenly; the middle one alone."""
    if len(pairs) <= n:
        return list(pairs)
    places = [len(pairs) // 2] if n == 1 else np.linspace(0, len(pairs) - 1, n).astype(int)
    return [pairs[i] for i in places]


def is_large(half: Attentions, pairs: Sequence[Attention]) -> bool:
    """Whether only some blocks are looked at, since matrices are large."""
    shapes = [half.side.model.tensors[half.held[key].queries.tensor].shape for key in pairs]
    return any(np.prod(shape) > LARGE_FOR_SIGNS for shape in shapes)


def has_wide_queries(half: Attentions, pairs: Sequence[Attention]) -> bool:
    """Whether queries take more bytes than are read: then keys are looked at alone."""
    tensors = half.side.model.tensors
    return any(tensors[half.held[key].queries.tensor].n_bytes > MAX_TABLE_BYTES for key in pairs)


def cost_of(half: Attentions, pairs: Sequence[Attention]) -> int:
    """Bytes of the queries and keys of some attentions."""
    tensors = half.side.model.tensors
    names = {half.held[key].keys.tensor for key in pairs}
    names |= {half.held[key].queries.tensor for key in pairs}  # one at least shows the layout
    return sum(tensors[name].n_bytes for name in names)
