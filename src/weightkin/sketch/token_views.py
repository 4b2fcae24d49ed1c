"""What a few units and heads of a model do to tokens: small, and blind to the residual basis.

Of the first units of a block, two views: gate and up, each applied to the embeddings of 128 tokens.
Of its first key head, two subspaces: what its values and its keys read of 512 tokens, each kept as
256 products with fixed signs. Permuting, rotating or rescaling the residual stream leaves all of
this as it is; so do other bases of V/O and turned planes of queries and keys for the subspaces.
Numbers are rounded to eight bits.

Limitations: a fixed choice, known to everybody, so that agreement on it confirms nothing alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place
from weightkin.arrays import Doubles
from weightkin.formats import Model
from weightkin.formats.dtypes import to_float32
from weightkin.formats.vocabulary import vocabulary
from weightkin.sketch.scheme import hashed
from weightkin.sketch.tokens import N_UNIT_TOKENS, NO_TOKENS, choose_tokens
from weightkin.sketch.types import BlockViews, Tokens, TokenViews, ViewReason
from weightkin.stats.matching import centred

N_UNITS = 48  # of a block
N_PRODUCTS = 256  # of a subspace
MAX_UNIT_BLOCKS = 64  # of a model, evenly over its depth
MAX_HEAD_BLOCKS = 16
MIN_TOKENS_PER_DIMENSION = 2  # of a key head: fewer tokens do not tell its subspace from others
MAX_COLUMN_ENTRIES = 1 << 23  # a matrix whose columns are units is read whole, or not at all
MIN_RANK = 1e-5  # smallest against largest entry of the diagonal of R


T = TypeVar("T")
Key = tuple[str, int]  # stack and block


@dataclass(frozen=True, slots=True)
class _Reader:
    """A model and the embeddings of some tokens, which its blocks read."""

    model: Model
    anatomy: Anatomy
    inputs: Doubles  # (n_tokens, width), rows of length one

    def pairs(self, kind: AxisKind, roles: tuple[str, str]) -> dict[Key, tuple[Axis, list[Place]]]:
        """Of every block the first axis of a kind that has a matrix in two roles."""
        found: dict[Key, tuple[Axis, list[Place]]] = {}
        for axis in self.anatomy.axes:
            places = {p.role: p for p in reversed(axis.places) if self._is_reader(p)}
            if axis.kind == kind and places.keys() >= set(roles):
                here = (axis, [places[role] for role in roles])
                found.setdefault((axis.stack, axis.block), here)
        return dict(sorted(found.items()))

    def views(self, stack: str, places: list[Place], n: int, inputs: Doubles) -> Doubles:
        """The first n rows of places behind one norm, through tokens: ``(2, n, n_tokens)``."""
        gain = gain_before(self.model, stack, places[0]).astype(np.float64)
        return np.stack([(self._rows(place, n) * gain) @ inputs.T for place in places])

    def _rows(self, place: Place, n: int) -> Doubles:
        """Rows in residual coordinates; not finite where too much would be read for them."""
        height, width = _matrix(self.model, place)
        start, offset = place.start, (place.index or 0) * height * width
        begin, end = (start * width, (start + n) * width) if place.dim == 0 else (0, height * width)
        if place.dim and end > MAX_COLUMN_ENTRIES:
            return np.full((n, height), np.nan)
        raw = self.model.storage.read(place.tensor, offset + begin, offset + end)
        x = to_float32(raw).reshape(-1, width).astype(np.float64)
        return x if place.dim == 0 else x[:, start : start + n].T

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
    """Read the views of a model through the tokens that `tokens_of` chose.

    Parameters
    ----------
    model : Model
        Only the rows of the views are read.
    anatomy : Anatomy
        Its axes.
    tokens : Tokens
        Rows of its token table.

    Returns
    -------
    TokenViews
        With a code in the place of views that it cannot have.
    """
    stream = _text_stream(model, anatomy)
    if stream is None or not len(tokens.rows):
        return TokenViews(NO_TOKENS, "no-embedding", "no-embedding")
    axis, table = stream
    inputs = model.rows(table.tensor, tokens.rows).astype(np.float64)
    if any(p.role == "norm" and p.tensor.endswith((".bias", ".beta")) for p in axis.places):
        inputs -= inputs.mean(axis=1, keepdims=True)  # so do such norms
    norms = np.sqrt(np.einsum("ij,ij->i", inputs, inputs))[:, None]
    with np.errstate(all="ignore"):
        reader = _Reader(model, anatomy, inputs / np.where(norms > 0, norms, 1))
        return TokenViews(tokens, _units(reader), _heads(reader))


def signs(view: int, side: int, n_tokens: int) -> Doubles:
    """The fixed signs of a view; two sides make a product.

    Parameters
    ----------
    view : int
        0 for values, 1 for keys.
    side : int
        0 or 1.
    n_tokens : int
        How many signs each of the 256 rows has.

    Returns
    -------
    (256, n_tokens) array
        Of 1 and -1.
    """
    rows = np.arange(N_PRODUCTS)[:, None] + N_PRODUCTS * (2 * view + side)
    bits = hashed(((rows << 20) + np.arange(n_tokens)).ravel()) >> np.uint64(63)
    return np.where(bits, 1.0, -1.0).reshape(N_PRODUCTS, n_tokens)


def _units(reader: _Reader) -> BlockViews | ViewReason:
    found = reader.pairs("units", ("mlp.gate", "mlp.up"))
    if not found:
        return "no-mlp-in-both"
    n, inputs = min(axis.n_units for axis, _ in found.values()), reader.inputs[:N_UNIT_TOKENS]
    values = {}
    for key, (axis, places) in _spread(found, MAX_UNIT_BLOCKS):
        seen = reader.views(axis.stack, places, min(N_UNITS, n), inputs)
        values[key] = np.stack([centred(x) for x in seen])
    return _rounded(values)


def _heads(reader: _Reader) -> BlockViews | ViewReason:
    found = reader.pairs("heads", ("attn.v", "attn.k"))
    n_tokens = len(reader.inputs)
    most = n_tokens // MIN_TOKENS_PER_DIMENSION
    fits = {key: x for key, x in found.items() if x[0].head_size <= most}
    if not fits:
        return "few-tokens" if found else "no-key-heads"
    sides = [[signs(view, side, n_tokens) for side in (0, 1)] for view in (0, 1)]
    values = {}
    for key, (axis, places) in _spread(fits, MAX_HEAD_BLOCKS):
        seen = reader.views(axis.stack, places, axis.head_size, reader.inputs)
        both = zip(seen, sides, strict=True)
        values[key] = np.stack([_products(x.T, one, other) for x, (one, other) in both])
    return _rounded(values)


def _products(x: Doubles, one: Doubles, other: Doubles) -> Doubles:
    """The projection on what a head reads of tokens, between fixed signs, less its mean.

    ``x`` is ``(n_tokens, size)``; not finite where it has not its full rank.
    """
    basis, triangle = np.linalg.qr(x - x.mean(axis=0))
    diagonal = np.abs(np.diag(triangle))
    n_tokens, size = basis.shape
    seen = np.einsum("ks,ks->k", one @ basis, other @ basis)
    seen -= size / n_tokens * np.einsum("kt,kt->k", one, other)
    return np.where(diagonal.min() > MIN_RANK * diagonal.max(), seen, np.nan)


def _rounded(values: Mapping[Key, npt.NDArray[Any]]) -> BlockViews | ViewReason:
    finite = {key: x for key, x in values.items() if np.isfinite(x.astype(np.float32)).all()}
    if not finite:
        return "no-view-read"
    x = np.stack(list(finite.values()))
    scales = (np.abs(x).max(axis=-1) / 127).astype(np.float32)
    stored = np.rint(x / np.where(scales > 0, scales, 1)[..., None])
    return BlockViews(tuple(finite), stored.clip(-127, 127).astype(np.int8), scales)


def _spread(found: Mapping[Key, T], most: int) -> list[tuple[Key, T]]:
    """At most so many blocks, evenly."""
    at = np.linspace(0, len(found) - 1, min(len(found), most)).round().astype(int)
    return [list(found.items())[i] for i in at.tolist()]


def _text_stream(model: Model, anatomy: Anatomy) -> tuple[Axis, Place] | None:
    """The residual axis that tokens enter, with their table; the one with most places."""
    found = [
        (axis, place)
        for axis in anatomy.axes
        for place in axis.places
        if axis.kind == "residual" and place.role == "embed" and place.dim == 1
        if len(model.tensors[place.tensor].shape) == 2
    ]
    return max(found, key=lambda x: len(x[0].places), default=None)


def _matrix(model: Model, place: Place) -> tuple[int, ...]:
    shape = model.tensors[place.tensor].shape
    return shape if place.index is None else shape[1:]
