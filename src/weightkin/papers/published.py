"""The first paper's own tests on whole models: PERMTEST with phi_l2, its closed form, and phi_U.

They read every byte. Listed for whoever reproduces the paper, never behind a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.block_pairs import block_name, pair_axes
from weightkin.records import Effect, Skipped, Test, left_out
from weightkin.records.evidence import Null
from weightkin.stats.matching import unit_rows
from weightkin.stats.published import (
    InvariantStatistic,
    fisher,
    match,
    perm_test,
    spearman,
    spearman_monte_carlo,
    trace_z,
)

Relabelling = dict[str, Ints]  # labels of an axis to a permutation of its units

NO_EFFECT = Effect(observed=0.0, chance=0.0, ratio=0.0, agreement=0.0)


def published_tests(
    a: Side, b: Side, *, n_draws: int, seed: int
) -> tuple[tuple[Test, ...], tuple[Skipped, ...]]:
    """phi_l2 by PERMTEST with ``n_draws`` relabellings of a, trace z and phi_U for every block.

    Null hypothesis: the weights of a keep their law when the residual width and the hidden units of
    every block are relabelled. Models of different shapes are listed as skipped.

    Parameters
    ----------
    a, b : Side
        The two models.
    n_draws : int
        Relabellings, of a in PERMTEST and of the units in phi_U.
    seed : int
        Draws them.

    Returns
    -------
    tuple of Test
        Empty where shapes differ.
    tuple of Skipped
        What was not tested.
    """
    shapes_a = {name: info.shape for name, info in a.model.tensors.items()}
    shapes_b = {name: info.shape for name, info in b.model.tensors.items()}
    if shapes_a != shapes_b:
        return (), (left_out("phi_l2, phi_U", "shapes-differ"),)
    rng = np.random.default_rng([seed, 1])
    tests: list[Test] = []
    skipped: list[Skipped] = []
    try:
        tests.append(_phi_l2(a, b, n_draws, rng))
    except InvariantStatistic as error:
        skipped.append(left_out("phi_l2", "cannot-run", error=str(error)))
    blocks = [pair for pair in pair_axes(a.axes("units"), b.axes("units"), {}) if _is_mlp(pair[0])]
    for axis_a, axis_b in blocks:
        tests.append(_trace(a, b, axis_a, axis_b))
    tests += _phi_u(a, b, blocks, n_draws, rng)
    return tuple(tests), tuple(skipped)


def phi_l2(a: Side, b: Side, relabelling: Relabelling | None = None) -> float:
    """Minus the sum over parameters of the l2 distance.

    Parameters
    ----------
    a, b : Side
        Two models of equal names and shapes.
    relabelling : dict of (n_units,) arrays, optional
        Permutation of a by the labels of an axis; None: as it is.

    Returns
    -------
    float
        At most 0.
    """
    places = _places_by_tensor(a)
    total = 0.0
    for name in a.model.tensors:
        x, y = a.model.rows(name), b.model.rows(name)
        x = relabelled(x, places.get(name, ()), relabelling or {})
        total += math.sqrt(float(np.sum((x - y).astype(np.float64) ** 2)))
    return -total


def relabelled(x: Floats, places: Sequence[tuple[Axis, Place]], relabelling: Relabelling) -> Floats:
    """Permute every place of a tensor whose axis is relabelled.

    Parameters
    ----------
    x : array
        The values of one tensor.
    places : sequence of (Axis, Place)
        Where axes lie in it.
    relabelling : dict of (n_units,) arrays
        Permutation by the labels of an axis; others stay as they are.

    Returns
    -------
    array
        Of the shape of ``x``; ``x`` itself where no axis is relabelled.
    """
    for axis, place in places:
        permutation = relabelling.get(axis.labels)
        if permutation is None:
            continue
        dim = place.dim + (place.index is not None)
        target = [slice(None)] * x.ndim
        target[dim] = slice(place.start, place.start + place.size)
        if place.index is not None:
            target[0] = slice(place.index, place.index + 1)
        x = x.copy()
        x[tuple(target)] = np.take(x[tuple(target)], permutation, axis=dim)
    return x


def _phi_l2(a: Side, b: Side, n_draws: int, rng: np.random.Generator) -> Test:
    """PERMTEST: Pi relabels the residual width and the hidden units of every block separately."""
    axes = [x for x in a.anatomy.axes if x.kind == "residual" or (x.kind == "units" and _is_mlp(x))]

    def statistic(draw: np.random.Generator | None) -> float:
        identity = {axis.labels: np.arange(axis.n_units) for axis in axes}
        if draw is None:
            return phi_l2(a, b, identity)
        return phi_l2(a, b, {labels: draw.permutation(own) for labels, own in identity.items()})

    found = perm_test(statistic, n_draws=n_draws, rng=rng)
    n = sum(axis.n_units for axis in axes)
    return _test("phi_l2", "all", n, found.observed, found.log10_pvalue, "monte-carlo")


def _trace(a: Side, b: Side, axis_a: Axis, axis_b: Axis) -> Test:
    """Closed form of PERMTEST for the squared l2 of one block."""
    similarity = np.zeros((axis_a.n_units, axis_b.n_units))
    for place_a, place_b in zip(axis_a.places, axis_b.places, strict=True):
        x, y = _units(a, place_a), _units(b, place_b)
        similarity += np.asarray(x, np.float64) @ np.asarray(y, np.float64).T
    z = trace_z(similarity)
    bound = -math.log10(1.0 + z * z) if z > 0 else 0.0
    return _test("phi_l2_squared_z", block_name(axis_a), axis_a.n_units, z, bound, "bound")


def _phi_u(
    a: Side,
    b: Side,
    blocks: Sequence[tuple[Axis, Axis]],
    n_draws: int,
    rng: np.random.Generator,
) -> Iterator[Test]:
    """MATCH on the up-projections, SPEARMAN against the identity, FISHER over blocks."""
    logs = []
    for axis_a, axis_b in blocks:
        up_a, up_b = _up(axis_a), _up(axis_b)
        if up_a is None or up_b is None:
            continue
        x, y = _units(a, up_a), _units(b, up_b)
        n = len(x)
        matched = match(x, y, rng)
        r, log10_p = spearman(matched, np.arange(n))
        logs.append(log10_p)
        name = block_name(axis_a)
        found = _test("phi_U", name, n, r, log10_p, "asymptotic")
        yield replace(found, effect=_effect(x, y, matched))
        exact = spearman_monte_carlo(r, n, n_draws=n_draws, rng=rng)
        yield _test("phi_U_monte_carlo", name, n, r, exact, "monte-carlo")
    if logs:
        statistic = -2 * math.log(10.0) * sum(logs)
        yield _test("phi_U_fisher", "all", len(logs), statistic, fisher(logs), "asymptotic")


def _effect(x: Floats, y: Floats, matched: Ints) -> Effect:
    cosine = np.einsum("ij,ij->i", unit_rows(x), unit_rows(y)[matched])
    own = float(np.mean(matched == np.arange(len(matched))))
    seen = float(np.median(cosine))
    return Effect(observed=round(seen, 6), chance=0.0, ratio=0.0, agreement=round(own, 4))


def _test(
    name: str,
    block: str,
    n: int,
    statistic: float,
    log10_p: float,
    null: Null,
) -> Test:
    return Test(
        name=name,
        axis="units" if name != "phi_l2" else "units and residual",
        trusts="a",
        block_a=block,
        block_b=block,
        n_units=n,
        statistic=float(statistic),
        log10_pvalue=float(log10_p),
        null=null,
        effect=NO_EFFECT,
    )


def _is_mlp(axis: Axis) -> bool:
    return any(place.role.startswith("mlp.") for place in axis.places)


def _up(axis: Axis) -> Place | None:
    return next((p for p in axis.places if p.role in ("mlp.up", "mlp.in0")), None)


def _units(side: Side, place: Place) -> Floats:
    """One row a unit: the whole of one place."""
    x = side.model.rows(place.tensor)
    x = x if place.index is None else x[place.index]
    x = np.moveaxis(x, place.dim, 0)[place.start : place.start + place.size]
    return np.ascontiguousarray(x.reshape(len(x), -1))


def _places_by_tensor(side: Side) -> dict[str, list[tuple[Axis, Place]]]:
    places: dict[str, list[tuple[Axis, Place]]] = {}
    for axis in side.anatomy.axes:
        for place in axis.places:
            places.setdefault(place.tensor, []).append((axis, place))
    return places
