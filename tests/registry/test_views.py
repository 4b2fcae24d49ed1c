"""Claim: what was registered without token views works, and adding it again gives it views."""

from dataclasses import replace

import pytest

from weightkin import Registry
from weightkin.formats.declared import Declared
from weightkin.registry.browsing import sketch_of
from weightkin.registry.entries import keep
from weightkin.registry.prepared import of_sketch
from weightkin.registry.store import now, opened
from weightkin.registry.stores import store_of
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.source import open_model

OLD = Scheme(has_views=False)


def add(path, folder, scheme, *, place=None, claimed=False):
    """Register one model as a sketch of a scheme; the model and whether it is new."""
    sketch = take_sketch(open_model(folder), scheme)
    what = replace(of_sketch(sketch, Declared()), claimed=claimed)
    with opened(path, to_write=True, place=place) as connection:
        return keep(store_of(path, connection, to_write=True), connection, what, added=now())


@pytest.mark.parametrize("store", ["files", "lance"])
def test_adding_again_gives_an_old_entry_token_views(family, tmp_path, store):
    if store == "lance":
        pytest.importorskip("lancedb")
        (tmp_path / "l").mkdir()
    path, place = tmp_path / "r.sqlite", f"lance:{tmp_path / 'l'}" if store == "lance" else None
    old, _ = add(path, family / "root", OLD, place=place)
    add(path, family / "stranger", OLD)
    assert sketch_of(path, old).views is None
    before = Registry(path).search(family / "child")
    new, is_new = add(path, family / "root", Scheme())
    assert (new.id, is_new) == (old.id, False)
    assert sketch_of(path, old).views is not None
    if store == "files":
        assert len(list(tmp_path.rglob("*.sketch.safetensors"))) == 2  # the old file is gone
    after = Registry(path).search(family / "child")
    assert [x.summary for x in after.relatives] == [x.summary for x in before.relatives] != []
    again, _ = add(path, family / "root", OLD)
    assert again.id == old.id
    assert sketch_of(path, old).views is not None


def test_a_sketch_that_only_claims_its_digest_replaces_nothing(family, tmp_path):
    path = tmp_path / "r.sqlite"
    old, _ = add(path, family / "root", OLD)
    add(path, family / "root", Scheme(), claimed=True)
    assert sketch_of(path, old).views is None
