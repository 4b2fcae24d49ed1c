"""Claim: a sketch that lies about its digest or name takes the place of no model."""

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from tests.lineage.simulated import base
from tests.registry.conftest import write
from weightkin import Registry
from weightkin.errors import UnreadableModel
from weightkin.formats import digest
from weightkin.registry.claims import check_texts, is_claimed
from weightkin.sketch import Scheme, take_sketch, write_sketch
from weightkin.sketch.source import open_model


def sketched(source, target, *, is_whole=False, **changes):
    sketch = take_sketch(open_model(source), Scheme.whole() if is_whole else Scheme())
    write_sketch(replace(sketch, source=str(target), **changes), target)
    return target


def test_a_digest_that_can_be_computed_again_is_no_claim(family, tmp_path):
    whole = sketched(family / "root", tmp_path / "w.sketch.safetensors", is_whole=True)
    some = sketched(family / "root", tmp_path / "s.sketch.safetensors")
    registry = Registry(tmp_path / "r.sqlite")
    added = registry.add([family / "root", whole, some]).added
    assert [m.claimed for m in added] == [False, False, True]
    assert len({m.digest for m in added}) == 1
    assert [note.code for note in added[2].notes] == ["digest-claimed"]
    assert [m.claimed for m in registry.list()] == [False, False, True]


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_lying_sketch_is_refused_where_the_real_model_is_known(family, tmp_path, is_whole):
    real = digest(open_model(family / "root"))
    lie = sketched(family / "stranger", tmp_path / "lie.sketch.safetensors", is_whole=is_whole,
                   digest=real, name="root")  # fmt: skip
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root"])
    record = registry.add([lie])
    assert not record.added
    (skipped,) = record.skipped
    assert (
        "its values have another" if is_whole else "claims the digest of #1 root"
    ) in skipped.sentence
    assert [m.source for m in registry.list()] == [str(family / "root")]


def test_a_lie_that_came_first_does_not_keep_the_real_model_out(family, tmp_path):
    real = digest(open_model(family / "root"))
    lie = sketched(family / "stranger", tmp_path / "lie.sketch.safetensors", digest=real)
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([lie])
    (added,) = registry.add([family / "root"]).added
    assert not added.claimed
    assert [m.claimed for m in registry.list() if m.digest == real] == [True, False]
    found = registry.search(family / "child")
    assert [x.model.id for x in found.relatives] == [2]


def test_what_was_exported_is_a_claim_elsewhere(family, tmp_path, crowd):
    some = sketched(family / "root", tmp_path / "s.sketch.safetensors")
    there, here = (Registry(tmp_path / f"{x}.sqlite") for x in "ab")
    there.add([some, family / "child"])
    there.export(tmp_path / "all.zip")
    assert [m.claimed for m in here.import_(tmp_path / "all.zip").added] == [True, False]


def test_texts_that_no_database_keeps_are_refused():
    for text in ("\ud800", "a\0b", "n" * 5_000):
        with pytest.raises(UnreadableModel) as caught:
            check_texts("name", text)
        assert str(caught.value).isprintable()


def test_a_sketch_of_a_name_that_is_no_text_is_one_line(family, tmp_path):
    odd = sketched(family / "root", tmp_path / "s.sketch.safetensors", name="\ud800")
    record = Registry(tmp_path / "r.sqlite").add([odd])
    assert "has characters that are not text" in record.skipped[0].sentence


def test_declared_parents_that_are_no_text_are_no_crash(family, tmp_path):
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([family / "root"])
    model = write(tmp_path / "m", base(np.random.default_rng(3)))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "_name_or_path": "\ud800"}))
    (model / "README.md").write_text('---\nbase_model: "\\ud800"\n---\n')
    registry.trace(model).to_json()


def test_every_small_model_states_the_digest_of_its_values(fixtures_of_all_formats):
    assert len(fixtures_of_all_formats) > 8
    for model in fixtures_of_all_formats:
        sketch = take_sketch(model, Scheme.whole())
        assert not is_claimed(sketch) or any(x.endswith("]") for x in sketch.tensors), model


@pytest.fixture
def fixtures_of_all_formats():
    """Every folder of them that is one model of this version's formats."""
    from tests.conftest import ROOT

    found = []
    for folder in sorted((ROOT / "tests" / "fixtures").iterdir()):
        if folder.is_dir() and folder.name not in ("v0.1.0", "version2"):
            with suppress(UnreadableModel):
                found.append(open_model(folder))
    return found
