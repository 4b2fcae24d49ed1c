"""What the steps of one family have in common, and how well a pair agrees with it.

Where one recipe made all members, steps are of one length, and norms, gains and tails grow the same
way in all of them: a pair that fits is a step, and a long one says that something between the two
is not here. In a family of unlike steps the same numbers say little, and their spread says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weightkin.arrays import Doubles, Ints

GROWTH = ("grown", "grown_typical", "norms", "gains", "biases", "tails")  # negated the other way
LEAST = 0.1  # spread of steps that counts as none, in natural logarithms
MOST = 6.0  # deviations and log-odds, at most, either way
PRIOR = 2.0  # steps that a law counts as having seen, of no growth


def steps_apart(far: Doubles) -> dict[str, Doubles]:
    """How much longer each pair is than the edges of the shortest tree over all: ``(n, n)`` each.

    Parameters
    ----------
    far : (n, n) array
        Squared distances, infinite on the diagonal.

    Returns
    -------
    dict of str to (n, n) array
        ``step_typical`` over the median edge, ``step_spread`` of all edges (one number for all).
    """
    logs = np.log(far)
    edges = _shortest(logs)
    spread = np.percentile(edges, 75) - np.percentile(edges, 25)
    typical = logs - np.median(edges)
    np.fill_diagonal(typical, np.nan)
    return {"step_typical": typical, "step_spread": np.full_like(far, spread)}


def _shortest(logs: Doubles) -> Doubles:
    """Lengths of the edges of a shortest tree that spans all members (Prim)."""
    n = len(logs)
    is_in = np.zeros(n, dtype=bool)
    is_in[0] = True
    near = logs[0].copy()
    edges = np.zeros(n - 1)
    for k in range(n - 1):
        near[is_in] = np.inf
        v = int(np.argmin(near))
        edges[k] = near[v]
        is_in[v] = True
        near = np.minimum(near, logs[v])
    return edges


def law_features(
    parents: Ints, children: Ints, features: Mapping[str, Doubles], edges: Doubles
) -> dict[str, Doubles]:
    """How well every pair agrees with the steps that a first posterior favours, without itself.

    Parameters
    ----------
    parents, children : (m,) array
        The candidate pairs.
    features : mapping
        Of the pairs, ``(m,)`` each.
    edges : (n, n) array
        Probabilities of the first posterior.

    Returns
    -------
    dict of str to (m,) array
        NaN where nothing is known.
    """
    weights = edges[parents, children]
    back = _both_ways(parents, children, len(edges))
    found: dict[str, Doubles] = {}
    step = features["step_typical"]
    mean, spread, _ = _others(step, weights, back)
    found["law_step"] = _limited((step - mean) / np.maximum(spread, LEAST))
    found["law_step_spread"] = spread
    for name in GROWTH:
        x = features[name]
        mean, spread, count = _others(x, weights, back)
        square = spread**2 + mean**2
        mean = mean * count / (count + PRIOR)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 2 * x * mean / np.maximum(square - mean**2, 1e-30)
            found[f"law_{name}"] = _limited(ratio)
            found[f"law_{name}_odd"] = _limited((x - mean) / np.sqrt(square - mean**2))
    return found


def _both_ways(parents: Ints, children: Ints, n: int) -> Ints:
    """Place of the reverse of every pair in the list; its own where that is not in it."""
    own = np.arange(len(parents))
    place = np.full((n, n), -1)
    place[parents, children] = own
    back = place[children, parents]
    return np.where(back < 0, own, back)


def _others(x: Doubles, weights: Doubles, back: Ints) -> tuple[Doubles, Doubles, Doubles]:
    """Weighted mean and deviation of all pairs but one and its reverse, and their weight."""
    is_told = np.isfinite(x)
    w = np.where(is_told, weights, 0.0)
    y = np.where(is_told, x, 0.0)
    sums = []
    for term in (w, w * y, w * y * y):
        own = term + np.where(back == np.arange(len(x)), 0.0, term[back])
        sums.append(term.sum() - own)
    count = np.maximum(sums[0], 0.0)
    is_some = count > 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(is_some, sums[1] / count, np.nan)
        square = np.where(is_some, sums[2] / count, np.nan)
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0)), count


def _limited(x: Doubles) -> Doubles:
    limited: Doubles = np.where(np.isfinite(x), np.clip(x, -MOST, MOST), np.nan)
    return limited
