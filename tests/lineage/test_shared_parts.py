"""Claim: a network that models share beside others makes no family of them."""

import numpy as np
import pytest

from tests import models
from weightkin import family_graph
from weightkin.formats import model_from_arrays


def wide(rng, blocks=4):
    """A network of no known architecture, larger than the models beside it."""
    return {
        f"unet.layers.{i}.{name}.weight": rng.standard_normal((128, 96)).astype(np.float32)
        for i in range(blocks)
        for name in ("one", "two")
    }


def named(name, arrays):
    return model_from_arrays(arrays, name=name)


@pytest.mark.parametrize("prefix", ["", "text."])
def test_a_frozen_encoder_joins_neither_pipelines_nor_itself_to_them(rng, prefix):
    encoder = {f"{prefix}{name}": x for name, x in models.base(rng).items()}
    pipelines = [named(f"p{i}", encoder | wide(rng)) for i in range(2)]
    graph = family_graph([*pipelines, named("encoder", encoder)])
    assert sorted(map(len, graph.components)) == [1, 1, 1]
    assert not graph.edges
    said = {x.what: x.data["parts"] for x in graph.skipped if x.code == "shared-part"}
    assert {"p0 and p1", "p0 and encoder"} <= set(said)


def test_a_network_that_is_most_of_a_file_joins_it(rng):
    student, teacher = models.base(rng), models.base(rng)
    both = {f"teacher.{k}": v for k, v in teacher.items()} | student
    graph = family_graph([named("teacher", teacher), named("both", both)])
    assert any({"teacher", "both"} <= set(x) for x in graph.components)


def test_an_average_of_weights_beside_the_moments_of_an_optimiser_joins_its_file(rng):
    average, weights = models.base(rng), models.base(rng)
    both = {f"average.{k}": v for k, v in average.items()} | weights
    for i, x in enumerate(weights.values()):
        both |= {f"optimiser.state.{i}.{n}": 0.1 * x + 1 for n in ("first", "second")}
    graph = family_graph([named("average", average), named("file", both)])
    assert any({"average", "file"} <= set(x) for x in graph.components)
