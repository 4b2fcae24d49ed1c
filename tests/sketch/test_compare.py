"""Claim: `compare` accepts a sketch wherever a source is, finds relatives, and no strangers."""

import sys
from itertools import combinations

import numpy as np
import pytest

from tests import models
from tests.conftest import ROOT
from weightkin.api.compare import Options, compare
from weightkin.api.locate import locate
from weightkin.api.verify import verify
from weightkin.errors import UsageError
from weightkin.formats import digest, model_from_arrays
from weightkin.report.comparison import comparison_lines
from weightkin.sketch import Scheme, cached_sketch, read_sketch, take_sketch, write_sketch
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import stand_in

sys.path.insert(0, str(ROOT / "zoo"))
import truth  # noqa: E402

RELATED = (
    ("llama-a", "llama-a-ft3"),
    ("llama-a", "llama-a-width"),
    ("llama-a", "llama-a-depth"),
    ("llama-a", "llama-a-vocab"),
    ("llama-a", "llama-a-int4"),
    ("llama-a", "llama-a-prune50"),
    ("llama-a", "llama-a-upcycled"),
    ("gpt-a", "gpt-a-width"),
    ("vit-a", "vit-a-ft1"),
    ("moe-a", "moe-a-ft1"),
)
STRANGERS = ("llama-a", "llama-b-ft3", "llama-c-ft1", "llama-distilled", "llama-b-int4",
             "gpt-a-ft1", "gpt-b", "vit-a-int8", "vit-b", "moe-a-bf16", "moe-b")  # fmt: skip


@pytest.fixture(scope="module")
def sketch_of(zoo, tmp_path_factory):
    folder, entries = tmp_path_factory.mktemp("sketches"), truth.load()

    def sketch(name):
        path = folder / f"{name}.sketch.safetensors"
        if not path.exists():
            write_sketch(take_sketch(open_model(zoo / entries[name]["path"])), path)
        return path

    return sketch


@pytest.mark.parametrize(("a", "b"), RELATED)
def test_relatives_are_found_from_a_sketch_and_a_model(zoo, sketch_of, a, b):
    record = compare(sketch_of(a), zoo / truth.load()[b]["path"])
    assert record.verdict == "dependent"
    assert record.basis == "exact-unconfirmed"  # anybody may know the rows
    assert record.parameters["n_units"] == 48
    again = compare(sketch_of(a), sketch_of(b))
    assert [t.statistic for t in again.tests] == [t.statistic for t in record.tests]


@pytest.mark.claim
@pytest.mark.parametrize(("a", "b"), list(combinations(STRANGERS, 2)))
def test_strangers_are_never_dependent(sketch_of, a, b):
    if truth.related(a, b):
        pytest.skip("relatives")
    record = compare(sketch_of(a), sketch_of(b))
    assert record.verdict in ("no-evidence", "not-testable")
    assert record.log10_pvalue > -4


def test_the_chance_level_is_that_of_the_model(zoo, sketch_of):
    axes = read_sketch(sketch_of("llama-a")).anatomy.axes
    units = [axis for axis in axes if axis.kind == "units"]
    model = open_model(zoo / truth.load()["llama-a"]["path"])
    name = units[0].places[0].tensor
    assert {axis.n_units for axis in units} == {model.tensors[name].shape[0]}
    assert all(place.size <= 96 for axis in axes for place in axis.places)
    assert not any(axis.kind == "heads" for axis in axes)


def test_the_record_names_the_model_and_what_a_sketch_cannot_answer(rng, tmp_path):
    arrays = models.base(rng)
    a = models.write(tmp_path / "a", arrays)
    b = models.write(tmp_path / "b", models.child(arrays, rng))
    path = tmp_path / "a.sketch.safetensors"
    write_sketch(take_sketch(open_model(a)), path)
    record = compare(path, b, effort="thorough",
                     options=Options(published=9, full_digest=True))  # fmt: skip
    assert record.verdict == "dependent"
    assert record.a.source == str(path)
    assert record.a.digest == digest(open_model(a))
    assert record.a.full_digest is None
    assert record.b.full_digest is not None
    said = {skipped.what for skipped in record.skipped}
    assert {"published statistics", "activations", "full digest of a", "heads"} & said >= {
        "published statistics", "activations", "full digest of a"}  # fmt: skip
    assert verify(record) == []


def test_a_model_against_its_own_sketch_is_identical_on_the_sample(rng, tmp_path):
    a = models.write(tmp_path / "a", models.base(rng))
    path = tmp_path / "a.sketch.safetensors"
    write_sketch(take_sketch(open_model(a), with_full_digest=True), path)
    found = compare(path, a)
    assert found.kind == ("equal-on-sample",)
    assert found.equal.basis == "sample"
    assert found.kind_details["identical"] == "sample"
    assert compare(path, a, options=Options(full_digest=True)).kind[0] == "identical"


def test_kind_and_direction_are_named_beside_a_folder_a_file_and_a_model_in_memory(rng, tmp_path):
    arrays = models.base(rng)
    path = tmp_path / "a.sketch.safetensors"
    write_sketch(take_sketch(open_model(models.write(tmp_path / "a", arrays))), path)
    child = models.child(arrays, rng)
    b = models.write(tmp_path / "b", child)
    others = (b, b / "model.safetensors", model_from_arrays(child))
    records = [compare(path, other) for other in others]
    assert [record.kind for record in records] == [("fine-tuned",)] * 3
    assert not any("source" in x.sentence for record in records for x in record.skipped)


def test_what_a_sketch_cannot_find_is_said_below_the_verdict(zoo, sketch_of):
    record = compare(sketch_of("llama-a"), zoo / "derived" / "llama-a-permuted")
    lines = comparison_lines(record)
    assert lines[0].startswith("no evidence")
    assert "tests that find permuted or rotated copies were not run: a sketch contains" in lines[2]
    why = "  residual width: this cosine is that of the few units that match their own index"
    assert why in comparison_lines(record, is_full=True)


def test_models_in_memory_and_of_the_cache_compare_too(rng, tmp_path):
    arrays = models.base(rng)
    a, b = model_from_arrays(arrays), model_from_arrays(models.child(arrays, rng))
    record = compare(stand_in(cached_sketch(a, tmp_path)), b)
    assert record.verdict == "dependent"
    assert compare(stand_in(cached_sketch(a, tmp_path)), b, effort="quick").verdict == "dependent"


def test_sketches_of_two_schemes_are_refused(rng):
    model = model_from_arrays(models.base(rng))
    with pytest.raises(UsageError, match="two schemes"):
        compare(stand_in(take_sketch(model)), stand_in(take_sketch(model, Scheme(n_rows=32))))


def test_locate_wants_whole_models(rng):
    model = model_from_arrays(models.base(rng))
    with pytest.raises(UsageError, match="a sketch; locate needs the model itself"):
        locate(stand_in(take_sketch(model)), model)


def test_permuted_units_are_no_evidence_on_a_sample(rng):
    """Validity: with labels drawn anew, a copy looks like a stranger to the aligned tests."""
    arrays = models.base(rng)
    moved = arrays
    for block in range(4):
        n = len(arrays[f"model.layers.{block}.mlp.up_proj.weight"])
        moved = models.map_units(moved, block, rng.permutation(n))
    record = compare(stand_in(take_sketch(model_from_arrays(arrays))), model_from_arrays(moved))
    units = [test for test in record.tests if test.axis == "mlp"]
    assert units
    assert np.median([test.log10_pvalue for test in units]) > -1
