"""Invariant views: a unit is what it does to tokens, whatever the residual coordinates are called.

With E the embedding rows of some tokens, at length one, and g the gain of the norm before a block,
the rows of (gate * g) E' do not change when the residual stream is permuted, rotated or rescaled
with its gains compensated, and models of any width become comparable. No forward pass is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.kept import Kept
from weightkin.evidence.row_pairs import MIN_BY_CONTENT, MIN_PAIRS, are_paired, pair_rows
from weightkin.evidence.sample import view_places
from weightkin.evidence.token_draws import N_TOKENS, Rule, SharedTokens, shared_tokens
from weightkin.evidence.token_tables import (
    Rows,
    TokenTables,
    distinct_rows,
    joined,
    live_rows,
    n_used,
    patch_rows,
    table_bytes,
    tables_of,
    token_rows,
)
from weightkin.formats.known import KnownOf
from weightkin.formats.model import Model
from weightkin.records import Skipped, left_out
from weightkin.stats.matching import centred

MOST_DRAWS = 8  # of tokens, where rows are dropped
MAX_PAIRED_BYTES = 1 << 28  # of a table of tokens whose rows are paired by content: read whole
MAX_TABLE_BYTES = 1 << 24  # a matrix whose columns are the units is read whole, or not at all
MAX_WRITER_BYTES = 1 << 22  # the same for matrices that write, which are never the only view
MOST_SEEN = 1 << 26  # bytes of views that are kept: stages ask for the same ones
UNITS_AT_ONCE = 2048  # units held at a time
_PAIRED: KnownOf[tuple[Ints, Ints]] = KnownOf()  # which rows of another model are alike
READING_ROLES = ("mlp.gate", "mlp.up", "mlp.in0", "mlp.in1", "attn.q", "attn.k", "attn.v")
Models = tuple[Model, Model]


@dataclass(frozen=True, slots=True)
class TokenRows:
    """What one model's tokens look like: embedding rows, and unembedding rows if there are any.

    Of length one, what norms subtract taken off: see `token_tables`.
    """

    inputs: Floats  # (n_tokens, width), what blocks read
    outputs: Floats | None  # (n_tokens, width), the final gain folded in; what blocks write towards
    n_left: int = 0  # tokens that both models have and that were not drawn
    is_centred: bool = False  # whether norms subtract the mean
    n_used: float = 0.0  # rows that count, by their lengths before
    is_drawn: bool = False  # whether there were more tokens than were asked for
    seen: Kept = field(default_factory=lambda: Kept(MOST_SEEN), repr=False, compare=False)


def frames(
    a: tuple[Model, Anatomy],
    b: tuple[Model, Anatomy],
    seed: int,
    n_tokens: int = N_TOKENS,
    *,
    by_content: bool = False,
    most_bytes: int = MAX_PAIRED_BYTES,
) -> tuple[TokenRows, TokenRows, Rule] | Skipped:
    """Frames of two models over shared tokens and the rule, or why there are none.

    Tokens are paired by text or by row; where the embeddings of these pairs have nothing in common
    (vocabularies in another order, texts spelled otherwise, none shared), by content. Embeddings
    alone decide that, before any unit is seen.

    Parameters
    ----------
    a, b : (Model, Anatomy)
        The two models.
    seed : int
        Seed of the choice of tokens: `Draw.token_seed`, so that nobody knew it before.
    n_tokens : int
        Tokens to choose at most.
    by_content : bool
        Pair rows by content whatever the other pairs look like: for controls.
    most_bytes : int
        Of a table whose rows may be paired by content, which reads it whole.

    Returns
    -------
    tuple or Skipped
        Frames of a and b, of equally many rows, and the rule; or the reason.
    """
    tables = tables_of(*a), tables_of(*b)
    if tables[0] is None or tables[1] is None:
        return left_out("", "no-embedding")
    if ("embed" in tables[0].tokens) != ("embed" in tables[1].tokens):
        return left_out("", "tokens-and-images")
    if "embed" in tables[0].tokens:
        how = (seed, n_tokens, most_bytes)
        return _of_tokens((a[0], b[0]), (tables[0], tables[1]), how, by_content=by_content)
    rows_a, rows_b = patch_rows(a[0], tables[0]), patch_rows(b[0], tables[1])
    if len(rows_a.inputs) != len(rows_b.inputs):
        return left_out("", "patches-differ")
    live = live_rows(rows_a, rows_b)
    if not len(live):
        return left_out("", "no-shared-patch")
    return (
        _frame(rows_a.only(live), tables[0]),
        _frame(rows_b.only(live), tables[1]),
        {"by": "pixels"},
    )


def _of_tokens(
    models: Models,
    tables: tuple[TokenTables, TokenTables],
    how: tuple[int, int, int],
    *,
    by_content: bool,
) -> tuple[TokenRows, TokenRows, Rule] | Skipped:
    """Rows paired by text or index; by content where their embeddings say that those are wrong."""
    seed, n_tokens, most_bytes = how
    drawn = shared_tokens(*models, tables[0].n_tokens, tables[1].n_tokens, seed, n_tokens)
    pair, n_left = _given(models, tables, drawn, n_tokens)
    rule, is_drawn = drawn.rule, len(drawn.rows_a) > n_tokens
    if by_content or pair is None or not are_paired(*pair):
        is_cheap = all(table_bytes(*x) <= most_bytes for x in zip(models, tables, strict=True))
        found = _by_content(models, tables, n_tokens) if is_cheap else None
        pair, rule, n_left = (*found, 0) if found else (pair, rule | {"alike": False}, n_left)
    if pair is None:
        return left_out("", "no-shared-token")
    one, other = (
        replace(_frame(*x), n_left=n_left, is_drawn=is_drawn)
        for x in zip(pair, tables, strict=True)
    )
    return one, other, rule


def _given(
    models: Models, tables: tuple[TokenTables, TokenTables], drawn: SharedTokens, n_tokens: int
) -> tuple[tuple[Rows, Rows] | None, int]:
    """Rows of tokens drawn, others in place of those that are dropped; and how many are left."""
    found: tuple[list[Rows], list[Rows]] = ([], [])
    n_found = n_read = 0
    for _ in range(MOST_DRAWS):
        part = slice(n_read, n_read + n_tokens - n_found)
        if part.start == part.stop or not len(drawn.rows_a[part]):
            break
        rows_a = token_rows(models[0], tables[0], drawn.rows_a[part])
        rows_b = token_rows(models[1], tables[1], drawn.rows_b[part])
        live = live_rows(rows_a, rows_b)
        found[0].append(rows_a.only(live))
        found[1].append(rows_b.only(live))
        n_found, n_read = n_found + len(live), n_read + len(rows_a.inputs)
    pair = (joined(found[0]), joined(found[1])) if n_found else None
    return pair, len(drawn.rows_a) - n_read


def _by_content(
    models: Models, tables: tuple[TokenTables, TokenTables], n_tokens: int
) -> tuple[tuple[Rows, Rows], Rule] | None:
    """Rows that look alike, of those that differ most from the mean row of their model."""
    rows_a, rows_b = (distinct_rows(*x, n_tokens) for x in zip(models, tables, strict=True))
    n_rows = min(len(rows_a.inputs), len(rows_b.inputs))
    if n_rows < MIN_PAIRS:
        return None
    others = models[1].storage.stamps
    pairs = partial(pair_rows, rows_a, rows_b)
    key = f"{n_tokens} rows of {others}"
    in_a, in_b = _PAIRED.once(models[0], key, pairs) if others else pairs()
    pair, rule = (
        (rows_a.only(in_a), rows_b.only(in_b)),
        {"by": "content", "n": len(in_a), "of": n_rows},
    )
    return (pair, rule) if are_paired(*pair, MIN_BY_CONTENT) else None


def _frame(rows: Rows, tables: TokenTables) -> TokenRows:
    return TokenRows(rows.inputs, rows.outputs, is_centred=tables.is_centred, n_used=n_used(rows))


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
    key = model, axis, first, stop
    return dict(frame.seen.once(key, lambda: _token_views(model, axis, frame, stop, first)))


def _token_views(
    model: Model, axis: Axis, frame: TokenRows, stop: int, first: int
) -> dict[str, Floats]:
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
    entries: slice | Ints = slice(place.start + start, place.start + stop)
    if place.spans:
        entries = np.concatenate([np.arange(*span) for span in place.spans])[start:stop]
    if place.dim == 0:
        return model.rows(place.tensor, entries)
    if model.tensors[place.tensor].n_bytes > MAX_TABLE_BYTES:
        return None
    return np.ascontiguousarray(model.rows(place.tensor)[:, entries].T)
