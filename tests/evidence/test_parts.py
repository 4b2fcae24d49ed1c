"""Claim: each part, block and gap of a comparison is reported by the same rules as the verdict."""

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Anatomy, Axis
from weightkin.evidence import pair_tester
from weightkin.evidence.effects import have_views
from weightkin.evidence.ladder import LADDER, LOG10, StagesRun
from weightkin.evidence.pairs import PairEvidence, ViewTest
from weightkin.evidence.sample import make_plan
from weightkin.evidence.stacks import OtherStacks, Pairing
from weightkin.evidence.stage import DROPPED, Stage
from weightkin.evidence.units import STRAIGHT_FAILS
from weightkin.evidence.untested import not_read, skipped
from weightkin.evidence.verdict import has_units, layers, parts
from weightkin.formats import model_from_arrays
from weightkin.formats.model import Problem
from weightkin.records import Effect, Test, left_out
from weightkin.stats.coincidences import Z_GRID

ALPHA = 1e-6
COPY = Effect(observed=0.9, chance=0.3, ratio=3.0, agreement=1.0)
ALIGNED = Effect(observed=0.36, chance=0.3, ratio=1.2, agreement=1.0)
NO_OTHERS = OtherStacks(stage=None, best=None, names=frozenset(), skipped=())


def axis(stack="decoder", block=0, *, name="mlp", kind="units"):
    return Axis(
        name=name, kind=kind, stack=stack, block=block, n_units=64, group="S_64",
        labels=f"{stack}.{block}.{name}", places=(),
    )  # fmt: skip


def side(*axes, stacks=(), problems=(), unknown=()):
    """A model of which only the layout is known."""
    anatomy = Anatomy("unknown", stacks, axes, (), unknown)
    return Side(replace(model_from_arrays({}, config={}), problems=problems), anatomy)


def opened(arrays):
    model = model_from_arrays(arrays, config=CONFIG)
    return Side(model, read_anatomy(model))


def stage(name="units", log_e=None, *, effect=COPY, confirmed="", tested=(), tests=()):
    """One stage; ``log_e`` is the log e-value of each stack."""
    log_e = log_e or {}
    return Stage(
        name, max(log_e.values(), default=0.0), tests, tested, effect, "either", (), log_e,
        confirmed=confirmed,
    )  # fmt: skip


def found(*stages, sides=None, plan=None):
    a, b = sides or (side(), side())
    return {x.name: (x.verdict, x.log10_pvalue) for x in parts(a, b, plan, stages, ALPHA)}


# parts


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("name", ["units", "vo", "signs"])
def test_parts_share_the_level_of_the_verdict(name, n):
    """Log e minus the price of the stage and of the number of parts, compared with alpha itself."""
    log_e = math.log(n / (LADDER[name] * ALPHA))
    others = {f"stack {i}": 0.0 for i in range(n - 1)}
    for extra, verdict in ((1e-9, "dependent"), (-1e-9, "no-evidence")):
        said, log10_p = found(stage(name, {"decoder": log_e + extra, **others}))["decoder"]
        assert said == verdict
        assert log10_p == pytest.approx(-6.0, abs=1e-8)
    assert found(stage(name, {"decoder": -1.0}))["decoder"] == ("no-evidence", 0.0)


def test_a_part_exactly_at_the_level_passes():
    close = math.log(1 / (LADDER["units"] * ALPHA)) + np.arange(-4, 5) * 2.0**-49
    said = [found(stage("units", {"decoder": float(x)}))["decoder"] for x in close]
    assert [verdict for verdict, p in said if p == math.log10(ALPHA)][0] == "dependent"
    assert all((verdict == "dependent") == (p <= math.log10(ALPHA)) for verdict, p in said)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_part_takes_the_stage_that_shows_most_once_it_is_paid(turn):
    """20 at the weight of hidden units is worth more than 22 at that of signs."""
    both = (stage("units", {"x": 20.0}), stage("signs", {"x": 22.0}, effect=ALIGNED))
    log10_p = -(20.0 + math.log(LADDER["units"])) / LOG10
    assert found(*both[::turn]) == {"x": ("dependent", pytest.approx(log10_p))}
    both = (stage("units", {"x": 2.0}), stage("signs", {"x": 23.0}, effect=ALIGNED))
    log10_p = -(23.0 + math.log(LADDER["signs"])) / LOG10
    assert found(*both[::turn]) == {"x": ("aligned-only", pytest.approx(log10_p))}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_part_takes_a_stage_that_passes_before_one_that_only_lined_up(turn):
    """As the verdict of the whole does."""
    both = (stage("units", {"x": 20.0}), stage("signs", {"x": 90.0}, effect=ALIGNED))
    log10_p = -(20.0 + math.log(LADDER["units"])) / LOG10
    assert found(*both[::turn]) == {"x": ("dependent", pytest.approx(log10_p))}


def test_heads_are_no_part_and_the_residual_width_is_the_embedding():
    assert found(stage("heads", {"decoder": 90.0})) == {}
    both = found(stage("units", {"x": 0.0}), stage("residual", {"x": 0.0}))
    assert list(both) == ["x", "x embedding"]


@pytest.mark.parametrize(
    ("effect", "confirmed", "log_e", "verdict"),
    [
        (COPY, "", 50.0, "dependent"),
        (COPY, "second-run", 50.0, "dependent"),
        (COPY, "refuted", 50.0, "aligned-only"),  # units outside the sample do not show it
        (ALIGNED, "", 50.0, "aligned-only"),  # lined up, and no more alike than that makes them
        (ALIGNED, "refuted", 50.0, "aligned-only"),
        (ALIGNED, "", 0.0, "no-evidence"),
        (COPY, "refuted", 0.0, "no-evidence"),
    ],
)
def test_a_part_needs_more_than_a_small_p_as_the_verdict_does(effect, confirmed, log_e, verdict):
    only = stage("vo", {"decoder": log_e}, effect=effect, confirmed=confirmed)
    assert found(only)["decoder"][0] == verdict


def test_an_embedding_alone_needs_equal_rows(rng):
    """A loss can copy the residual width, but no bits; what other stages settle holds for it."""
    arrays = models.base(rng)
    a, scaled = opened(arrays), opened({name: x / 2 for name, x in arrays.items()})
    distilled = opened(models.child(arrays, rng, noise=0.01))
    (stack,) = {x.stack for x in a.axes("residual")}
    plan = make_plan((a.model, a.anatomy), (scaled.model, scaled.anatomy))
    residual = stage("residual", {stack: 50.0})
    settled = stage("units", {stack: 50.0})
    open_ = stage("units", {stack: 1.0})
    refuted = stage("residual", {stack: 50.0}, confirmed="refuted")

    def verdict(b, *stages):
        return found(*stages, sides=(a, b), plan=plan)[f"{stack} embedding"][0]

    assert verdict(scaled, residual) == "dependent"
    assert verdict(distilled, residual) == "aligned-only"
    assert verdict(distilled, residual, open_) == "aligned-only"
    assert verdict(distilled, residual, settled) == "dependent"
    assert verdict(scaled, refuted) == "aligned-only"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(2, 40), (2, 40)], True),
        ([(1, 40), (1, 40)], False),
        ([(1, 256), (4, 3)], False),  # an unrelated axis of several views beside one that matches
        ([(1, 40), (2, 40)], True),
        ([(2, 0), (1, 0)], False),
    ],
)
def test_views_may_agree_where_most_matched_units_have_several(pairs, expected):
    assert have_views(pairs) is expected


# blocks


def shown(a, b, log10_p, *, ratio=3.0, name="mlp"):
    """Blocks a and b of one stack, and what their test showed."""
    grid = np.full(len(Z_GRID), -log10_p * LOG10)
    effect = Effect(observed=0.9, chance=0.3, ratio=ratio, agreement=1.0)
    test = ViewTest("unit-coincidences", "", 64, 1.0, log10_p, effect)
    none = np.zeros(0)
    evidence = PairEvidence((grid, grid), (test,), none, none, none)
    return pair_tester.Tested(axis(block=a, name=name), axis(block=b, name=name), evidence)


def blocks(tests, block_map=None, *, n_b=4, name="units"):
    ran = StagesRun((stage(name, tested=tuple(tests)),), block_map or {})
    b = side(*(axis(block=k) for k in range(n_b)))
    return {(x.block_a, x.block_b): x.relation for x in layers(ran, b, NO_OTHERS)}


def test_a_block_is_kept_where_its_units_show_it():
    tests = [shown(0, 0, -9.0), shown(1, 1, STRAIGHT_FAILS), shown(2, 2, STRAIGHT_FAILS - 0.01)]
    kept = {("decoder.0", "decoder.0"): "kept", ("decoder.2", "decoder.2"): "kept"}
    assert blocks(tests) == kept
    assert blocks(tests, name="token units") == kept
    assert blocks(tests, name="signs") == {}
    assert blocks([]) == {}


def test_blocks_that_moved_were_dropped_or_inserted():
    """Of a map: block 0 stays, 1 goes, 2 is in place 1, and block 2 of b is new."""
    block_map = {("decoder", 0): 0, ("decoder", 1): DROPPED, ("decoder", 2): 1}
    tests = [shown(0, 0, -9.0), shown(2, 1, -9.0), shown(2, 2, -9.0)]
    assert blocks(tests, block_map, n_b=3) == {
        ("decoder.0", "decoder.0"): "kept",
        ("decoder.2", "decoder.1"): "moved",
        ("decoder.1", ""): "dropped",
        ("", "decoder.2"): "inserted",
    }
    assert blocks([shown(0, 0, -9.0)], {("vision", 0): 0}) == {("decoder.0", "decoder.0"): "kept"}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_block_of_several_axes_is_shown_by_its_clearest(turn):
    tests = [shown(0, 0, -9.0, ratio=2.0, name="mlp.0"), shown(0, 0, -5.0, name="mlp.1")]
    ran = StagesRun((stage(tested=tuple(tests[::turn])),), {})
    (block,) = layers(ran, side(axis()), NO_OTHERS)
    assert (block.log10_pvalue, block.effect.ratio) == (pytest.approx(-9.0), 2.0)


def test_units_seen_through_tokens_stand_in_where_weights_showed_none():
    through = stage("token units", tested=(shown(0, 0, -9.0),))
    ran = StagesRun((stage("units"), stage("signs", tested=(shown(1, 1, -9.0),)), through), {})
    (block,) = layers(ran, side(axis()), NO_OTHERS)
    assert (block.block_a, block.relation) == ("decoder.0", "kept")
    assert block.log10_pvalue == pytest.approx(-9.0)


def test_blocks_of_a_stack_under_another_name_carry_it():
    block_map = {("decoder", 0): 0, ("decoder", 1): DROPPED}
    ran = StagesRun((stage(tested=(shown(0, 0, -9.0),)),), block_map)
    inner = (side(axis()), side(axis(), axis(block=1)))
    pairing = Pairing(("decoder", "teacher.decoder"), inner, ran)
    other = OtherStacks(None, pairing, frozenset({pairing.names}), ())
    said = [
        (x.block_a, x.block_b, x.log10_pvalue) for x in layers(StagesRun((), {}), side(), other)
    ]
    assert said == [
        ("decoder.0", "teacher.decoder.0", pytest.approx(-9.0)),
        ("decoder.1", "", 0.0),
        ("", "teacher.decoder.1", 0.0),
    ]


# what was not tested


def gaps(a, b, *, names=()):
    other = OtherStacks(None, None, frozenset(names), ())
    return [(x.what, x.data) for x in skipped(a, b, StagesRun((), {}), other)]


def test_kinds_stacks_and_blocks_that_one_model_lacks_are_listed():
    a = side(axis(), axis(kind="vo", name="vo"), stacks=(("decoder", 6), ("vision", 2)))
    b = side(axis(), stacks=(("decoder", 4), ("audio", 2)))
    assert gaps(a, b) == [
        ("vo axes", {"kind": "vo", "model": "b"}),
        ("stack audio", {"stack": "audio", "model": "a"}),
        ("stack vision", {"stack": "vision", "model": "b"}),
        ("2 blocks of decoder", {"n_a": 6, "n_b": 4}),
    ]
    assert ("vo axes", {"kind": "vo", "model": "a"}) in gaps(b, a)
    assert ("2 blocks of decoder", {"n_a": 4, "n_b": 6}) in gaps(b, a)
    assert gaps(a, a) == []
    compared = {"stack audio", "stack vision"} - dict(
        gaps(a, b, names={("vision", "audio")})
    ).keys()
    assert compared == {"stack audio", "stack vision"}


def test_what_could_not_be_read_or_is_not_known_names_its_model():
    broken, unknown = (
        Problem("part 2", "cut short"),
        Problem("x.weight", "no such role", code="axis-unknown"),
    )
    a = side(problems=(broken,), unknown=(unknown,))
    assert [(x.what, x.code) for x in not_read(a)] == [
        ("part 2", "unread"),
        ("x.weight", "axis-unknown"),
    ]
    assert [what for what, _ in gaps(a, side())] == ["a: part 2", "a: x.weight"]
    assert [what for what, _ in gaps(side(), a)] == ["b: part 2", "b: x.weight"]


def test_each_gap_is_listed_once():
    again = left_out("heads", "no-view-read")
    ran = StagesRun((stage(), stage("vo")), {}, skipped=(again, again))
    assert skipped(side(), side(), ran, NO_OTHERS) == (again,)


def test_a_comparison_has_units_where_any_test_had_some():
    def ran(*n_units):
        return StagesRun(tuple(stage(tests=(counted(n),)) for n in n_units), {})

    def counted(n):
        return Test(
            name="unit-coincidences", axis="mlp", trusts="either", block_a="decoder.0",
            block_b="decoder.0", n_units=n, statistic=0.0, log10_pvalue=0.0, null="exact",
        )  # fmt: skip

    assert has_units(ran(0, 3)) is True
    assert has_units(ran(0, 0)) is False
    assert has_units(ran()) is False
