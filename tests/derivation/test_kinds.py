"""Claim: two models alone show how one was made from the other, with the right numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.derivation.families import TRUTH, edges, sketch
from weightkin.derivation.disguise import Disguise
from weightkin.derivation.kinds import KnownPair, kind_of
from weightkin.formats import model_from_arrays, open_model
from weightkin.sketch import Scheme, take_sketch

EDGES = list(edges())
SAMPLED = [e for e in EDGES if e[0].startswith("llama-a") and e[2] != "fine-tuned"]
PEFT_NAMES = {"query": "q_proj", "value": "v_proj"}  # how a ViT's layers are called in memory


@pytest.mark.claim
@pytest.mark.parametrize(("parent", "child", "kind"), EDGES, ids=[e[1] for e in EDGES])
def test_every_edge_of_the_zoo_has_its_kind_and_numbers(zoo, parent, child, kind):
    derived = kind_of(sketch(parent), sketch(child), KnownPair(is_other_file=kind == "header-only"))
    assert derived.kind == (kind,)
    assert derived.parent in ("a", "undetermined")
    check_details(derived.details, TRUTH[child]["kind_details"], kind, child)
    assert None not in derived.details.values()  # a record leaves them out: it would differ


def check_details(found, truth, kind, child):
    if kind == "cast":
        assert found["dtype"] == truth["dtype"]
    if kind == "quantised":
        assert (found["bits"], found.get("group")) == (truth["bits"], truth["group"])
        assert found["scheme"] == "symmetric"
    if kind == "magnitude-pruned":
        assert found["share"] == pytest.approx(truth["share"], abs=0.01)
    if kind == "depth-pruned":
        assert found["kept_layers"] == truth["kept_layers"]
    if kind == "width-pruned":
        assert found["n_units"] == truth["n_units"]
        assert found["kept_units"] == truth["kept_units"]
    if kind == "vocab-extended":
        assert found["n_rows"] == truth["n_rows"]
    if kind == "upcycled":
        assert found["n_experts"] == truth["n_experts"]
    if kind == "noise":
        assert found["share"] == pytest.approx(truth["share"], rel=0.05)
    if kind == "lora":
        assert found["rank"] == truth["rank"]
        modules = {PEFT_NAMES.get(m, m) for m in found["modules"]}
        assert modules == set(truth["modules"])
    if kind == "stacked":
        assert found["layers"] == sum(truth["layers"], [])
    if "reinitialised" in truth:
        tensors = sketch(child).tensors.values()
        fresh = {t.stored_name for t in tensors if re.match(truth["reinitialised"], t.stored_name)}
        matrices = {t.stored_name for t in tensors if len(t.shape) > 1}
        assert set(found["reinitialised"]["names"]) == fresh & matrices


@pytest.mark.parametrize(("parent", "child", "kind"), SAMPLED, ids=[e[1] for e in SAMPLED])
def test_a_small_sample_shows_the_same_kind(zoo, parent, child, kind):
    scheme = Scheme()
    derived = kind_of(
        sketch(parent, scheme),
        sketch(child, scheme),
        KnownPair(is_other_file=kind == "header-only"),
    )
    is_same = kind in ("identical", "header-only")  # what a sample cannot tell apart
    assert derived.kind == (("equal-on-sample",) if is_same else (kind,))
    assert derived.parent in ("a", "undetermined")


@pytest.mark.parametrize("child", ["llama-a-int4", "llama-a-ft1", "llama-a-width", "hybrid-ab"])
def test_swapping_the_models_changes_nothing_but_the_names(zoo, child):
    forward = kind_of(sketch("llama-a"), sketch(child))
    backward = kind_of(sketch(child), sketch("llama-a"))
    assert forward.kind == backward.kind
    assert forward.probability == backward.probability
    swapped = {"a": "b", "b": "a", "undetermined": "undetermined"}
    assert backward.parent == swapped[forward.parent]
    for key in ("typical_distance", "bits", "group", "n_units", "share_equal"):
        assert forward.details.get(key) == backward.details.get(key)


def test_one_initialisation_trained_twice_is_unknown(zoo):
    assert kind_of(sketch("llama-c"), sketch("llama-c-twin")).kind == ("unknown",)


def test_what_was_undone_names_the_kind(zoo):
    derived = kind_of(
        sketch("llama-a"),
        sketch("llama-a-sorted"),
        KnownPair(disguise=Disguise(("permuted",), {}, {})),
    )
    assert derived.kind == ("permuted",)


def test_changes_as_small_as_rounding_are_no_adapter(zoo):
    path = zoo / TRUTH["llama-a-bf16"]["path"]
    before = load_file(path / "model.safetensors")
    after = dict(before)
    for name in [n for n in before if "_proj" in n]:
        size = np.abs(before[name].astype(np.float32))
        steps = (size < np.quantile(size, 0.6)).astype(np.uint16)  # in the last place
        after[name] = (before[name].view(np.uint16) + steps).view(before[name].dtype)
    name = next(n for n in before if "q_proj" in n)
    x = before[name]
    after[name] = x + np.full(x.shape, x.std() / 2, x.dtype)
    config = open_model(path).config
    a, b = (take_sketch(model_from_arrays(x, config=config)) for x in (before, after))
    assert kind_of(a, b).kind == ("fine-tuned",)
