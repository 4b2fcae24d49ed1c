"""Claim: what is handed over is valid, the same every time, and claims no parent without proof."""

import json
from dataclasses import replace

import pytest
import yaml

from tests.report.test_graph_formats import SYNTAX
from tests.report.test_tree import HOSTILE
from weightkin.records import Comparison, Direction, Effect, ModelRef, clue
from weightkin.records.comparison import Summary
from weightkin.records.registry import DeclaredParent, Registered, Relative, Search, Step, Trace
from weightkin.report.cyclonedx import cyclonedx
from weightkin.report.in_toto import PREDICATE, STATEMENT, in_toto
from weightkin.report.model_card import model_card
from weightkin.report.parentage import of_comparison, of_trace

HEX = "0123456789abcdef" * 4
EFFECT = Effect(observed=0.98, chance=0.4, ratio=2.4, agreement=0.9)


def registered(number, name, **more):
    facts = {"source": f"/models/{name}", "revision": "", "digest": f"wk1-{number:064x}",
             "full_digest": "", "added": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    return Registered(id=number, name=name, **{**facts, **more})


def relative(model, **more):
    summary = Summary(verdict="dependent", basis="exact", log10_pvalue=-431.25, n_blocks=6,
                      kind=("fine-tuned",), effect=EFFECT, looked_at="sketch")  # fmt: skip
    facts = {"summary": summary, "cosine": 0.9, "invariant_cosine": 0.9}
    return Relative(model=model, **{**facts, **more})


def traced(name="child", parent="org/base", **more):
    """A child of a registered model, whose own parent is determined too; and one sibling."""
    base = registered(1, parent, full_digest=f"wkfull1-{HEX}", licence="apache-2.0",
                      revision="A" * 40)  # fmt: skip
    root, sibling = registered(2, "root", licence=f"acme {parent}"), registered(3, "sibling")
    sure = {"direction": "determined", "direction_probability": 0.97, "log10_pvalue": -431.25}
    first = Step(parent=parent, child=name, parent_id=1, kind="fine-tuned", support=1.0,
                 parent_probability=0.91, evidence=(clue("rows-reordered", roles=[name]),),
                 **sure)  # fmt: skip
    second = Step(parent="root", child=parent, parent_id=2, kind="quantised", **sure)
    search = Search(
        name=name, source=f"/candidates/{name}", digest=f"wk1-{HEX}", n_scanned=3, n_compared=3,
        alpha=1e-6, paid_alpha=3e-7, relatives=tuple(map(relative, (base, root, sibling))),
        parents=(first,), path=(first, second), version="0.1.0",
    )  # fmt: skip
    declared = (
        DeclaredParent(
            name=parent, state="undeclared", code="inferred", data={"kind": "fine-tuned"}
        ),
    )
    return Trace(search=replace(search, **more), declared=declared, licence="mit")


def compared(parent="a", verdict="dependent", **more):
    facts = {
        "a": ModelRef(source="/models/base", digest=f"wk1-{HEX}"),
        "b": ModelRef(source="/models/child", digest=f"wk1-{HEX[::-1]}"),
        "verdict": verdict, "basis": "exact", "log10_pvalue": -431.25, "alpha": 1e-6, "axes": (),
        "tests": (), "skipped": (), "kind": ("quantised",), "bytes_read": 1, "seconds": 1.0,
        "method": "weightkin-ladder/1", "parameters": {}, "seed": 0, "version": "0.1.0",
        "direction": Direction(parent=parent, probability=0.98,
                               evidence=(clue("white-difference"),)),
    }  # fmt: skip
    return Comparison(**{**facts, **more})


@pytest.fixture(scope="module")
def is_valid():
    """The official schema of CycloneDX 1.6, strictly."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)

    def check(text):
        assert validator.validate_str(text) is None
        return json.loads(text)

    return check


def properties(component):
    return {x["name"].removeprefix("weightkin:"): x["value"] for x in component["properties"]}


def test_a_bill_of_materials_holds_the_pedigree_and_its_evidence(is_valid):
    bom = is_valid(cyclonedx(of_trace(traced())))
    model = bom["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "child")
    assert model["licenses"] == [{"license": {"id": "MIT", "acknowledgement": "declared"}}]
    assert "hashes" not in model  # only a sample was read
    (base,) = model["pedigree"]["ancestors"]
    assert base["hashes"] == [{"alg": "SHA-256", "content": HEX}]
    assert base["purl"] == f"pkg:huggingface/org/base@{'a' * 40}"
    said = properties(base)
    assert (said["log10-pvalue"], said["basis"], said["kind"]) == ("-431.25", "exact", "fine-tuned")
    assert (said["effect-observed"], said["direction-probability"]) == ("0.9800", "0.9700")
    assert said["parent-probability"] == "0.9100"
    assert [x["name"] for x in base["pedigree"]["ancestors"]] == ["root"]
    assert [x["name"] for x in model["pedigree"]["variants"]] == ["sibling"]
    claims, evidence = bom["declarations"]["claims"], bom["declarations"]["evidence"]
    assert {c["evidence"][0] for c in claims} == {e["bom-ref"] for e in evidence}
    assert properties(model)["undeclared"] == "org/base"
    assert "declared" not in properties(model)
    assert "/candidates" not in json.dumps(bom)  # a path here says nothing elsewhere


def test_what_is_handed_over_depends_on_the_models_alone(is_valid):
    parentage = of_trace(traced())
    moved = of_trace(traced(source="/elsewhere/child", seconds=9.0))
    for write in (cyclonedx, in_toto, model_card):
        assert write(parentage) == write(moved)
    other = is_valid(cyclonedx(of_trace(traced(digest="wk1-" + "f" * 64))))
    assert other["serialNumber"] != json.loads(cyclonedx(parentage))["serialNumber"]


def test_a_statement_keeps_inferred_and_declared_apart():
    made = json.loads(in_toto(of_trace(traced())))
    assert set(made) == {"_type", "subject", "predicateType", "predicate"}
    assert (made["_type"], made["predicateType"]) == (STATEMENT, PREDICATE)
    assert made["subject"] == [
        {"name": "child", "digest": {"wk1": HEX}, "annotations": {"licence": "mit"}}
    ]
    (parent,) = made["predicate"]["inferred"]["parents"]
    assert parent["model"]["digest"] == {"wk1": f"{1:064x}", "wkfull1": HEX}
    assert (parent["log10Pvalue"], parent["basis"]) == (-431.25, "exact")
    assert made["predicate"]["declared"] == []
    why = "inferred parent (fine-tuned)"
    assert made["predicate"]["undeclared"] == [{"name": "org/base", "why": why}]
    partial = traced(digest=f"wk1-{HEX}-partial")
    assert json.loads(in_toto(of_trace(partial)))["subject"][0]["digest"] == {"wk1-partial": HEX}


def front_matter(text):
    return yaml.safe_load(text.split("---")[1])


def test_a_model_card_gets_its_parent_and_relation():
    text = model_card(of_trace(traced()))
    assert front_matter(text) == {"base_model": ["org/base"], "base_model_relation": "finetune"}
    assert "# org/base: fine-tuned, p <= 1e-431, exact, parent 0.91" in text


@pytest.mark.parametrize(
    ("kind", "source", "relation"),
    [("quantised", "/b", "quantized"), ("cast", "/b", "quantized"), ("stacked", "/b", "merge"),
     ("lora", "/b", "finetune"), ("lora", "org/base+/adapter", "adapter"),
     ("continued-pretraining", "/b", "finetune"), ("merged", "/b", "merge"),
     ("width-pruned", "/b", None), ("permuted", "/b", None)],
)  # fmt: skip
def test_kinds_become_the_relations_that_a_hub_knows(kind, source, relation):
    child = ModelRef(source=source, digest=f"wk1-{HEX}")
    found = front_matter(model_card(of_comparison(compared(kind=(kind,), b=child))))
    assert found == {"base_model": ["base"]} | (
        {"base_model_relation": relation} if relation else {}
    )


def test_several_parents_are_a_merge():
    trace = traced()
    first = trace.search.parents[0]
    more = (first, replace(first, parent="sibling", parent_id=3, weight=0.4, kind="merged"))
    found = front_matter(model_card(of_trace(traced(parents=more))))
    assert found == {"base_model": ["org/base", "sibling"], "base_model_relation": "merge"}


def test_what_is_declared_already_is_not_printed_again():
    trace = traced()
    confirmed = (DeclaredParent(name="org/base", state="confirmed", code="on-path"),)
    text = model_card(of_trace(replace(trace, declared=confirmed)))
    assert text.endswith("# declared already: nothing to add\n")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (compared("undetermined"), "which of the two came first is not determined"),
        (compared("undetermined", "no-evidence"), "no evidence of shared weights"),
        (compared("a", "aligned-only"), "aligned only"),
    ],
)
def test_no_parent_is_claimed_without_evidence_and_direction(is_valid, record, why):
    parentage = of_comparison(record)
    bom = is_valid(cyclonedx(parentage))
    pedigree = bom["metadata"]["component"]["pedigree"]
    assert "ancestors" not in pedigree
    assert ("variants" in pedigree) == (record.verdict == "dependent")
    assert pedigree["notes"].startswith(f"No parent is claimed: {why}")
    made = json.loads(in_toto(parentage))["predicate"]
    assert made["inferred"]["parents"] == []
    assert made["noParentClaimed"].startswith(why)
    assert model_card(parentage).startswith(f"# no parent is claimed: {why}")


def test_the_child_of_a_comparison_is_the_one_that_the_direction_says(is_valid):
    for parent, child, other in (("a", "child", "base"), ("b", "base", "child")):
        bom = is_valid(cyclonedx(of_comparison(compared(parent))))["metadata"]["component"]
        assert bom["name"] == child
        assert [x["name"] for x in bom["pedigree"]["ancestors"]] == [other]


def test_an_ancestor_that_is_not_registered_has_no_name_to_declare(is_valid):
    trace = traced()
    hidden = replace(trace.search.parents[0], parent="unobserved-1", parent_id=0)
    parentage = of_trace(traced(parents=(hidden,), path=(hidden,)))
    (ancestor,) = is_valid(cyclonedx(parentage))["metadata"]["component"]["pedigree"]["ancestors"]
    assert "digest" not in properties(ancestor)
    assert "base_model:" not in model_card(parentage)


@pytest.mark.parametrize("name", [*HOSTILE, *SYNTAX, "x" * 5000, "- a: b", "null", "'", '"'])
def test_hostile_names_stay_names(is_valid, name):
    parentage = of_trace(traced(name, name))
    bom = cyclonedx(parentage)
    component = is_valid(bom)["metadata"]["component"]
    shown = component["name"]
    assert shown.isprintable()
    made = json.loads(in_toto(parentage))
    assert made["subject"][0]["name"] == shown
    text = model_card(parentage)
    assert front_matter("---" + text.split("\n---\n", 1)[1])["base_model"] == [shown]
    assert all(line.isprintable() for line in (*bom.splitlines(), *text.splitlines()))
