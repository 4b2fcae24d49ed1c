"""Claim: files of 0.1.0 are read, shown and recomputed, or refused with what to do instead."""

import json
from pathlib import Path

import pytest

from tests.commands import command
from tests.fixtures import old_models
from weightkin import compare, digest, notebook_html, open_model
from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace

OLD = Path(__file__).parents[1] / "fixtures" / "v0.1.0"
RECORDS = {
    "comparison": Comparison,
    "unrelated": Comparison,
    "location": Location,
    "family": FamilyGraph,
    "search": Search,
    "trace": Trace,
}


def text(name):
    return (OLD / f"{name}.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models that 0.1.0 was asked about."""
    folder = tmp_path_factory.mktemp("models")
    old_models.write_models(folder)
    return folder


@pytest.mark.parametrize("name", RECORDS)
def test_records_are_read_and_shown(name):
    record = RECORDS[name].from_json(text(name))
    html = notebook_html(record)
    assert "root" in html or "child" in html
    again = RECORDS[name].from_json(record.to_json())
    assert again == record


def test_a_comparison_says_what_it_said():
    record, said = Comparison.from_json(text("comparison")), json.loads(text("comparison"))
    assert (record.verdict, record.kind) == ("dependent", tuple(said["kind"]))
    assert record.log10_pvalue == said["log10_pvalue"]
    assert [(x.axis, x.log10_pvalue) for x in record.axes] == [
        (x["axis"], x["log10_pvalue"]) for x in said["axes"]
    ]
    assert (record.a.digest, record.b.digest) == (said["a"]["digest"], said["b"]["digest"])
    assert Comparison.from_json(text("unrelated")).verdict == "no-evidence"


def test_a_family_says_what_it_said():
    graph, said = FamilyGraph.from_json(text("family")), json.loads(text("family"))
    assert {x.name for x in graph.nodes} == set(old_models.NAMES)
    assert [{x.parent, x.child} for x in graph.edges] == [
        {x["parent"], x["child"]} for x in said["edges"]
    ]
    assert sorted(map(len, graph.components)) == [1, 2]


def test_contents_have_the_digest_that_they_had(models):
    said = json.loads(text("comparison"))
    for side, name in (("a", "root"), ("b", "child")):
        assert digest(open_model(models / name)) == said[side]["digest"]


def test_a_record_is_recomputed_and_only_what_is_new_differs(models):
    done = command("verify", OLD / "comparison.json", models / "root", models / "child")
    assert done.returncode in (0, 1)
    assert "verdict" not in done.stdout
    assert "log10_pvalue:" not in done.stdout.replace("smallest_log10_pvalue:", "")


def test_a_sketch_stands_in_for_its_model(models):
    record = compare(OLD / "child.sketch.safetensors", models / "root")
    assert (record.verdict, record.basis) == ("dependent", "exact")


def test_a_registry_is_refused_with_the_way_to_take_it_over():
    done = command("list", "--registry", OLD / "registry.sqlite")
    assert done.returncode in (2, 3)
    (line,) = done.stderr.strip().splitlines()
    assert "`export` it with weightkin 0.1.0, then `import` that file" in line


def test_what_0_1_0_exported_is_imported_and_found(models, tmp_path):
    registry = tmp_path / "r.sqlite"
    assert command("import", OLD / "registry.zip", "--registry", registry).returncode == 0
    done = command("search", models / "root", "--registry", registry, "--json")
    (relative,) = json.loads(done.stdout)["relatives"]
    assert relative["model"]["name"] == "child"
    assert relative["verdict"] == "dependent"
