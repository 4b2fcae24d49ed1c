"""Tables of token rows: embedding and unembedding, as blocks see them, each row at length one.

What a model's norms subtract from the stream is subtracted first, and then every row is scaled to
length one: the size of a row of a token that nobody uses is free, and 32 of 512 such rows made
large would be all that a unit is seen through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.gains import last_gain
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.catalogue import by_model_type
from weightkin.catalogue.config import language_model_type
from weightkin.formats.known import KnownOf
from weightkin.formats.model import Model
from weightkin.stats.matching import unit_rows

MIN_LENGTH = 1e-3  # of the median row: shorter ones hold rounding
ROWS_AT_ONCE = 8192
BIASES = (".bias", ".beta")  # a norm that has one subtracts the mean
_KNOWN: KnownOf[Ints] = KnownOf()  # rows of a model, from the most distinct one on


@dataclass(frozen=True, slots=True)
class TokenTable:
    """A matrix of which one dimension is the residual width."""

    place: Place
    n_rows: int


@dataclass(frozen=True, slots=True)
class TokenTables:
    """Tables that map tokens (or patches) to the residual stream, and the norms they meet."""

    tokens: dict[str, TokenTable]
    width: int
    last_gain: Floats
    is_centred: bool  # whether norms subtract the mean

    @property
    def n_tokens(self) -> int:
        """Rows that every table of tokens has."""
        return min(self.tokens[role].n_rows for role in ("embed", "unembed") if role in self.tokens)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one model, of length one or zero, and how long they were."""

    inputs: Floats  # (n, width), what blocks read
    outputs: Floats | None  # (n, width), the final gain folded in; what blocks write towards
    lengths: tuple[npt.NDArray[np.float64], ...]  # (n,) of each

    def only(self, rows: Ints) -> Rows:
        """Some of them."""
        outputs = None if self.outputs is None else self.outputs[rows]
        return Rows(self.inputs[rows], outputs, tuple(x[rows] for x in self.lengths))


def tables_of(model: Model, anatomy: Anatomy) -> TokenTables | None:
    """Tables of tokens or patches of a model; None where there are none.

    Parameters
    ----------
    model : Model
        The model.
    anatomy : Anatomy
        Its anatomy: the widest residual axis counts.

    Returns
    -------
    TokenTables or None
    """
    axis = max(
        (x for x in anatomy.axes if x.kind == "residual"),
        key=lambda x: len(x.places),
        default=None,
    )
    if axis is None:
        return None
    found: dict[str, TokenTable] = {}
    for place in axis.places:
        is_table = len(model.tensors[place.tensor].shape) > 1  # a bias of patches is none
        if is_table and place.role in ("embed", "unembed", "position", "position_grid"):
            found.setdefault(place.role, TokenTable(place, model.tensors[place.tensor].shape[0]))
    if "embed" in found and found["embed"].place.dim == 0:  # a patch projection
        found["patch"] = found.pop("embed")
    if not found:
        return None
    norms = (p.tensor for p in axis.places if p.role == "norm" and p.tensor.endswith("weight"))
    gain = last_gain(model, axis.stack, norms, axis.n_units)
    return TokenTables(found, axis.n_units, gain, _is_centred(model, axis))


def token_table(model: Model, anatomy: Anatomy) -> tuple[bool, int] | None:
    """Whether a model reads tokens or images, and the width of its stream; None without either."""
    tables = tables_of(model, anatomy)
    return None if tables is None else ("embed" in tables.tokens, tables.width)


def token_rows(model: Model, tables: TokenTables, rows: Ints) -> Rows:
    """Rows of some tokens. Cost: one read of each row.

    Parameters
    ----------
    model : Model
        The model.
    tables : TokenTables
        Its tables, an embedding among them.
    rows : ndarray of int
        ``(n,)``.

    Returns
    -------
    Rows
        Inputs and outputs of ``(n, width)``.
    """
    inputs, first = _at_length_one(
        model.rows(tables.tokens["embed"].place.tensor, rows), is_centred=tables.is_centred
    )
    out = tables.tokens.get("unembed", tables.tokens["embed"]).place
    outputs, second = _at_length_one(
        model.rows(out.tensor, rows) * tables.last_gain, is_centred=tables.is_centred
    )
    return Rows(inputs, outputs, (first, second))


def distinct_rows(model: Model, tables: TokenTables, n: int) -> Rows:
    """Rows that differ most from the mean row: a choice that neither order nor rotation changes.

    Parameters
    ----------
    model : Model
        The model.
    tables : TokenTables
        Its tables, an embedding among them.
    n : int
        How many rows, at most.

    Returns
    -------
    Rows
        None of them zero. Cost: the embedding is read whole, twice, at the first call for a model.
    """
    embed, n_rows = tables.tokens["embed"].place.tensor, tables.n_tokens
    key = f"{embed} {n_rows} {tables.is_centred}"
    order = _KNOWN.once(model, key, lambda: _from_the_mean(model, tables))
    found = token_rows(model, tables, np.sort(order[:n]))
    return found.only(live_rows(found, found))


def _from_the_mean(model: Model, tables: TokenTables) -> Ints:
    """Rows of a table from the one that differs most from the mean row on; short ones left out."""
    embed, n_rows = tables.tokens["embed"].place.tensor, tables.n_tokens
    pieces = [slice(i, min(i + ROWS_AT_ONCE, n_rows)) for i in range(0, n_rows, ROWS_AT_ONCE)]

    def read(rows: slice) -> tuple[Floats, npt.NDArray[np.float64]]:
        return _with_lengths(model.rows(embed, rows), is_centred=tables.is_centred)

    mean = np.zeros(tables.width)
    for rows in pieces:
        inputs, lengths = read(rows)
        per_length = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        mean += per_length @ inputs
    nearness, every = np.empty(n_rows), np.empty(n_rows)
    for rows in pieces:
        inputs, lengths = read(rows)
        every[rows] = lengths
        nearness[rows] = inputs @ mean / np.where(lengths > 0, lengths, 1.0)
    is_live = np.isfinite(every) & (every > 0) & ~(every < MIN_LENGTH * np.median(every))
    order = np.argsort(np.where(is_live, nearness, np.inf), kind="stable")
    return np.asarray(order[: is_live.sum()], dtype=np.intp)


def table_bytes(model: Model, tables: TokenTables) -> int:
    """Bytes of the larger table of tokens of a model."""
    return max(model.tensors[table.place.tensor].n_bytes for table in tables.tokens.values())


def patch_rows(model: Model, tables: TokenTables) -> Rows:
    """All rows of a model without tokens: pixels of a patch, and positions.

    Parameters
    ----------
    model : Model
        The model.
    tables : TokenTables
        Its tables.

    Returns
    -------
    Rows
        Inputs of ``(n, width)``, no outputs.
    """
    rows = []
    for table in tables.tokens.values():
        x = np.moveaxis(model.rows(table.place.tensor), table.place.dim, -1)
        rows.append(x.reshape(-1, tables.width))
    inputs, lengths = _at_length_one(np.concatenate(rows), is_centred=tables.is_centred)
    return Rows(inputs, None, (lengths,))


def live_rows(a: Rows, b: Rows) -> Ints:
    """Rows that say something of both models: not zero in one of them, nor all but zero in both.

    Depends on lengths alone, so it acts alike on all units. Rows that are short in one model only
    stay: how long the others are is up to whoever made that model.

    Parameters
    ----------
    a, b : Rows
        Equally many rows of both models.

    Returns
    -------
    ndarray of int
        Positions of the rows, in order; where there are none, of all rows that are finite.
    """
    is_finite = np.ones(len(a.inputs), dtype=bool)
    is_zero = np.zeros(len(a.inputs), dtype=bool)
    is_short = np.ones(len(a.inputs), dtype=bool)
    for side in (a, b):
        here = np.zeros(len(is_short), dtype=bool)
        for lengths in side.lengths:
            is_finite &= np.isfinite(lengths)
            is_zero |= lengths == 0
            here |= lengths < MIN_LENGTH * np.median(lengths) if len(lengths) else False
        is_short &= here
    live = np.flatnonzero(is_finite & ~is_zero & ~is_short)
    return live if len(live) else np.flatnonzero(is_finite)


def n_used(rows: Rows) -> float:
    """How many rows carry a table: (sum of l²)² / sum of l⁴, of the table where they are fewest.

    Training makes rows of tokens that occur long: 24 of a table of 512 rows count as 35.
    """
    squares = [x**2 / max(float((x**2).max(initial=0.0)), 1e-300) for x in rows.lengths]
    return min(float(x.sum() ** 2 / max(float(x @ x), 1e-300)) for x in squares)


def joined(pieces: Sequence[Rows]) -> Rows:
    """Rows of one model, read in several pieces, as one."""
    outputs = [x.outputs for x in pieces if x.outputs is not None]
    return Rows(
        np.concatenate([x.inputs for x in pieces]),
        np.concatenate(outputs) if outputs else None,
        tuple(np.concatenate(x) for x in zip(*(y.lengths for y in pieces), strict=True)),
    )


def _at_length_one(x: Floats, *, is_centred: bool) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Vectors of the stream, without what its norms subtract, at length one; and their lengths."""
    x, lengths = _with_lengths(x, is_centred=is_centred)
    return unit_rows(x), lengths


def _with_lengths(x: Floats, *, is_centred: bool) -> tuple[Floats, npt.NDArray[np.float64]]:
    """The same as long as they are; what is not finite is zero, its length is kept."""
    x = np.asarray(x, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        if is_centred:
            x = x - x.mean(axis=1, keepdims=True)
        lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    is_finite = np.isfinite(lengths)
    return x if is_finite.all() else np.where(is_finite[:, None], x, np.float32(0.0)), lengths


def _is_centred(model: Model, axis: Axis) -> bool:
    """Whether the norms of a stream subtract the mean: by the catalogue, or since they add one."""
    entry = by_model_type().get(language_model_type(model.config))
    is_known = entry is not None and bool(entry.norms.centred)
    return is_known or any(p.role == "norm" and p.tensor.endswith(BIASES) for p in axis.places)
