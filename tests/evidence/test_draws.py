"""Claim: where a sample starts is drawn by fresh bytes, at one place in both models, and said."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG, gaussian

from tests import models
from weightkin import compare
from weightkin.anatomy.types import Axis
from weightkin.api.challenges import challenge_of
from weightkin.api.verify import refreshed, verify
from weightkin.errors import UsageError
from weightkin.evidence.draws import Draws, Sizes, beacon, fresh, joint, pinned
from weightkin.evidence.extent import half_width
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import run_of
from weightkin.formats import model_from_arrays
from weightkin.records import Comparison

HEX = "00112233445566778899aabbccddeeff"


def _axis(n, kind="units", head_size=0, block=0):
    return Axis("mlp", kind, "decoder", block, n, "", "", (), head_size=head_size)


def _draws(k, sizes=None):
    return Draws(k.to_bytes(16, "big"), "one two", sizes or {})


def _sized(x, y):
    size = Sizes(min(x, y), max(x, y), 0)
    return {("units", "decoder", 0, "mlp"): size}


def test_a_draw_depends_on_the_bytes_the_models_and_what_it_is_for():
    one = _draws(1)
    shares = {
        one.share("x"),
        one.share("y"),
        _draws(2).share("x"),
        replace(one, names="z").share("x"),
    }
    assert len(shares) == 4
    assert one.share("x") == _draws(1).share("x")
    every = np.array([_draws(k).share("x") for k in range(2000)])
    assert np.abs(np.histogram(every, 10, (0, 1))[0] - 200).max() < 70  # five deviations


def test_every_unit_is_drawn_and_about_as_often():
    runs = [_draws(k).first(_axis(1000), 64) for k in range(3000)]
    counts = Counter(u for run in runs for u in range(run.start, run.start + run.n))
    assert set(counts) == set(range(1000))
    assert all(run.n == 64 for run in runs)
    assert max(counts.values()) < 2.6 * min(counts.values())  # the last run reaches back


@pytest.mark.parametrize("k", range(20))
def test_runs_of_two_models_hold_the_same_units(k):
    sizes = _sized(512, 896)
    draws = _draws(k, sizes)
    small, large = draws.first(_axis(512), 64), draws.first(_axis(896), 64)
    assert small.n == 128
    kept = np.sort(np.random.default_rng(k).choice(896, 512, replace=False))
    inside = kept[small.start : small.start + small.n]
    held = (inside >= large.start) & (inside < large.start + large.n)
    assert held.mean() > 0.7  # survivors of pruning stand about as far along


@pytest.mark.parametrize("k", range(20))
def test_a_second_run_holds_other_units(k):
    draws = _draws(k)
    first, second = draws.first(_axis(300), 64), draws.second(_axis(300), 64, 64, "x")
    assert second.start + second.n <= first.start or second.start >= first.start + first.n
    rest = draws.second(_axis(300), 64, 280, "x")
    assert rest.n == 20
    blocks = {draws.second(_axis(4096), 64, 64, f"block {i}").start for i in range(32)}
    assert len(blocks) > 10


def test_windows_of_heads_are_never_cut():
    for k in range(50):
        run = _draws(k).first(_axis(480, "vo", 60), 32)
        assert run.start % 15 == 0


def test_nothing_is_drawn_where_the_sample_is_the_axis():
    plan = Plan(64, draws=_draws(3))
    assert run_of(_axis(64), plan).start == 0
    assert run_of(_axis(6400), replace(plan, draws=None)).start == 0
    assert run_of(_axis(6400), plan).start > 0


def test_nobody_alone_chooses_the_bytes_of_two():
    a, b = bytes(range(16)), bytes(16)
    assert joint(a, b) == joint(b, a)
    kinds = [pinned(0), joint(a, b), beacon(a)]
    assert len({x.hex for x in kinds}) == 3
    assert [x.drawn for x in kinds] == ["seed", "joint", "beacon"]
    assert fresh().hex != fresh().hex


@pytest.mark.parametrize("said", ["", "mine", "joint:00", f"joint:{HEX}", f"beacon:{HEX}:{HEX}",
                                  "beacon:zz", "own:1", 5, None])  # fmt: skip
def test_a_challenge_that_is_none_is_refused(said):
    with pytest.raises(UsageError, match="challenge"):
        challenge_of(said)


def _wide(rng, hidden=1400):
    arrays = models.base(rng)
    for i in range(3):
        layer = f"model.layers.{i}.mlp."
        for name in ("gate", "up"):
            arrays[f"{layer}{name}_proj.weight"] = gaussian(rng, hidden, 16)
        arrays[f"{layer}down_proj.weight"] = gaussian(rng, 16, hidden)
    return arrays


@pytest.mark.claim
def test_a_record_says_who_drew_its_sample_and_comes_out_again(rng):
    parent = _wide(rng)
    child = model_from_arrays(models.child(parent, rng), config=CONFIG)
    parent = model_from_arrays(parent, config=CONFIG)
    record = compare(parent, child)
    assert record.challenge.drawn == "own"
    assert record.challenge.binding == "partial"
    assert compare(parent, child).challenge.hex != record.challenge.hex
    assert verify(Comparison.from_json(record.to_json()), parent, child) == []
    again = refreshed(record, parent, child)
    assert again.record.challenge.hex != record.challenge.hex
    assert again.record.verdict == record.verdict == "dependent"
    logs = sorted(x.log10_pvalue for x in (record, again.record))
    assert logs[0] <= again.log10_pvalue <= logs[1]
    others = [replace(record, challenge=replace(record.challenge, hex=x)) for x in (HEX, HEX[::-1])]
    assert any(verify(x, parent, child) for x in others)  # of other units


@pytest.mark.claim
def test_another_model_is_no_second_look(rng):
    first = _wide(rng)
    every = first, models.child(first, rng), _wide(rng)
    parent, child, other = (model_from_arrays(x, config=CONFIG) for x in every)
    with pytest.raises(UsageError, match="digest of b"):
        refreshed(compare(parent, child), parent, other)


def test_a_small_model_has_no_draw(rng):
    parent = models.base(rng)
    pair = [model_from_arrays(x, config=CONFIG) for x in (parent, models.child(parent, rng))]
    assert compare(*pair).challenge is None


def test_a_share_of_the_units_is_told_with_its_interval(rng):
    parent, other = _wide(rng), _wide(rng)
    for i in range(3):
        layer = f"model.layers.{i}.mlp."
        is_kept = rng.random(1400) < 0.4
        for name in ("gate", "up"):
            rows = f"{layer}{name}_proj.weight"
            other[rows][is_kept] = parent[rows][is_kept] + 0.05 * gaussian(rng, is_kept.sum(), 16)
        down = f"{layer}down_proj.weight"
        other[down][:, is_kept] = parent[down][:, is_kept]
    pair = [model_from_arrays(x, config=CONFIG) for x in (parent, other)]
    record = compare(*pair, seed=0)
    assert record.extent.low <= 0.4 <= record.extent.high
    assert record.extent.n_runs >= 32
    assert abs(record.extent.share - 0.4) < 0.15


@pytest.mark.parametrize("n", [32, 400])
def test_the_interval_of_an_extent_holds_the_share(n, rng):
    missed = 0
    for _ in range(400):
        shares = (rng.random(n) < 0.3).astype(float)  # whole blocks are shared, or not at all
        missed += abs(shares.mean() - 0.3) > half_width(shares)
    assert missed <= 20
