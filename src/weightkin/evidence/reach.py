"""What the tests of a pair could have shown at best, and how much of the models they reach."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from weightkin.anatomy.side import Side, tested_as, tested_places
from weightkin.anatomy.types import Anatomy, Axis, AxisKind
from weightkin.evidence.ladder import LADDER, StagesRun
from weightkin.evidence.pair_tester import Tested
from weightkin.evidence.pairs import LOG10, ViewTest
from weightkin.evidence.stacks import OTHER_STACKS as OTHER
from weightkin.evidence.stacks import OtherStacks
from weightkin.evidence.stage import Stage
from weightkin.evidence.windows import window_of
from weightkin.formats import Model
from weightkin.sketch.stand_in import smaller_of
from weightkin.sketch.types import Sketch
from weightkin.stats import order, signs
from weightkin.stats.coincidences import Z_GRID, log_moments, mix_log_evalue
from weightkin.stats.combining import LOG_STRAIGHT, Grid, average, product
from weightkin.stats.sums import logsumexp

AxisOf = tuple[AxisKind, str]  # of one stack
_Piece = tuple[int, int, int, int | None]  # dimension, start, size, expert


def smallest_log10_pvalue(stages: Sequence[Stage], other: OtherStacks) -> float:
    """Log10 p of the whole ladder had every unit that was looked at coincided, every coin agreed.

    Above alpha, a large p-value says nothing about the models.
    """
    best = _ladder(stages)
    elsewhere = [x for p in other.tested for x in _ladder(p.ran.stages)]
    if elsewhere:
        best.append(
            float(logsumexp(elsewhere)) + math.log(LADDER[OTHER]) - math.log(other.n_pairings)
        )
    return min(0.0, -float(logsumexp(best)) / LOG10) if best else 0.0


def _ladder(stages: Sequence[Stage]) -> list[float]:
    return [
        _best(stage) + math.log(LADDER[stage.name])
        for stage in stages
        if stage.tests and stage.name != OTHER
    ]


def tested_shares(a: Side, b: Side, ran: StagesRun, other: OtherStacks) -> dict[str, float]:
    """Share of each tensor of the smaller model on axes that were tested, sampled or not.

    Of the residual width only tables of tokens, patches and positions count.

    Parameters
    ----------
    a, b : Side
        The two models.
    ran : StagesRun
        What the ladder tested.
    other : OtherStacks
        What was tested of stacks under other names.

    Returns
    -------
    dict of str to float
        By tensor, between 0 and 1; a tensor that lies on none is left out.
    """
    is_b = smaller_of((a.model, b.model))
    tested = {(tested_as(pair[is_b]), pair[is_b].stack) for pair in _pairs(ran)}
    for pairing in other.tested:
        tested |= {(tested_as(pair[is_b]), pairing.names[is_b]) for pair in _pairs(pairing.ran)}
    side = (a, b)[is_b]
    shapes = {name: info.shape for name, info in side.model.tensors.items()}
    return _reached(side.anatomy, shapes, tested)


def tested_share(model: Model, shares: Mapping[str, float]) -> float:
    """Share of the parameters of a model on tested axes, from that of each of its tensors."""
    sizes = {name: math.prod(info.shape) for name, info in model.tensors.items()}
    total = sum(sizes[name] * share for name, share in shares.items())
    return min(1.0, total / max(1, sum(sizes.values())))


def declared_share(model: Model, anatomy: Anatomy) -> float:
    """Share of the parameters of a model on axes that a test could use."""
    shapes = {name: info.shape for name, info in model.tensors.items()}
    return tested_share(model, _reached(anatomy, shapes, axes_of(anatomy)))


LEAST_TESTED = 0.5  # share of the parameters of a model


def axes_of(anatomy: Anatomy) -> frozenset[AxisOf]:
    """Kind and stack of everything of a model that a test could use."""
    return frozenset((tested_as(axis), axis.stack) for axis in anatomy.axes)


def reachable_share(sketch: Sketch, axes: Collection[AxisOf] | None = None) -> float:
    """Share of what a sketch holds that lies on some of its axes; on any, without these."""
    among = axes_of(sketch.anatomy) if axes is None else axes
    shapes = {
        t.stored_name: (t.n_run, len(t.columns)) if len(t.shape) > 1 else (t.n_run,)
        for t in sketch.as_stored.values()
    }
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    reached = _reached(sketch.anatomy, shapes, among)
    total = sum(sizes[name] * share for name, share in reached.items())
    return min(1.0, total / max(1, sum(sizes.values())))


def _pairs(ran: StagesRun) -> Iterator[tuple[Axis, Axis]]:
    yield from ((t.a, t.b) for stage in ran.stages for t in stage.tested)
    yield from ((m.a, m.b) for m in ran.matches)


def _best(stage: Stage) -> float:
    if not stage.tested:  # signs
        n = sum(t.n_units for t in stage.tests)
        return signs.log_evalue(n, n)
    groups: dict[str, list[Grid]] = defaultdict(list)
    for t in stage.tested:
        groups[t.a.labels].append(average([_best_view(t, test) for test in t.evidence.tests]))
    return LOG_STRAIGHT + mix_log_evalue(product(list(groups.values())))


def _best_view(tested: Tested, test: ViewTest) -> Grid:
    n = test.n_units
    if test.name == "order":
        return np.full(len(Z_GRID), order.log_evalue(n, n))
    window = window_of(tested.a, tested.b)
    if window and tested.a.kind == "units":
        return np.asarray(n * np.log(Z_GRID) - n / window * log_moments(window))
    n_windows = n / window if window else 1
    return np.asarray(n * np.log(Z_GRID) - n_windows * (Z_GRID - 1.0))


def _reached(
    anatomy: Anatomy, shapes: Mapping[str, tuple[int, ...]], tested: Collection[AxisOf]
) -> dict[str, float]:
    """Share of every tensor that lies on tested axes."""
    found: dict[str, set[_Piece]] = defaultdict(set)
    for axis in anatomy.axes:
        if (tested_as(axis), axis.stack) in tested:
            for tensor, piece in _pieces(axis):
                found[tensor].add(piece)
    reached = {}
    for tensor, pieces in found.items():
        shape = shapes[tensor]
        shares = []
        for dim, _, size, index in pieces:
            length = shape[dim if index is None else dim + 1]
            shares.append(size / max(1, length) / (1 if index is None else shape[0]))
        reached[tensor] = min(1.0, sum(shares))
    return reached


def _pieces(axis: Axis) -> Iterator[tuple[str, _Piece]]:
    for place in tested_places(axis):
        yield place.tensor, (place.dim, place.start, place.size, place.index)
