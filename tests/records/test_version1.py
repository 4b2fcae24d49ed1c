"""Claim: records of version 1 are read, drawn and rerun; what is no record is refused in a line."""

import json

import pytest

from tests.commands import command
from tests.conftest import ROOT
from weightkin.errors import UnreadableModel
from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.report.rendering import lines_of, read_any

FOLDER = ROOT / "tests" / "fixtures" / "version1"  # what the last version with these records wrote
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def text_of(name):
    return (FOLDER / f"{name}.json").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_read_and_drawn(name):
    old = json.loads(text_of(name))
    record = read_any(text_of(name))
    lines = lines_of(record, width=100, is_unicode=True, is_full=True)
    assert lines
    again = json.loads(record.to_json())
    assert again["schema"] == old["schema"].replace("/1", "/2")
    assert read_any(record.to_json()) == record
    said = "\n".join(lines)
    for skipped in old.get("skipped", []):
        assert skipped["why"] in said


def test_sentences_are_kept_as_they_were():
    old, record = json.loads(text_of("comparison")), Comparison.from_json(text_of("comparison"))
    assert [x.sentence for x in record.direction.evidence] == old["direction"]["evidence"]
    assert [x.sentence for x in record.skipped] == [x["why"] for x in old["skipped"]]
    old, graph = json.loads(text_of("family")), FamilyGraph.from_json(text_of("family"))
    for edge, before in zip(graph.edges, old["edges"], strict=True):
        assert [x.sentence for x in edge.evidence] == before["evidence"]


def test_equal_values_say_what_was_looked_at():
    record = Comparison.from_json(text_of("identical"))
    assert record.kind_details["identical"] == "files"
    assert record.sentence.startswith("dependent (identical")


@pytest.mark.parametrize("name", ["comparison", "unrelated", "family", "location"])
def test_verify_says_that_the_method_differs(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = command("verify", f"tests/fixtures/version1/{name}.json")
    assert done.returncode == 0
    assert "method differs" in done.stdout


def test_verify_of_another_verdict_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    record = json.loads(text_of("unrelated")) | {"verdict": "dependent"}
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    done = command("verify", path)
    assert done.returncode == 1
    assert "verdict: dependent in the record, no-evidence now" in done.stdout


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
    record = json.loads(Comparison.from_json(text_of("comparison")).to_json())
    change(record)
    with pytest.raises(UnreadableModel, match=rf"invalid record \({field} is .*, not ") as refused:
        Comparison.from_json(json.dumps(record))
    assert "\n" not in str(refused.value)


def test_a_family_with_an_unknown_kind_or_parent_is_refused():
    for change in ({"kind": "stolen"}, {"parent": "zzz"}):
        record = json.loads(text_of("family"))
        record["edges"][0].update(change)
        with pytest.raises(UnreadableModel, match=next(iter(change.values()))):
            FamilyGraph.from_json(json.dumps(record))


@pytest.mark.parametrize("name", NAMES)
def test_a_spoilt_record_of_version_1_is_refused_in_a_line(name):
    record = json.loads(text_of(name))
    for key in ("skipped", "direction", "edges", "models", "relatives", "search"):
        if key in record:
            with pytest.raises(UnreadableModel) as refused:
                read_any(json.dumps(record | {key: "spoilt"}))
            assert "\n" not in str(refused.value)


def test_fields_that_later_versions_fill_are_absent():
    text = Comparison.from_json(text_of("comparison")).to_json()
    assert not {"accounting", "extent", "challenge"} & json.loads(text).keys()
    graph = json.loads(FamilyGraph.from_json(text_of("family")).to_json())
    assert not {"parent_probability", "parents"} & graph["edges"][0].keys()
