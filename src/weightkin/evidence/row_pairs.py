"""Which row of one vocabulary is which of the other, by embeddings alone.

Where texts do not pair two vocabularies, rows are paired by what neither their order nor a rotation
of the stream changes. Nothing here sees a unit, a head, or an index of the residual width, and all
of it is done before any unit is seen through tokens: tests through the pairs stay exact whatever
pairs they are. Between unrelated models most are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats, Ints
from weightkin.evidence.token_tables import Rows
from weightkin.stats.matching import best_rows, unit_rows

MIN_PAIRS = 16
MIN_LIKENESS = 0.1  # of inner products of paired rows: .97 in unrelated models of one tokenizer,
# under .02 where rows are in another order
MIN_BY_CONTENT = 0.5  # the same of rows that were paired by content, which reaches .4 by chance
QUANTILES = np.linspace(0.02, 0.98, 15)
FURTHEST = 4.0  # a signature is cut there, in units of its spread
FIRST_PAIRS = 96  # at least so many, or half of the mutual best ones, start the search
MOST_ANCHORS = 512  # paired rows by which others are described
SHARE_OF_ROUND = 0.9  # of the pairs of a round are the anchors of the next
MOST_ROUNDS = 8
Tables = tuple[Floats, Floats]  # inputs and outputs of one model, rows at length one


def are_paired(a: Rows, b: Rows, least: float = MIN_LIKENESS) -> bool:
    """Whether equal rows stand for equal tokens: their inner products go together.

    Parameters
    ----------
    a, b : Rows
        Rows of the two models, ``(n, width)``.
    least : float
        Correlation of the inner products from which they do.

    Returns
    -------
    bool
        False for few rows too. Cost ``O(n² width)``.
    """
    if len(a.inputs) < MIN_PAIRS:
        return False
    pairs = zip(_tables(a), _tables(b), strict=True)
    return max(_likeness(x, y) for x, y in pairs) >= least


def pair_rows(a: Rows, b: Rows) -> tuple[Ints, Ints]:
    """Pair the rows of two vocabularies by content.

    Every row has a signature: how long it is, its cosines with the mean rows, and how its cosines
    with all rows are spread, of inputs and outputs. Rows that are each other's best by signature
    are the first anchors; then every row is described by its cosines with the anchors, mutual best
    rows are the next ones, until they stay.

    Parameters
    ----------
    a, b : Rows
        Rows of the two models, of any number and width.

    Returns
    -------
    tuple of ndarray
        ``(n,)`` positions in a and in b, one-to-one. Cost ``O(n_a n_b (n_anchors + width))``.
    """
    score = _nearness(_signature(a), _signature(b))
    pairs = _mutual(score)
    if len(pairs[0]) < 2:
        return pairs
    others = np.partition(score, -2, axis=1)[:, -2] if score.shape[1] > 1 else score[:, 0]
    margin = score[pairs] - others[pairs[0]]
    pairs = _best(pairs, margin, max(FIRST_PAIRS, len(margin) // 2))
    tables_a, tables_b = _tables(a), _tables(b)
    seen: set[bytes] = set()
    for _ in range(MOST_ROUNDS):
        score = _described(tables_a, tables_b, _best(pairs, score[pairs], MOST_ANCHORS))
        found = _mutual(score)
        key = found[0].tobytes() + found[1].tobytes()
        if key in seen:
            return found
        seen.add(key)
        pairs = _best(found, score[found], int(len(found[0]) * SHARE_OF_ROUND))
        if len(pairs[0]) < 2:
            break
    return found


def _tables(rows: Rows) -> Tables:
    """Inputs and outputs, the common direction taken off."""
    both = (rows.inputs, rows.inputs if rows.outputs is None else rows.outputs)
    first, second = (unit_rows(x - x.mean(axis=0)) for x in both)
    return first, second


def _likeness(x: Floats, y: Floats) -> float:
    """Correlation of the inner products of all pairs of rows."""
    above = np.triu_indices(len(x), 1)
    first, second = ((table @ table.T)[above].astype(np.float64) for table in (x, y))
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / size) if size > 0 else 0.0


def _signature(rows: Rows) -> Floats:
    """Numbers of each row that neither order nor rotation changes, on one scale."""
    outputs = rows.inputs if rows.outputs is None else rows.outputs
    tables = rows.inputs, outputs
    means = [table.mean(axis=0) for table in tables]
    columns = [np.log(x) for x in rows.lengths]
    columns.append(np.einsum("ij,ij->i", *tables))
    columns += [table @ mean for table in tables for mean in means]
    for x in tables:
        for y in tables:
            columns += list(np.quantile(x @ y.T, QUANTILES, axis=1))
    signature = np.column_stack(columns).astype(np.float64)
    signature -= np.median(signature, axis=0)
    spread = np.quantile(np.abs(signature), 0.7, axis=0)
    signature /= np.where(spread > 0, spread, 1.0)
    return np.clip(signature, -FURTHEST, FURTHEST).astype(np.float32)


def _nearness(x: Floats, y: Floats) -> Floats:
    """Minus the mean squared distance of all signatures of a to all of b."""
    squares = [np.einsum("ij,ij->i", z, z) for z in (x, y)]
    distance = squares[0][:, None] + squares[1][None, :] - 2 * (x @ y.T)
    return np.asarray(-distance / x.shape[1], dtype=np.float32)


def _described(a: Tables, b: Tables, anchors: tuple[Ints, Ints]) -> Floats:
    """Cosines of all rows of a with all of b, each described by its cosines with the anchors."""
    pieces = zip(_profiles(a, anchors[0]), _profiles(b, anchors[1]), strict=True)
    score = np.zeros((len(a[0]), len(b[0])), dtype=np.float32)
    for x, y in pieces:
        score += x @ y.T
    return score


def _profiles(tables: Tables, anchors: Ints) -> Iterator[Floats]:
    for rows in tables:
        for others in tables:
            profile = rows @ others[anchors].T  # (n, n_anchors)
            profile -= profile.mean(axis=0)
            profile -= profile.mean(axis=1, keepdims=True)
            yield unit_rows(profile)


def _mutual(score: Floats) -> tuple[Ints, Ints]:
    """Pairs that are each other's best."""
    forward, backward = score.argmax(axis=1), best_rows(score)
    rows = np.flatnonzero(backward[forward] == np.arange(len(forward)))
    return rows, forward[rows]


def _best(pairs: tuple[Ints, Ints], score: npt.NDArray[np.floating], n: int) -> tuple[Ints, Ints]:
    kept = np.sort(np.argsort(-score, kind="stable")[:n])
    return pairs[0][kept], pairs[1][kept]
