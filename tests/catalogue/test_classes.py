"""Claim: every library class that an entry names is read by it, and its axes are proven by running.

A new entry is proven here without another line: its labels say how its config calls the sizes. A
class that needs more than sizes is made in `tests.anatomy.tiny`, and proven by `test_symmetry`, or
by the catalogue, and proven by `test_by_names`.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.anatomy.test_symmetry import completed, relabelled
from tests.anatomy.tiny import MAKERS, built, of_class
from tests.catalogue.test_by_names import CLASSES as BY_NAMES
from weightkin.anatomy import read, read_anatomy
from weightkin.catalogue import Entry, entries, layouts
from weightkin.formats.memory import model_from_arrays

SIZES = {"d": 16, "u": 24, "kv": 2, "v": 8}  # kv heads, if r says how many read each of them
MADE = {maker()[0].__name__: name for name, maker in MAKERS.items()}
CLASSES = [(entry, cls) for entry in entries().values() for cls in entry.classes]
OTHERS = [
    (entry, cls) for entry, cls in CLASSES
    if cls.startswith("transformers.") and cls.rpartition(".")[2] not in {**MADE, **BY_NAMES}
]  # fmt: skip


@pytest.fixture(autouse=True)
def entries_by_hand(monkeypatch):
    """No traced class is asked: what is proven here are the entries written by hand."""
    monkeypatch.setattr(read, "better_anatomy", lambda found, *_: found)
    read.read_headers.cache_clear()
    yield
    read.read_headers.cache_clear()


def layout_of(entry: Entry) -> str:
    """Name of the entry whose tensors this one has."""
    return entry.name if entry in layouts() else layout_of(entries()[entry.like])


def sizes_of(entry: Entry) -> dict[str, int]:
    """Sizes of a tiny config under the keys of the entry."""
    sizes = {n: size for name, size in SIZES.items() if (n := entry.label(name).get("n"))}
    heads = entry.label("r").get("n", "").partition("/")[0] or entry.label("kv").get("n", "")
    return sizes | {heads: 4}


@pytest.mark.parametrize(("entry", "cls"), OTHERS, ids=lambda x: getattr(x, "name", x))
def test_a_class_is_read_by_its_entry_and_relabelling_leaves_its_function(entry, cls, tmp_path):
    made = built(*of_class(cls.rpartition(".")[2], sizes_of(entry)), tmp_path)
    before = made.output(made.arrays)
    anatomy = read_anatomy(made.model)
    assert anatomy.family == layout_of(entry)
    assert {axis.kind for axis in anatomy.axes} >= {"units", "residual"}
    for axis in (x for x in anatomy.axes if x.block in (0, -1)):
        moved = completed(cls, relabelled(made.arrays, axis, axis.places), axis)
        np.testing.assert_allclose(made.output(moved), before, atol=2e-5, err_msg=axis.labels)
        moved = relabelled(made.arrays, axis, axis.places[1:])
        assert np.abs(made.output(moved) - before).max() > 1e-4, axis.labels


@pytest.mark.parametrize("name", sorted(set(MADE.values())))
def test_classes_made_by_hand_are_read_by_the_entry_that_names_them(name, tmp_path):
    made = built(*MAKERS[name](), tmp_path)
    own = [entry for entry, cls in CLASSES if cls.rpartition(".")[2] == made.cls.__name__]
    assert len(own) == 1, f"{made.cls.__name__}: {[x.name for x in own]}"
    model = model_from_arrays(made.arrays, config=made.config)
    assert layout_of(own[0]) in read_anatomy(model).family.split("+")


def test_no_model_type_nor_gguf_name_is_in_two_entries():
    for attr in ("model_types", "gguf", "classes"):
        names = [name for entry in entries().values() for name in getattr(entry, attr)]
        assert len(names) == len(set(names)), attr
