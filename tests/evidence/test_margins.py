"""Claim: no arrangement that leaves outputs alone passes for shared weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib.framed import Shape, config_of, drawn
from benchmarks.lib.framed_orders import AIMS, lined_up

from weightkin import compare
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.evidence import ladder
from weightkin.evidence.arranged import (
    FEWEST,
    LEAST_ASKED,
    LEAST_FEATURES,
    Level,
    margin_of_orders,
)
from weightkin.evidence.margins import can_be_turned, margin_on, streams_of_kernels
from weightkin.formats import model_from_arrays

SHAPE = Shape(64, 2, 172)
WRITERS = AIMS["kernels that write the stream"]


def net(rng, n=32, n_blocks=3):
    """A residual net of random kernels."""
    arrays = {"conv1.weight": rng.normal(size=(n, 3, 3, 3))}
    norms = ["bn1"]
    for block in range(n_blocks):
        for k in (1, 2):
            arrays[f"layer1.{block}.conv{k}.weight"] = rng.normal(size=(n, n, 3, 3))
            norms.append(f"layer1.{block}.bn{k}")
    for name in norms:
        for last in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{name}.{last}"] = rng.uniform(0.5, 1.5, n)
    arrays |= {"fc.weight": rng.normal(size=(10, n)), "fc.bias": np.zeros(10)}
    return {k: x.astype("f4") for k, x in arrays.items()}


def moved(arrays, rng, share):
    """A child of a net, with some noise."""
    return {
        k: (x + share * x.std() * rng.normal(size=x.shape)).astype("f4") for k, x in arrays.items()
    }


@pytest.mark.parametrize(("n", "seed"), [(24, 1), (32, 0), (32, 1), (64, 0)])
def test_channels_in_the_order_of_another_net_are_aligned_only(monkeypatch, n, seed):
    rng = np.random.default_rng(seed)
    a, b = (model_from_arrays(net(rng, n), name=x) for x in "ab")
    arranged = lined_up(a, b, WRITERS, 0)
    assert compare(a, arranged, seed=0).verdict == "aligned-only"
    monkeypatch.setattr(ladder, "LEAST_MARGIN", 0.0)  # 0.2.0 before the bound on orders
    assert compare(a, arranged, seed=0).verdict == "dependent"


def test_a_net_in_another_order_computes_what_it_did(rng):
    torch = pytest.importorskip("torch")
    from zoo.genealogies.forward import hidden, outputs
    from zoo.genealogies.nets import configuration

    config = configuration("resnet", {"width": 16, "layers": 3}, 0)
    a, b = (model_from_arrays(net(rng, 16), name=x) for x in "ab")
    arranged = lined_up(a, b, AIMS["all kernels"], 0)
    images = torch.from_numpy(rng.normal(size=(4, 3, 8, 8)).astype("f4"))
    said = []
    for model in (a, b, arranged):
        params = {name: torch.from_numpy(model.rows(name)) for name in model.tensors}
        said.append(outputs(params, config, hidden(params, config, images)))
    assert torch.allclose(said[1], said[2], rtol=1e-3, atol=1e-3 * float(said[1].abs().max()))
    assert not torch.allclose(said[0], said[1], rtol=0.1)
    assert (arranged.rows("conv1.weight") != b.rows("conv1.weight")).any()


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_child_of_a_net_stays_far_above_what_orders_reach(rng, share):
    arrays = net(rng)
    models = [model_from_arrays(x, name="m") for x in (arrays, moved(arrays, rng, share))]
    record = compare(*models, seed=0)
    assert (record.verdict, record.basis) == ("dependent", "exact")
    assert record.axes[0].over_arrangement > 1.5


def test_what_has_no_declared_stream_counts_as_turned():
    model = model_from_arrays(drawn(SHAPE, 0), config=config_of(SHAPE))
    side = Side(model, read_anatomy(model))
    without = Side(model, replace(side.anatomy, axes=tuple(side.axes("units"))))
    assert not without.axes("residual")
    cosines = np.full(172, 0.5, dtype=np.float32)
    level = Level(cosines, 0.3, 1.0, 64, 172, 172)
    found = [(axis, level) for axis in side.axes("units")]
    assert margin_on(without, found) == margin_on(side, found) > 0
    assert margin_on(side, [(axis, None) for axis, _ in found]) is None
    kernels = streams_of_kernels(without)
    assert all(can_be_turned(without, x, kernels) for x in without.axes("units"))


def test_channels_of_a_stream_of_kernels_are_only_reordered():
    model = model_from_arrays(drawn(SHAPE, 0), config=config_of(SHAPE))
    side = Side(model, read_anatomy(model))
    (stream,) = side.axes("residual")
    for place in stream.places:
        info = model.tensors[place.tensor]
        if len(info.shape) == 2:
            model.tensors[place.tensor] = replace(info, shape=(*info.shape, 3, 3))
    kernels = streams_of_kernels(side)
    assert not any(can_be_turned(side, x, kernels) for x in side.axes("units"))


def slow_margin(levels):
    """By the definition: for every number of units, the most alike ones, over what orders reach."""
    units = sorted(
        ((float(c), k) for k, x in enumerate(levels) for c in x.cosines), key=lambda x: -x[0]
    )
    n_all, best = sum(x.weight * x.n for x in levels), 0.0
    n = max(x.n_partners for x in levels) * 2
    largest = np.random.default_rng(0).normal(size=(20000, levels[0].n_partners)).max(axis=1).mean()
    least = max(FEWEST, math.ceil(LEAST_ASKED * sum(x.n for x in levels)))
    for count in range(min(least, len(units)), len(units) + 1):
        chosen = units[:count]
        rows = sum(levels[k].weight for _, k in chosen)
        mean = sum(c * levels[k].weight for c, k in chosen) / rows
        spreads = [
            max(1 / (x.n_features - 1), (x.chance / largest) ** 2) * x.weight
            for x in (levels[k] for _, k in chosen)
        ]
        orders = sum(math.log(math.factorial(levels[k].n_ordered)) for k in {k for _, k in chosen})
        f = min(rows / n_all, 1.0)
        ways = math.log(n / f) - 1 - (2 * (1 - f) / f * math.log(1 - f) if f < 1 else 0.0)
        reached = math.sqrt(1 - math.exp(-2 * sum(spreads) / rows * (ways + orders / rows)))
        best = max(best, mean / reached)
    return best


def test_the_margin_over_orders_is_that_of_the_definition(rng):
    sizes = ((20, 0.2, 1.0, 9, 3), (32, 0.1, 2.0, 288, 32), (5, 0.3, 1.0, 27, 3))
    levels = [
        Level(rng.uniform(0.1, 0.9, size), chance, weight, d, 32, 32, n_ordered=m)
        for size, chance, weight, d, m in sizes
    ]
    assert margin_of_orders(levels) == pytest.approx(slow_margin(levels), rel=0.01)
    assert margin_of_orders([replace(levels[0], cosines=np.zeros(0))]) == 0.0


def test_rows_of_a_single_feature_show_nothing():
    alone = Level(np.ones(32), 0.9, 1.0, LEAST_FEATURES - 1, 32, 32, n_ordered=3)
    assert margin_of_orders([alone]) == 0.0


def test_the_best_order_of_random_rows_reaches_less_than_the_bound(rng):
    """Assignment of rows of uniform direction, of both signs, and of what they are seen in."""
    from scipy.optimize import linear_sum_assignment

    for n, d in ((16, 8), (32, 9), (32, 64), (128, 27), (128, 256)):
        x, y = (rng.normal(size=(n, d)) for _ in range(2))
        x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
        features = np.arange(d)
        for _ in range(20):  # in turns
            rows = linear_sum_assignment(-np.abs(x @ y[:, features].T))[1]
            sign = np.sign((x * y[rows][:, features]).sum(axis=1))[:, None]
            features = linear_sum_assignment(-(x.T @ (y[rows] * sign)))[1]
        cosines = np.abs((x * y[rows][:, features]).sum(axis=1))
        others = np.abs(x @ y[rows][:, features].T) - 2 * np.eye(n)
        level = Level(cosines, float(np.median(others.max(axis=1))), 1.0, d, n, n, n_ordered=d)
        assert margin_of_orders([level]) < 1.0
