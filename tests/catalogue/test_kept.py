"""Claim: a class made anew changes its own entry alone; all others stay as they were."""

from __future__ import annotations

import pytest

from tests.catalogue.test_store import ENTRY
from weightkin.catalogue.store import packed, shipped_store, unpacked
from weightkin.catalogue.traced import entry_facts

kept = pytest.importorskip("benchmarks.catalogue.kept")


@pytest.mark.claim
def test_store_and_notes_give_the_shipped_store_again():
    store = shipped_store()
    entries, _ = kept.merged(kept.kept_facts(store))
    assert entries == list(store)


def test_one_of_two_alike_classes_made_anew_leaves_the_other(tmp_path):
    said = {"why": "", "shares": [1.0], "opaque": []}
    facts = {
        f"transformers.own-2.5.{name}": {
            **said,
            "entry": {
                **entry_facts(ENTRY),
                "classes": [f"transformers.{name}"],
                "model_types": ["own-2.5"],
            },
        }
        for name in ("First", "Second")
    }
    facts["timm.Third.third_base"] = {**said, "why": "no axis", "entry": None}
    entries, numbers = kept.merged(facts)
    assert [x.classes for x in entries] == [("transformers.First", "transformers.Second")]
    kept.write_notes(facts, numbers, tmp_path / "made.json")
    store = unpacked(packed(entries, {}))
    again = kept.kept_facts(store, tmp_path / "made.json")
    assert again == facts
    other = {**facts["transformers.own-2.5.First"]["entry"], "ignored": ["new.buffer"]}
    again["transformers.own-2.5.First"]["entry"] = other
    entries, numbers = kept.merged(again)
    assert len(entries) == 2
    assert entries[numbers["transformers.own-2.5.Second"]].classes == ("transformers.Second",)
