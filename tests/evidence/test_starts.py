"""Claim: a start by formula, a fit to the known rows, or a copied residual width proves nothing."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib.formula_starts import STARTS, cosines, identity, llama, noisy
from benchmarks.lib.null_models import CONFIG, gaussian

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.api.verify import verify
from weightkin.evidence.controls import Control, rank
from weightkin.evidence.equal_rows import n_equal
from weightkin.evidence.formulas import Formulas, formula_behind
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.sample import make_plan
from weightkin.formats import model_from_arrays

LAYER = "model.layers.{}.mlp.{}_proj.weight"


def _compare(a, b, **options):
    return compare(*(model_from_arrays(x, config=CONFIG) for x in (a, b)), **options)


def _formulas(model):
    side = Side(model, read_anatomy(model))
    bench = PairTester(side, side, make_plan((model, side.anatomy), (model, side.anatomy)), 0)
    for kind in ("units", "vo", "heads", "residual"):
        for axis in side.axes(kind):
            bench.read(axis, is_a=True, n_vocabulary=40)
    return bench.guard_a.formulas, side


@pytest.mark.parametrize("name", STARTS)
def test_unrelated_models_of_one_formula_are_never_related(name, rng):
    for _ in range(3):
        record = compare(STARTS[name](rng), STARTS[name](rng))
        assert record.verdict in ("no-evidence", "not-testable"), record.sentence


def test_a_formula_in_one_model_is_enough_and_said(rng):
    """A trace that no search finds in the other makes units coincide: see the docstring."""
    plain = noisy(rng, cosines(64, 32), 0.9)
    strong, weak = (llama(rng, mlp=lambda n, d, s=s: noisy(rng, cosines(n, d), s))
                    for s in (0.95, 0.05))  # fmt: skip
    in_strong, side = _formulas(strong)
    in_weak, other = _formulas(weak)
    axis_a, axis_b = side.axes("units")[0], other.axes("units")[0]
    assert plain.shape == (64, 32)
    assert formula_behind(in_strong, axis_a, in_weak, axis_b).code == "formula-behind"
    record = compare(strong, weak)
    assert any("values depend on the unit index" in s.sentence for s in record.skipped)
    assert not [axis for axis in record.axes if axis.axis == "units"]


def test_signs_are_no_coins_where_values_began_as_the_identity(rng):
    record = compare(*(llama(rng, values=identity) for _ in range(2)))
    assert any(
        s.what.startswith("signs of") and "the signs are not random" in s.sentence
        for s in record.skipped
    )
    assert not [t for t in record.tests if t.name == "signs" and t.axis == "vo"]
    assert not [axis for axis in record.axes if axis.axis == "heads"]


def test_random_and_related_models_are_not_flagged(rng):
    for _ in range(5):
        found, _ = _formulas(model_from_arrays(models.base(rng), config=CONFIG))
        assert found.tied == {}
        assert not any(found.of_kind(kind) for kind in ("units", "vo", "heads", "residual"))


def test_layers_that_began_as_copies_show_no_formula_together():
    """As those of torch's encoder do, and are trained apart: together they say what one says."""
    model = model_from_arrays(models.base(np.random.default_rng(0)))
    axis = Side(model, read_anatomy(model)).axes("units")[0]
    flagged = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        start, formulas = rng.uniform(-1, 1, (64, 32)).astype("f4"), Formulas()
        for block in range(8):
            view = start + 0.1 * rng.standard_normal(start.shape).astype("f4")
            formulas.look(model, replace(axis, block=block), {"up": view}, 1)
        flagged += formulas.of_kind("units") is not None
    assert flagged == 0


def test_a_kind_of_axis_is_flagged_by_what_its_views_show_together(rng):
    model = llama(rng)
    side = Side(model, read_anatomy(model))
    formulas = Formulas()
    axes = side.axes("units")
    for i in range(30):
        for axis in axes[:1]:
            view = noisy(rng, cosines(32, 64), 0.06)
            renamed = type(axis)(**{**{f: getattr(axis, f) for f in axis.__slots__}, "block": i,
                                    "labels": str(i)})  # fmt: skip
            formulas.look(model, renamed, {"mlp.gate": view}, n_views=90)
    assert len(formulas.tied) < 5
    assert formulas.of_kind("units")["role"] == "mlp.gate"


def _wide(rng, hidden=1200, width=48):
    """Two blocks with more units than a sample holds."""
    arrays = {"model.embed_tokens.weight": gaussian(rng, 40, width),
              "lm_head.weight": gaussian(rng, 40, width)}  # fmt: skip
    for i in range(2):
        for name in ("gate", "up"):
            arrays[LAYER.format(i, name)] = gaussian(rng, hidden, width)
        arrays[LAYER.format(i, "down")] = gaussian(rng, width, hidden)
        for name in "qkvo":
            shape = (width, 16) if name == "o" else (16, width)
            arrays[f"model.layers.{i}.self_attn.{name}_proj.weight"] = gaussian(rng, *shape)
    return arrays


def _planted(victim, rng, n=1024, share=0.8):
    """An unrelated model into which rows were mixed, as many as a sample holds."""
    arrays = _wide(rng, MANY)
    for i in range(2):
        for name in ("gate", "up"):
            key = LAYER.format(i, name)
            arrays[key][:n] += share * 3 * victim[key][:n]
        down = LAYER.format(i, "down")
        arrays[down][:, :n] += share * 3 * victim[down][:, :n]
    return arrays


MANY = 2560
ELSEWHERE, THERE = 0, 1  # seeds by which the sample is drawn among rows left alone, and those mixed


def test_what_is_fitted_to_some_rows_is_not_found_in_others():
    victim = _wide(np.random.default_rng(0), MANY)
    record = _compare(victim, _planted(victim, np.random.default_rng(1)), seed=ELSEWHERE)
    assert record.verdict == "no-evidence"
    assert record.challenge.drawn == "seed"


def test_what_is_fitted_to_the_rows_that_are_read_is_refuted_outside_them():
    victim = _wide(np.random.default_rng(0), MANY)
    record = _compare(victim, _planted(victim, np.random.default_rng(1)), seed=THERE)
    units = next(axis for axis in record.axes if axis.axis == "units")
    assert units.log10_pvalue < -100
    assert units.effect.ratio > 1.4
    assert units.confirmed == "refuted"
    assert not units.passes
    assert record.verdict == "aligned-only"
    assert "outside the sample" in record.sentence


def test_a_real_relation_is_confirmed_outside_the_sample_and_verified(rng, tmp_path):
    parent = _wide(rng)
    a = models.write(tmp_path / "a", parent)
    b = models.write(tmp_path / "b", models.child(parent, rng))
    record = compare(a, b)
    units = next(axis for axis in record.axes if axis.axis == "units")
    assert (record.verdict, units.confirmed) == ("dependent", "second-run")
    assert units.second_effect is not None
    assert verify(record) == []
    one, mirrored = compare(a, b, seed=1), compare(b, a, seed=1)
    assert one.axes[0].second_effect == mirrored.axes[0].second_effect


def test_dropped_units_are_confirmed_by_their_order(rng):
    parent = _wide(rng, 1600)
    kept = np.sort(rng.choice(1600, 1280, replace=False))
    child = parent
    for block in range(2):
        child = models.map_units(child, block, kept)
    record = _compare(parent, models.child(child, rng, noise=0.05))
    units = next(axis for axis in record.axes if axis.axis == "units")
    assert units.confirmed == "second-run"


def test_a_sample_that_is_the_axis_needs_no_second_run(rng):
    parent = models.base(rng)
    record = _compare(parent, models.child(parent, rng))
    assert {axis.confirmed for axis in record.axes if axis.passes} == {"whole"}


def _share_embedding(rng, change=lambda x: x):
    a, b = models.base(rng, hidden=48), models.base(rng, hidden=48)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        b[name] = change(a[name]).astype(np.float32)
    return a, b


SAME = (lambda x: x, lambda x: np.float32(0.98) * x, np.float16)  # after decay, rounded once


@pytest.mark.parametrize("change", SAME)
def test_models_that_share_only_an_embedding_are_aligned_and_the_part_dependent(change, rng):
    record = _compare(*_share_embedding(rng, change))
    assert record.verdict == "aligned-only"
    assert "residual width" in record.sentence
    parts = {part.name: part.verdict for part in record.parts}
    assert parts["decoder embedding"] == "dependent"
    assert any("hidden states" in s.sentence for s in record.skipped)


def _bert(rng, words):
    """A network whose stream goes through its gains."""
    width, hidden = words.shape[1], 160
    found = {"embeddings.word_embeddings.weight": words}
    shapes = {"embeddings.position_embeddings": (64, width), "embeddings.LayerNorm": (width,)}
    for i in range(2):
        for name in ("query", "key", "value"):
            shapes[f"encoder.layer.{i}.attention.self.{name}"] = (width, width)
        shapes[f"encoder.layer.{i}.attention.output.dense"] = (width, width)
        shapes[f"encoder.layer.{i}.attention.output.LayerNorm"] = (width,)
        shapes[f"encoder.layer.{i}.intermediate.dense"] = (hidden, width)
        shapes[f"encoder.layer.{i}.output.dense"] = (width, hidden)
        shapes[f"encoder.layer.{i}.output.LayerNorm"] = (width,)
    for name, shape in shapes.items():
        around = 1.0 if "Norm" in name else 0.0
        found[f"{name}.weight"] = (around + 0.1 * rng.standard_normal(shape)).astype(np.float32)
        found[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    found.pop("embeddings.position_embeddings.bias")
    return found


@pytest.mark.parametrize("change", SAME)
def test_an_embedding_under_gains_that_differ_is_shared(change, rng):
    """There no rotation of the stream brings one into the order of another."""
    words = gaussian(rng, 400, 96)
    pair = [_bert(rng, words), _bert(rng, change(words).astype(np.float32))]
    record = compare(*(model_from_arrays(x, config={}) for x in pair))
    assert (record.verdict, record.basis, record.kind) == ("dependent", "exact", ("shared-part",))
    assert record.kind_details["parts"] == ["encoder embedding"]
    assert record.direction.parent == "undetermined"
    parts = {part.name: part.verdict for part in record.parts}
    assert parts == {"encoder": "no-evidence", "encoder embedding": "dependent"}
    assert "in encoder embedding only" in record.sentence
    for name in [x for x in pair[1] if x.endswith("LayerNorm.weight")]:
        pair[1][name] = np.ones_like(pair[1][name])
    record = compare(*(model_from_arrays(x, config={}) for x in pair))
    assert record.verdict == "aligned-only"


def test_an_embedding_that_only_resembles_another_is_aligned(rng):
    """As after distilling hidden states: alike in every row, equal in none."""
    shared = _share_embedding(rng, lambda x: x + 0.2 * rng.standard_normal(x.shape))
    record = _compare(*shared)
    assert record.verdict == "aligned-only"
    assert {p.verdict for p in record.parts if "embedding" in p.name} == {"aligned-only"}


def test_rows_are_equal_up_to_one_factor_and_say_something(rng):
    x = gaussian(rng, 64, 32)
    assert n_equal(x, x, 2.0**-18) == 64
    assert n_equal(x, np.float32(0.73) * x, 2.0**-18) == 64
    half = np.where(np.arange(64)[:, None] < 30, np.float32(0.9) * x, gaussian(rng, 64, 32))
    assert n_equal(x, half, 2.0**-18) == 30
    assert n_equal(x, rng.uniform(0.5, 2, (64, 1)).astype(np.float32) * x, 2.0**-18) < 20
    assert n_equal(x, x + 1e-3 * gaussian(rng, 64, 32), 2.0**-18) < 20
    some = np.where(np.arange(64) < 25, 2.0**-10, 2.0**-18)  # rows of half precision, once
    assert n_equal(x, np.float32(0.9) * x.astype(np.float16), some) == 25
    for poor in (np.zeros((64, 32)), np.ones((64, 32)), np.eye(64, 32), np.sign(x)):
        assert n_equal(poor.astype(np.float32), poor.astype(np.float32), 2.0**-18) == 0


def test_a_pair_too_small_to_show_anything_is_not_testable(rng):
    def tiny():
        return {
            "conv1.weight": gaussian(rng, 5, 27).reshape(5, 3, 3, 3),
            "conv2.weight": gaussian(rng, 5, 45).reshape(5, 5, 3, 3),
            "conv3.weight": gaussian(rng, 4, 45).reshape(4, 5, 3, 3),
        }

    record = compare(*(model_from_arrays(tiny()) for _ in range(2)))
    assert record.verdict == "not-testable"
    assert record.smallest_log10_pvalue > -6
    assert "even if all units matched" in record.sentence


def test_what_tests_hardly_reach_is_not_said_to_be_without_evidence(rng):
    a, b = models.base(rng), models.base(rng)
    for arrays in (a, b):
        arrays["blob"] = gaussian(rng, 300, 300)
    record = _compare(a, b)
    assert record.tested_share < 0.5
    assert record.verdict == "not-testable"
    assert "parameters" in record.sentence


def test_controls_of_another_number_of_tokens_do_not_count(rng):
    class Alike:
        model_class, statistic, n_units, width, n_rows = "gated language", 0.5, 64, 32, 24
        rows = "given"

    known = [
        Control(model_class="gated language", digest_a=f"a{i}", digest_b=f"b{i}", statistic=0.01,
                n_units=64, width=32, n_rows=n_rows, n_blocks=2, documented="made")
        for i, n_rows in enumerate([512] * 30 + [24] * 3)
    ]  # fmt: skip
    assert rank(Alike, ("x", "y"), known).n_controls == 3


def test_vocabularies_without_a_common_token_are_not_testable_through_tokens(tmp_path, rng):
    sides = []
    for name in ("a", "b"):
        folder = models.write(tmp_path / name, models.base(rng))
        words = ", ".join(f'"{name}{i}": {i}' for i in range(40))
        (folder / "tokenizer.json").write_text('{"model": {"vocab": {' + words + "}}}")
        sides.append(folder)
    record = compare(*sides)
    assert any(s.sentence == "the vocabularies share no token" for s in record.skipped)
    assert not [axis for axis in record.axes if axis.axis.startswith("token")]
