"""Rewrites of the vocabulary: the order of its rows, and rows that no text uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.errors import UsageError
from weightkin.evasions.places import Arrays, Rewritten, Wide, axes_of, finish, values_along, widen
from weightkin.evasions.residual import untied
from weightkin.evasions.stream import open_stream

MAY_HAVE_ROWS = ("head", "unembed", "other")  # roles of what may have a row for each token


def permute_vocabulary(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Number the tokens anew: rows of the embedding and of the unembedding, tied or not.

    Preserves the function up to the numbers of tokens: token ``t`` of the result is token
    ``token_order[t]`` of the model, at the input and in the output. The tokenizer and the special
    tokens of the config are left to the caller.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the order.

    Returns
    -------
    Rewritten
        With ``token_order``.

    Raises
    ------
    UsageError
        There is no embedding of tokens, or another tensor may have a row for each token.
    """
    wide = widen(arrays)
    tables = _tables(wide, anatomy)
    n = min(len(wide[name]) for name in tables)
    roles = dict(anatomy.roles)
    for name, x in wide.items():
        is_bias = x.shape == (n,) and name.endswith("bias")
        if is_bias and roles.get(name) in ("head", "unembed"):
            tables.append(name)
        elif name not in tables and n in x.shape and roles.get(name, "other") in MAY_HAVE_ROWS:
            raise UsageError(f"{name}: whether it has a row for each token is not known")
    if any(len(wide[name]) != n for name in tables):
        raise UsageError(f"a {anatomy.family} model: its tables differ in their number of tokens")
    order = rng.permutation(n)
    for name in tables:
        wide[name] = wide[name][order]
    return replace(finish(wide, "permute_vocabulary"), token_order=order)


def enlarge_rows(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    rows: Sequence[int],
    factor: float = 100.0,
) -> Rewritten:
    """Replace rows of the embedding by random ones that are ``factor`` times as large.

    Preserves the function on every text that does not use these tokens. An unembedding tied to the
    embedding is written out first, and ``config_changes`` unties the two.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the rows.
    rows : sequence of int
        Tokens that no text uses.
    factor : float
        Spread of the new rows, in that of the table.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        There is no embedding of tokens with such rows, or which matrix reads which norm is not
        known.
    """
    wide = widen(arrays)
    stream = open_stream(wide, anatomy, to_turn=False)
    name = _tables(wide, anatomy)[0]
    table = wide[name]
    if not rows or not all(0 <= row < len(table) for row in rows):
        raise UsageError(f"{name}: rows are from 0 to {len(table) - 1}, and at least one")
    scale = factor * table.std()
    table[list(rows)] = scale * rng.standard_normal((len(rows), table.shape[1]))
    return finish(wide, "enlarge_rows", **untied(stream))


def _tables(wide: Wide, anatomy: Anatomy) -> list[str]:
    """Tensors with a row for each token, the embedding first."""
    places = [p for axis in axes_of(anatomy, "residual") for p in axis.places]
    tables = [
        place.tensor
        for role in ("embed", "unembed")
        for place in places
        if place.role == role and place.dim == 1 and values_along(wide, place).ndim == 2
    ]
    if not tables or dict(anatomy.roles)[tables[0]] != "embed":
        raise UsageError(f"a {anatomy.family} model: no embedding of tokens")
    return tables
