"""Invariant views: a unit is what it does to tokens, whatever the residual coordinates are called.

With E the embedding rows of some tokens and g the gain of the norm before a block, the rows of
(gate * g) E' do not change when the residual stream is permuted, rotated or rescaled with its gains
compensated, and two models of different width become comparable. No forward pass is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weightkin.anatomy.gains import gain_before, last_gain
from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.sample import view_places
from weightkin.formats.model import Model
from weightkin.formats.vocabulary import vocabulary
from weightkin.records import Skipped, left_out
from weightkin.stats.matching import centred, unit_rows

N_TOKENS = 512
MAX_TABLE_BYTES = 1 << 24  # a matrix whose columns are the units is read whole, or not at all
MAX_WRITER_BYTES = 1 << 22  # the same for matrices that write, which are never the only view
UNITS_AT_ONCE = 2048  # units held at a time
READING_ROLES = (
    *("mlp.gate", "mlp.up", "mlp.in0", "mlp.in1"),
    *("attn.q", "attn.k", "attn.v"),
)
Rule = dict[str, Any]  # ``by`` which rule rows of two models were paired, with its number


@dataclass(frozen=True, slots=True)
class TokenRows:
    """What one model's tokens look like: embedding rows, and unembedding rows if there are any."""

    inputs: Floats  # (n_tokens, width), what blocks read
    outputs: Floats | None  # (n_tokens, width), the final gain folded in; what blocks write towards
    n_left: int = 0  # tokens that both models have and that were not drawn


@dataclass(frozen=True, slots=True)
class SharedTokens:
    """Rows of the two embeddings that stand for the same tokens, and by which rule."""

    rows_a: Ints
    rows_b: Ints
    rule: Rule
    n_left: int  # that were not drawn


def shared_tokens(
    a: Model, b: Model, n_a: int, n_b: int, seed: int, n_tokens: int = N_TOKENS
) -> SharedTokens:
    """Choose at random among the tokens of both models: by text if it can be read, else by row.

    The choice never looks at the embeddings, so it is the same for related and unrelated models.

    Parameters
    ----------
    a, b : Model
        The two models.
    n_a, n_b : int
        Rows of their embeddings.
    seed : int
        Seed of the choice.
    n_tokens : int
        Tokens to choose at most.

    Returns
    -------
    SharedTokens
        Rows of both, ``(n,)`` each, the rule, and how many were not drawn.
    """
    words_a, words_b = vocabulary(a), vocabulary(b)
    rng = np.random.default_rng([seed, 3])
    if words_a and words_b and words_a != words_b:
        common = sorted(
            w for w in words_a.keys() & words_b.keys() if words_a[w] < n_a and words_b[w] < n_b
        )
        chosen = sorted(rng.choice(len(common), min(n_tokens, len(common)), replace=False).tolist())
        rows_a = np.array([words_a[common[i]] for i in chosen], dtype=np.int64)
        rows_b = np.array([words_b[common[i]] for i in chosen], dtype=np.int64)
        rule: Rule = {"by": "text", "n": len(common)}
        return SharedTokens(rows_a, rows_b, rule, len(common) - len(chosen))
    n = min(n_a, n_b)
    rows = np.sort(rng.choice(n, min(n_tokens, n), replace=False))
    return SharedTokens(rows, rows, {"by": "rows"}, n - len(rows))


def frames(
    a: tuple[Model, Anatomy], b: tuple[Model, Anatomy], seed: int, n_tokens: int = N_TOKENS
) -> tuple[TokenRows, TokenRows, Rule] | Skipped:
    """Frames of two models over shared tokens and the rule, or why there are none.

    Parameters
    ----------
    a, b : (Model, Anatomy)
        The two models.
    seed : int
        Seed of the choice of tokens.
    n_tokens : int
        Tokens to choose at most.

    Returns
    -------
    tuple or Skipped
        Frames of a and b, of equally many rows, and the rule; or the reason.
    """
    tables_a, tables_b = _tables(*a), _tables(*b)
    if tables_a is None or tables_b is None:
        return left_out("", "no-embedding")
    if ("embed" in tables_a.tokens) != ("embed" in tables_b.tokens):
        return left_out("", "tokens-and-images")
    if "embed" in tables_a.tokens:
        sizes = [t.n_tokens for t in (tables_a, tables_b)]
        chosen = shared_tokens(a[0], b[0], sizes[0], sizes[1], seed, n_tokens)
        if not len(chosen.rows_a):
            return left_out("", "no-shared-token")
        return (
            _token_frame(a[0], tables_a, chosen.rows_a, chosen.n_left),
            _token_frame(b[0], tables_b, chosen.rows_b, chosen.n_left),
            chosen.rule,
        )
    inputs = [_patch_rows(model, tables) for (model, _), tables in ((a, tables_a), (b, tables_b))]
    if inputs[0].shape[0] != inputs[1].shape[0]:
        return left_out("", "patches-differ")
    if not len(inputs[0]):
        return left_out("", "no-shared-patch")
    return (
        TokenRows(inputs[0], None),
        TokenRows(inputs[1], None),
        {"by": "pixels"},
    )


def token_table(model: Model, anatomy: Anatomy) -> tuple[bool, int] | None:
    """Whether a model reads tokens or images, and the width of its stream; None without either."""
    tables = _tables(model, anatomy)
    return None if tables is None else ("embed" in tables.tokens, tables.width)


def at_length_one(frames: tuple[TokenRows, TokenRows]) -> tuple[TokenRows, TokenRows]:
    """Frames whose tokens are rows of length one: no token is heard more than another one.

    Parameters
    ----------
    frames : (TokenRows, TokenRows)
        Shared tokens of two models.

    Returns
    -------
    tuple of TokenRows
        What blocks write towards stays as it is.
    """
    a, b = (TokenRows(unit_rows(x.inputs), x.outputs, x.n_left) for x in frames)
    return a, b


def token_views(
    model: Model, axis: Axis, frame: TokenRows, stop: int, first: int = 0
) -> dict[str, Floats]:
    """Some units seen through tokens. Cost ``O(n n_tokens width)`` for each place.

    Parameters
    ----------
    model : Model
        The model.
    axis : Axis
        One of its axes.
    frame : TokenRows
        Its rows of the shared tokens.
    stop, first : int
        Units from ``first`` on, before ``stop``.

    Returns
    -------
    dict of str to ndarray
        Role to ``(n, n_tokens)``, centred; places that are too large or do not fit are missing.
    """
    views = {}
    for place in view_places(model, axis):
        if is_view(place):
            continue  # which of them read the stream, a graph does not say
        is_reader = place.role in READING_ROLES
        table = frame.inputs if is_reader else frame.outputs
        is_large = model.tensors[place.tensor].n_bytes > MAX_WRITER_BYTES
        if table is None or (not is_reader and (place.repeat > 1 or is_large)):
            continue
        gain = gain_before(model, axis.stack, place) if is_reader else np.float32(1.0)
        pieces = []
        for start in range(
            first, min(stop, place.size), UNITS_AT_ONCE
        ):  # bounded memory at any width
            rows = unit_rows_of(model, place, start, min(stop, start + UNITS_AT_ONCE))
            if rows is None or rows.shape[1] != table.shape[1] or not np.isfinite(rows).all():
                break
            pieces.append(np.asarray((rows * gain) @ table.T, dtype=np.float32))
        else:
            views[place.role] = centred(np.concatenate(pieces))
    return views


def unit_rows_of(model: Model, place: Place, start: int, stop: int) -> Floats | None:
    """Units of a place as rows in residual coordinates, None if the table is too large to turn.

    Parameters
    ----------
    model : Model
        The model.
    place : Place
        Where an axis runs along a matrix.
    start, stop : int
        Units from ``start`` on, before ``stop``.

    Returns
    -------
    ndarray or None
        ``(n, width)``; None also for stacked experts.
    """
    stop = min(stop, place.size)
    if place.index is not None:
        return None  # stacked experts: seen through other axes
    if place.dim == 0:
        return model.rows(place.tensor, slice(place.start + start, place.start + stop))
    if model.tensors[place.tensor].n_bytes > MAX_TABLE_BYTES:
        return None
    columns = model.rows(place.tensor)[:, place.start + start : place.start + stop]
    return np.ascontiguousarray(columns.T)


@dataclass(frozen=True, slots=True)
class _TokenTable:
    place: Place
    n_rows: int


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables that map tokens to the residual stream, and the final norm."""

    tokens: dict[str, _TokenTable]
    width: int
    last_gain: Floats

    @property
    def n_tokens(self) -> int:
        """Rows that every table of tokens has."""
        return min(self.tokens[role].n_rows for role in ("embed", "unembed") if role in self.tokens)


def _tables(model: Model, anatomy: Anatomy) -> _Tables | None:
    axis = max(
        (x for x in anatomy.axes if x.kind == "residual"),
        key=lambda x: len(x.places),
        default=None,
    )
    if axis is None:
        return None
    found: dict[str, _TokenTable] = {}
    for place in axis.places:
        is_table = len(model.tensors[place.tensor].shape) > 1  # a bias of patches is none
        if is_table and place.role in ("embed", "unembed", "position", "position_grid"):
            found.setdefault(place.role, _TokenTable(place, model.tensors[place.tensor].shape[0]))
    if "embed" in found and found["embed"].place.dim == 0:  # a patch projection
        found["patch"] = found.pop("embed")
    if not found:
        return None
    norms = (p.tensor for p in axis.places if p.role == "norm" and p.tensor.endswith("weight"))
    gain = last_gain(model, axis.stack, norms, axis.n_units)
    return _Tables(found, axis.n_units, gain)


def _token_frame(model: Model, tables: _Tables, rows: Ints, n_left: int) -> TokenRows:
    inputs = model.rows(tables.tokens["embed"].place.tensor, rows)
    out = tables.tokens.get("unembed", tables.tokens["embed"]).place
    outputs = model.rows(out.tensor, rows) * tables.last_gain
    return TokenRows(inputs, outputs.astype(np.float32), n_left)


def _patch_rows(model: Model, tables: _Tables) -> Floats:
    rows = []
    for table in tables.tokens.values():
        x = np.moveaxis(model.rows(table.place.tensor), table.place.dim, -1)
        rows.append(x.reshape(-1, tables.width))
    return np.concatenate(rows)
