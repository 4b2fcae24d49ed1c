"""Claim: compare says dependent for relatives, nothing for strangers, and why it could not tell."""

import json
import math

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG
from safetensors.numpy import load_file

from tests import models
from weightkin.api.compare import Options, compare
from weightkin.evidence.ladder import LADDER
from weightkin.formats import model_from_arrays
from weightkin.records import Comparison


def _model(arrays, name="m"):
    return model_from_arrays(arrays, name=name, config=CONFIG)


@pytest.fixture
def arrays(rng):
    return models.base(rng)


def test_a_child_is_dependent_on_every_axis(arrays, rng):
    record = compare(_model(arrays), _model(models.child(arrays, rng)))
    assert record.verdict == "dependent"
    assert record.basis == "exact"
    assert {axis.axis for axis in record.axes} == {"units", "vo", "heads", "residual"}
    assert all(axis.passes for axis in record.axes if axis.axis != "heads")


def test_strangers_show_nothing(arrays, rng):
    record = compare(_model(arrays), _model(models.base(rng)))
    assert record.verdict == "no-evidence"
    assert record.log10_pvalue > -3
    assert "independent" not in record.sentence


def test_the_answer_does_not_depend_on_who_is_a(arrays, rng):
    other = models.child(arrays, rng, noise=0.8)
    there, back = compare(_model(arrays), _model(other)), compare(_model(other), _model(arrays))
    assert there.verdict == back.verdict
    assert there.log10_pvalue == pytest.approx(back.log10_pvalue, rel=1e-6)


def test_weights_of_the_ladder_are_fixed_and_at_most_one():
    assert sum(LADDER.values()) <= 1


def test_pvalue_of_the_verdict_is_the_weighted_sum_of_the_stages(arrays, rng):
    record = compare(_model(arrays), _model(models.child(arrays, rng, noise=1.5)))
    e = sum(10**-axis.log10_pvalue for axis in record.axes if axis.log10_pvalue < 0)
    assert record.log10_pvalue == pytest.approx(-math.log10(e), abs=0.05)


def test_a_model_whose_mlps_were_all_replaced_is_tied_by_its_other_axes(arrays, rng):
    fresh = models.base(rng)
    child = {k: fresh[k] if ".mlp." in k else v for k, v in arrays.items()}
    record = compare(_model(arrays), _model(child))
    assert record.verdict == "dependent"
    assert [axis.axis for axis in record.axes if axis.passes] == ["vo", "residual"]


def test_one_kept_block_among_retrained_ones_is_enough(rng):
    old, fresh = models.base(rng, blocks=8), models.base(rng, blocks=8)
    child = {k: old[k] if "layers.5." in k else v for k, v in fresh.items()}
    record = compare(_model(old), _model(child))
    assert record.verdict == "dependent"
    assert [(x.block_a, x.relation) for x in record.layers] == [("decoder.5", "kept")]


def test_dropped_units_are_found_by_their_order(arrays, rng):
    kept = np.sort(rng.choice(32, 20, replace=False))
    child = arrays
    for block in range(4):
        child = models.map_units(child, block, kept)
    record = compare(_model(arrays), _model(models.child(child, rng)))
    units = next(axis for axis in record.axes if axis.axis == "units")
    assert record.verdict == "dependent"
    assert units.passes
    assert {t.name for t in record.tests if t.axis == "mlp"} == {"order"}


def test_a_dropped_block_is_named_and_the_rest_is_found_where_it_went(arrays, rng):
    child = models.child(models.keep_blocks(arrays, [0, 2, 3]), rng)
    record = compare(_model(arrays), _model(child))
    relations = {(x.block_a, x.block_b): x.relation for x in record.layers}
    assert record.verdict == "dependent"
    assert relations == {
        ("decoder.0", "decoder.0"): "kept",
        ("decoder.2", "decoder.1"): "moved",
        ("decoder.3", "decoder.2"): "moved",
        ("decoder.1", ""): "dropped",
    }


def test_an_inserted_block_is_named(arrays, rng):
    fresh = models.base(rng)
    grown = models.keep_blocks(arrays, [0, 1, 1, 2, 3])
    grown |= {k.replace("layers.0.", "layers.2."): v for k, v in fresh.items() if "layers.0." in k}
    record = compare(_model(arrays), _model(grown))
    assert ("", "decoder.2", "inserted") in {
        (x.block_a, x.block_b, x.relation) for x in record.layers
    }


@pytest.mark.claim
def test_repeated_blocks_in_both_models_do_not_multiply(rng):
    """Two strangers, each with one block stacked eight times: the naive product accuses them."""
    a, b = models.base(rng, blocks=1), models.base(rng, blocks=1)
    hits = 0
    for _ in range(30):
        p = rng.permutation(32)
        shuffled = models.map_units(b, 0, p)
        x, y = models.keep_blocks(a, [0] * 8), models.keep_blocks(shuffled, [0] * 8)
        record = compare(_model(x), _model(y))
        units = next(axis for axis in record.axes if axis.axis == "units")
        hits += units.log10_pvalue <= -2
    assert hits <= 2


def test_framed_strangers_are_aligned_only(rng):
    """A stranger's units sorted to line up with a: p is tiny, the effect is chance, no verdict."""
    from scipy.optimize import linear_sum_assignment

    a, b = models.base(rng, hidden=192, blocks=3), models.base(rng, hidden=192, blocks=3)
    for block in range(3):
        cosine = 0
        for name in models.PROJECTIONS:
            key = f"model.layers.{block}.mlp.{name}.weight"
            x, y = a[key], b[key]
            cosine = (
                cosine
                + (x / np.linalg.norm(x, axis=1)[:, None])
                @ (y / np.linalg.norm(y, axis=1)[:, None]).T
            )
        _, order = linear_sum_assignment(-cosine)
        b = models.map_units(b, block, order)
    record = compare(_model(a), _model(b))
    units = next(axis for axis in record.axes if axis.axis == "units")
    assert units.log10_pvalue < -6
    assert record.verdict == "aligned-only"
    assert units.effect.ratio < 1.25


def test_both_models_sorted_skip_the_axis_and_one_sorted_trusts_the_other(rng):
    from benchmarks.lib.null_models import null_model, sorted_by_norm

    a, b = (null_model(sorted_by_norm, rng, hidden=64, blocks=4) for _ in range(2))
    both = compare(a, b)
    assert not any(axis.axis == "units" for axis in both.axes)
    assert any(s.code == "order-carries-meaning" for s in both.skipped)
    plain = models.base(rng, hidden=64)
    one = compare(a, _model(plain))
    assert next(x for x in one.axes if x.axis == "units").trusts == "b"


def test_non_finite_tensors_are_skipped_and_said_so(arrays, rng):
    child = models.child(arrays, rng)
    name = "model.layers.1.mlp.gate_proj.weight"
    child[name][3, 2] = np.nan
    child["model.layers.2.mlp.up_proj.weight"][0, 0] = np.inf
    record = compare(_model(arrays), _model(child))
    assert record.verdict == "dependent"
    assert {s.what for s in record.skipped if "non-finite" in s.sentence} == {
        f"b: {name}",
        "b: model.layers.2.mlp.up_proj.weight",
    }
    json.loads(record.to_json())


def test_all_zero_models_are_not_testable(arrays):
    zero = {k: np.zeros_like(v) for k, v in arrays.items()}
    record = compare(_model(zero, "x"), _model({**zero, "extra": np.ones(3, np.float32)}, "y"))
    assert record.verdict == "not-testable"
    assert (record.basis, record.log10_pvalue) == ("none", 0.0)
    assert record.sentence.startswith("not testable: ")


def test_zeros_seen_through_tokens_are_not_testable(zoo):
    ones = load_file(zoo / "models" / "llama-a" / "model.safetensors")
    zeros = {name: np.zeros_like(x) for name, x in ones.items()}
    record = compare(_model(ones), _model(zeros, "zeros"))
    assert (record.verdict, record.basis, record.log10_pvalue) == ("not-testable", "none", 0.0)
    assert record.sentence.startswith("not testable: no unit could be matched")


def test_equal_but_for_values_that_are_not_finite_is_no_fine_tune(arrays):
    child = {name: x.copy() for name, x in arrays.items()}
    child["model.layers.2.mlp.up_proj.weight"][:] = np.nan
    record = compare(_model(arrays), _model(child, "child"))
    assert (record.verdict, record.kind) == ("dependent", ("unknown",))
    assert "equal except for 1 tensor with values that are not finite" in [
        x.sentence for x in record.direction.evidence
    ]


def test_nothing_in_common_is_not_testable(arrays):
    scalar = {"temperature": np.float32(0.7).reshape(())}
    record = compare(_model(arrays), _model(scalar))
    assert record.verdict == "not-testable"
    assert record.skipped


def test_a_model_against_itself_is_identical(arrays, tmp_path):
    folder = models.write(tmp_path / "m", arrays)
    record = compare(folder, folder)
    assert (record.verdict, record.kind) == ("dependent", ("identical",))
    copy = models.write(tmp_path / "copy", arrays)
    assert compare(folder, copy).kind == ("identical",)  # small enough to be read whole
    assert compare(folder, copy, effort="quick").kind == ()  # equal on the sample only
    assert compare(folder, copy, options=Options(full_digest=True)).kind == ("identical",)


def test_different_width_tests_what_is_comparable_and_lists_the_rest(arrays, rng):
    narrow = {k: v[:12] if "down" in k or "o_proj" in k or v.ndim == 1 else v[:, :12]
              for k, v in arrays.items()}  # fmt: skip
    record = compare(_model(arrays), _model(models.child(narrow, rng)))
    assert record.verdict == "dependent"  # the order of the residual dimensions is not enough
    assert [x.axis for x in record.axes if x.passes] == ["residual", "token units", "token signs"]
    assert any(s.code == "no-view-differs" for s in record.skipped)


def test_vocabulary_extension_is_compared_on_the_rows_both_have(arrays, rng):
    child = models.child(arrays, rng)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        more = rng.standard_normal((8, 16)).astype(np.float32)
        child[name] = np.concatenate([child[name], more])
    record = compare(_model(arrays), _model(child))
    assert next(x for x in record.axes if x.axis == "residual").passes


def test_quick_stops_at_the_first_proof_and_gives_up_early_on_strangers(rng):
    base = models.base(rng, hidden=128, blocks=10)
    proof = compare(_model(base), _model(models.child(base, rng)), effort="quick")
    assert (proof.verdict, proof.axes[0].n_blocks) == ("dependent", 1)
    other = models.base(rng, hidden=128, blocks=10)
    nothing = compare(_model(base), _model(other), effort="quick")
    assert (nothing.verdict, nothing.axes[0].n_blocks) == ("no-evidence", 4)


def test_published_statistics_are_listed_and_never_drive_the_verdict(arrays, rng):
    plain = compare(_model(arrays), _model(models.child(arrays, rng)))
    record = compare(
        _model(arrays), _model(models.child(arrays, rng)), options=Options(published=19)
    )
    names = {t.name: t.null for t in record.tests}
    assert names["phi_l2"] == "monte-carlo"
    assert names["phi_U"] == names["phi_U_fisher"] == "asymptotic"
    assert names["phi_l2_squared_z"] == "bound"
    phi = next(t for t in record.tests if t.name == "phi_l2")
    assert phi.log10_pvalue == pytest.approx(math.log10(1 / 20))
    assert record.log10_pvalue == pytest.approx(plain.log10_pvalue, rel=0.2)


def test_records_survive_json(arrays, rng):
    record = compare(
        _model(arrays), _model(models.child(arrays, rng)), options=Options(published=9)
    )
    assert Comparison.from_json(record.to_json()) == record


def test_every_number_in_a_record_is_finite_and_no_pvalue_is_positive(arrays, rng):
    for other in (models.child(arrays, rng), models.base(rng, hidden=24, blocks=2)):
        record = compare(_model(arrays), _model(other))
        text = record.to_json()
        assert "NaN" not in text
        assert "Infinity" not in text
        assert "null," not in text
        assert record.log10_pvalue <= 0
        for test in record.tests:
            assert test.log10_pvalue <= 0
            assert math.isfinite(test.statistic)
