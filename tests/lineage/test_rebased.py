"""Claim: heads in another basis are named wherever kinds are, or said not to be looked at."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.lineage.simulated import CONFIG, base, low_rank_drift
from weightkin import Registry, evasions, family_graph
from weightkin.api.compare import compare
from weightkin.formats import model_from_arrays
from weightkin.report.clues import EVIDENCE_WORDS
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.stand_in import stand_in

REWRITES = {"values": evasions.change_value_basis, "keys": evasions.rotate_queries_keys}
KINDS = {"values": "values-rebased", "keys": "keys-rebased"}


def model(arrays, name="model"):
    return model_from_arrays(arrays, name=name, config=CONFIG)


def rebased(arrays, rng, part):
    return REWRITES[part](arrays, evasions.whole_anatomy(model(arrays)), rng).arrays


def anew(arrays, rng, part):
    other = base(rng)
    words = {"values": ("v_proj", "o_proj"), "keys": ("q_proj", "k_proj")}[part]
    return {k: other[k] if any(x in k for x in words) else x for k, x in arrays.items()}


@pytest.fixture(scope="module")
def root():
    return base(np.random.default_rng(4))


def tuned(arrays, rng):
    """A third of all values changed, mostly along few directions."""
    drift = low_rank_drift(arrays, rng, 0.3)
    return {
        k: np.float32(
            x
            + (drift.get(k, 0.0) + 0.1 * x.std() * rng.normal(size=x.shape))
            * (rng.random(x.shape) < 0.3)
        )
        for k, x in arrays.items()
    }


@pytest.mark.claim
@pytest.mark.parametrize("part", KINDS)
def test_a_family_names_changed_bases_and_attention_made_anew(root, rng, part):
    for how, kind in ((rebased, KINDS[part]), (anew, "fine-tuned")):
        children = {x: tuned(root, rng) for x in ("one", "two")}
        members = {"root": root, **children, "child": tuned(how(root, rng, part), rng)}
        graph = family_graph([model(x, name) for name, x in members.items()])
        (edge,) = (x for x in graph.edges if x.child == "child")
        assert (edge.parent, edge.kind) == ("root", kind)
        assert len(edge.kind_details.get("reinitialised", {}).get("names", ())) == 6 * (how is anew)


@pytest.mark.parametrize("part", KINDS)
@pytest.mark.parametrize("how", [rebased, anew])
def test_sketches_say_that_heads_were_not_looked_at(root, rng, part, how):
    made = [stand_in(take_sketch(model(x), Scheme())) for x in (root, how(root, rng, part))]
    record = compare(*made)
    assert record.verdict == "dependent"
    assert record.kind == ("unknown",)
    assert "reinitialised" not in record.kind_details
    (clue,) = (x for x in record.direction.evidence if x.code == "heads-not-looked-at")
    assert clue.data["n"] == 6
    assert "not known" in EVIDENCE_WORDS[clue.code].format(n=6)


def test_what_cannot_be_another_basis_is_made_anew_on_sketches_too(root, rng):
    other = base(rng)
    words = ("v_proj", "q_proj", "k_proj", "mlp.up_proj")
    made = {k: other[k] if any(x in k for x in words) else x for k, x in root.items()}
    a, b = (stand_in(take_sketch(model(x), Scheme())) for x in (root, made))
    record = compare(a, b)
    names = record.kind_details["reinitialised"]["names"]
    assert sorted({x.split(".")[-2] for x in names}) == ["up_proj", "v_proj"]
    assert record.kind == ("fine-tuned",)


@pytest.mark.claim
def test_a_registry_names_changed_bases(root, rng, tmp_path):
    part = "values"
    members = {"root": root, **{x: tuned(root, rng) for x in ("one", "two")}}
    for name, arrays in {**members, "child": tuned(rebased(root, rng, part), rng)}.items():
        (tmp_path / name).mkdir()
        save_file(arrays, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps(CONFIG))
    registry = Registry(tmp_path / "registry")
    registry.add([tmp_path / name for name in members])
    found = registry.search(tmp_path / "child").relatives
    assert {x.kind for x in found} == {(KINDS[part],)}
    registry.add([tmp_path / "child"])
    (edge,) = registry.trace("child").path
    assert (edge.parent, edge.kind) == ("root", KINDS[part])
