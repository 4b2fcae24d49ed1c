"""Claim: a model that was made to match the rows of a sketch is no relative where weights show it.

Everybody knows which rows a sketch keeps, and a rotation of the stream can set them.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.lib.framed import Shape, config_of, drawn, relative
from benchmarks.lib.framed_sketches import rotation_to, turned_to_sketch

from tests.registry.conftest import write
from weightkin import Policy, Registry, check, compare, family_graph, write_sketch
from weightkin.derivation.opened import Settings
from weightkin.evidence.draws import pinned
from weightkin.formats import model_from_arrays, open_model
from weightkin.lineage.candidates import CandidateEdge, Member
from weightkin.lineage.looks import compared
from weightkin.report.registry import plain_words
from weightkin.report.tree import family_lines
from weightkin.sketch import take_sketch

SHAPE = Shape(256, 1, 640)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A reference, a child of it, and an unrelated model whose rows in a sketch are its."""
    folder = tmp_path_factory.mktemp("on-weights")
    config = config_of(SHAPE)
    reference, innocent = (
        model_from_arrays(drawn(SHAPE, seed), config=config) for seed in (3, 5003)
    )
    turned = turned_to_sketch(innocent, reference)
    for name, arrays in (
        ("reference", drawn(SHAPE, 3)),
        ("child", relative(SHAPE, 3, "cosine 0.9")),
        ("innocent", drawn(SHAPE, 5003)),
        ("turned", {n: turned.rows(n) for n in turned.tensors}),
    ):
        write(folder / name, arrays, config)
    return folder


@pytest.fixture(autouse=True)
def is_cut(monkeypatch):
    """Models of this size are kept as a sample, as larger ones are."""
    monkeypatch.setattr("weightkin.lineage.collection.WHOLE_UP_TO", 0)
    monkeypatch.setattr("weightkin.registry.prepared.WHOLE_UP_TO", 0)


def together(graph, *names):
    return any(set(names) <= set(group) for group in graph.components)


@pytest.fixture
def sketches(home, tmp_path):
    """Sketches of the reference, its child and the turned model, whose weights are elsewhere."""
    found = {}
    for name in ("reference", "child", "turned"):
        found[name] = tmp_path / f"{name}.sketch.safetensors"
        write_sketch(take_sketch(open_model(home / name)), found[name])
    return found


def test_a_rotation_sets_the_rows_of_a_sketch_and_is_one():
    rng = np.random.default_rng(1)
    own, wanted = rng.normal(size=(40, 128)), rng.normal(size=(40, 32))
    r = rotation_to(own, wanted)
    np.testing.assert_allclose(r.T @ r, np.eye(128), atol=1e-9)
    seen = (own @ r)[:, :32]
    cosine = (seen * wanted).sum(1) / np.linalg.norm(seen, axis=1) / np.linalg.norm(wanted, axis=1)
    np.testing.assert_allclose(cosine, 1.0)


def test_the_weights_show_that_it_is_the_other_model(home):
    assert compare(home / "innocent", home / "turned").verdict == "dependent"
    assert compare(home / "reference", home / "turned").verdict != "dependent"


def test_a_verdict_on_a_sketch_is_unconfirmed(home, sketches):
    for name in ("turned", "child"):
        record = compare(sketches["reference"], home / name)
        assert (record.verdict, record.basis) == ("dependent", "exact-unconfirmed")


def test_a_tree_asks_the_weights(home):
    graph = family_graph([home / name for name in ("reference", "child", "turned")])
    assert together(graph, "reference", "child")
    assert not together(graph, "reference", "turned")
    assert not graph.skipped


def test_a_tree_of_sketches_says_that_it_is_unconfirmed(sketches):
    graph = family_graph(list(sketches.values()))
    assert together(graph, "reference", "child", "turned")
    assert "sketches-alone" in {x.code for x in graph.skipped}
    for edge in graph.edges:
        assert "sketches-alone" in {x.code for x in edge.evidence}
    assert any("unconfirmed" in line for line in family_lines(graph))


def test_far_models_that_sketches_join_have_no_determined_parent():
    edge = CandidateEdge(parent=0, child=1, kind="unknown", probability=0.9, distance=1.1)
    assert edge.is_claimed
    assert not replace(edge, is_unconfirmed=True).is_claimed
    assert replace(edge, is_unconfirmed=True, distance=0.1).is_claimed


def test_what_a_known_sample_shows_is_looked_at_again(home, monkeypatch):
    members = [Member(n, None, open_model(home / n)) for n in ("reference", "innocent")]
    asked = []

    def fitted_to_the_seed(pair):
        asked.append(pair.settings.challenge)
        verdict = "dependent" if pair.settings.challenge == pinned(0) else "no-evidence"
        return SimpleNamespace(verdict=verdict, challenge=pinned(0))

    monkeypatch.setattr("weightkin.lineage.looks.compare_pair", fitted_to_the_seed)
    found = compared(*members, Settings(challenge=pinned(0)))
    assert (found.verdict, asked) == ("no-evidence", [pinned(0), None])


def test_a_registry_asks_the_weights(home, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([home / "reference", home / "child", home / "turned"])
    assert not together(registry.family(), "reference", "turned")
    assert together(registry.family(), "reference", "child")
    search = registry.trace("#3").search
    assert not [x for x in search.relatives if x.verdict == "dependent"]
    assert (search.parents, registry.descendants("#1").may_descend[0].model.name) == ((), "child")


def test_without_weights_a_gate_neither_passes_nor_accuses(sketches, home, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([sketches["reference"]])
    policy = Policy(forbidden_ancestors=("#1",))
    for name in ("turned", "child"):
        record = check(home / name, policy, registry=registry)
        assert record.outcome == "incomplete"
        (found,) = [x for x in record.findings if x.rule == "forbidden-ancestor"]
        assert (found.state, found.summary.basis) == ("unverifiable", "exact-unconfirmed")
        assert "one of them was made to match" in plain_words(registry.search(home / name))
    assert check(home / "innocent", policy, registry=registry).outcome == "pass"


def test_a_gate_passes_no_expected_parent_of_which_there_is_a_sketch_alone(
    sketches, home, tmp_path
):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([sketches["reference"]])
    policy = Policy(expected_parents=("#1",))
    for name in ("turned", "child"):
        record = check(home / name, policy, registry=registry)
        assert record.outcome == "incomplete", name
        found = {(x.rule, x.state) for x in record.findings if x.rule != "unknown-licence"}
        assert found == {("undeclared-parent", "unverifiable"), ("unverifiable", "unverifiable")}
    with_weights = Policy(expected_parents=(str(home / "reference"),))
    found = check(home / "turned", with_weights).findings
    assert "missing-parent" in {x.rule for x in found}
    assert "missing-parent" not in {x.rule for x in check(home / "child", with_weights).findings}
