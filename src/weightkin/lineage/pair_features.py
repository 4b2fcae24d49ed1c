"""What speaks for u as a parent of v: numbers that a fitted model weighs, for every candidate pair.

All of them are free of scale (ratios, shares, cosines, ranks) and rest on at most `N_AROUND` other
members, so that they mean the same in families of any size, on models of any size. Triples: for a
relative r, ``at_u`` is the cosine between r and v as seen from u (zero where u lies between the two
or all three part at u), and ``held`` the share of the change from r to u that v holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Bools, Doubles, Ints
from weightkin.lineage.family_law import steps_apart
from weightkin.lineage.member_measures import REPLACED, Measured, distances
from weightkin.lineage.pair_measures import PairMeasures

N_AROUND = 8  # relatives that a pair is looked at with: the nearest to either of the two
FEW = 1e-9  # share below which nothing changed
SOME_ZEROS = 1e-3
MOST_HELD = 3.0


@dataclass(frozen=True)
class Around:
    """Candidate pairs and what every triple with a near relative says; NaN without one.

    ``parents``, ``children``: ``(m,)``; ``relatives``: ``(m, k)``, -1 where there are fewer;
    ``at_u``, ``at_v``, ``held`` (of the change to u, by v), ``held_back`` (of the change to v, by
    u): ``(m, k)``; ``typical_u``, ``typical_v``: cosines in the median of the matrices.
    """

    parents: Ints
    children: Ints
    relatives: Ints
    at_u: Doubles
    at_v: Doubles
    held: Doubles
    held_back: Doubles
    typical_u: Doubles
    typical_v: Doubles


def look_around(measured: Measured, pairs: PairMeasures, far: Doubles) -> Around:
    """Candidate pairs, their nearest relatives, and the geometry of every triple of them."""
    u, v = pairs.parents, pairs.children
    n = measured.n
    near = np.minimum(far[:, u], far[:, v])  # (n, m)
    at = np.arange(len(u))
    near[u, at] = near[v, at] = np.inf
    k = max(1, min(N_AROUND, n - 2))
    r = np.argsort(near, axis=0, kind="stable")[:k].T  # (m, k)
    is_one = np.isfinite(np.take_along_axis(near.T, r, axis=1))
    squares = np.where(measured.apart > REPLACED, np.nan, measured.squares)  # (t, n, n)
    ur, vr = squares[:, u[:, None], r], squares[:, v[:, None], r]  # (t, m, k)
    uv = np.broadcast_to(squares[:, u, v][:, :, None], ur.shape)
    is_told = np.isfinite(ur) & np.isfinite(vr) & np.isfinite(uv) & is_one
    ur, vr, uv = (np.where(is_told, x, 0.0) for x in (ur, vr, uv))
    a, b, c = (x.sum(axis=0) for x in (ur, vr, uv))
    some = is_told.any(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Around(
            parents=u,
            children=v,
            relatives=np.where(some, r, -1),
            at_u=_limited((b - a - c) / 2 / np.sqrt(a * c), 1.0, some),
            at_v=_limited((a - b - c) / 2 / np.sqrt(b * c), 1.0, some),
            held=_limited((a + b - c) / 2 / a, MOST_HELD, some),
            held_back=_limited((a + b - c) / 2 / b, MOST_HELD, some),
            typical_u=_typical(ur, vr, uv, is_told),
            typical_v=_typical(vr, ur, uv, is_told),
        )


def _typical(ur: Doubles, vr: Doubles, uv: Doubles, is_told: Bools) -> Doubles:
    cosines = (vr - ur - uv) / 2 / np.sqrt(ur * uv)
    told = np.where(is_told & np.isfinite(cosines), cosines, np.nan)
    return _limited(_middle(told), 1.0, is_told.any(axis=0))


def _limited(x: Doubles, most: float, is_told: npt.ArrayLike) -> Doubles:
    limited: Doubles = np.where(is_told & np.isfinite(x), np.clip(x, -most, most), np.nan)
    return limited


def _middle(x: Doubles) -> Doubles:
    """Median over the first axis; NaN where there is nothing."""
    is_empty = ~np.isfinite(x).any(axis=0) if len(x) else np.ones(x.shape[1:], dtype=bool)
    filled = np.where(is_empty, 0.0, x) if len(x) else np.zeros((1, *x.shape[1:]))
    middle: Doubles = np.where(is_empty, np.nan, np.nanmedian(filled, axis=0))
    return middle


def _average(x: Doubles) -> Doubles:
    is_told = np.isfinite(x)
    count = is_told.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Doubles = np.where(count > 0, np.where(is_told, x, 0.0).sum(axis=0) / count, np.nan)
    return mean


def pair_features(measured: Measured, pairs: PairMeasures) -> tuple[Around, dict[str, Doubles]]:
    """Every feature of every candidate pair: ``(m,)`` each, NaN where it cannot be told."""
    far = distances(measured)
    around = look_around(measured, pairs, far)
    u, v = pairs.parents, pairs.children
    features = {name: x[u, v] for name, x in _of_members(measured, far).items()}
    features |= _of_pairs(measured, pairs)
    features |= _of_triples(around, far)
    features["held_least_over"] = _over_others(_dense(pairs, measured.n, features["held_least"]))[
        u, v
    ]
    return around, features


def _of_members(measured: Measured, far: Doubles) -> dict[str, Doubles]:
    """Features of all pairs from what is known of members and their distances: ``(n, n)`` each."""
    n = measured.n
    logs = np.log(np.where(np.isinf(far), 1.0, far))
    step = np.sqrt(np.where(np.isinf(far), 1.0, far))
    size = np.log(measured.n_parameters)
    rows = measured.n_rows.astype(np.float64)
    nearest = np.argsort(np.argsort(far, axis=0, kind="stable"), axis=0, kind="stable")
    nearest_back = np.argsort(np.argsort(far, axis=1, kind="stable"), axis=1, kind="stable")
    none = np.where(np.isinf(far), np.nan, logs)
    return {
        "nearer": -_over_others(-none),
        "nearer_back": -_over_others(-none.T).T,
        "place": np.minimum(nearest, N_AROUND).astype(np.float64),
        "place_back": np.minimum(nearest_back, N_AROUND).astype(np.float64),
        "larger": size[None, :] - size[:, None],
        "more_rows": np.sign(rows[None, :] - rows[:, None]),
        "finer": measured.digits[None, :] - measured.digits[:, None],
        "digits": np.broadcast_to(measured.digits[None, :], (n, n)),
        "members": np.full((n, n), float(min(n, N_AROUND + 2))),
        **_growth(measured, step),
        **steps_apart(far),
    }


def _of_pairs(measured: Measured, pairs: PairMeasures) -> dict[str, Doubles]:
    """Features of candidate pairs by themselves and among each other: ``(m,)`` each."""
    u, v = pairs.parents, pairs.children
    sizes = measured.sizes
    is_equal = np.where(np.isnan(pairs.equal), np.nan, pairs.equal == 1)
    equal, rank = _weighed(pairs.equal, sizes), _middle(pairs.rank)
    own = _average(measured.zeros)
    both = _weighed(pairs.zeros_both, sizes)
    kept, had = (np.where(x > SOME_ZEROS, both / np.maximum(x, FEW), 0.0) for x in (own[u], own[v]))

    def back(x: Doubles) -> Doubles:
        return _dense(pairs, measured.n, x).T[u, v]

    def over(x: Doubles) -> Doubles:
        return _over_others(_dense(pairs, measured.n, x))[u, v]

    return {
        "equal_tensors": _average(is_equal),
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
        "grown_typical": _middle(share),
        "grown_sign": _average(signs),
        "norms": _average(logs[:, None, :] - logs[:, :, None]) / step,
        "gains": gains,
        "gain_sign": gain_signs,
        "biases": biases,
        "bias_sign": bias_signs,
        "tails": _middle(tails) / step,
        "tail_sign": _average(np.where(np.isnan(tails) | (tails == 0), np.nan, tails > 0)),
    }  # fmt: skip


def _log_growth(starts: Doubles, step: Doubles) -> tuple[Doubles, Doubles]:
    logs = np.log(starts + 1e-12)
    grown = logs[:, None, :] - logs[:, :, None]
    signs = np.where(np.isnan(grown) | (grown == 0), np.nan, grown > 0)
    return _middle(grown) / step, _average(signs)


def _of_triples(around: Around, far: Doubles) -> dict[str, Doubles]:
    u, v = around.parents, around.children
    closer = np.fmin(np.abs(around.at_u), np.abs(around.at_v))
    is_both = np.isfinite(around.at_u) & np.isfinite(around.at_v)
    is_beside_u = np.abs(around.at_u) < np.abs(around.at_v)
    found: dict[str, Doubles] = {"between": _most(closer)}
    for name, x in (("at_u", around.typical_u), ("at_v", around.typical_v)):
        found |= {
            f"{name}_least": -_most(-x),
            f"{name}_typical": _middle(x.T),
            f"{name}_most": _most(x),
        }
    found["side_u"] = _average(np.where(is_both, is_beside_u, np.nan).T)
    found["beside_v"] = (is_both & ~is_beside_u).sum(axis=1).astype(np.float64)
    found["held_most"], found["held_least"] = _most(around.held), -_most(-around.held)
    found["held_typical"] = _middle(around.held.T)
    for name, end in (("u", u), ("v", v)):
        there = around.relatives >= 0
        near = np.where(there, far[np.maximum(around.relatives, 0), end[:, None]], np.inf)
        first = np.argmin(near, axis=1)[:, None]
        of = {
            "held": around.held,
            "held_back": around.held_back,
            "at_u": around.at_u,
            "at_v": around.at_v,
        }
        found |= {
            f"{key}_near_{name}": np.take_along_axis(x, first, axis=1)[:, 0]
            for key, x in of.items()
        }
        nearest = np.take_along_axis(near, first, axis=1)[:, 0]
        found[f"nearer_than_{name}"] = np.where(
            np.isfinite(nearest),
            np.log(np.where(np.isfinite(nearest), nearest, 1.0) / far[u, v]),
            np.nan,
        )
    return found  # fmt: skip


def _most(x: Doubles) -> Doubles:
    """Largest of each row; NaN where there is nothing."""
    filled = np.where(np.isnan(x), -np.inf, x).max(axis=1)
    most: Doubles = np.where(np.isinf(filled), np.nan, filled)
    return most


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
