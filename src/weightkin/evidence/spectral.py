"""Spectral coins of two models: a remark where no test applies, never evidence of a test.

Matrices of equal shape are looked at as they are, whatever they are called. Where hidden units are
known, three more of a block have spectra that none of the usual rewrites moves: gate with the gain
of its norm, rows of up and columns of down at length one. Embeddings are left out: their spectra
follow the data.

Limitations: a change of 2 % of the weights erases or forges all of it; power falls with width.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.side import Side
from weightkin.arrays import Doubles
from weightkin.evidence.sample import view_places
from weightkin.evidence.token_tables import tables_of
from weightkin.evidence.views import unit_rows_of
from weightkin.stats.combining import LOG_MONOTONE, LOG_SINGLE, LOG_STRAIGHT, monotone_log_evalue
from weightkin.stats.matching import unit_rows
from weightkin.stats.spectra import (
    XS,
    Coins,
    agreement,
    coin_log_evalues,
    gap_coins,
    singular_values,
)
from weightkin.stats.sums import logsumexp

# Sides of a matrix: shorter spectra have no bulk, longer ones cost too much.
MIN_SIDE, MAX_SIDE = 64, 1024
MAX_ENTRIES = 1 << 22
MAX_RATIO = 16  # of the sides of a matrix: longer ones are tables
MAX_MATRICES = 16  # of one kind
MAX_SHAPES = 4
COPY_SIGMAS = 3.3  # of agreement, from which two matrices of one model count as one
FLOATS = ("F", "BF")
UNIT_ROLES = ("mlp.gate", "mlp.up", "mlp.down")
TABLE_ROLES = ("embed", "unembed", "position", "position_grid")
Shape = tuple[int, int]
Spectra = dict[str, list[Coins]]  # kind of matrix to the coins of each, in order


def spectral_log_evalue(
    a: Side, b: Side, tables: tuple[Collection[str], Collection[str]] = ((), ())
) -> float | None:
    """Log e-value that the gaps of singular values of two models are in the same order.

    Null hypothesis: the models are independent, and in the bulk of a spectrum the order of two
    neighbouring gaps is exchangeable. This is a measured law of random matrices, not a symmetry of
    training: the number is no p-value and enters none. Kinds of matrices are averaged; inside a
    kind half of the weight is on blocks at equal places, a quarter on all monotone maps of blocks,
    a quarter on any single pair. Matrices that are copies of each other in a model count once.

    Parameters
    ----------
    a, b : Side
        The two models; up to 16 matrices of a kind, with sides of 64 to 1,024, are read whole.
    tables : (collection of str, collection of str)
        Tensors of each that a formula makes: they are left out.

    Returns
    -------
    float or None
        None where no two matrices can be compared.
    """
    names = [_by_shape(side, made) for side, made in zip((a, b), tables, strict=True)]
    shapes = _shared_shapes(*names)
    kinds = [
        _of_units(side) | _of_shapes(side, {x: those[x] for x in shapes})
        for side, those in zip((a, b), names, strict=True)
    ]
    found = [
        _log_evalue(kinds[0][x], kinds[1][x]) for x in sorted(kinds[0].keys() & kinds[1].keys())
    ]
    known = [x for x in found if x is not None]
    return float(logsumexp(known)) - math.log(len(known)) if known else None


def _log_evalue(a: Sequence[Coins], b: Sequence[Coins]) -> float | None:
    """Log e-value of one kind; None where there are no coins."""
    a, b = _without_copies(a), _without_copies(b)
    table = np.array([[_pair(x, y) for y in b] for x in a])  # (n_a, n_b, n_x)
    if not table.size or not table.any():
        return None
    n = min(table.shape[:2])
    straight = table[np.arange(n), np.arange(n)].sum(axis=0)
    monotone = monotone_log_evalue(table, np.ones(table.shape[:2], dtype=bool))
    single = logsumexp(table.reshape(-1, len(XS)), axis=0) - math.log(
        table.shape[0] * table.shape[1]
    )
    ways = [LOG_STRAIGHT + straight, LOG_MONOTONE + monotone, LOG_SINGLE + single]
    return float(logsumexp(np.stack(ways))) - math.log(len(XS))


def _pair(a: Coins, b: Coins) -> Doubles:
    """Log e-values of two matrices; of other lengths they have no gap in common."""
    is_one_length = len(a[0]) == len(b[0]) and len(a[1]) == len(b[1])
    return coin_log_evalues(a, b) if is_one_length else np.zeros(len(XS))


def _without_copies(coins: Sequence[Coins]) -> list[Coins]:
    """The first of each set of matrices whose spectra agree inside one model."""
    kept: list[Coins] = []
    for x in coins:
        if all(len(x[0]) != len(y[0]) or agreement(x[0], y[0]) < COPY_SIGMAS for y in kept):
            kept.append(x)
    return kept


def _of_units(side: Side) -> Spectra:
    """Spectra of gate, up and down of each block; empty where hidden units are not known."""
    tables = tables_of(side.model, side.anatomy)
    is_centred = tables is not None and tables.is_centred
    found: Spectra = defaultdict(list)
    for axis in sorted(side.axes("units"), key=lambda x: (x.stack, x.block, x.name)):
        for place in view_places(side.model, axis):
            if place.role not in UNIT_ROLES or len(found[place.role]) == MAX_MATRICES:
                continue
            if not _fits(side.model.tensors[place.tensor].shape):
                continue
            rows = unit_rows_of(side.model, place, 0, axis.n_units)
            if rows is None or not np.isfinite(rows).all():
                continue
            if place.role != "mlp.down":
                rows = rows * gain_before(side.model, axis.stack, place)
            if is_centred:
                rows = rows - rows.mean(axis=1, keepdims=True)
            x = rows if place.role == "mlp.gate" else unit_rows(rows)
            found[place.role].append(gap_coins(singular_values(x)))
    return {role: coins for role, coins in found.items() if coins}


def _of_shapes(side: Side, names: Mapping[Shape, Sequence[str]]) -> Spectra:
    """Spectra of the first matrices of each shape, in the order of their names."""
    found: Spectra = {}
    for shape, those in names.items():
        read = (side.model.rows(name) for name in those[:MAX_MATRICES])
        matrices = (x.reshape(x.shape[0], -1) for x in read)
        coins = [gap_coins(singular_values(x)) for x in matrices if np.isfinite(x).all()]
        found[f"{shape[0]} x {shape[1]}"] = coins
    return found


def _shared_shapes(
    a: Mapping[Shape, Sequence[str]], b: Mapping[Shape, Sequence[str]]
) -> list[Shape]:
    """Shapes that both models have, those with most singular values first."""
    worth = {shape: min(len(a[shape]), len(b[shape])) * shape[0] for shape in a.keys() & b.keys()}
    return sorted(worth, key=lambda shape: (-worth[shape], shape))[:MAX_SHAPES]


def _by_shape(side: Side, made: Collection[str]) -> dict[Shape, list[str]]:
    """Names of matrices by their sides, the shorter one first; tables of tokens left out."""
    places = (p for axis in side.anatomy.axes for p in axis.places)
    tables = {p.tensor for p in places if p.role in TABLE_ROLES} | set(made)
    found: dict[Shape, list[str]] = defaultdict(list)
    for name, tensor in sorted(side.model.tensors.items(), key=lambda x: _by_number(x[0])):
        if name not in tables and _fits(tensor.shape) and tensor.dtype.startswith(FLOATS):
            height, width = tensor.shape[0], math.prod(tensor.shape[1:])
            found[min(height, width), max(height, width)].append(name)
    return found


def _fits(shape: Sequence[int]) -> bool:
    if len(shape) < 2:
        return False
    low, high = sorted((shape[0], math.prod(shape[1:])))
    return MIN_SIDE <= low <= MAX_SIDE and low * high <= MAX_ENTRIES and high <= MAX_RATIO * low


def _by_number(name: str) -> list[tuple[int, str]]:
    """A name as its numbers and the texts between them, so that 10 comes behind 9."""
    return [(int(x), "") if x.isdigit() else (-1, x) for x in re.split(r"(\d+)", name)]
