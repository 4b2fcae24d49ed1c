"""Claim: what a model declares is read where it is well formed, and nothing there can fail."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from weightkin.errors import OutOfReach
from weightkin.formats import model_from_arrays
from weightkin.formats.declared import declared


def of(*sources, config=None, beside=None):
    model = model_from_arrays({"w": np.zeros((2, 2), np.float32)}, config=config or {})
    parts = tuple(map(str, sources)) if len(sources) > 1 else ()
    return declared(replace(model, source="+".join(map(str, sources)), parts=parts, beside=beside))


@pytest.mark.parametrize(
    ("card", "parents", "licence"),
    [
        ("---\nbase_model: org/a\nlicense: mit\n---\n", ("org/a",), "mit"),
        ("---\nbase_model:\n- org/a\n-  'b'\ntags:\n- x\n---\n", ("org/a", "b"), ""),
        ("---\nbase_model: [org/a, \"b\"]\n---\nbase_model: c\n", ("org/a", "b"), ""),
        ("base_model: a\n", (), ""),
        ("---\nlicense: apache-2.0 # yes\n---", (), "apache-2.0"),
        ("---\nA line drawn across a text, and no other.\n", (), ""),
        ("---\nbase_model:\n---\n", (), ""),
        ("\x00\xff---", (), ""),
    ],
)  # fmt: skip
def test_cards_are_read(tmp_path, card, parents, licence):
    (tmp_path / "README.md").write_bytes(card.encode("latin-1"))
    found = of(tmp_path)
    assert (found.parents, found.licence) == (parents, licence)


def test_configs_are_read_and_bad_ones_are_not(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"_name_or_path": "org/base"}))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "b"}))
    assert of(tmp_path).parents == ("b", "org/base")
    (tmp_path / "config.json").write_text("[" * 100_000)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": 3}')
    assert of(tmp_path).parents == ()
    assert of(tmp_path / "missing").parents == ()


def test_keys_of_a_gguf_file_are_read():
    bases = [
        {"repo_url": "https://huggingface.co/org/a", "name": "A"},
        {"organization": "Org", "name": "B"},
        {"name": "c"},
        {"name": 3},
        "none",
    ]
    config = {"declared_base_models": bases, "declared_licence": "mit"}
    found = of("/none/x.gguf", config=config)
    assert (found.parents, found.licence) == (("org/a", "Org/B", "c"), "mit")


def test_the_card_of_a_model_on_a_hub_is_read():
    card = b"---\nbase_model: org/base\nlicense: mit\n---\n"
    found = of("hf://org/x", beside=lambda name, _: card if name == "README.md" else None)
    assert (found.parents, found.licence) == (("org/base",), "mit")

    def lost(name, limit):
        raise OutOfReach("gone")

    assert of("hf://org/x", beside=lost).parents == ()


def test_an_adapter_declares_its_base(tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "README.md").write_text("---\nlicense: llama3\nbase_model: older\n---\n")
    said = {"base_model_name_or_path": "org/base"}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    found = of(base, adapter)
    assert (found.parents, found.licence) == ((str(base),), "llama3")
    (adapter / "README.md").write_text("---\nlicense: mit\nbase_model: other\n---\n")
    found = of(f"hf://org/base@{'a' * 40}", adapter)
    assert (found.parents, found.licence) == (("org/base", "other"), "mit")


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("https://huggingface.co/org/a/tree/main?x=1", "org/a"),
        ("./a/", "a"),
        ("C:\\models\\a", "C:/models/a"),
        ("/c/models--org--a/snapshots/0123", "org/a"),
        ("/c/models--gpt2/snapshots/0123", "gpt2"),
        ("https://huggingface.co/gpt2", "gpt2"),
        ("https://hf.co/org/a/", "org/a"),
        ("huggingface.co/org/a#model", "org/a"),
        ("org/a:main", "org/a"),
        ("hf://org/a", "org/a"),
        ("/models/a", "/models/a"),
    ],
)
def test_what_surrounds_the_name_of_a_parent_goes(tmp_path, name, parent):
    (tmp_path / "README.md").write_text(f"---\nbase_model: {name}\n---\n")
    assert of(tmp_path).parents == (parent,)


@pytest.mark.parametrize(
    ("card", "parents", "licence"),
    [
        ("\ufeff---\nbase_model: a\n---\n", ("a",), ""),
        ("\n \n---\r\nbase_model: a\r\nlicense: [mit]\r\n---\r\n", ("a",), "mit"),
        ("---\nbase_model: null\nlicense: other\nlicense_name: x\n---\n", (), "x"),
        ("---\nbase_model: [a,\n  b]\nother: {}\n---\n", ("a", "b"), ""),
        ("---\nbase_model: >-\n  org/a\nlicense: 3\n---\n", ("org/a",), "3"),
        ("---\n'license': no\n? base_model\n: a\n---\n", ("a",), "no"),
        ("---\nlicense: [cc-by-nc-4.0, mit, MIT]\n---\n", (), "mit, cc-by-nc-4.0"),
        ("---\nlicense: [other, mit]\nlicense_name: x\n---\n", (), "x, mit"),
        ("---\nx: |\n  a\n\n---x: 1\nlicense: mit\n---\n", (), "mit"),
        ("---\na: &a [1]\nb: *a\nbase_model: org/a@main\n---\n\n---\nText\n---\n", ("org/a",), ""),
        ("---\nbase_models: a\nxbase_model: b\n---\n", (), ""),
        ("---\nlicense: Other\nlicense_name: x\n---  \nbase_model: b\n---\n", (), "x"),
        ("---\n# nothing\n---\n", (), ""),
    ],
)
def test_cards_are_yaml(tmp_path, card, parents, licence):
    (tmp_path / "README.md").write_bytes(card.encode())
    found = of(tmp_path)
    assert (found.parents, found.licence, found.unread) == (parents, licence, ())


@pytest.mark.parametrize(
    "entry", ["base_model:\t- a\n\tx: [", "base_model: [a", "base_model: " + "[" * 5000,
              "license: *x", "other: {]", "license: cc-by-nc-4.0\nlicense: mit",
              "license: mit\n'license': mit", "d: &d {license: mit}\n<<: *d",
              "license: {a: b}", "base_model: [[a]]", "base_model: {name: org/a}",
              "license: a\n" * 17,
              "license: !!binary bWl0", "tags: a\n--- b",
              "- license: mit", "license",
              "license: gpl-3.0\n---\n---\nlicense: mit", "\n---\nlicense: mit",
              "x: " + "a" * (1 << 20)]
)  # fmt: skip
def test_an_entry_that_is_no_text_is_unread(tmp_path, entry):
    (tmp_path / "README.md").write_text(f"---\n{entry}\n---\n")
    (problem,) = of(tmp_path).unread
    assert problem.what == "README.md"
    assert problem.why.isprintable()
    assert len(problem.why) < 400


@pytest.mark.parametrize(
    "card", ["--- \nlicense: mit\n---\n", "---\nlicense: mit\n", "---\nbase_model: a\n ---\n"]
)
def test_a_card_that_a_hub_does_not_read_is_unread(tmp_path, card):
    (tmp_path / "README.md").write_text(card)
    found = of(tmp_path)
    assert (found.parents, found.licence) == ((), "")
    assert "with a line ---" in found.unread[0].why


@pytest.mark.parametrize("name", ["README.md", "config.json", "adapter_config.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "outside", "folder", "nothing"])
def test_what_is_no_file_of_the_folder_is_one_line(tmp_path, name, kind):
    folder = tmp_path / "m"
    folder.mkdir()
    path = folder / name
    (tmp_path / "outside").write_text('{"_name_or_path": "a", "base_model_name_or_path": "a"}')
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.symlink_to(tmp_path / kind)
    found = of(folder)
    assert (found.parents, found.licence) == ((), "")
    (problem,) = found.unread
    assert problem.what == name
    assert problem.why.isprintable()


def test_no_declared_parent_is_dropped_in_silence(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "README.md").write_text("---\nbase_model: base\n---\n")
    assert of(folder).parents == ("base",)
    (folder / "README.md").write_text(f"---\nbase_model: [{folder}, hf://org/a]\n---\n")
    assert of(folder).parents == ("org/a",)
    assert of("hf://org/a", config={"_name_or_path": "org/a"}).parents == ()
    for names in (["o/" + "b" * 300], [f"o{i}/base" for i in range(66)]):
        (folder / "README.md").write_text(f"---\nbase_model: [{', '.join(names)}]\n---\n")
        found = of(folder)
        assert len(found.parents) == (0 if len(names) == 1 else 64)
        (problem,) = found.unread
        assert "left out" in problem.why


def test_many_entries_of_a_card_are_one_line(tmp_path):
    (tmp_path / "README.md").write_text("---\n" + "license: a\n" * 94_000 + "---\n")
    (problem,) = of(tmp_path).unread
    assert problem.why == "README.md: key license is repeated in the front matter"


@pytest.mark.parametrize("value", [["org/a", ["org/b"]], {"name": "org/a"}, 3])
@pytest.mark.parametrize(
    ("name", "key"),
    [("adapter_config.json", "base_model_name_or_path"), ("config.json", "_name_or_path")],
)
def test_a_parent_in_a_config_that_is_no_text_is_unread(tmp_path, value, name, key):
    (tmp_path / name).write_text(json.dumps({key: value}))
    (problem,) = of(tmp_path).unread
    assert problem.what == name
