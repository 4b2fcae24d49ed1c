"""Claim: a statistic stands out where it is above enough controls, by more than their spread."""

import pytest

from weightkin.stats.calibrated import MIN_CONTROL_SPREAD, N_CONTROLS, exceeds, rank_among

MIDDLE, LARGEST = 0.25, 0.375


def controls(n=N_CONTROLS):
    return [MIDDLE] * (n - 1) + [LARGEST]


@pytest.mark.parametrize(
    ("statistic", "pvalue", "margin"),
    [
        (0.625, 1 / (N_CONTROLS + 1), 2.0),
        (0.5, 1 / (N_CONTROLS + 1), 1.0),
        (0.375, 2 / (N_CONTROLS + 1), 0.0),  # a tie counts against it
        (0.25, 1.0, -1.0),
        (0.0, 1.0, -3.0),
    ],
)
def test_rank_and_margin_among_controls(statistic, pvalue, margin):
    rank = rank_among(statistic, controls())
    assert (rank.pvalue, rank.margin) == (pytest.approx(pvalue), pytest.approx(margin))
    assert (rank.largest, rank.median) == (LARGEST, MIDDLE)


def test_controls_that_hardly_differ_still_have_a_spread():
    rank = rank_among(0.25 + 3 * MIN_CONTROL_SPREAD, [0.25] * N_CONTROLS)
    assert rank.margin == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("statistic", "n", "is_enough"),
    [
        (0.51, N_CONTROLS, True),
        (0.51, N_CONTROLS - 1, False),  # too few controls
        (0.5, N_CONTROLS, False),  # no further above than their spread
        (0.375, N_CONTROLS, False),
    ],
)
def test_what_exceeds_its_controls(statistic, n, is_enough):
    assert exceeds(rank_among(statistic, controls(n)), n) is is_enough


def test_one_control_as_large_is_one_too_many():
    spread = [0.0] * (N_CONTROLS - 1)
    assert exceeds(rank_among(0.9, [*spread, 0.1]), N_CONTROLS)
    assert not exceeds(rank_among(0.9, [*spread, 0.9]), N_CONTROLS)
