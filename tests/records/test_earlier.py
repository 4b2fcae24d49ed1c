"""Claim: files of earlier versions are read, shown and rerun; what is no record is refused."""

import json
import sqlite3

import pytest

from tests.commands import command
from tests.conftest import ROOT
from tests.fixtures import old_models
from weightkin import Registry, compare, digest, notebook_html, open_model
from weightkin.errors import UnreadableModel
from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.registry import Search
from weightkin.registry.browsing import remembered
from weightkin.registry.edges import EDGE_COLUMNS, write_edges
from weightkin.registry.store import opened, writing
from weightkin.report.rendering import lines_of, read_any

FIXTURES = ROOT / "tests" / "fixtures"
OLD = FIXTURES / "v0.1.0"
NAMES = sorted(path.stem for path in OLD.glob("*.json"))
BEFORE = sorted(path.stem for path in (FIXTURES / "version2").glob("*.json"))  # before 0.2.0
IN_NOTEBOOKS = ("comparison", "location", "family", "search", "trace")
EDGE = (  # as a registry kept a comparison before 0.2.0
    '{"summary": {"verdict": "dependent", "basis": "exact", "log10_pvalue": -262.9, "n_blocks": 3,'
    ' "kind": ["noise"], "incomplete": false, "equal_share": 0.0, "equal_basis": "all"},'
    ' "looked_at": "sketch", "alpha": 1e-09, "kind_details": {"share": 0.1504}, "effect":'
    ' {"observed": 0.98, "chance": 0.4, "ratio": 2.4, "agreement": 1.0}, "imported": %s}'
)


def text(name, folder="v0.1.0"):
    return (FIXTURES / folder / f"{name}.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models that 0.1.0 was asked about."""
    folder = tmp_path_factory.mktemp("models")
    old_models.write_models(folder)
    return folder


@pytest.mark.parametrize(
    ("folder", "name"),
    [*(("v0.1.0", name) for name in NAMES), *(("version2", name) for name in BEFORE)],
)
def test_every_record_is_read_and_shown(folder, name):
    old = json.loads(text(name, folder))
    record = read_any(text(name, folder))
    assert lines_of(record, width=100, is_unicode=True, is_full=True)
    if name in IN_NOTEBOOKS:
        assert "root" in (html := notebook_html(record)) or "child" in html
    assert json.loads(record.to_json())["schema"] == old["schema"].replace("/1", "/2")
    assert read_any(record.to_json()) == record


def test_sentences_are_kept_as_they_were():
    old = json.loads(text("comparison"))
    old["skipped"] = [{"what": "blind tests", "why": "too few units"}]
    record = Comparison.from_json(json.dumps(old))
    assert [x.sentence for x in record.direction.evidence] == old["direction"]["evidence"]
    assert [(x.sentence, x.test) for x in record.skipped] == [("too few units", "blind")]
    old, graph = json.loads(text("family")), FamilyGraph.from_json(text("family"))
    for edge, before in zip(graph.edges, old["edges"], strict=True):
        assert [x.sentence for x in edge.evidence] == before["evidence"]


@pytest.mark.parametrize("folder", ["v0.1.0", "version2"])
def test_findings_keep_what_they_said_and_found(folder):
    old = json.loads(text("check", folder))["models"]
    for before, now in zip(old, read_any(text("check", folder)).models, strict=True):
        assert before["findings"]
        for x, y in zip(before["findings"], now.findings, strict=True):
            assert (y.sentence, y.fingerprint) == (x["reason"], x["fingerprint"])
            assert bool(y.summary) == bool(x["verdict"])
            if y.summary:
                assert y.summary.log10_pvalue == x["log10_pvalue"]
                assert y.summary.kind == tuple(x["kind"])
                assert y.summary.effect.observed == x["effect"]["observed"]
                assert y.summary.probability == x["direction_probability"]


def test_what_was_found_about_relatives_is_kept():
    old, search = json.loads(text("search", "version2")), read_any(text("search", "version2"))
    assert search.relatives
    for x, y in zip(old["relatives"], search.relatives, strict=True):
        assert (y.verdict, y.kind) == (x["summary"]["verdict"], tuple(x["summary"]["kind"]))
        assert (y.looked_at, y.effect.ratio) == (x["looked_at"], x["effect"]["ratio"])
        assert y.summary.kind_details == x["kind_details"]
    (copy,) = read_any(text("adding", "version2")).added
    said = json.loads(text("adding", "version2"))["added"][0]["notes"]
    assert [x.sentence for x in copy.notes] == said


def test_a_comparison_says_what_it_said():
    record, said = Comparison.from_json(text("comparison")), json.loads(text("comparison"))
    assert (record.verdict, record.kind) == ("dependent", tuple(said["kind"]))
    assert record.log10_pvalue == said["log10_pvalue"]
    assert [(x.axis, x.log10_pvalue) for x in record.axes] == [
        (x["axis"], x["log10_pvalue"]) for x in said["axes"]
    ]
    assert (record.a.digest, record.b.digest) == (said["a"]["digest"], said["b"]["digest"])
    assert Comparison.from_json(text("unrelated")).verdict == "no-evidence"
    identical = Comparison.from_json(text("identical"))
    assert identical.kind_details["identical"] == "files"
    assert identical.sentence.startswith("dependent (identical")


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


@pytest.mark.parametrize("name", ["comparison", "unrelated", "family", "location"])
def test_a_record_is_rerun_and_the_method_differs(models, name, monkeypatch):
    monkeypatch.chdir(models)
    done = command("verify", OLD / f"{name}.json")
    assert done.returncode == 0
    assert "made by 0.1.0: method differs" in done.stdout


def test_another_verdict_fails(models, tmp_path, monkeypatch):
    monkeypatch.chdir(models)
    done = command("verify", OLD / "comparison.json", models / "root", models / "stranger")
    assert done.returncode == 1
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(text("unrelated")) | {"verdict": "dependent"}))
    done = command("verify", path)
    assert done.returncode == 1
    assert "verdict: dependent in the record, no-evidence now" in done.stdout


def test_a_sketch_stands_in_for_its_model(models):
    record = compare(OLD / "child.sketch.safetensors", models / "root")
    assert (record.verdict, record.basis) == ("dependent", "exact-unconfirmed")


def test_a_registry_is_refused_with_the_way_to_take_it_over():
    done = command("list", "--registry", OLD / "registry.sqlite")
    assert done.returncode in (2, 3)
    (line,) = done.stderr.strip().splitlines()
    assert "`export` it with weightkin 0.1.0, then `import` that file" in line


def test_what_0_1_0_exported_is_imported_and_found(models, tmp_path):
    registry = tmp_path / "r.sqlite"
    assert command("import", OLD / "registry.zip", "--registry", registry).returncode == 0
    done = command("search", models / "root", "--registry", registry, "--json")
    (relative,) = Search.from_json(done.stdout).relatives
    assert (relative.model.name, relative.verdict) == ("child", "dependent")


def test_a_registry_that_was_kept_before_is_read(models, tmp_path):
    """Its comparisons count again, and those that were imported do not."""
    path = tmp_path / "r.sqlite"
    registry = Registry(path)
    registry.add([models / "root", models / "child"])
    registry.search("child")
    (row,) = sqlite3.connect(path).execute(f"SELECT {EDGE_COLUMNS} FROM edges").fetchall()
    for imported, looked_at in (("false", "sketch"), ("true", "imported")):
        with opened(path, to_write=True) as connection, writing(connection):
            write_edges(connection, [(*row[:-1], EDGE % imported)], over=True)
        (found,) = remembered(path, registry.list()[1])
        assert (found.summary.log10_pvalue, found.summary.effect.ratio) == (-262.9, 2.4)
        assert (found.summary.kind, found.summary.looked_at) == (("noise",), looked_at)
        (again,) = registry.search("child").relatives
        assert (again.log10_pvalue == -262.9) == (imported == "false")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("log10_pvalue", lambda r: r.update(log10_pvalue="abc")),
        ("kind.0", lambda r: r.update(kind=["stolen"])),
        ("direction.parent", lambda r: r["direction"].update(parent="zzz")),
        ("tests.0.name", lambda r: r["tests"][0].update(name="phi")),
        ("direction.evidence.0.code", lambda r: r["direction"].update(evidence=[{"code": "x"}])),
        ("skipped.0.code", lambda r: r.update(skipped=[{"what": "x", "code": "because"}])),
        ("verdict", lambda r: r.update(verdict="maybe")),
    ],
)
def test_values_outside_the_closed_sets_are_refused_by_their_field(field, change):
    record = json.loads(Comparison.from_json(text("comparison")).to_json())
    change(record)
    with pytest.raises(UnreadableModel, match=rf"invalid record \({field} is .*, not ") as refused:
        Comparison.from_json(json.dumps(record))
    assert "\n" not in str(refused.value)


def test_a_family_with_an_unknown_kind_or_parent_is_refused():
    for change in ({"kind": "stolen"}, {"parent": "zzz"}):
        record = json.loads(text("family"))
        record["edges"][0].update(change)
        with pytest.raises(UnreadableModel, match=next(iter(change.values()))):
            FamilyGraph.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("folder", "name"),
    [*(("v0.1.0", name) for name in NAMES), *(("version2", name) for name in BEFORE)],
)
def test_a_spoilt_record_is_refused_in_a_line(folder, name):
    record = json.loads(text(name, folder))
    for key in ("skipped", "direction", "edges", "models", "relatives", "search", "added"):
        for spoilt in ("spoilt", ["spoilt"], 3):
            if key in record:
                with pytest.raises(UnreadableModel) as refused:
                    read_any(json.dumps(record | {key: spoilt}))
                assert "\n" not in str(refused.value)


def test_fields_that_later_versions_fill_are_absent():
    record = Comparison.from_json(text("comparison")).to_json()
    assert not {"accounting", "extent", "challenge"} & json.loads(record).keys()
    graph = json.loads(FamilyGraph.from_json(text("family")).to_json())
    assert not {"parent_probability", "parents"} & graph["edges"][0].keys()
