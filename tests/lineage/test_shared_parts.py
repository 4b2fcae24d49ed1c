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
    (edge,) = graph.edges
    assert (edge.parent, edge.child, edge.kind) == ("teacher", "both", "part")
    assert edge.direction == "undetermined"
    assert len(graph.nodes) == 2


def test_a_family_and_files_that_hold_a_member_of_it_are_one_tree(rng):
    base, other = models.base(rng), models.base(rng)
    tuned = [models.child(base, rng) for _ in range(2)]
    beside = {f"x.{k}": v for k, v in base.items()} | {f"y.{k}": v for k, v in other.items()}
    further = {f"x.{k}": v for k, v in models.child(base, rng).items()}
    further |= {f"y.{k}": v for k, v in models.child(other, rng).items()}
    members = {"base": base, "one": tuned[0], "two": tuned[1]}
    alone = family_graph([named(*x) for x in members.items()])
    members |= {"beside": beside, "further": further}
    graph = family_graph([named(*x) for x in members.items()])
    assert [sorted(x) for x in graph.components] == [sorted(members)]
    found = {frozenset((e.parent, e.child)): e.kind for e in graph.edges}
    assert found[frozenset(("base", "beside"))] == "part"
    assert "unknown" not in found.values()
    assert {k: v for k, v in found.items() if k <= {"base", "one", "two"}} == {
        frozenset((e.parent, e.child)): e.kind for e in alone.edges
    }


def test_an_average_of_weights_beside_the_moments_of_an_optimiser_joins_its_file(rng):
    average, weights = models.base(rng), models.base(rng)
    both = {f"average.{k}": v for k, v in average.items()} | weights
    for i, x in enumerate(weights.values()):
        both |= {f"optimiser.state.{i}.{n}": 0.1 * x + 1 for n in ("first", "second")}
    graph = family_graph([named("average", average), named("file", both)])
    assert any({"average", "file"} <= set(x) for x in graph.components)
