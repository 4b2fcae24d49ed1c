"""Claim: descendants are what determined edges show, and a search says what each relative is."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.registry.test_commands import run
from weightkin import Registry, check
from weightkin.records import clue
from weightkin.records.descendants import Descendants
from weightkin.records.family import FamilyEdge
from weightkin.registry import kept_graph
from weightkin.registry.known import known_of
from weightkin.registry.store import opened
from weightkin.registry.tracing import without_evidence
from weightkin.report.descendants import descendants_lines
from weightkin.report.registry import search_lines

NAMES = ("root", "child", "grandchild", "sibling")


def edge(parent, child, sure=0.9, **more):
    direction = "determined" if sure >= 0.8 else "undetermined"
    return FamilyEdge(parent=parent, child=child, kind="fine-tuned", direction=direction,
                      log10_pvalue=-50.0, parent_probability=sure, **more)  # fmt: skip


@pytest.fixture
def registry(family, tmp_path):
    """A graph by hand: a stranger (#5) above the root, and a sibling of open direction."""
    found = Registry(tmp_path / "r.sqlite")
    found.add([family / name for name in (*NAMES, "stranger")])
    graph = found.family()
    edges = (edge("stranger", "root"), edge("root", "child"), edge("child", "grandchild", 0.95),
             edge("root", "sibling", 0.4))  # fmt: skip
    ids = tuple(node.id for node in graph.nodes)
    with opened(found.path, to_write=True) as connection:
        known = known_of(replace(graph, edges=edges, components=(ids,)))
        kept_graph.keep(connection, known)
    return found


def test_descendants_have_their_path_and_its_probability(registry):
    found = registry.descendants("stranger")
    assert [(x.model.name, len(x.path)) for x in found.descendants] == [
        ("root", 1), ("child", 2), ("grandchild", 3)]  # fmt: skip
    last = found.descendants[-1]
    assert last.probability == pytest.approx(0.9 * 0.9 * 0.95)
    assert (last.log10_pvalue, last.determined) == (-50.0, True)
    assert [(s.parent, s.child) for s in last.path] == [
        ("stranger", "root"), ("root", "child"), ("child", "grandchild")]  # fmt: skip
    assert [(x.model.name, x.determined) for x in found.may_descend] == [("sibling", False)]
    assert Descendants.from_json(found.to_json()) == found
    assert [x.model.name for x in registry.descendants("#2").descendants] == ["grandchild"]


def test_a_step_that_nothing_shows_is_said_and_calibrated_evidence_is_kept(registry):
    found = registry.descendants("root")
    (open_,) = found.may_descend
    unshown = replace(open_, path=(replace(open_.path[0], log10_pvalue=0.0),))
    summary = {"verdict": "dependent", "basis": "calibrated"}
    calibrated = replace(unshown.path[0], evidence=(clue("compared", summary=summary),))
    for x, is_said in (
        (open_, False),
        (unshown, True),
        (replace(open_, path=(calibrated,)), False),
    ):
        lines = descendants_lines(replace(found, may_descend=(x,)))
        assert any("fine-tuned, not shown to be related" in line for line in lines) == is_said
    assert without_evidence(calibrated) == calibrated
    by_test = replace(calibrated, evidence=(clue("relative-distance", distance=0.1),))
    assert without_evidence(by_test).evidence == ()


def test_copies_and_their_descendants_are_named_too(registry, family, tmp_path):
    copy = shutil.copytree(family / "child", tmp_path / "copy")
    found = registry.descendants(copy)  # the same contents, and not registered
    assert [x.name for x in found.identical] == ["child"]
    assert [x.model.name for x in found.descendants] == ["grandchild"]
    registry.add([copy])
    names = [x.model.name for x in registry.descendants("root").descendants]
    assert names == ["child", "copy", "grandchild"]


def test_a_search_says_what_each_relative_is(registry):
    found = registry.search("grandchild")
    said = {x.model.name: (x.relation, x.steps) for x in found.relatives}
    assert said == {"child": ("parent", 1), "root": ("ancestor", 2), "sibling": ("unknown", 0)}
    text = "\n".join(search_lines(found))
    assert "  #1  root     ancestor, 2 steps up  " in text
    assert "  undetermined  " in text
    assert "#1 root" in (full := "\n".join(search_lines(found, is_full=True)))
    assert "ancestor, 2 steps up; dependent (" in full
    assert found.parents[0].parent_probability == 0.95
    assert {x.relation for x in registry.search("stranger").relatives} <= {""}


@pytest.mark.claim
def test_the_command_prints_descendants_and_what_may_be_one(registry, tmp_path):
    done = run("descendants", "root", "--registry", "r.sqlite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "root: 2 descendants among 4 other models; 1 more may descend from it (parent undetermined)"
    )
    (grandchild,) = [line.split() for line in lines if " grandchild " in line]
    assert grandchild[2:4] == ["child", "fine-tuned"]
    (open_at,) = [i for i, line in enumerate(lines) if "parent undetermined (each may" in line]
    assert any(" sibling " in line for line in lines[open_at:])
    done = run("descendants", "root", "--registry", "r.sqlite", "-v", cwd=tmp_path)
    assert "root -> child (fine-tuned) -> grandchild (fine-tuned)" in done.stdout
    assert "root -- sibling (fine-tuned)" in done.stdout
    done = run("descendants", "#5", "--registry", "r.sqlite", "--json", cwd=tmp_path)
    assert len(json.loads(done.stdout)["descendants"]) == 3


def test_a_forbidden_model_is_found_above_others_where_no_comparison_shows_it(
    registry, family, tmp_path
):
    shutil.copytree(family / "grandchild", tmp_path / "new")
    found = check(tmp_path / "new", registry=registry, deny=["stranger"])
    (hit,) = [x for x in found.findings if x.rule == "forbidden-ancestor"]
    assert (hit.code, hit.level, hit.ancestor.id) == ("forbidden-above", "error", 5)
    assert hit.data["through"] == ["stranger", "root", "child", "grandchild"]
    assert "stranger -> root -> child -> grandchild" in hit.sentence
    assert found.outcome == "hit"


def test_a_relative_of_open_direction_is_never_called_an_ancestor(registry, family, tmp_path):
    shutil.copytree(family / "sibling", tmp_path / "new")
    found = check(tmp_path / "new", registry=registry, deny=["stranger"])
    (hit,) = [x for x in found.findings if x.rule == "forbidden-ancestor"]
    assert hit.code == "forbidden-perhaps"
    assert "direction undetermined" in hit.sentence
    assert not any("ancestor" in x.sentence for x in found.findings)
