"""Claim: parts of one model that are copies of each other count once, in every test."""

from itertools import permutations

import numpy as np
import pytest
from benchmarks.lib.null_models import COPIED

from tests import models, naive
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.blind import run_signs
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.pairs import pair_evidence
from weightkin.evidence.plan import Run
from weightkin.evidence.sample import make_plan
from weightkin.evidence.silent import silent_of_all, silent_units
from weightkin.evidence.stage import run_stage
from weightkin.evidence.units import run_units
from weightkin.formats import model_from_arrays
from weightkin.stats.coincidences import Z_GRID, mix_log_evalue


def _axis(n, kind="units", head_size=0):
    return Axis(
        name="vo", kind=kind, stack="decoder", block=0, n_units=n, group=f"S_{n}",
        labels="decoder.0.vo", places=(), head_size=head_size,
    )  # fmt: skip


def _rows(rng, n, d=32):
    return rng.standard_normal((n, d)).astype(np.float32)


def _side(arrays):
    from benchmarks.lib.null_models import CONFIG

    model = model_from_arrays(arrays, config=CONFIG)
    return Side(model, read_anatomy(model))


def _sides(name, rng):
    pair = [COPIED[name](rng) for _ in range(2)]
    return [Side(model, read_anatomy(model)) for model in pair]


def _bench(a, b):
    return PairTester(a, b, make_plan((a.model, a.anatomy), (b.model, b.anatomy)), 0)


def test_copied_windows_average_and_others_multiply(rng):
    """By the definition: heads 0, 2 and 1 of a are x, x and y, in labels of their own in b."""
    x, y = _rows(rng, 8), _rows(rng, 8)
    v = np.concatenate([x, y, x])
    axis = _axis(24, "vo", head_size=8)
    found = pair_evidence({"attn.v": v}, {"attn.v": v}, axis, axis, rng)
    counts = [naive.coincidences(v[i : i + 8], v[i : i + 8]) for i in (0, 8, 16)]
    z = Z_GRID[:8]  # larger ones underflow
    expected = np.log(naive.multiplied_once([z**k * np.exp(1 - z) for k in counts], (0, 1, 0)))
    assert found.grids[0][:8] == pytest.approx(expected)
    assert found.grids[1][:8] == pytest.approx(expected)


def test_the_model_without_copies_may_be_trusted(rng):
    heads = [_rows(rng, 8) for _ in range(3)]
    copied = np.concatenate([heads[0], heads[0], heads[0]])
    axis = _axis(24, "vo", head_size=8)
    there = pair_evidence({"attn.v": copied}, {"attn.v": np.concatenate(heads)}, axis, axis, rng)
    assert there.grids[0] is not there.grids[1]
    assert mix_log_evalue(there.grid) == min(mix_log_evalue(g) for g in there.grids)


def test_evalue_of_copied_windows_has_expectation_at_most_one(rng):
    """Over every relabelling that heads written three times allow: all three move together."""
    v, other = (np.tile(_rows(rng, 5, 6), (3, 1)) for _ in range(2))
    axis = _axis(15, "vo", head_size=5)
    values = []
    for p in permutations(range(5)):
        moved = np.concatenate([v[i : i + 5][list(p)] for i in (0, 5, 10)])
        found = pair_evidence({"attn.v": moved}, {"attn.v": other}, axis, axis, rng)
        values.append(np.exp(mix_log_evalue(found.grid)))
    assert np.mean(values) <= 1 + 1e-9


def test_clones_under_equal_numbers_coincide_once(rng):
    """Widened by one script: clones of a unit stand under the same numbers in both models."""
    x = _rows(rng, 12, 48)
    placed = rng.permutation(np.tile(np.arange(12), 4))
    views = [
        {role: x[placed] + 0.05 * _rows(rng, 48, 48) for role in ("mlp.gate", "mlp.up", "mlp.down")}
        for _ in range(2)
    ]
    found = pair_evidence(*views, _axis(48), _axis(48), rng)
    assert {test.statistic for test in found.tests} == {12.0}
    elsewhere = {role: view[rng.permutation(48)] for role, view in views[1].items()}
    assert pair_evidence(views[0], elsewhere, _axis(48), _axis(48), rng).tests[0].n_units > 24


@pytest.mark.parametrize("name", ["2 heads x 16", "8 heads x 8", "heads of four ranks"])
def test_copied_heads_are_no_heads_of_their_own(rng, name):
    a, b = _sides(name, rng)
    stage = run_stage(_bench(a, b), "heads", {})
    assert not stage.tests
    assert "copies of other heads" in stage.skipped[-1].sentence


@pytest.mark.parametrize("name", ["2 heads x 16", "8 heads x 8, trained apart"])
def test_unrelated_models_with_copied_heads_show_nothing(rng, name):
    for _ in range(6):
        stage = run_stage(_bench(*_sides(name, rng)), "vo", {})
        assert stage.log_evalue < np.log(20)


def test_children_of_a_model_with_copied_heads_are_found(rng):
    a = COPIED["8 heads x 8"](rng)
    arrays = {name: a.rows(name) for name in a.tensors}
    noisy = {k: v + 0.1 * rng.standard_normal(v.shape).astype(np.float32)
             for k, v in arrays.items()}  # fmt: skip
    b = model_from_arrays(noisy, config=a.config)
    sides = [Side(model, read_anatomy(model)) for model in (a, b)]
    assert run_stage(_bench(*sides), "vo", {}).log_evalue > np.log(1e20)


def test_stacked_blocks_count_once_whatever_became_of_them(rng):
    a, b = _sides("1 block x 8", rng)
    stage, _ = run_units(_bench(a, a))
    alone = run_units(_bench(_first_block(a), _first_block(a)))[0]
    assert stage.log_evalue < 1.2 * alone.log_evalue
    assert run_units(_bench(a, b))[0].log_evalue < np.log(20)


def _first_block(side):
    arrays = {name: side.model.rows(name) for name in side.model.tensors}
    kept = {k: v for k, v in arrays.items() if ".layers." not in k or ".layers.0." in k}
    return _side(kept)


def test_clones_show_one_coin(rng):
    """Eight clones of 32 units, half of them with their sign turned: 32 coins at most."""
    a, b = _sides("units x 8", rng)
    units = [m for m in run_signs(a, b, 0)[1] if m.a.kind == "units"]
    assert max(len(m.signs) for m in units) <= 32
    itself = [m for m in run_signs(a, a, 0)[1] if m.a.kind == "units"]
    assert {len(m.signs) for m in itself} <= {31, 32}  # two of them may be alike by chance
    assert all(m.n_agree == len(m.signs) for m in itself)


def test_the_coin_of_a_set_of_clones_is_chosen_blind_to_signs(rng):
    """Turning one set of clones turns one coin and moves nothing else."""
    a, b = (COPIED["units x 8"](rng) for _ in range(2))
    arrays = {name: a.rows(name) for name in a.tensors}
    before = _units_of(arrays, b)
    up, down = (f"model.layers.0.mlp.{name}_proj.weight" for name in ("up", "down"))
    gates = arrays["model.layers.0.mlp.gate_proj.weight"]
    gates = gates / np.linalg.norm(gates, axis=1, keepdims=True)
    clones = np.flatnonzero(gates @ gates[before.units_a[0]] > 0.7)
    arrays[up][clones] *= -1
    arrays[down][:, clones] *= -1
    after = _units_of(arrays, b)
    assert len(clones) == 8
    assert (after.units_a.tolist(), after.units_b.tolist()) == (
        before.units_a.tolist(), before.units_b.tolist(),
    )  # fmt: skip
    assert (after.signs != before.signs).sum() == 1


def _units_of(arrays, b):
    sides = [Side(m, read_anatomy(m)) for m in (model_from_arrays(arrays, config=b.config), b)]
    return next(m for m in run_signs(*sides, 0)[1] if m.a.kind == "units" and m.a.block == 0)


def test_units_that_write_nothing_are_left_out_of_every_test(rng):
    arrays = models.base(rng)
    down, out = "model.layers.1.mlp.down_proj.weight", "model.layers.1.self_attn.o_proj.weight"
    arrays[down][:, 5:9] *= np.float32(1e-5)
    arrays[out][:, 3] = 0
    side = _side(arrays)
    units, values = ([x for x in side.axes(kind) if x.block == 1][0] for kind in ("units", "vo"))
    bench = _bench(side, side)
    assert silent_of_all(side.model, units).tolist() == [5, 6, 7, 8]
    assert silent_of_all(side.model, values).tolist() == [3]
    assert not bench.read(units, is_a=True)["mlp.up"][5:9].any()
    assert not bench.read(values, is_a=True)["attn.v"][3].any()
    matches = {m.a: m for m in run_signs(side, side, 0)[1]}
    assert not {5, 6, 7, 8} & set(matches[units].units_a.tolist())
    assert 3 not in matches[values].units_a


def test_a_few_entries_of_a_sparse_column_do_not_make_it_unused():
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random((64, 8)) < 0.8, 0, rng.standard_normal((64, 8)))
    views = {"attn.o": sparse.astype(np.float32)}
    assert not len(silent_units(None, _axis(64, "vo", 8), views, Run(0, 64)))
