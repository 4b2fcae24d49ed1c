"""Claim: what a folder declares is read where it is well formed, and nothing there can fail."""

import json

import pytest

from weightkin.weights.declared import Declared, declared


@pytest.mark.parametrize(
    ("card", "parents", "licence"),
    [
        ("---\nbase_model: org/a\nlicense: mit\n---\n", ("org/a",), "mit"),
        ("---\nbase_model:\n- org/a\n-  'b'\ntags:\n- x\n---\n", ("org/a", "b"), ""),
        ("---\nbase_model: [org/a, \"b\"]\n---\nbase_model: c\n", ("org/a", "b"), ""),
        ("base_model: a\n", (), ""),
        ("---\nlicense: apache-2.0 # yes\n", (), "apache-2.0"),
        ("---\nbase_model:\n---\n", (), ""),
        ("\x00\xff---", (), ""),
    ],
)  # fmt: skip
def test_cards_are_read(tmp_path, card, parents, licence):
    (tmp_path / "README.md").write_bytes(card.encode("latin-1"))
    found = declared(tmp_path)
    assert (found.parents, found.licence) == (parents, licence)


def test_configs_are_read_and_bad_ones_are_not(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"_name_or_path": "org/base"}))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "b"}))
    assert declared(tmp_path).parents == ("b", "org/base")
    (tmp_path / "config.json").write_text("[" * 100_000)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": 3}')
    assert declared(tmp_path).parents == ()
    assert declared(tmp_path / "missing").parents == ()


def test_a_model_elsewhere_is_asked_for_its_small_files():
    files = {"README.md": b"---\nbase_model: org/base\nlicense: mit\n---\n", "config.json": b"{}"}
    asked = []

    def beside(name, limit):
        asked.append((name, limit <= 1 << 20))
        return files.get(name)

    assert declared("org/name", beside) == Declared(("org/base",), "mit")
    assert set(asked) == {("README.md", True), ("config.json", True), ("adapter_config.json", True)}


def test_a_base_with_an_adapter_says_what_the_adapter_says(tmp_path):
    (tmp_path / "adapter").mkdir()
    text = '{"base_model_name_or_path": "org/base"}'
    (tmp_path / "adapter" / "adapter_config.json").write_text(text)
    assert declared(f"org/base+{tmp_path / 'adapter'}").parents == ("org/base",)
    assert declared("x" * 5000 + "+y").parents == ()
