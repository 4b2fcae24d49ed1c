"""Claim: where no test applies, spectra that agree are said, as a remark that proves nothing."""

import json
import math

import numpy as np
import pytest
from zoo import truth

from weightkin import evasions
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.evidence.spectral import spectral_log_evalue
from weightkin.formats import model_from_arrays
from weightkin.records import Comparison
from weightkin.report.comparison import comparison_lines
from weightkin.sketch.source import open_side

NAMES = ("alpha", "beta", "gamma", "delta")


def _net(rng, shape=(64, 64)):
    return {f"{name}_matrix": rng.standard_normal(shape).astype(np.float32) for name in NAMES}


def _turned(arrays, rng):
    """Other names, other bases on both sides of every matrix."""
    turned = {}
    for name, x in arrays.items():
        left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in x.shape)
        turned[f"net.{name.removesuffix('_matrix')}"] = (left @ x @ right).astype(np.float32)
    return turned


def _log10(a, b, **tables):
    sides = (Side(m, read_anatomy(m)) for m in map(model_from_arrays, (a, b)))
    found = spectral_log_evalue(*sides, **tables)
    return None if found is None else found / math.log(10)


def test_a_turned_copy_without_any_axis_is_said_to_deserve_a_closer_look(rng):
    base = _net(rng)
    record = compare(model_from_arrays(base), model_from_arrays(_turned(base, rng)))
    assert record.verdict == "not-testable"
    assert record.law_log10_evalue > 6
    assert record.law_null == "gap-order-exchangeable"
    assert record.log10_pvalue == 0.0  # no test, and no part of one
    assert not record.tests
    assert "suggests a closer look" in "\n".join(comparison_lines(record))
    assert Comparison.from_json(record.to_json()) == record


def test_of_unrelated_models_nothing_is_said(rng):
    record = compare(model_from_arrays(_net(rng)), model_from_arrays(_net(rng)))
    assert record.law_log10_evalue < 1
    assert "closer look" not in "\n".join(comparison_lines(record))


def test_old_records_without_the_field_are_read(rng):
    record = compare(model_from_arrays(_net(rng)), model_from_arrays(_net(rng)))
    text = record.to_json(None)
    assert '"law_null"' in text
    old = {k: v for k, v in json.loads(text).items() if not k.startswith("law_")}
    assert Comparison.from_json(json.dumps(old)).law_log10_evalue is None


def test_it_is_left_out_where_tests_apply_unless_everything_is_asked_for(zoo):
    paths = [truth.ROOT / truth.load()[name]["path"] for name in ("llama-a", "llama-a-rotated")]
    assert compare(*paths).law_log10_evalue is None
    assert compare(*paths, effort="quick").law_log10_evalue is None


def test_copies_inside_a_model_count_once(rng):
    """One matrix under sixteen names says no more than under one."""
    x = rng.standard_normal((64, 64)).astype(np.float32)
    one, many = {"m.0": x}, {f"m.{i}": x for i in range(16)}
    assert _log10(many, many) == pytest.approx(_log10(one, one), abs=1e-6)


def test_tables_that_a_formula_makes_and_other_shapes_are_left_out(rng):
    a = _net(rng)
    assert _log10(a, a, tables=(list(a), [])) is None
    assert _log10(a, _net(rng, (64, 70))) is None
    assert _log10(a, {k: x[:20, :20] for k, x in a.items()}) is None  # too short
    assert _log10(a, {k: np.full_like(x, np.nan) for k, x in a.items()}) is None


def test_matrices_are_paired_in_order_also_behind_an_inserted_one(rng):
    a = {f"m.{i}": rng.standard_normal((64, 96)).astype(np.float32) for i in range(6)}
    later = {f"m.{i + 1}": x for i, x in enumerate(a.values())}
    later["m.0"] = rng.standard_normal((64, 96)).astype(np.float32)
    straight, shifted = _log10(a, a), _log10(a, later)
    assert straight - 3 < shifted < straight


@pytest.mark.parametrize(
    ("a", "b", "is_seen"),
    [("llama-a", "llama-a-lora4", True), ("llama-a", "llama-b", False), ("gpt-a", "gpt-b", False)],
)
def test_disguised_copies_of_the_zoo_agree_and_unrelated_models_do_not(zoo, rng, a, b, is_seen):
    first, second = (open_side(truth.ROOT / truth.load()[x]["path"]) for x in (a, b))
    arrays = {name: second.model.rows(name) for name in second.model.tensors}
    changed = evasions.change_all(arrays, second.anatomy, rng)
    model = model_from_arrays(changed.arrays, config=second.model.config | changed.config_changes)
    found = spectral_log_evalue(first, Side(model, read_anatomy(model))) / math.log(10)
    assert found > 6 if is_seen else found < 1
