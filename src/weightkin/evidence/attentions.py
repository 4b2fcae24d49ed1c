"""Queries and keys of one rotary model: what is read of them, and which heads are copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy.queries import QueryKeys
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, Place
from weightkin.evidence.formulas import Formulas
from weightkin.evidence.key_signs import formula_rows
from weightkin.evidence.planes import Planes, narrow_planes, read_planes
from weightkin.evidence.signpairs import LARGE_FOR_SIGNS
from weightkin.evidence.turns import copied_key_heads
from weightkin.evidence.views import MAX_TABLE_BYTES, TokenRows, unit_rows_of
from weightkin.formats.model import Model

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
    model = half.side.model
    return any(
        half.held[key].queries.size * _width(model, half.held[key].queries) > LARGE_FOR_SIGNS
        for key in pairs
    )


def reads_queries(half: Attentions, pairs: Sequence[Attention]) -> bool:
    """Whether queries are looked at beside keys: not if too large, nor of a space of their own."""
    model = half.side.model
    held = [half.held[key] for key in pairs]
    return all(
        _n_bytes(model, x.queries) <= MAX_TABLE_BYTES
        and _width(model, x.queries) == _width(model, x.keys)
        for x in held
    )


def cost_of(half: Attentions, pairs: Sequence[Attention]) -> int:
    """Bytes of the queries and keys of some attentions: queries show the layout at least."""
    model = half.side.model
    held = [half.held[key] for key in pairs]
    places = {(x.tensor, x.start): x for both in held for x in (both.keys, both.queries)}
    return sum(_n_bytes(model, place) for place in places.values())


def _width(model: Model, place: Place) -> int:
    """Entries of one row of queries or keys."""
    return model.tensors[place.tensor].shape[1 - place.dim]


def _n_bytes(model: Model, place: Place) -> int:
    """Bytes of some rows, or of the whole of a tensor that has them as columns."""
    info = model.tensors[place.tensor]
    return info.n_bytes if place.dim else info.n_bytes // info.shape[0] * place.size
