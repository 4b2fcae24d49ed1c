"""Claim: what turning and reordering can reach is known, and relatives lie above it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib.framed import AIMS, Shape, config_of, drawn, framed, relative

from weightkin import compare
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.arranged import (
    LEAST_MARGIN,
    Level,
    Seen,
    can_be_turned,
    level_of,
    margin_of,
    turned_tensors,
)
from weightkin.formats import model_from_arrays

SHAPE = Shape(64, 2, 172)


def axis_of(n, kind, head_size=0):
    return Axis("mlp", kind, "decoder", 0, n, "", "", (), head_size=head_size)


def slow_margin(levels):
    """By the definition: of every number of units, the most alike ones, over what reaches them."""
    units = sorted(((c, x.weight) for x in levels for c in x.cosines), reverse=True)
    found, chance = [0.0], float(np.median([x.chance for x in levels]))
    for k in range(1, len(units) + 1):
        n_rows = sum(weight for _, weight in units[:k])
        mean = sum(c * weight for c, weight in units[:k]) / n_rows
        turn, inside = (levels[0].n_features / n_rows) ** 0.5, levels[0].inside
        found.append(mean / (0.78 * (turn + inside) if inside else (turn**2 + chance**2) ** 0.5))
    return max(found)


@pytest.mark.parametrize("inside", [0.0, 0.3])
def test_the_margin_is_that_of_the_definition(inside, rng):
    for n in (1, 2, 7):
        levels = [
            Level(rng.random(9), 0.1 + 0.3 * rng.random(), 1 + 9 * rng.random(), 64, inside)
            for _ in range(n)
        ]
        assert margin_of(levels) == pytest.approx(slow_margin(levels))
    assert margin_of([]) == 0.0
    assert margin_of([Level(np.zeros(0), 0.0, 1.0, 64)]) == 0.0


def test_a_level_is_that_of_the_view_that_clones_and_splits_cannot_set():
    a, ones, few = axis_of(8, kind="units"), np.ones(4), np.full(2, 0.5)
    views = {"mlp.up": Seen(ones, 4, 0.3, 16), "mlp.gate": Seen(few, 4, 0.4, 16)}
    level = level_of(a, a, views)
    assert (level.cosines is few, level.chance, level.weight) == (True, 0.4, 2.0)
    del views["mlp.gate"]
    assert level_of(a, a, views).cosines is ones
    values = {"attn.v": Seen(ones, 4, 0.3, 16), "attn.o": Seen(few, 4, 0.2, 16)}
    heads = axis_of(8, kind="vo", head_size=4)
    level = level_of(heads, heads, values)
    assert (level.cosines is few, level.weight, level.inside) == (True, 4.0, (4 / 32) ** 0.5)
    whole = level_of(
        axis_of(2, "heads", 4), axis_of(2, "heads", 4), {"attn.o": Seen(few, 2, 0, 64)}
    )
    assert (whole.weight, whole.n_features, whole.inside) == (4.0, 16, 0.5)


@pytest.mark.parametrize("made", ["gates", "gates and ups", "gates of one block"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_framed_unrelated_model_lines_up_and_is_not_dependent(made, seed):
    config = config_of(SHAPE)
    reference = model_from_arrays(drawn(SHAPE, seed), config=config)
    innocent = model_from_arrays(drawn(SHAPE, seed + 100), config=config)
    record = compare(reference, framed(innocent, reference, AIMS[made]), seed=0)
    units = next(x for x in record.axes if x.axis == "units")
    assert units.log10_pvalue < -20  # its units do line up
    assert units.over_arrangement < 1.05
    assert record.verdict == "aligned-only"
    assert record.summary.sentence


@pytest.mark.parametrize("made", ["cosine 0.9", "cosine 0.7", "half of an unrelated model"])
def test_a_relative_of_the_same_shape_is_above_what_framing_reaches(made):
    config = config_of(SHAPE)
    reference = model_from_arrays(drawn(SHAPE, 0), config=config)
    child = model_from_arrays(relative(SHAPE, 0, made), config=config)
    record = compare(reference, child, seed=0)
    assert (record.verdict, record.basis) == ("dependent", "exact")
    units = next(x for x in record.axes if x.axis == "units")
    assert units.over_arrangement > 1.25 > LEAST_MARGIN


def test_only_what_reads_a_stream_of_matrices_can_be_turned():
    model = model_from_arrays(drawn(SHAPE, 0), config=config_of(SHAPE))
    side = Side(model, read_anatomy(model))
    assert all(can_be_turned(x, turned_tensors(side)) for x in side.axes("units"))
    without = replace(side.anatomy, axes=tuple(side.axes("units")))
    assert not turned_tensors(Side(model, without))
    (stream,) = side.axes("residual")
    for place in stream.places:  # kernels: channels that are only reordered
        shape = model.tensors[place.tensor].shape
        if len(shape) == 2:
            info = replace(model.tensors[place.tensor], shape=(*shape, 3, 3))
            model.tensors[place.tensor] = info
    assert not any(can_be_turned(x, turned_tensors(side)) for x in side.axes("units"))


def test_one_rotation_serves_many_rows_less_than_few(rng):
    """The bound on the mean cosine of Procrustes between N random rows: sqrt(d / N)."""
    d = 48
    for n in (48, 96, 480, 1920):
        x, y = (rng.normal(size=(n, d)) for _ in range(2))
        x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
        u, s, v = np.linalg.svd(x.T @ y)
        reached = ((x @ (u @ v)) * y).sum(axis=1).mean()
        assert reached == pytest.approx(s.sum() / n)
        assert 0.7 * (d / n) ** 0.5 < reached < min(1.0, (d / n) ** 0.5)
