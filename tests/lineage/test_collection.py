"""Claim: bad, equal and clashing sources, and a stop in the middle, cost nothing but themselves."""

import shutil
import sys

import pytest

from weightkin import family_graph, take_sketch
from weightkin.cli.main import main
from weightkin.compute import Execution
from weightkin.errors import UnreadableModel, UsageError
from weightkin.lineage.collection import gather


@pytest.fixture
def folder(zoo, tmp_path):
    """A root, its copy, a child, a stranger of another kind and a broken file."""
    for name, source in (
        ("root", "models/vit-a"),
        ("copy", "models/vit-a"),
        ("child", "models/vit-a-ft1"),
        ("stranger", "models/gpt-b"),
    ):
        shutil.copytree(zoo / source, tmp_path / name)
    (tmp_path / "broken").mkdir()
    whole = (zoo / "models/vit-b/model.safetensors").read_bytes()
    (tmp_path / "broken" / "model.safetensors").write_bytes(whole[:1000])
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["weightkin", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code

    return command


def test_one_model_is_a_graph_of_one(zoo):
    graph = family_graph([zoo / "models/vit-a"])
    assert [len(c) for c in graph.components] == [1]
    assert graph.edges == ()


def test_no_model_at_all_is_a_wrong_call():
    with pytest.raises(UsageError, match="sources is empty"):
        family_graph([])


def test_copies_alone_are_one_node(folder):
    graph = family_graph([folder / "root", folder / "copy"])
    assert [(n.id, n.duplicates) for n in graph.nodes] == [("root", ("copy",))]


def test_an_unreadable_model_is_reported_and_the_rest_goes_on(folder, run, capsys):
    graph = family_graph([folder / n for n in ("broken", "root", "child", "stranger")])
    assert graph.incomplete
    assert [s.what for s in graph.skipped] == ["broken"]
    assert {(e.parent, e.child) for e in graph.edges} == {("root", "child")}
    assert run("tree", folder) == 2
    assert "broken" in capsys.readouterr().out


def test_nothing_readable_is_exit_3(folder, run, capsys):
    with pytest.raises(UnreadableModel, match="none of 1"):
        family_graph([folder / "broken"])
    assert run("tree", folder / "broken") == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_names_that_clash_are_told_apart(folder, zoo):
    graph = family_graph([folder / "child", zoo / "models/vit-a", folder / "root"])
    assert len({n.id for n in graph.nodes}) == len(graph.nodes)
    shutil.copytree(folder / "stranger", folder / "deeper" / "root")
    graph = family_graph([folder / "root", folder / "deeper" / "root"])
    assert [n.id for n in graph.nodes] == [f"{folder.name}/root", "deeper/root"]


def test_a_run_that_was_stopped_continues_from_the_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.lineage.collection.WHOLE_UP_TO", 0)
    sources = [folder / n for n in ("root", "child", "stranger")]
    cache = tmp_path / "cache"

    def stop(name, done, in_all, read):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gather(sources, cache, Execution(progress=stop))
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(kept) == 2
    assert len(gather(sources, cache).members) == 3
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_an_interrupt_is_one_line_and_exit_2(zoo, run, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("weightkin.api.tree.family_graph", stop)
    assert run("tree", zoo / "models/vit-a") == 2
    assert capsys.readouterr().err == "weightkin: stopped\n"


def test_sketches_stand_in_for_models(zoo):
    models = [zoo / "models" / n for n in ("vit-a", "vit-a-ft1", "vit-a-long")]
    whole = family_graph(models)
    sketched = family_graph([take_sketch(m) for m in models])
    assert {(e.parent, e.child) for e in sketched.edges} == {
        (e.parent, e.child) for e in whole.edges
    }
