"""How far two sketches agree on what units and heads do to tokens: an effect size, no test.

A unit counts if on gate and on up, each alone, its own partner is nearer than every other unit of
every block, seen from both sides; a head if its values and its keys do. Unrelated models have about
none, sorted to look alike a few, however their residual stream was turned. The choice of units,
heads and tokens is fixed and known: agreement may have been made, and confirms nothing alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from weightkin.arrays import Bools, Floats, Ints
from weightkin.derivation.pairing import match_blocks
from weightkin.formats import Model
from weightkin.records import Skipped, left_out
from weightkin.records.accounting import Agreement, ViewAgreement
from weightkin.sketch.stand_in import sketch_behind
from weightkin.sketch.tokens import shared
from weightkin.sketch.types import BlockViews, TokenViews
from weightkin.stats.matching import best_rows, unit_rows

MIN_SHARED_TOKENS = 32
Blocks = Mapping[tuple[str, int], tuple[str, int]]  # of a, of b


def view_agreement(a: Model, b: Model) -> tuple[ViewAgreement | None, tuple[Skipped, ...]]:
    """Agreement of units and heads, as far as two sketches show them, and why what is missing is.

    Nothing of models that are no sketch, or are held whole.
    """
    x, y = sketch_behind(a), sketch_behind(b)
    if x is None or y is None or x.scheme.is_whole:
        return None, ()
    if x.views is None or y.views is None:
        old = x if x.views is None else y
        scheme = old.scheme.name
        return None, (left_out("token views", "no-token-views", model=old.name, scheme=scheme),)
    blocks = {(stack, i): (stack, j) for stack, i, j in match_blocks(x, y)}
    found = [agreement(kind, x.views, y.views, blocks) for kind in ("units", "heads")]
    units, heads = (None if isinstance(z, Skipped) else z for z in found)
    missing = tuple(z for z in found if isinstance(z, Skipped))
    return ViewAgreement(units=units, heads=heads) if units or heads else None, missing


def agreement(
    kind: Literal["units", "heads"], a: TokenViews, b: TokenViews, blocks: Blocks
) -> Agreement | Skipped:
    """Agreement of units through the tokens that both models have, or of heads through the same.

    Parameters
    ----------
    kind : str
        ``units`` or ``heads``.
    a, b : TokenViews
        Of the two sketches.
    blocks : mapping
        Block of b that stands for a block of a.

    Returns
    -------
    Agreement or Skipped
        The sign of up, which a gated unit may change, does not count.
    """
    what, of_a, of_b = f"{kind} seen through tokens", getattr(a, kind), getattr(b, kind)
    if not (isinstance(of_a, BlockViews) and isinstance(of_b, BlockViews)):
        return left_out(what, of_a if isinstance(of_a, str) else of_b)
    x, y = _paired(of_a, of_b, blocks)
    if not x.size:
        return left_out(what, "no-equal-depth")
    at_a, at_b = shared(a.tokens, b.tokens)
    if kind == "heads":
        if not len(at_a) or not np.array_equal(a.tokens.names, b.tokens.names):
            return left_out(what, "few-tokens")
        x, y = x[:, :, None], y[:, :, None]
    else:
        if len(at_a) < MIN_SHARED_TOKENS:
            return left_out(what, "few-tokens")
        n = min(x.shape[2], y.shape[2])
        x, y = x[:, :, :n, at_a], y[:, :, :n, at_b]
        x, y = (z - z.mean(axis=-1, keepdims=True) for z in (x, y))
    rows = [[unit_rows(z[:, view].reshape(-1, z.shape[-1])) for z in (x, y)] for view in (0, 1)]
    cosines = [one @ other.T for one, other in rows]
    if kind == "units":
        cosines[1] = np.abs(cosines[1])
    return _agreement(cosines, np.repeat(np.arange(len(x)), x.shape[2]))


def _agreement(cosines: list[Floats], depths: Ints) -> Agreement:
    own, is_wrong = np.arange(len(depths)), depths[:, None] != depths
    first, second = (_mutual(c) for c in cosines)
    wrong, other = (_mutual(np.where(is_wrong, c, np.float32(-2))) for c in cosines)
    levels = []
    for c in cosines:
        chance = float(c[is_wrong].mean()) if is_wrong.any() else 0.0
        levels.append((float(np.median(np.diag(c))) - chance) / max(1 - chance, 1e-6))
    return Agreement(
        share=round(float(np.mean((first == own) & (second == own))), 4),
        control=round(float(np.mean((wrong == other) & (wrong >= 0))), 4),
        level=round(float(np.mean(levels)), 4),
        n=len(depths),
    )


def _mutual(cosine: Floats) -> Ints:
    """Of each row the column that is nearest to it and to which it is nearest; -1 for none."""
    own = np.arange(len(cosine))
    forward, backward = cosine.argmax(axis=1), best_rows(cosine)
    is_mutual: Bools = (backward[forward] == own) & (cosine[own, forward] > 0)
    return np.where(is_mutual, forward, -1)


def _paired(a: BlockViews, b: BlockViews, blocks: Blocks) -> tuple[Floats, Floats]:
    """Views of the blocks of a, and of those that stand for them in b."""
    at = {key: i for i, key in enumerate(b.blocks)}
    pairs = [(i, at[blocks[key]]) for i, key in enumerate(a.blocks) if blocks.get(key) in at]
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return a.values[rows[:, 0]], b.values[rows[:, 1]]
