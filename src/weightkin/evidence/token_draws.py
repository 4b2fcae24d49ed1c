"""Which tokens are looked at: with the sample drawn, so that nobody knew them before.

Units are seen through single tokens that two models share, dimensions of a stream through runs of
rows of its tables. Of sketches, and wherever nothing is drawn, both follow from a seed or a size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weightkin.arrays import Ints
from weightkin.evidence.plan import Plan
from weightkin.formats.model import Model
from weightkin.formats.vocabulary import vocabulary

N_TOKENS = 512
TOKEN_RUN = 16  # embedding rows are read in runs of this many tokens
Rule = dict[str, Any]  # ``by`` which rule rows of two models were paired, with its number


@dataclass(frozen=True, slots=True)
class SharedTokens:
    """Rows of the two embeddings that stand for the same tokens, as drawn, and by which rule."""

    rows_a: Ints
    rows_b: Ints
    rule: Rule


def shared_tokens(
    a: Model, b: Model, n_a: int, n_b: int, seed: int, n_tokens: int = N_TOKENS
) -> SharedTokens:
    """Order the tokens of both models at random: paired by text if it can be read, else by row.

    The order never looks at the embeddings, so it is the same for related and unrelated models.

    Parameters
    ----------
    a, b : Model
        The two models.
    n_a, n_b : int
        Rows of their embeddings.
    seed : int
        Seed of the choice.
    n_tokens : int
        How many are wanted: the first ones, which are sorted. The others are spare.

    Returns
    -------
    SharedTokens
        Rows of both, ``(n,)`` each, and the rule.
    """
    words_a, words_b = vocabulary(a), vocabulary(b)
    rng = np.random.default_rng([seed, 3])
    if words_a and words_b and words_a != words_b:
        common = sorted(
            w for w in words_a.keys() & words_b.keys() if words_a[w] < n_a and words_b[w] < n_b
        )
        chosen = _drawn(len(common), n_tokens, rng).tolist()
        rows_a = np.array([words_a[common[i]] for i in chosen], dtype=np.int64)
        rows_b = np.array([words_b[common[i]] for i in chosen], dtype=np.int64)
        return SharedTokens(rows_a, rows_b, {"by": "text", "n": len(common)})
    rows = _drawn(min(n_a, n_b), n_tokens, rng)
    return SharedTokens(rows, rows, {"by": "rows"})


def _drawn(n: int, n_wanted: int, rng: np.random.Generator) -> Ints:
    """All of n in a random order, of which the ones that are wanted are sorted."""
    first = np.sort(rng.choice(n, min(n_wanted, n), replace=False))
    rest = np.setdiff1d(np.arange(n), first, assume_unique=True)
    return np.concatenate([first, rng.permutation(rest)])


def token_runs(n_vocabulary: int, plan: Plan) -> Ints:
    """Runs of tokens, one in each stretch of a vocabulary: drawn, or evenly spread.

    Parameters
    ----------
    n_vocabulary : int
        Rows of the table.
    plan : Plan
        How many are read: at most ``plan.n_tokens``.

    Returns
    -------
    ndarray of int
        Rows in order, all of them where they are no more than that.
    """
    if n_vocabulary <= plan.n_tokens:
        return np.arange(n_vocabulary)
    n_runs, seed = plan.n_tokens // TOKEN_RUN, plan.seed_of("tokens of a stream")
    if seed is None:
        starts = np.linspace(0, n_vocabulary - TOKEN_RUN, n_runs).astype(np.int64)
        return np.unique(starts[:, None] + np.arange(TOKEN_RUN))
    bounds = np.arange(n_runs + 1) * n_vocabulary // n_runs
    sizes = np.diff(bounds)  # of stretches: a run or more, and a run goes on at their other end
    starts = np.random.default_rng(seed).integers(0, sizes)
    return np.sort(
        bounds[:-1, None] + (starts[:, None] + np.arange(TOKEN_RUN)) % sizes[:, None], None
    )
