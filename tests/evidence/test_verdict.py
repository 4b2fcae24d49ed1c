"""Claim: the verdict follows from the axes, from alpha, and from what tests could have shown."""

import math

import pytest

from weightkin.evidence.verdict import Reach, decide
from weightkin.records import AxisEvidence

ALPHA = 1e-6
LEVEL = math.log10(ALPHA)
WELL = Reach(log10_pvalue=-100.0, share=1.0)


def axis(log10_pvalue=0.0, *, name="units", passes=False, confirmed=""):
    return AxisEvidence(
        axis=name,
        weight=0.5,
        log10_pvalue=log10_pvalue,
        n_blocks=4,
        trusts="aligned",
        passes=passes,
        confirmed=confirmed,
    )


def verdict(axes, reach=WELL, *, is_equal=False):
    return decide(axes, ALPHA, reach, is_equal=is_equal)[:2]


def test_one_axis_that_passes_makes_two_models_dependent():
    assert verdict([axis(), axis(-50.0, passes=True)]) == ("dependent", "exact")
    assert verdict([axis(-50.0, name="vo", passes=True)], is_equal=True) == ("dependent", "exact")


def test_equal_values_make_them_dependent_without_any_test():
    assert verdict([], is_equal=True) == ("dependent", "equal")
    assert verdict([axis(LEVEL - 1)], is_equal=True) == ("dependent", "equal")


def test_the_residual_width_settles_nothing_alone():
    alone = axis(-50.0, name="residual", passes=True)
    assert verdict([alone]) == ("aligned-only", "exact")
    assert verdict([alone, axis(-50.0, passes=True)]) == ("dependent", "exact")
    (_, _, why) = decide([alone, axis(LEVEL - 1)], ALPHA, WELL, is_equal=False)
    assert [x.what for x in why] == ["residual"]


def test_units_that_line_up_without_effect_are_aligned_only():
    assert verdict([axis(LEVEL)]) == ("aligned-only", "exact")
    assert verdict([axis(LEVEL + 1e-9)]) == ("no-evidence", "exact")


def test_what_units_outside_the_sample_refute_is_said():
    (said, _, why) = decide([axis(-50.0, confirmed="refuted")], ALPHA, WELL, is_equal=False)
    assert said == "aligned-only"
    assert [x.what for x in why] == ["units"]
    assert decide([axis(-50.0)], ALPHA, WELL, is_equal=False)[2] == ()


def test_nothing_found_needs_tests_that_could_have_found_something():
    assert verdict([]) == ("not-testable", "none")
    for reach, said in (
        (Reach(log10_pvalue=LEVEL, share=0.5), "no-evidence"),
        (Reach(log10_pvalue=LEVEL + 1e-9, share=1.0), "not-testable"),
        (Reach(log10_pvalue=-100.0, share=0.499), "not-testable"),
    ):
        assert verdict([axis()], reach)[0] == said
        assert len(decide([axis()], ALPHA, reach, is_equal=False)[2]) == (said == "not-testable")


def test_why_nothing_could_be_shown_is_said_in_numbers():
    short = Reach(log10_pvalue=-2.0, share=1.0)
    narrow = Reach(log10_pvalue=-100.0, share=1 / 3)
    for reach, data in (
        (short, {"pvalue": pytest.approx(0.01), "alpha": ALPHA}),
        (narrow, {"share": 0.3333}),
    ):
        (why,) = decide([axis()], ALPHA, reach, is_equal=False)[2]
        assert why.data == data
