"""Claim: `tree` finds the models of a folder, prints what was asked for, and exits as promised."""

import io
import json
import sys
from dataclasses import replace

import networkx
import pytest

from tests import families
from weightkin.cli.main import main
from weightkin.cli.progress import Clock
from weightkin.cli.sources import named
from weightkin.errors import UnreadableModel
from weightkin.records.family import FamilyGraph


@pytest.fixture
def tree(monkeypatch, capsysbinary):
    """Run `weightkin tree` with a verb that only records what it was asked."""
    asked = {"graph": families.small()}

    def family_graph(sources, **options):
        asked.update(options, sources=sources)
        if options["execution"].progress is not None:
            options["execution"].progress("sketches", 1, 4, 2000)
        return asked["graph"]

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["weightkin", "tree", *map(str, arguments)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsysbinary.readouterr()
        return left.value.code, printed.out.decode(), printed.err.decode(), asked

    monkeypatch.setattr("weightkin.api.tree.family_graph", family_graph)
    return run


def test_the_drawing_is_the_default(tree):
    code, out, err, asked = tree("a", "b")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == families.small().sentence
    assert "─▶ mix " in out
    assert "p <=" not in out
    assert "p <= 1e-431" in tree("a", "b", "-v")[1]
    assert tree("a", "b", "-q")[1] == f"{families.small().sentence}\n"
    assert asked["sources"] == ["a", "b"]
    assert (asked["method"], asked["alpha"], asked["seed"]) == ("weightkin", 1e-6, 0)
    assert asked["cache"].parts[-2:] == ("weightkin", "sketches")


def test_options_reach_the_verb(tree, tmp_path):
    options = ("--method", "mother", "--seed", 3, "--alpha", "1e-9", "--cache", tmp_path)
    asked = tree("a", "b", *options)[3]
    assert asked["method"] == "mother"
    assert (asked["seed"], asked["alpha"], asked["cache"]) == (3, 1e-9, tmp_path)


def test_json_is_exactly_the_record(tree):
    code, out, _, _ = tree("a", "b", "--json")
    assert code == 0
    assert FamilyGraph.from_json(out) == families.small()


def test_formats_are_written_as_utf8(tree):
    code, out, _, asked = tree("a", "b", "--format", "graphml")
    assert code == 0
    assert len(networkx.read_graphml(io.BytesIO(out.encode()))) == 8
    asked["graph"] = families.named("日本語")
    assert "日本語" in tree("a", "b", "--format", "dot")[1]


def test_explain_answers_for_one_model(tree):
    code, out, _, _ = tree("a", "b", "--explain", "ft")
    assert (code, out.splitlines()[0]) == (0, "ft")
    assert "runner-up  base-b" in out
    code, _, err, _ = tree("a", "b", "--explain", "nobody")
    assert (code, err.count("\n")) == (4, 1)


def test_an_incomplete_family_exits_with_2(tree):
    asked = tree("a", "b")[3]
    asked["graph"] = replace(families.small(), incomplete=True)
    for way in ((), ("--json",), ("--format", "newick"), ("--explain", "ft")):
        code, out, _, _ = tree("a", "b", *way)
        assert code == 2
        assert out


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "nearest"),
        ("--format", "png"),
        ("--json", "--format", "dot"),
        ("--json", "--explain", "a"),
    ],
)
def test_wrong_options_exit_with_4(tree, options):
    assert tree("a", "b", *options)[0] == 4


def test_no_source_at_all_exits_with_4(tree):
    assert tree()[0] == 4


def test_an_empty_folder_exits_with_3_and_one_line(tree, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    code, out, err, _ = tree(tmp_path)
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert "no model among 1 entry; supported are .safetensors," in err


def test_progress_is_a_line_on_a_terminal_and_one_now_and_then_elsewhere(tree, monkeypatch):
    assert tree("a", "b")[2] == ""
    assert tree("a", "b", "-q")[2] == ""
    with monkeypatch.context() as patch:
        patch.setattr("weightkin.cli.progress.BETWEEN", 0.0)
        said = tree("a", "b")[2]
    assert said.startswith("weightkin: 1 of 4: sketches 1/4, read 2.0 kB, about ")
    assert said.endswith(" left\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err, _ = tree("a", "b", "--json")
    assert code == 0
    assert "sketches 1/4, read 2.0 kB" in err
    assert err.endswith("\r\x1b[K")
    json.loads(out)


def test_the_time_left_is_that_of_all_stages():
    clock = Clock({"": 0.2, "compare": 0.3, "place": 0.5}, started=0.0)
    lines = [clock.line(what, 1, 2, 0, now=10.0) for what in ("a name", "compare", "place")]
    assert lines == [
        "1 of 3: a name 1/2, about 90 s left",
        "2 of 3: compare 1/2, about 19 s left",
        "3 of 3: place 1/2, about 3 s left",
    ]
    assert Clock({"": 1.0}, started=0.0).line("x", 0, 2, 5, now=1.0) == "x 0/2, read 5 B"


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_a_folder_means_every_model_directly_inside(tmp_path):
    touch(tmp_path, "b/model.safetensors", "a/pytorch_model.bin", "c.safetensors", "notes.txt",
          "logs/train.log", "d/deep/model.safetensors", ".cache/model.safetensors",
          "optimizer.pt", "x.sketch.safetensors")  # fmt: skip
    touch(tmp_path, "sketches/a.sketch.safetensors")
    notes = []
    wanted = ["a", "b", "c.safetensors", "x.sketch.safetensors"]
    assert named([str(tmp_path)], note=notes.append) == [str(tmp_path / x) for x in wanted]
    deep = tmp_path / "d" / "deep"
    said = f"1 model one folder deeper not read (such as {deep})"
    assert notes == [f"{said}: use --recursive to include it"]
    wanted.insert(3, "d/deep")
    assert named([str(tmp_path)], is_recursive=True) == [str(tmp_path / x) for x in wanted]


def test_recursive_finds_folders_like_those_of_a_hub(tmp_path):
    touch(tmp_path, "org/a/model.safetensors", "org/b/model.bin", "two/c/model.safetensors",
          "two/c/original/model.pth", "two/d/e/model.safetensors")  # fmt: skip
    wanted = [str(tmp_path / x) for x in ("org/a", "org/b", "two/c")]
    assert named([str(tmp_path)], is_recursive=True) == wanted
    both = [str(tmp_path), "org/name"]
    assert named(both, is_recursive=True) == [*wanted, "org/name"]
    assert named(both) == both
    with pytest.raises(UnreadableModel, match="use --recursive"):
        named([str(tmp_path)])


def test_each_of_several_folders_of_models_means_the_models_inside(tmp_path):
    touch(tmp_path, "all/a/model.safetensors", "all/b/model.safetensors", "more/c/model.bin",
          "one/model.safetensors", "one/old/model.safetensors", "none/notes.txt")  # fmt: skip
    sources = [str(tmp_path / x) for x in ("all", "one", "more", "none", "nowhere")]
    wanted = ("all/a", "all/b", "one", "more/c", "none", "nowhere")
    assert named(sources) == [str(tmp_path / x) for x in wanted]


def test_models_that_all_lie_deeper_are_said_too(tmp_path):
    touch(tmp_path, "a/x/model.safetensors", "a/y/model.safetensors", "b\n/z/model.safetensors")
    with pytest.raises(
        UnreadableModel,
        match=r"no model among 2 entries; 3 models one folder deeper not read .*x.: ",
    ):
        named([str(tmp_path)])


def adapter(folder, base):
    touch(folder, "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))


def test_an_adapter_beside_its_base_is_read_with_it(tmp_path):
    touch(tmp_path, "base/model.safetensors")
    for name, base in (("a", "base"), ("b", "org/base"), ("c", "other"), ("d", "c"), ("e", "..")):
        adapter(tmp_path / name, base)
    found = [f"{tmp_path / 'base'}+{tmp_path / x}" for x in "ab"]
    found += [str(tmp_path / x) for x in ("base", "c", "d", "e")]
    assert named([str(tmp_path)]) == found
    assert named([str(tmp_path / "a"), "org/name"]) == [found[0], "org/name"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"base_model_name_or_path": 3}',
    '{"base_model_name_or_path": "\\u0000"}', '{"base_model_name_or_path": "%s"}' % ("x" * 5000),
    '{"base_model_name_or_path": "../base"}'])  # fmt: skip
def test_a_strange_config_of_an_adapter_names_no_base(tmp_path, text):
    touch(tmp_path, "base/config.json", "here/model.safetensors")
    adapter(tmp_path / "here" / "x", "")
    (tmp_path / "here" / "x" / "adapter_config.json").write_text(text)
    assert named([str(tmp_path / "here" / "x"), "b"]) == [str(tmp_path / "here" / "x"), "b"]


@pytest.mark.parametrize(
    "files",
    [
        ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
        ("model.safetensors.index.json", "first.safetensors"),
        ("model.safetensors", "pytorch_model.bin"),
    ],
)
def test_a_folder_that_is_a_model_is_one_and_its_subfolders_are_others(tmp_path, files):
    touch(tmp_path, *files, "checkpoint-1/model.safetensors")
    assert named([str(tmp_path)]) == [str(tmp_path), str(tmp_path / "checkpoint-1")]


def test_other_sources_are_passed_on(tmp_path):
    touch(tmp_path, "a/model.safetensors")
    both = ["org/name", str(tmp_path / "a")]
    assert named(both) == both
    assert named(["org/name@main"]) == ["org/name@main"]
    assert named(["\0"]) == ["\0"]
