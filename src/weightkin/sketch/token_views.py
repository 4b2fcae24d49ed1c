"""What a few units and heads of a model do to tokens: small, and blind to the residual basis.

Of the first units of a block, two views: gate and up, each applied to the embeddings of 128 tokens.
Of its first key head, two subspaces: what its values and its keys read of 512 tokens, each kept as
256 products with fixed signs. Permuting, rotating or rescaling the residual stream leaves all of
this as it is; so do other bases of V/O and turned planes of queries and keys for the subspaces.
Numbers are rounded to eight bits.

Limitations: a fixed choice, known to everybody, so that agreement on it confirms nothing alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place
from weightkin.arrays import Doubles
from weightkin.formats import Model
from weightkin.formats.dtypes import to_float32
from weightkin.formats.vocabulary import vocabulary
from weightkin.sketch.elements import read_submatrix
from weightkin.sketch.scheme import hashed
from weightkin.sketch.tokens import NO_TOKENS, choose_tokens
from weightkin.sketch.types import BlockViews, Tokens, TokenViews, ViewReason
from weightkin.stats.matching import centred

N_UNITS = 48  # of a block
N_UNIT_TOKENS = 128  # the first ones
N_PRODUCTS = 256  # of a subspace
MAX_UNIT_BLOCKS = 64  # of a model, evenly over its depth
MAX_HEAD_BLOCKS = 16
MIN_TOKENS_PER_DIMENSION = 2  # of a key head: fewer tokens do not tell its subspace from others
MAX_COLUMN_BYTES = 1 << 24  # a matrix whose columns are the units is read whole, or not at all
MIN_RANK = 1e-5  # smallest against largest entry of the diagonal of R


@dataclass(frozen=True, slots=True)
class _Reader:
    """A model and the embeddings of some tokens, which its blocks read."""

    model: Model
    inputs: Doubles  # (n_tokens, width), rows of length one

    def pairs(
        self, anatomy: Anatomy, kind: AxisKind, roles: tuple[str, str]
    ) -> dict[tuple[str, int], tuple[Axis, Place, Place]]:
        """Of every block the first axis of a kind that has a matrix in two roles."""
        found: dict[tuple[str, int], tuple[Axis, Place, Place]] = {}
        for axis in anatomy.axes:
            places = {p.role: p for p in reversed(axis.places) if self._is_reader(p)}
            if axis.kind == kind and places.keys() >= set(roles):
                here = (axis, places[roles[0]], places[roles[1]])
                found.setdefault((axis.stack, axis.block), here)
        return dict(sorted(found.items()))

    def views(self, stack: str, places: tuple[Place, Place], n_rows: int, n: int) -> Doubles | None:
        """The first ``n_rows`` of two places that share a norm: ``(2, n_rows, n)``, n tokens."""
        found = [self._rows(place, n_rows) for place in places]
        gain = gain_before(self.model, stack, places[0]).astype(np.float64)
        with np.errstate(all="ignore"):
            seen = [(x * gain) @ self.inputs[:n].T for x in found if x is not None]
            is_read = len(seen) == 2 and np.isfinite(np.asarray(seen, dtype=np.float32)).all()
        return np.stack(seen) if is_read else None

    def _rows(self, place: Place, n: int) -> Doubles | None:
        """Rows in residual coordinates; None where too much would be read for them."""
        info, shape = self.model.tensors[place.tensor], _matrix(self.model, place)
        here = np.arange(place.start, place.start + n)
        offset = (place.index or 0) * shape[0] * shape[1]
        if place.dim == 0:
            x = read_submatrix(self.model, info, shape, offset, here, np.arange(shape[1]))
            return to_float32(x).astype(np.float64)
        if info.n_bytes > MAX_COLUMN_BYTES:
            return None
        x = read_submatrix(self.model, info, shape, offset, np.arange(shape[0]), here)
        return to_float32(x).T.astype(np.float64)

    def _is_reader(self, place: Place) -> bool:
        shape = _matrix(self.model, place)
        return len(shape) == 2 and shape[1 - place.dim] == self.inputs.shape[1]


def tokens_of(model: Model, anatomy: Anatomy) -> Tokens:
    """Tokens that the views of a model go through; none where it has no table of tokens."""
    stream = _text_stream(model, anatomy)
    if stream is None:
        return NO_TOKENS
    return choose_tokens(vocabulary(model), model.tensors[stream[1].tensor].shape[0])


def take_views(model: Model, anatomy: Anatomy, tokens: Tokens) -> TokenViews:
    """Read the views of a model through the tokens that `tokens_of` chose."""
    stream = _text_stream(model, anatomy)
    if stream is None or not len(tokens.rows):
        return TokenViews(NO_TOKENS, "no-embedding", "no-embedding")
    axis, table = stream
    inputs = model.rows(table.tensor, tokens.rows).astype(np.float64)
    if any(p.role == "norm" and p.tensor.endswith((".bias", ".beta")) for p in axis.places):
        inputs -= inputs.mean(axis=1, keepdims=True)  # so do such norms
    norms = np.sqrt(np.einsum("ij,ij->i", inputs, inputs))[:, None]
    with np.errstate(all="ignore"):
        reader = _Reader(model, inputs / np.where(norms > 0, norms, 1))
        return TokenViews(tokens, _units(reader, anatomy), _heads(reader, anatomy))


def signs(view: int, side: int, n_tokens: int) -> Doubles:
    """The fixed signs of a view, ``(256, n_tokens)``; two sides make a product."""
    rows = np.arange(N_PRODUCTS)[:, None] + N_PRODUCTS * (2 * view + side)
    bits = hashed(((rows << 20) + np.arange(n_tokens)).ravel()) >> np.uint64(63)
    return np.where(bits, 1.0, -1.0).reshape(N_PRODUCTS, n_tokens)


def _units(reader: _Reader, anatomy: Anatomy) -> BlockViews | ViewReason:
    found = reader.pairs(anatomy, "units", ("mlp.gate", "mlp.up"))
    if not found:
        return "no-gated-mlp"
    n = min(N_UNITS, *(axis.n_units for axis, *_ in found.values()))
    values = {}
    for key in _spread(list(found), MAX_UNIT_BLOCKS):
        axis, *places = found[key]
        seen = reader.views(axis.stack, (places[0], places[1]), n, N_UNIT_TOKENS)
        if seen is not None:
            values[key] = np.stack([centred(x) for x in seen])
    return _rounded(values)


def _heads(reader: _Reader, anatomy: Anatomy) -> BlockViews | ViewReason:
    found = reader.pairs(anatomy, "heads", ("attn.v", "attn.k"))
    n_tokens = len(reader.inputs)
    fits = [
        key
        for key, (axis, *_) in found.items()
        if MIN_TOKENS_PER_DIMENSION * axis.head_size <= n_tokens
    ]
    if not fits:
        return "few-tokens" if found else "no-key-heads"
    sides = [[signs(view, side, n_tokens) for side in (0, 1)] for view in (0, 1)]
    values = {}
    for key in _spread(fits, MAX_HEAD_BLOCKS):
        axis, *places = found[key]
        seen = reader.views(axis.stack, (places[0], places[1]), axis.head_size, n_tokens)
        if seen is None:
            continue
        products = [_products(x.T, *both) for x, both in zip(seen, sides, strict=True)]
        if all(x is not None for x in products):
            values[key] = np.stack([x for x in products if x is not None])
    return _rounded(values)


def _products(x: Doubles, one: Doubles, other: Doubles) -> Doubles | None:
    """The projection on what a head reads of tokens, between fixed signs, less its mean.

    ``x`` is ``(n_tokens, size)``; None where it has not its full rank.
    """
    basis, triangle = np.linalg.qr(x - x.mean(axis=0))
    diagonal = np.abs(np.diag(triangle))
    if not diagonal.min() > MIN_RANK * diagonal.max():
        return None
    n_tokens, size = basis.shape
    seen = np.einsum("ks,ks->k", one @ basis, other @ basis)
    chance: Doubles = size / n_tokens * np.einsum("kt,kt->k", one, other)
    return np.asarray(seen - chance)


def _rounded(values: dict[tuple[str, int], Any]) -> BlockViews | ViewReason:
    if not values:
        return "no-view-read"
    x = np.stack(list(values.values()))
    scales = (np.abs(x).max(axis=-1) / 127).astype(np.float32)
    stored = np.rint(x / np.where(scales > 0, scales, 1)[..., None])
    return BlockViews(tuple(values), stored.clip(-127, 127).astype(np.int8), scales)


def _spread(keys: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """At most so many, evenly."""
    at = np.linspace(0, len(keys) - 1, min(len(keys), most)).round().astype(int)
    return [keys[i] for i in at.tolist()]


def _text_stream(model: Model, anatomy: Anatomy) -> tuple[Axis, Place] | None:
    """The residual axis that tokens enter, with their table; the one with most places."""
    found = [
        (len(axis.places), axis, place)
        for axis in anatomy.axes
        for place in axis.places
        if axis.kind == "residual" and place.role == "embed" and place.dim == 1
        if len(model.tensors[place.tensor].shape) == 2
    ]
    best = max(found, key=lambda x: x[0], default=None)
    return best and best[1:]


def _matrix(model: Model, place: Place) -> tuple[int, ...]:
    shape = model.tensors[place.tensor].shape
    return shape if place.index is None else shape[1:]
