"""Claim: what a folder declares is read where it is well formed, and nothing there can fail."""

import json

import pytest

from weightkin.weights.declared import declared


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
