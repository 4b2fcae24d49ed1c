"""How far two sketches agree on what units and heads do to tokens: an effect size, no test.

A unit counts if on gate and on up, each alone, its own partner is nearer than every other unit of
every block, seen from both sides; a head if its values and its keys do. Unrelated models have about
none, sorted to look alike a few, however their residual stream was turned. The choice of units,
heads and tokens is fixed and known: agreement may have been made, and confirms nothing alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from weightkin.anatomy import read_anatomy
from weightkin.arrays import Bools, Floats, Ints
from weightkin.derivation.pairing import match_blocks
from weightkin.formats import Model
from weightkin.records import Skipped, left_out
from weightkin.records.accounting import Agreement, ViewAgreement
from weightkin.sketch import Sketch
from weightkin.sketch.stand_in import as_model, sketch_behind
from weightkin.sketch.token_views import N_UNIT_TOKENS, take_views, tokens_of
from weightkin.sketch.tokens import shared
from weightkin.sketch.types import BlockViews, Tokens, TokenViews
from weightkin.stats.matching import unit_rows

MIN_SHARED_TOKENS = 32
UNITS, HEADS = "units seen through tokens", "heads seen through tokens"

Blocks = Mapping[tuple[str, int], tuple[str, int]]  # of a, of b


def view_agreement(a: Model, b: Model) -> tuple[ViewAgreement | None, tuple[Skipped, ...]]:
    """Compare the token views of two sketches; nothing of models that are none.

    Parameters
    ----------
    a, b : Model
        The two models.

    Returns
    -------
    ViewAgreement or None
        Agreement of units and of heads, as far as both sketches show them.
    tuple of Skipped
        Why what is missing is missing.
    """
    x, y = sketch_behind(a), sketch_behind(b)
    if x is None or y is None:
        return None, ()
    views_a, views_b = _views(x), _views(y)
    if views_a is None or views_b is None:
        old = x if views_a is None else y
        return None, (left_out(UNITS, "no-token-views", model=old.name, scheme=old.scheme.name),)
    blocks = {(stack, i): (stack, j) for stack, i, j in match_blocks(x, y)}
    found = units_agreement(views_a, views_b, blocks), heads_agreement(views_a, views_b, blocks)
    units, heads = (None if isinstance(z, Skipped) else z for z in found)
    missing = tuple(z for z in found if isinstance(z, Skipped))
    return ViewAgreement(units=units, heads=heads) if units or heads else None, missing


def units_agreement(a: TokenViews, b: TokenViews, blocks: Blocks) -> Agreement | Skipped:
    """Compare units through the tokens that both sketches have; the sign of up does not count.

    Parameters
    ----------
    a, b : TokenViews
        Of the two sketches.
    blocks : mapping
        Block of b that stands for a block of a.

    Returns
    -------
    Agreement or Skipped
    """
    if not isinstance(a.units, BlockViews) or not isinstance(b.units, BlockViews):
        return left_out(UNITS, str(a.units if isinstance(a.units, str) else b.units))
    at_a, at_b = shared(_first(a.tokens), _first(b.tokens))
    if len(at_a) < MIN_SHARED_TOKENS:
        return left_out(UNITS, "few-shared-tokens", n=len(at_a))
    x, y = _paired(a.units, b.units, blocks)
    n = min(x.shape[2], y.shape[2])
    if not x.size:
        return left_out(UNITS, "no-equal-depth")
    x, y = x[:, :, :n, at_a], y[:, :, :n, at_b]
    gate, up = (
        _rows(x[:, view] - x[:, view].mean(axis=-1, keepdims=True))
        @ _rows(y[:, view] - y[:, view].mean(axis=-1, keepdims=True)).T
        for view in (0, 1)
    )
    share, control = _shares((gate, np.abs(up)), np.repeat(np.arange(len(x)), n))
    return Agreement(share=share, control=control, n=len(gate))


def heads_agreement(a: TokenViews, b: TokenViews, blocks: Blocks) -> Agreement | Skipped:
    """Compare what key heads read of the same tokens, which must be the same in both sketches.

    Parameters
    ----------
    a, b : TokenViews
        Of the two sketches.
    blocks : mapping
        Block of b that stands for a block of a.

    Returns
    -------
    Agreement or Skipped
        Its level is 1 where subspaces are equal, 0 where they are as far apart as those of other
        blocks: the median over heads, averaged over values and keys.
    """
    if not isinstance(a.heads, BlockViews) or not isinstance(b.heads, BlockViews):
        return left_out(HEADS, str(a.heads if isinstance(a.heads, str) else b.heads))
    at_a, at_b = shared(a.tokens, b.tokens)
    if not len(at_a) == len(a.tokens.rows) == len(b.tokens.rows) or (at_a != at_b).any():
        return left_out(HEADS, "tokens-differ")
    x, y = _paired(a.heads, b.heads, blocks)
    if not x.size:
        return left_out(HEADS, "no-equal-depth")
    cosines = [unit_rows(x[:, view]) @ unit_rows(y[:, view]).T for view in (0, 1)]
    depths = np.arange(len(x))
    share, control = _shares(cosines, depths)
    is_wrong = depths[:, None] != depths
    levels = []
    for c in cosines:
        wrong = float(c[is_wrong].mean()) if is_wrong.any() else 0.0
        levels.append(float(np.median((np.diag(c) - wrong) / max(1 - wrong, 1e-6))))
    return Agreement(share=share, control=control, n=len(x), level=round(float(np.mean(levels)), 4))


def _shares(cosines: Sequence[Floats], depths: Ints) -> tuple[float, float]:
    """Share of rows whose own partner is nearest on both views; that of rows of other blocks."""
    own = np.arange(len(depths))
    same = depths[:, None] == depths
    first, second = (_mutual(c) for c in cosines)
    wrong, other = (_mutual(np.where(same, np.float32(-2), c)) for c in cosines)
    share = np.mean((first == own) & (second == own))
    return round(float(share), 4), round(float(np.mean((wrong == other) & (wrong >= 0))), 4)


def _mutual(cosine: Floats) -> Ints:
    """Of each row the column that is nearest to it and to which it is nearest; -1 for none."""
    own = np.arange(len(cosine))
    forward, backward = cosine.argmax(axis=1), cosine.argmax(axis=0)
    is_mutual: Bools = (backward[forward] == own) & (cosine[own, forward] > 0)
    return np.where(is_mutual, forward, -1)


def _paired(a: BlockViews, b: BlockViews, blocks: Blocks) -> tuple[Floats, Floats]:
    """Views of the blocks of a, and of those that stand for them in b."""
    at = {key: i for i, key in enumerate(b.blocks)}
    pairs = [(i, at[blocks[key]]) for i, key in enumerate(a.blocks) if blocks.get(key) in at]
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return a.values[rows[:, 0]], b.values[rows[:, 1]]


def _rows(x: npt.NDArray[np.float32]) -> Floats:
    return unit_rows(x.reshape(-1, x.shape[-1]))


def _first(tokens: Tokens) -> Tokens:
    """The tokens that units are seen through."""
    return Tokens(tokens.rows[:N_UNIT_TOKENS], tokens.texts[:N_UNIT_TOKENS])


def _views(sketch: Sketch) -> TokenViews | None:
    """Views of a sketch; taken of one that holds everything."""
    whole = as_model(sketch)
    if sketch.views is not None or whole.sketched is not None:
        return sketch.views
    anatomy = read_anatomy(whole)
    return take_views(whole, anatomy, tokens_of(whole, anatomy))
