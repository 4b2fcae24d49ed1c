"""Claim: a changed copy under another prefix has the kind and direction of the two networks."""

import json

import pytest
from safetensors.numpy import load_file

from tests import models
from weightkin.api.compare import compare
from weightkin.formats import model_from_arrays
from weightkin.report.comparison import comparison_lines

CHANGED = ("models/llama-a-ft1", "derived/llama-a-bf16", "derived/llama-a-rotated")


@pytest.fixture(scope="module")
def read(zoo):
    return lambda path: load_file(zoo / path / "model.safetensors")


@pytest.fixture(scope="module")
def model(zoo):
    config = json.loads((zoo / "models/llama-a/config.json").read_text())
    return lambda arrays: model_from_arrays(arrays, name="m", config=config)


def under(prefix, arrays):
    return {prefix + name: x for name, x in arrays.items()}


@pytest.mark.claim
@pytest.mark.parametrize("path", CHANGED)
def test_a_changed_copy_beside_another_network_has_the_kind_of_the_two(read, model, path):
    parent, child, other = (read(x) for x in ("models/llama-a", path, "models/llama-b"))
    alone = compare(model(parent), model(child))
    beside = model(under("teacher.", child) | under("", other))
    found = compare(beside, model(parent))
    assert found.verdict == "dependent"
    assert found.kind == alone.kind
    turned = {"a": "b", "b": "a"}.get(alone.direction.parent, "undetermined")
    assert found.direction.parent == turned
    numbers = {k: v for k, v in found.kind_details.items() if k != "stacks"}
    assert numbers.keys() == alone.kind_details.keys()
    for key in ("typical_distance", "dtype"):
        assert numbers.get(key) == alone.kind_details.get(key)
    assert "  in          teacher.decoder of a and decoder of b" in comparison_lines(found)


@pytest.mark.claim
def test_networks_that_are_little_of_both_files_are_a_shared_part(rng):
    def file(**networks):
        arrays = {f"{name}.{k}": x for name, own in networks.items() for k, x in own.items()}
        return model_from_arrays(arrays, config=models.CONFIG)

    one, *others = (models.base(rng) for _ in range(5))
    two = file(x=others[2], y=models.child(one, rng), z=others[3])
    found = compare(file(p=one, q=others[0], r=others[1]), two)
    assert found.verdict == "dependent"
    assert found.kind == ("shared-part",)
    assert found.direction.parent == "undetermined"
    assert found.kind_details["stacks"] == {"a": "p.decoder", "b": "y.decoder"}
