"""Claim: traced entries survive their file, which is small, quick to search, equal if remade."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calls import n_calls
from weightkin.catalogue import store as stores
from weightkin.catalogue.store import end_of, packed, shipped_store, unpacked
from weightkin.catalogue.traced import (
    Component,
    Groups,
    Leaf,
    Mixture,
    Row,
    TracedEntry,
    entry_facts,
    entry_of,
)

ENTRY = TracedEntry(
    classes=("library.Net", "library.Other"),
    model_types=("net",),
    components=(
        Component("up.weight.0", scope=1, has_one_size=True, within=(1,), keys=("a", "a/b")),
        Component("heads", scope=1, is_free=False),
        Component("norm.weight.0", groups=(Groups(32, "norm_num_groups"), Groups(4))),
    ),
    rows=(
        Row("blocks.#.up.weight", (((Leaf(0), Leaf(1, "last", 0)), (Leaf(1, "always"),)), ((),))),
        Row("blocks.#.up.weight", ((((((Leaf(0),), (Leaf(1),)), Leaf(2)),)),)),
        Row("norm.weight", (((Leaf(2, "first", 1),),),)),
        Row("scale", ()),
        Row("joined.weight", (Mixture((0, 2)), ((Leaf(2),),))),
    ),
    ignored=("blocks.#.mask",),
)


def test_an_entry_is_the_same_after_writing_and_reading():
    assert entry_of(entry_facts(ENTRY)) == ENTRY
    data = packed([ENTRY] * 30, {"library": "1.0"})
    store = unpacked(data)
    assert data == packed([ENTRY] * 30, {"library": "1.0"})
    assert list(store) == [ENTRY] * 30
    assert store.versions == {"library": "1.0"}


def test_entries_are_found_by_what_their_patterns_end_in():
    store = unpacked(packed([ENTRY], {}))
    names = ["model.blocks.3.up.weight", "blocks.7.up.weight", "norm.weight", "other.weight"]
    assert store.counts({end_of(name) for name in names}).tolist() == [2]
    assert store.counts([]).tolist() == [0]


def test_a_file_of_another_format_is_refused():
    with pytest.raises(ValueError, match="not a file of traced classes"):
        unpacked(b"something else\n")


def test_the_shipped_store_is_small_and_quick():
    store = shipped_store()
    assert store is not None
    assert store.generator == stores.GENERATOR
    assert len(store.data) < 2 << 20
    fresh = unpacked(store.data)
    assert n_calls(lambda: unpacked(store.data)) < 3_000
    assert n_calls(lambda: fresh.entry(fresh.n_entries // 2)) < 30_000  # one chunk of the file
    assert np.all(np.diff(fresh.checksums.astype(np.int64)) >= 0)


def test_every_shipped_entry_speaks_of_its_own_components():
    store = shipped_store()
    assert store is not None
    for entry in store:
        n = len(entry.components)
        assert all(0 <= x < n for c in entry.components for x in c.within)
        names = {(c.scope, c.name) for c in entry.components if c.is_free and not c.scope}
        assert len(names) == sum(c.is_free and not c.scope for c in entry.components), entry.name
