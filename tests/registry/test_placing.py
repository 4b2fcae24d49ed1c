"""Claim: where a model is placed is what `tree` says, or every direction is left open."""

import shutil
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.registry.conftest import write
from weightkin import Registry, family_graph
from weightkin.cli.main import main
from weightkin.lineage.family import find_family
from weightkin.registry.kept_graph import kept
from weightkin.registry.store import opened
from weightkin.report.model_card import model_card
from weightkin.report.parentage import of_trace
from weightkin.report.registry import search_lines

FAMILY = ("root", "child", "grandchild", "sibling", "hidden")


def said(edges):
    return {(e.parent, e.child, e.kind, e.direction, round(e.direction_probability, 6))
            for e in edges}  # fmt: skip


def kept_of(registry):
    """The graph in the file."""
    with opened(registry.path, to_write=False) as connection:
        return kept(connection, alpha=1e-6, seed=0).whole()


def names(graph):
    return {node.name for node in graph.nodes if node.observed}


def around(graph, name):
    """What a graph says of one model: edges into it and out of it."""
    return said(e for e in graph.edges if name in (e.parent, e.child))


@pytest.fixture(scope="module")
def filled(family, crowd, tmp_path_factory):
    """A registry without a graph, and one with it."""
    folders = [tmp_path_factory.mktemp(x) for x in ("bare", "kept")]
    Registry(folders[0] / "r.sqlite").add([family / name for name in FAMILY] + crowd[:2])
    shutil.copytree(folders[0], folders[1], dirs_exist_ok=True)
    Registry(folders[1] / "r.sqlite").family()
    return folders


@pytest.fixture(scope="module")
def tree(family, crowd):
    """What `tree` says of the same models."""
    return family_graph([family / x for x in FAMILY] + crowd[:2])


@pytest.fixture
def registry(filled, tmp_path):
    return Registry(shutil.copytree(filled[0], tmp_path / "r") / "r.sqlite")


@pytest.fixture(params=[True, False], ids=["kept", "bare"])
def either(filled, tmp_path, request):
    """The registry with its graph, and without."""
    return Registry(shutil.copytree(filled[request.param], tmp_path / "r") / "r.sqlite")


@pytest.mark.claim
def test_a_registered_model_is_placed_as_the_tree_places_it(either, tree):
    for name in ("child", "root", "grandchild", "hidden"):
        found = either.trace(name).search
        assert found.placed_among == "registry"
        assert said((*found.parents, *found.children)) == around(tree, name)


@pytest.mark.claim
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_new_model_is_placed_as_the_tree_of_all_places_it(family, crowd, tree, tmp_path, is_kept):
    registry = Registry(tmp_path / "r.sqlite")
    others = [family / x for x in FAMILY if x != "child"] + crowd[:2]
    registry.add(others)
    if is_kept:
        registry.family()
    found = registry.search(family / "child")
    assert found.placed_among == "registry"
    assert said((*found.parents, *found.children)) == around(tree, "child")
    registry.add([family / "child"])
    found = registry.search("child")
    assert said((*found.parents, *found.children)) == around(tree, "child")


def test_a_question_lays_out_one_family_once(registry, family, crowd, monkeypatch):
    registry.trace("child")
    assert names(kept_of(registry)) == set(FAMILY)  # of the others nothing is known yet
    laid_out = []
    monkeypatch.setattr(
        "weightkin.registry.layout.find_family",
        lambda sources, **more: laid_out.append(len(sources)) or find_family(sources, **more),
    )
    registry.trace("root")
    assert not laid_out
    registry.trace(crowd[0].name)
    assert laid_out == [1]
    registry.remove("grandchild")
    registry.trace(crowd[0].name)
    assert laid_out == [1]
    registry.trace("child")
    assert laid_out == [1, 4]
    assert names(kept_of(registry)) == {*FAMILY, crowd[0].name} - {"grandchild"}


def test_in_a_family_that_is_too_large_no_direction_is_stated(
    either, family, monkeypatch, tmp_path
):
    monkeypatch.setattr("weightkin.registry.members.MOST_AGAIN", 2)
    arrays = load_file(family / "child" / "model.safetensors")
    for k, x in arrays.items():
        if "_proj" in k:
            arrays[k] = x + np.float32(1e-3) * np.cos(np.arange(x.size, dtype=np.float32)).reshape(
                x.shape
            )
    trace = either.trace(write(tmp_path / "new", arrays))
    found = trace.search
    assert found.placed_among == "nearest"
    assert found.parents or found.children
    steps = (*found.parents, *found.children)
    assert {step.direction for step in steps} == {"undetermined"}
    assert all(step.direction_probability <= 0.5 for step in steps)
    assert all(step.evidence[-1].code == "nearest-of-family" for step in steps)
    assert any("$ weightkin tree --registry " in line for line in search_lines(found))
    assert model_card(of_trace(trace)).startswith("# no parent is claimed")


@pytest.mark.claim
def test_the_tree_of_a_registry_lays_out_what_was_placed_among_few(registry, family, monkeypatch):
    registry.remove("child")
    registry.family()
    registry.add([family / "child"])
    monkeypatch.setattr("weightkin.registry.members.MOST_AGAIN", 2)
    assert {s.direction for s in registry.trace("child").search.parents} == {"undetermined"}
    graph = registry.family()
    assert around(graph, "child") == around(family_graph([family / x for x in FAMILY]), "child")


def test_equal_values_under_other_names_are_one_node_of_a_registry(registry, family, tmp_path):
    registry.family()
    arrays = load_file(family / "child" / "model.safetensors")
    folder = tmp_path / "bare"
    shutil.copytree(family / "child", folder)
    save_file({k.removeprefix("model."): x for k, x in arrays.items()},
              folder / "model.safetensors")  # fmt: skip
    registry.add([folder])
    for _ in range(2):  # taken again as it is, too
        graph = registry.family()
        node = next(n for n in graph.nodes if n.name == "child")
        assert (node.duplicates, node.registered) == (("bare",), (2, 8))
    found = registry.trace("bare").search
    assert [(s.parent, s.kind) for s in found.parents] == [("root", "fine-tuned")]
    registry.remove("child")
    assert next(n for n in registry.family().nodes if n.name == "bare").registered == (8,)


def test_a_step_of_open_direction_is_no_parent_in_words(registry, monkeypatch, capsys):
    monkeypatch.setattr("weightkin.registry.members.MOST_AGAIN", 2)
    monkeypatch.setattr(sys, "argv", ["weightkin", "trace", "child", "--registry",
                                      str(registry.path)])  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert " <- " not in told
    assert "#2 child -- #1 root" in told or "#1 root -- #2 child" in told
