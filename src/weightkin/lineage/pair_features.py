"""What speaks for u as a parent of v: numbers that a fitted model weighs, for every candidate pair.

All of them are free of scale (ratios, shares, cosines, ranks) and rest on at most `N_AROUND` other
members, so that they mean the same in families of any size, on models of any size. What a pair and
its relatives show together comes from `triples`, plainly and after whitening.
"""

from __future__ import annotations

import numpy as np

from weightkin.arrays import Doubles, Ints
from weightkin.lineage.family_law import steps_apart
from weightkin.lineage.member_measures import REPLACED, Measured, distances, mean_apart
from weightkin.lineage.missing import average, middle
from weightkin.lineage.pair_measures import PairMeasures
from weightkin.lineage.triples import N_AROUND, Around, look_around, triple_features
from weightkin.lineage.whitening import whitened

FEW = 1e-9  # share below which nothing changed
SOME_ZEROS = 1e-3


def pair_features(measured: Measured, pairs: PairMeasures) -> tuple[Around, dict[str, Doubles]]:
    """Every feature of every candidate pair: ``(m,)`` each, NaN where it cannot be told."""
    n = measured.n
    far = distances(measured)
    white = whitened(measured.corners, far)
    far_white = mean_apart(white[1], np.ones(len(white[1])))
    around = look_around(measured, pairs, far, white)
    u, v = pairs.parents, pairs.children
    size = np.log(measured.n_parameters)
    rows = measured.n_rows.astype(np.float64)
    every = {
        **_nearness(far),
        "larger": size[None, :] - size[:, None],
        "more_rows": np.sign(rows[None, :] - rows[:, None]),
        "finer": measured.digits[None, :] - measured.digits[:, None],
        "digits": np.broadcast_to(measured.digits[None, :], (n, n)),
        "members": np.full((n, n), float(min(n, N_AROUND + 2))),
        **_growth(measured, np.sqrt(np.where(np.isinf(far), 1.0, far))),
        **{f"white_{name}": x for name, x in _nearness(far_white).items()},
        "white_ratio": _logs(far_white) - _logs(far),
    }
    features = {name: x[u, v] for name, x in every.items()}
    features |= _of_pairs(measured, pairs)
    for sort, triples, apart in (("", around.plain, far), ("white_", around.white, far_white)):
        own = triple_features(around, triples, apart)
        over = _over_others(_dense(pairs, n, own["held_least"]))[u, v]
        features |= {sort + name: x for name, x in own.items()} | {f"{sort}held_least_over": over}
    return around, features


def _logs(far: Doubles) -> Doubles:
    """Logarithms, NaN where there is no distance."""
    logs: Doubles = np.log(np.where(np.isinf(far), np.nan, far))
    return logs


def _nearness(far: Doubles) -> dict[str, Doubles]:
    """Features of all pairs from squared distances: ``(n, n)`` each."""
    none = _logs(far)
    nearest = np.argsort(np.argsort(far, axis=0, kind="stable"), axis=0, kind="stable")
    nearest_back = np.argsort(np.argsort(far, axis=1, kind="stable"), axis=1, kind="stable")
    return {
        "nearer": -_over_others(-none),
        "nearer_back": -_over_others(-none.T).T,
        "place": np.minimum(nearest, N_AROUND).astype(np.float64),
        "place_back": np.minimum(nearest_back, N_AROUND).astype(np.float64),
        **steps_apart(far),
    }


def _of_pairs(measured: Measured, pairs: PairMeasures) -> dict[str, Doubles]:
    """Features of candidate pairs by themselves and among each other: ``(m,)`` each."""
    u, v = pairs.parents, pairs.children
    sizes = measured.sizes
    is_equal = np.where(np.isnan(pairs.equal), np.nan, pairs.equal == 1)
    equal, rank = _weighed(pairs.equal, sizes), middle(pairs.rank)
    own = average(measured.zeros)
    both = _weighed(pairs.zeros_both, sizes)
    kept, had = (np.where(x > SOME_ZEROS, both / np.maximum(x, FEW), 0.0) for x in (own[u], own[v]))

    def back(x: Doubles) -> Doubles:
        return _dense(pairs, measured.n, x).T[u, v]

    def over(x: Doubles) -> Doubles:
        return _over_others(_dense(pairs, measured.n, x))[u, v]

    return {
        "equal_tensors": average(is_equal),
        "equal_entries": equal,
        "equal_over": over(equal),
        "shared": pairs.shares,
        "shared_back": back(pairs.shares),
        "shared_over": over(back(pairs.shares)),
        "rank": rank,
        "rank_over": over(-rank),
        "multiples": pairs.multiples,
        "multiples_back": back(pairs.multiples),
        "multiples_over": over(pairs.multiples),
        "shrunk": pairs.shrunk,
        "image": pairs.images,
        "image_back": back(pairs.images),
        "image_over": over(pairs.images),
        "zeros_u": own[u],
        "zeros_v": own[v],
        "zeros_kept": kept,
        "zeros_had": had,
        "zeros_had_over": over(had),
    }


def _dense(pairs: PairMeasures, n: int, x: Doubles) -> Doubles:
    """What is known of pairs as a square, NaN elsewhere."""
    square = np.full((n, n), np.nan)
    square[pairs.parents, pairs.children] = x
    return square


def _growth(measured: Measured, step: Doubles) -> dict[str, Doubles]:
    """How norms, gains, biases and tails grow from u to v, over the way between the two."""
    norms = measured.norms
    grown = norms[:, None, :] - norms[:, :, None]
    is_changed = (measured.apart > FEW) & (measured.apart < REPLACED)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(is_changed, grown / measured.squares, np.nan)
        moved = np.nansum(np.where(np.isnan(grown), 0.0, measured.squares), axis=0)
        total = np.where(is_changed, grown, 0.0).sum(axis=0) / np.maximum(moved, 1e-12)
    signs = np.where(np.isnan(share), np.nan, share > 0)
    tails = measured.tails[:, None, :] - measured.tails[:, :, None]
    logs = np.log(np.maximum(norms, 1e-30))
    gains, gain_signs = _log_growth(measured.gains, step)
    biases, bias_signs = _log_growth(measured.biases, step)
    return {
        "grown": total,
        "grown_typical": middle(share),
        "grown_sign": average(signs),
        "norms": average(logs[:, None, :] - logs[:, :, None]) / step,
        "gains": gains,
        "gain_sign": gain_signs,
        "biases": biases,
        "bias_sign": bias_signs,
        "tails": middle(tails) / step,
        "tail_sign": average(np.where(np.isnan(tails) | (tails == 0), np.nan, tails > 0)),
    }  # fmt: skip


def _log_growth(starts: Doubles, step: Doubles) -> tuple[Doubles, Doubles]:
    logs = np.log(starts + 1e-12)
    grown = logs[:, None, :] - logs[:, :, None]
    signs = np.where(np.isnan(grown) | (grown == 0), np.nan, grown > 0)
    return middle(grown) / step, average(signs)


def _weighed(x: Doubles, sizes: Ints) -> Doubles:
    """Mean over matrices, each as often as it has entries."""
    weights = sizes.reshape(-1, *(1,) * (x.ndim - 1)) * np.isfinite(x)
    total = weights.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Doubles = np.where(
            total > 0, (weights * np.nan_to_num(x)).sum(axis=0) / total, np.nan
        )
    return mean


def _over_others(x: Doubles) -> Doubles:
    """By how much each row is over the best other row of its column."""
    n = len(x)
    own = np.where(np.isnan(x), -np.inf, x)
    np.fill_diagonal(own, -np.inf)
    if n < 3:
        return np.full((n, n), np.nan)
    ordered = np.sort(own, axis=0)
    best = np.where(own >= ordered[-1], ordered[-2], ordered[-1])
    with np.errstate(invalid="ignore"):
        over = own - best
    return np.where(np.isfinite(over), over, np.nan)
